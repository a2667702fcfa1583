from __future__ import annotations

from typing import Tuple

import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from torch import Tensor

from fairseq_rome.algebra import Detector, choose_threshold, fit_detector, insert_keys, ridged

RIDGE = 1e-2

seeds = st.integers(0, 2**31 - 1)
sizes = st.tuples(st.integers(2, 9), st.integers(1, 6))
few = settings(max_examples=20, deadline=None, derandomize=True)


def problem(seed: int, size: Tuple[int, int], count: int) -> Tuple[Tensor, Tensor, Tensor]:
    """Keys (m x f), residuals (m x d) and the moment of correlated background keys (f x f), in float64."""
    f, d = size
    torch.manual_seed(seed)
    background = torch.randn(4 * f, f).double() @ torch.randn(f, f).double()
    moment = background.T @ background / len(background)
    return torch.randn(count, f).double(), torch.randn(count, d).double(), moment


def change(keys: Tensor, residuals: Tensor, moment: Tensor, ridge: float = RIDGE) -> Tensor:
    left, right = insert_keys(keys, residuals, moment, ridge)
    return left @ right.T


def cost(delta: Tensor, moment: Tensor) -> float:
    """Mean squared effect on the background."""
    return float(torch.einsum("df,fg,dg->", delta, ridged(moment, RIDGE), delta))


def alike(first: Tensor, second: Tensor, tolerance: float = 1e-6) -> bool:
    return bool((first - second).norm() <= tolerance * (1 + second.norm()))


@few
@given(seeds, sizes, st.integers(1, 4))
def test_given_keys_get_exactly_their_residuals(seed: int, size: Tuple[int, int], count: int) -> None:
    count = min(count, size[0])
    keys, residuals, moment = problem(seed, size, count)
    assume(torch.linalg.cond(keys) < 1e3)
    left, right = insert_keys(keys, residuals, moment, RIDGE)
    assert left.shape == (size[1], count)
    assert right.shape == (size[0], count)
    delta = left @ right.T
    assert alike(keys @ delta.T, residuals)
    assert torch.linalg.matrix_rank(delta, rtol=1e-9) <= min(count, size[1])


@few
@given(seeds, sizes, st.integers(1, 3))
def test_no_smaller_change_does_the_same(seed: int, size: Tuple[int, int], count: int) -> None:
    f, d = size
    count = min(count, f - 1)
    keys, residuals, moment = problem(seed, size, count)
    assume(torch.linalg.cond(keys) < 1e3)
    delta = change(keys, residuals, moment)
    # Any other change that hits the values differs by one whose rows are orthogonal to all keys.
    basis = torch.linalg.qr(keys.T)[0]
    other = torch.randn(d, f).double()
    other -= other @ basis @ basis.T
    assert alike(keys @ (delta + other).T, residuals)
    assert cost(delta, moment) < cost(delta + other, moment)
    assert cost(delta, moment) < cost(delta + 1e-3 * other, moment)


@few
@given(seeds, sizes)
def test_one_key_is_the_closed_form_of_rome(seed: int, size: Tuple[int, int]) -> None:
    keys, residuals, moment = problem(seed, size, 1)
    direction = torch.linalg.inv(ridged(moment, RIDGE)) @ keys[0]
    assert alike(
        change(keys, residuals, moment), torch.outer(residuals[0], direction) / (keys[0] @ direction)
    )


@few
@given(seeds, sizes, st.sampled_from([1e-8, 1e-3, 1e4, 1e9]))
def test_scale_of_the_moment_and_of_keys(seed: int, size: Tuple[int, int], scale: float) -> None:
    keys, residuals, moment = problem(seed, size, 2)
    assume(torch.linalg.cond(keys) < 1e3)
    delta = change(keys, residuals, moment)
    assert alike(change(keys, residuals, moment * scale), delta)
    # A key that is longer, with a residual that is as much larger, asks for the same change.
    factors = torch.tensor([[scale], [1.0]]).double()
    assert alike(change(keys * factors, residuals * factors, moment), delta)


def test_single_precision_is_solved_in_double() -> None:
    keys, residuals, moment = (part.float() for part in problem(1, (48, 5), 4))
    left, right = insert_keys(keys, residuals, moment, 1e-6)
    assert left.dtype == right.dtype == torch.float32
    assert torch.allclose(keys @ (left @ right.T).T, residuals, atol=1e-3)


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        ([[1.0, 2.0, 3.0], [2.0, 4.0, 6.0]], "linearly dependent, expected distinct keys"),
        ([[1.0, 2.0, 3.0], [0.0, 0.0, 0.0]], "linearly dependent, expected distinct keys"),
        ([[0.0, 0.0, 0.0]], "linearly dependent, expected distinct keys"),
        ([[float("nan"), 0.0, 0.0]], "linearly dependent, expected distinct keys"),
        ([[1.0, 0, 0], [0, 1.0, 0], [0, 0, 1.0], [1.0, 1.0, 1.0]], "linearly dependent"),
    ],
)
def test_keys_without_a_solution(keys: list, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        insert_keys(torch.tensor(keys), torch.ones(len(keys), 2), torch.eye(3), RIDGE)


def test_dead_neurons_need_a_ridge() -> None:
    moment = torch.diag(torch.tensor([1.0, 0.0]))
    with pytest.raises(ValueError, match="second moment can't be inverted, expected a ridge above 0"):
        insert_keys(torch.ones(1, 2), torch.ones(1, 2), moment, 0.0)
    with pytest.raises(ValueError, match="covariance can't be inverted, expected a ridge above 0"):
        fit_detector(torch.ones(1, 2), torch.zeros(5, 2), 0.0, 1e-6)


def layer_normed(count: int, width: int) -> Tensor:
    gain, bias = torch.rand(width) + 0.5, torch.randn(width)
    return torch.nn.functional.layer_norm(torch.randn(count, width), (width,), gain, bias)


@few
@given(seeds, st.integers(4, 12), st.integers(2, 200))
def test_one_output_of_a_layer_norm_is_separable_from_all_others(seed: int, width: int, count: int) -> None:
    torch.manual_seed(seed)
    points = layer_normed(count + 1, width)
    # Points that all but coincide can't be told apart in single precision.
    assume(float((points[1:] - points[0]).norm(dim=1).min()) > 0.3)
    detector = fit_detector(points[:1], points[1:], RIDGE, 1e-6)
    assert float(detector(points[:1])) > float(detector(points[1:]).max())


@few
@given(seeds, st.integers(2, 10), st.integers(1, 20), st.integers(5, 300))
def test_sets_with_a_gap_are_separated(seed: int, width: int, hits: int, misses: int) -> None:
    torch.manual_seed(seed)
    normal = torch.nn.functional.normalize(torch.randn(width), dim=0)
    spread = torch.randn(width, width)

    def side(count: int, sign: float) -> Tensor:
        points = torch.randn(count, width) @ spread
        along = sign * (1 + torch.rand(count))
        return points + (along - points @ normal).unsqueeze(1) * normal

    positives, negatives = side(hits, 1.0), side(misses, -1.0)
    detector = fit_detector(positives, negatives, 1e-4, 1e-6)
    assert float(detector(positives).min()) > float(detector(negatives).max())


def test_the_positive_may_be_the_mean_of_the_negatives() -> None:
    negatives = torch.tensor([[1.0, 0.0], [-1.0, 0.0], [0.0, 2.0], [0.0, -2.0]])
    detector = fit_detector(torch.zeros(1, 2), negatives, RIDGE, 1e-6)
    assert bool(detector(negatives).isfinite().all())


def test_more_negatives_than_enter_the_regression(monkeypatch: pytest.MonkeyPatch) -> None:
    from fairseq_rome import algebra

    torch.manual_seed(3)
    points = layer_normed(401, 16)
    monkeypatch.setattr(algebra, "_HARD_NEGATIVES", 40)
    detector = fit_detector(points[:1], points[1:], RIDGE, 1e-6)
    assert int((detector(points[1:]) >= detector(points[:1])).sum()) == 0


@few
@given(seeds, st.floats(-3, 3), st.floats(0.01, 5))
def test_rescaled_detector(seed: int, threshold: float, span: float) -> None:
    torch.manual_seed(seed)
    detector = Detector(torch.randn(4), torch.randn(()))
    inputs = torch.randn(20, 4)
    limits = torch.tensor([threshold, threshold + span])
    scaled = detector.rescaled(limits[0], limits[1])
    assert torch.allclose(scaled(inputs), (detector(inputs) - threshold) / span, rtol=1e-3, atol=1e-3 / span)


responses = st.lists(st.floats(-10, 10, width=32), min_size=1, max_size=60)


@settings(max_examples=150, deadline=None, derandomize=True)
@given(responses, responses, responses, st.floats(0, 0.5), st.sampled_from([0.25, 0.5]), st.floats(0.5, 1))
def test_threshold_keeps_its_promises(
    held: list, seen: list, shut: list, most_open: float, gap: float, recall: float
) -> None:
    held_out, fitted, negatives = (torch.tensor(part) for part in (held, seen, shut))
    threshold = choose_threshold(held_out, fitted, negatives, most_open, gap, recall)
    enough = held_out.sort(descending=True).values[max(int(len(held) * recall + 0.5) - 1, 0)]
    opened = int((negatives > threshold).sum())
    assert opened <= most_open * len(shut)
    if enough > negatives.max():
        assert opened == 0
    wanted = max(int(len(held) * recall + 0.5), 1)
    floor = negatives.sort(descending=True).values[min(int(len(shut) * most_open), len(shut) - 1)]
    if enough > floor + 1e-4:
        assert int((held_out > threshold).sum()) >= wanted
        # Nothing lower would let fewer negatives through.
        assert opened == int((negatives >= enough).sum())


def test_threshold_lies_between_the_largest_negative_and_the_weakest_positive() -> None:
    negatives = torch.linspace(-5, 1, 50)
    positives = torch.tensor([3.0, 4.0, 5.0])
    assert float(choose_threshold(positives, positives, negatives, 0.0, 0.5, 1.0)) == pytest.approx(2.0)
    assert float(choose_threshold(positives, positives, negatives, 0.0, 0.25, 1.0)) == pytest.approx(1.5)


def test_many_strong_fitted_positives_do_not_shut_out_the_held_out_ones() -> None:
    held_out, fitted = torch.tensor([1.0, 9.0, 9.0]), torch.full((1000,), 10.0)
    threshold = choose_threshold(held_out, fitted, torch.linspace(-5, 0, 50), 0.0, 0.25)
    assert 0 < float(threshold) < 1
