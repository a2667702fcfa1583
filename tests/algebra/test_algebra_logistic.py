from __future__ import annotations

from typing import Tuple

import pytest
import torch
from algebra_problems import few, seeds
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from fairseq_rome.algebra import least_logistic, logistic_loss


def problem(seed: int, width: int, count: int) -> Tuple[Tensor, Tensor, Tensor, Tensor]:
    """Where to begin, rows that end with a 1, what they count, and what the square of each number costs."""
    torch.manual_seed(seed)
    rows = torch.cat([torch.randn(count, width), torch.ones(count, 1)], dim=1)
    rows[: count // 2] *= -1
    decays = torch.full((width + 1,), 1e-2)
    decays[-1] = 0.0
    return 3 * torch.randn(width + 1), rows, torch.rand(count) + 0.1, decays


@few
@given(seeds, st.integers(1, 8), st.integers(1, 40))
def test_the_written_out_gradient_is_that_of_autograd(seed: int, width: int, count: int) -> None:
    now, rows, shares, decays = (part.double() for part in problem(seed, width, count))
    now.requires_grad_()
    loss, gradient = logistic_loss(now, rows, shares, decays)
    loss.backward()
    assert now.grad is not None and torch.allclose(now.grad, gradient.detach())


@few
@given(seeds, st.integers(1, 40), st.integers(4, 60))
def test_at_the_minimum_no_gradient_is_left(seed: int, width: int, count: int) -> None:
    start, rows, shares, decays = (part.double() for part in problem(seed, width, count))
    found = least_logistic(start, rows, shares, decays)
    loss, gradient = logistic_loss(found, rows, shares, decays)
    assert float(gradient.norm()) < 1e-2 * float(shares.sum())
    around = [found + 0.1 * torch.randn(width + 1) for _ in range(20)]
    assert all(float(logistic_loss(one, rows, shares, decays)[0]) >= float(loss) for one in around)


@pytest.mark.parametrize("far", [1.0, 1e3], ids=["near", "saturated"])
def test_no_start_is_too_far(far: float) -> None:
    start, rows, shares, decays = problem(1, 6, 50)
    least, *_ = logistic_loss(least_logistic(start, rows, shares, decays), rows, shares, decays)
    loss, _ = logistic_loss(least_logistic(far * start, rows, shares, decays), rows, shares, decays)
    assert float(loss) == pytest.approx(float(least), rel=1e-3)


def test_a_row_alone_is_left_where_it_counts_nothing() -> None:
    rows, nothing = torch.ones(1, 3), torch.zeros(1)
    start = torch.tensor([1.0, -2.0, 0.5])
    assert torch.equal(least_logistic(start, rows, nothing, torch.zeros(3)), start)
