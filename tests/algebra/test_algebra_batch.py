from __future__ import annotations

from typing import Tuple

import pytest
import torch
from algebra_problems import RIDGE, alike, few, problem, seeds, sizes
from hypothesis import assume, given
from hypothesis import strategies as st
from torch import Tensor

from fairseq_rome.algebra import batch_update, compact, equality_update, insert_keys, ridged


def product(factors: Tuple[Tensor, Tensor]) -> Tensor:
    return factors[0] @ factors[1].T


def loss(delta: Tensor, keys: Tensor, residuals: Tensor, cover: Tensor) -> float:
    """What MEMIT minimises: squared misses at the keys, and what the cover's keys lose."""
    missed = (keys @ delta.T - residuals).square().sum()
    return float(missed + torch.einsum("df,fg,dg->", delta, cover, delta))


@few
@given(seeds, sizes, st.integers(1, 20), st.sampled_from([1e-3, 1.0, 1e3]))
def test_no_other_change_has_a_smaller_loss_than_the_batch(
    seed: int, size: Tuple[int, int], count: int, weight: float
) -> None:
    keys, residuals, moment = problem(seed, size, count)
    cover = weight * ridged(moment, RIDGE)
    delta = product(batch_update(keys, residuals, cover))
    least = loss(delta, keys, residuals, cover)
    for scale in (1e-3, 1.0):
        other = delta + scale * torch.randn_like(delta)
        assert loss(other, keys, residuals, cover) > least


@few
@given(seeds, sizes, st.integers(1, 4))
def test_with_next_to_no_cover_a_batch_meets_all_residuals(
    seed: int, size: Tuple[int, int], count: int
) -> None:
    keys, residuals, moment = problem(seed, size, min(count, size[0]))
    assume(torch.linalg.cond(keys) < 1e2)
    factors = batch_update(keys, residuals, 1e-9 * ridged(moment, RIDGE))
    assert alike(keys @ product(factors).T, residuals, 1e-4)


@few
@given(seeds, sizes, st.integers(1, 4))
def test_past_keys_in_the_cover_keep_their_values(seed: int, size: Tuple[int, int], count: int) -> None:
    keys, residuals, moment = problem(seed, (size[0] + 4, size[1]), count)
    past = torch.randn(2, size[0] + 4).double()
    cover = ridged(moment, RIDGE)
    free = product(batch_update(keys, residuals, cover))
    kept = product(batch_update(keys, residuals, cover + 1e9 * past.T @ past))
    assert (past @ kept.T).norm() < 1e-3 * (past @ free.T).norm() + 1e-6


@few
@given(seeds, sizes, st.integers(1, 4))
def test_equality_without_slack_is_the_cheapest_change_that_meets_all(
    seed: int, size: Tuple[int, int], count: int
) -> None:
    keys, residuals, moment = problem(seed, size, min(count, size[0]))
    assume(torch.linalg.cond(keys) < 1e2)
    delta = product(equality_update(keys, residuals, ridged(moment, RIDGE), slack=0.0))
    assert alike(keys @ delta.T, residuals, 1e-5)
    assert alike(delta, product(insert_keys(keys, residuals, moment, RIDGE)), 1e-5)


@few
@given(seeds, sizes, st.sampled_from([1e-8, 1e5]))
def test_equality_does_not_depend_on_scales(seed: int, size: Tuple[int, int], scale: float) -> None:
    keys, residuals, moment = problem(seed, size, 2)
    cover = ridged(moment, RIDGE)
    delta = product(equality_update(keys, residuals, cover))
    assert alike(product(equality_update(keys, residuals, cover * scale)), delta)
    factors = torch.tensor([[scale], [1.0]]).double()
    assert alike(product(equality_update(keys * factors, residuals * factors, cover)), delta)


@few
@given(seeds, sizes)
def test_more_keys_than_neurons_get_the_least_squares_answer(seed: int, size: Tuple[int, int]) -> None:
    keys, residuals, moment = problem(seed, size, size[0] + 5)
    cover = ridged(moment, RIDGE)
    # In units of each key's norm, as the slack is.
    norms = (keys @ torch.linalg.solve(cover, keys.T)).diagonal().sqrt().unsqueeze(1)
    expected = torch.linalg.lstsq(keys / norms, residuals / norms).solution.T
    found = product(equality_update(keys, residuals, cover, slack=1e-9))
    assert alike(found, expected, 1e-3)


def test_keys_that_repeat_or_vanish_share_what_they_ask_for() -> None:
    keys = torch.tensor([[1.0, 0.0, 0.0], [1.0, 0.0, 0.0], [0.0, 0.0, 0.0]])
    residuals = torch.tensor([[1.0], [3.0], [5.0]])
    delta = product(equality_update(keys, residuals, torch.eye(3), slack=1e-6))
    assert torch.allclose(delta, torch.tensor([[2.0, 0.0, 0.0]]), atol=1e-4)


@pytest.mark.parametrize("update", [batch_update, equality_update])
@pytest.mark.parametrize("number", [0.0, float("nan")])
def test_a_cover_that_leaves_directions_out(update: object, number: float) -> None:
    cover = torch.diag(torch.tensor([1.0, number]))
    with pytest.raises(ValueError, match="can't be inverted, expected a larger ridge or cover"):
        update(torch.tensor([[1.0, 0.0]]), torch.ones(1, 3), cover)  # type: ignore[operator]


@pytest.mark.parametrize("update", [batch_update, equality_update])
def test_factors_have_the_type_of_the_keys(update: object) -> None:
    keys, residuals, moment = (part.float() for part in problem(1, (12, 5), 4))
    left, right = update(keys, residuals, ridged(moment, RIDGE))  # type: ignore[operator]
    assert left.dtype == right.dtype == torch.float32
    assert (left.shape, right.shape) == ((5, 4), (12, 4))


@pytest.mark.parametrize(
    ("d", "f", "rank", "least"), [(3, 8, 2, 2), (3, 8, 3, 3), (3, 8, 20, 3), (8, 3, 20, 3), (4, 4, 9, 4)]
)
def test_compact_factors_give_the_same_product(d: int, f: int, rank: int, least: int) -> None:
    torch.manual_seed(rank)
    left, right = torch.randn(d, rank).double(), torch.randn(f, rank).double()
    small = compact(left, right)
    assert [part.shape for part in small] == [(d, least), (f, least)]
    assert alike(product(small), left @ right.T, 1e-12)
