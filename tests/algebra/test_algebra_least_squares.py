from __future__ import annotations

from typing import Tuple

import pytest
import torch
from algebra_problems import RIDGE, alike, few, problem, seeds, sizes
from hypothesis import assume, given
from hypothesis import strategies as st
from torch import Tensor

from fairseq_rome.algebra import insert_keys, ridged


def change(keys: Tensor, residuals: Tensor, moment: Tensor, ridge: float = RIDGE) -> Tensor:
    left, right = insert_keys(keys, residuals, moment, ridge)
    return left @ right.T


def cost(delta: Tensor, moment: Tensor) -> float:
    """Mean squared effect on the background."""
    return float(torch.einsum("df,fg,dg->", delta, ridged(moment, RIDGE), delta))


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
