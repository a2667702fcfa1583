"""Affine maps of low rank."""

from __future__ import annotations

from typing import Tuple

import torch
from algebra_problems import alike, few, seeds
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from fairseq_rome.algebra import reduced_rank

ranks = st.integers(0, 5)


def problem(seed: int, rows: int = 12) -> Tuple[Tensor, Tensor]:
    torch.manual_seed(seed)
    return torch.randn(rows, 6).double() + 1.0, torch.randn(rows, 5).double() - 2.0


@few
@given(seeds, ranks)
def test_a_map_of_low_rank_is_found_again(seed: int, rank: int) -> None:
    inputs, _ = problem(seed)
    targets = inputs @ torch.randn(6, rank).double() @ torch.randn(rank, 5).double() + torch.randn(5).double()
    found = reduced_rank(inputs, targets, 1e-12, 5)
    assert len(found.readouts) <= 5
    assert torch.allclose(found(inputs), targets, atol=1e-6)
    exact = reduced_rank(inputs, targets, 1e-12, rank)
    assert len(exact.readouts) == len(exact.values) == rank
    assert torch.allclose(exact(inputs), targets, atol=1e-6)


@few
@given(seeds, ranks, st.sampled_from([1e-3, 0.1, 10.0]))
def test_no_other_map_of_its_rank_is_nearer(seed: int, rank: int, ridge: float) -> None:
    inputs, targets = problem(seed)
    x, y = inputs - inputs.mean(0), targets - targets.mean(0)
    weight = ridge * x.square().sum() / len(x)

    def objective(left: Tensor, right: Tensor) -> float:
        return float((y - x @ left @ right).square().sum() + weight * (left @ right).square().sum())

    found = reduced_rank(inputs, targets, ridge, rank)
    best = objective(found.readouts.T, found.values)
    for size in (1e-3, 1e-1, 1.0):
        left, right = torch.randn_like(found.readouts.T), torch.randn_like(found.values)
        assert best <= objective(found.readouts.T + size * left, found.values + size * right) + 1e-9


@few
@given(seeds, ranks)
def test_readouts_are_of_unit_size_and_say_nothing_at_the_mean(seed: int, rank: int) -> None:
    inputs, targets = problem(seed)
    found = reduced_rank(inputs, targets, 0.1, rank)
    read = (inputs - found.mean) @ found.readouts.T
    assert alike(read.square().mean(0), torch.ones(len(found.readouts)).double())
    assert alike(found(found.mean.unsqueeze(0))[0], targets.mean(0))


def test_one_row_or_equal_rows_leave_the_mean() -> None:
    inputs, targets = problem(0)
    for rows in (inputs[:1], inputs[:1].expand(3, -1)):
        found = reduced_rank(rows, targets[: len(rows)], 0.1, 4)
        assert alike(found(inputs), targets[: len(rows)].mean(0).expand(12, -1))
    assert reduced_rank(inputs.float(), targets.float(), 0.1, 2).readouts.dtype == torch.float32
