"""Merging neurons that fire together."""

from __future__ import annotations

from typing import Dict, Tuple

import torch
from algebra_problems import few, seeds
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from fairseq_rome.algebra import Merge, merges

counts = st.integers(3, 8)


def problem(seed: int, neurons: int) -> Tuple[Tensor, Tensor]:
    """Activations (n x f) and columns (d x f)."""
    torch.manual_seed(seed)
    shared = torch.randn(50, 2).double() @ torch.randn(2, neurons).double()
    return (shared + 0.3 * torch.randn(50, neurons).double()).relu(), torch.randn(4, neurons).double()


def found(keys: Tensor, columns: Tensor, most: float = float("inf"), **given: Tensor) -> Dict[int, Merge]:
    allowed = given.get("allowed", torch.ones(columns.shape[1], dtype=torch.bool))
    return merges(keys.T @ keys / len(keys), columns.square().sum(0), allowed, most)


def moved(keys: Tensor, columns: Tensor, made: Dict[int, Merge]) -> float:
    """Root mean square of how far what is written moves."""
    new = columns.clone()
    for neuron, one in made.items():
        new[:, one.host] += one.factor * columns[:, neuron]
        new[:, neuron] = 0.0
    return float((keys @ (new - columns).T).square().sum(1).mean().sqrt())


@few
@given(seeds, counts, st.floats(0.2, 5.0))
def test_a_neuron_that_fires_as_another_does_is_merged_exactly(seed: int, neurons: int, times: float) -> None:
    keys, columns = problem(seed, neurons)
    keys[:, 0] = times * keys[:, neurons - 1]
    made = found(keys, columns, 1e-6)
    assert len(made) == 1 or not keys[:, 0].any()
    assert moved(keys, columns, made) < 1e-6


@few
@given(seeds, counts)
def test_of_one_merge_the_change_is_told_exactly_and_no_other_factor_changes_less(seed: int, neurons: int) -> None:
    keys, columns = problem(seed, neurons)
    for neuron, one in found(keys, columns).items():
        assert abs(moved(keys, columns, {neuron: one}) - one.change) < 1e-6 * (1 + one.change)
        for factor in (0.0, 0.9 * one.factor, 1.1 * one.factor):
            assert moved(keys, columns, {neuron: one._replace(factor=factor)}) >= one.change - 1e-9


@few
@given(seeds, counts, st.floats(0.0, 4.0))
def test_all_together_move_no_more_than_the_bound(seed: int, neurons: int, most: float) -> None:
    keys, columns = problem(seed, neurons)
    made = found(keys, columns, most)
    assert sum(one.change for one in made.values()) <= most
    assert moved(keys, columns, made) <= most + 1e-9
    hosts = {one.host for one in made.values()}
    assert not hosts & set(made)
    # Any part of them may be made: no merge counts on another one.
    part = dict(list(made.items())[::2])
    assert moved(keys, columns, part) <= sum(one.change for one in part.values()) + 1e-9


def test_the_cheapest_come_first_and_nobody_has_to_take_part() -> None:
    keys, columns = problem(1, 8)
    made = found(keys, columns)
    changes = [one.change for one in made.values()]
    assert len(made) > 2 and changes[0] == min(changes)
    allowed = torch.tensor([True, True, True] + [False] * 5)
    few_of_them = found(keys, columns, allowed=allowed)
    assert few_of_them and {*few_of_them, *(one.host for one in few_of_them.values())} <= {0, 1, 2}
    assert not found(keys, columns, allowed=torch.zeros(8, dtype=torch.bool))


def test_a_silent_neuron_writes_for_nobody_and_costs_nothing() -> None:
    keys, columns = problem(2, 4)
    keys[:, 1] = 0.0
    made = found(keys, columns, 0.0)
    assert list(made) == [1] and made[1].change == 0.0
    assert all(one.host != 1 for one in found(keys, columns).values())
