from __future__ import annotations

import pytest
import torch
from algebra_problems import RIDGE, few, seeds
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from torch import Tensor

from fairseq_rome.algebra import (
    Detector,
    Negatives,
    Whitening,
    choose_threshold,
    discriminant,
    fit_detector,
    respond,
)


def fit(positives: Tensor, negatives: Tensor, ridge: float, decay: float) -> Detector:
    return fit_detector(positives, negatives, whitening_of(negatives, ridge), decay)


def whitening_of(inputs: Tensor, ridge: float) -> Whitening:
    mean = inputs.mean(0)
    return Whitening.of(mean, (inputs - mean).T @ (inputs - mean) / len(inputs), ridge)


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
    detector = fit(points[:1], points[1:], RIDGE, 1e-6)
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
    detector = fit(positives, negatives, 1e-4, 1e-6)
    assert float(detector(positives).min()) > float(detector(negatives).max())


def test_the_positive_may_be_the_mean_of_the_negatives() -> None:
    negatives = torch.tensor([[1.0, 0.0], [-1.0, 0.0], [0.0, 2.0], [0.0, -2.0]])
    detector = fit(torch.zeros(1, 2), negatives, RIDGE, 1e-6)
    assert bool(detector(negatives).isfinite().all())


def test_the_nearest_negatives_are_enough() -> None:
    torch.manual_seed(3)
    points = layer_normed(401, 16)
    whitening = whitening_of(points[1:], RIDGE)
    negatives = Negatives(points[1:], torch.ones(400, dtype=torch.bool), points[:0])
    near = negatives.nearest(discriminant(points[:1], whitening)(points[1:]), 40)
    detector = fit_detector(points[:1], near, whitening, 1e-6)
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


# Multiples of a power of two, of which sums and halves are exact.
responses = st.lists(st.integers(-640, 640).map(lambda number: number / 64), min_size=1, max_size=60)


@settings(max_examples=150, deadline=None, derandomize=True)
@given(responses, responses, responses, st.floats(0, 0.5), st.sampled_from([0.25, 0.5]), st.floats(0.5, 1))
def test_no_threshold_opens_as_many_positives_and_fewer_negatives(
    held: list, seen: list, shut: list, most_open: float, gap: float, recall: float
) -> None:
    """All thresholds that differ in what they open are tried."""
    held_out, fitted, negatives = (torch.tensor(part) for part in (held, seen, shut))
    threshold = choose_threshold(held_out, fitted, negatives, most_open, gap, recall)
    opened, caught = int((negatives > threshold).sum()), int((held_out > threshold).sum())
    assert opened <= most_open * len(shut)
    values = sorted({*held, *shut})
    tried = [values[0] - 1, *((low + high) / 2 for low, high in zip(values, values[1:])), values[-1] + 1]
    choices = [(int((held_out > one).sum()), int((negatives > one).sum())) for one in tried]
    allowed = [catches for catches, lets_in in choices if lets_in <= most_open * len(shut)]
    if max(allowed) >= recall * len(held):
        assert caught >= int(recall * len(held))
        assert opened <= min(lets_in for catches, lets_in in choices if catches >= caught)


def test_threshold_lies_between_the_largest_negative_and_the_weakest_positive() -> None:
    negatives = torch.linspace(-5, 1, 50)
    positives = torch.tensor([3.0, 4.0, 5.0])
    assert float(choose_threshold(positives, positives, negatives, 0.0, 0.5, 1.0)) == pytest.approx(2.0)
    assert float(choose_threshold(positives, positives, negatives, 0.0, 0.25, 1.0)) == pytest.approx(1.5)


def test_many_strong_fitted_positives_do_not_shut_out_the_held_out_ones() -> None:
    held_out, fitted = torch.tensor([1.0, 9.0, 9.0]), torch.full((1000,), 10.0)
    threshold = choose_threshold(held_out, fitted, torch.linspace(-5, 0, 50), 0.0, 0.25)
    assert 0 < float(threshold) < 1


def test_a_covariance_of_equal_points_needs_a_ridge() -> None:
    with pytest.raises(ValueError, match="covariance can't be inverted, expected a ridge above 0"):
        fit(torch.ones(1, 2), torch.zeros(5, 2), 0.0, 1e-6)


def test_the_nearest_come_first_and_those_that_do_not_count_never() -> None:
    inputs = torch.tensor([[1.0], [5.0], [3.0], [9.0]])
    negatives = Negatives(inputs, torch.tensor([True, True, True, False]), inputs[:0])
    assert negatives.nearest(inputs[:, 0], 2)[:, 0].tolist() == [5.0, 3.0]
    assert negatives.nearest(inputs[:, 0], 9)[:, 0].tolist() == [5.0, 3.0, 1.0]


@few
@given(seeds, st.integers(1, 5), st.integers(0, 20))
def test_detectors_respond_together_as_they_do_alone(seed: int, count: int, rows: int) -> None:
    torch.manual_seed(seed)
    detectors = [Detector(torch.randn(4), torch.randn(())) for _ in range(count)]
    inputs = torch.randn(rows, 4)
    together = respond(detectors, inputs)
    assert together.shape == (count, rows)
    for detector, row in zip(detectors, together):
        assert torch.allclose(row, detector(inputs), atol=1e-5)


@few
@given(seeds, st.integers(1, 8), st.integers(1, 5), st.integers(1, 40))
def test_at_the_fitted_detector_little_is_left_to_gain(seed: int, width: int, hits: int, misses: int) -> None:
    """A detector that is fitted again to the same inputs, from wherever it came, responds to them alike."""
    torch.manual_seed(seed)
    positives, negatives = torch.randn(hits, width) + 1, torch.randn(misses, width)
    plain = Whitening(torch.zeros(width), torch.eye(width))
    turned = Whitening(torch.zeros(width), torch.linalg.qr(torch.randn(width, width))[0])
    first, second = (fit_detector(positives, negatives, whitening, 1e-2) for whitening in (plain, turned))
    inputs = torch.cat([positives, negatives])
    assert torch.allclose(first(inputs), second(inputs), atol=0.1)
