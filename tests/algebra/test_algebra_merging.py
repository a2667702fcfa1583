"""Merging neurons that fire together."""

from __future__ import annotations

from typing import Dict, Tuple

import torch
from algebra_problems import few, seeds
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from fairseq_rome.algebra import Merge, change_of, merges

counts = st.integers(3, 8)


def problem(seed: int, neurons: int) -> Tuple[Tensor, Tensor]:
    """Activations (n x f) and columns (d x f)."""
    torch.manual_seed(seed)
    shared = torch.randn(50, 2).double() @ torch.randn(2, neurons).double()
    return (shared + 0.3 * torch.randn(50, neurons).double()).relu(), torch.randn(4, neurons).double()


def found(keys: Tensor, columns: Tensor, most: float = float("inf"), **given: Tensor) -> Dict[int, Merge]:
    allowed = given.get("allowed", torch.ones(columns.shape[1], dtype=torch.bool))
    return merges(keys.T @ keys / len(keys), columns, allowed, most)


def told(keys: Tensor, columns: Tensor, made: Dict[int, Merge]) -> float:
    return change_of(keys.T @ keys / len(keys), columns, made)


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
def test_no_other_factor_and_no_other_host_changes_less(seed: int, neurons: int) -> None:
    keys, columns = problem(seed, neurons)
    neuron, one = next(iter(found(keys, columns).items()))
    least = moved(keys, columns, {neuron: one})
    for factor in (0.0, 0.9 * one.factor, 1.1 * one.factor):
        assert moved(keys, columns, {neuron: one._replace(factor=factor)}) >= least - 1e-9
    for host in set(range(neurons)) - {neuron}:
        fit = float(keys[:, host] @ keys[:, neuron] / keys[:, host].square().sum().clamp_min(1e-30))
        assert moved(keys, columns, {neuron: Merge(host, fit)}) >= least - 1e-9


@few
@given(seeds, counts, st.floats(0.0, 4.0))
def test_the_first_so_many_move_no_more_than_the_bound(seed: int, neurons: int, most: float) -> None:
    keys, columns = problem(seed, neurons)
    made = found(keys, columns, most)
    assert not {one.host for one in made.values()} & set(made)
    for many in range(len(made) + 1):
        first = dict(list(made.items())[:many])
        assert moved(keys, columns, first) <= most + 1e-6


@few
@given(seeds, counts)
def test_what_some_change_together_is_told_exactly(seed: int, neurons: int) -> None:
    keys, columns = problem(seed, neurons)
    made = found(keys, columns)
    for some in (made, dict(list(made.items())[1::2]), {}):
        assert abs(moved(keys, columns, some) - told(keys, columns, some)) < 1e-6


def test_the_cheapest_comes_first_and_nobody_has_to_take_part() -> None:
    keys, columns = problem(1, 8)
    made = found(keys, columns)
    alone = [told(keys, columns, {neuron: one}) for neuron, one in made.items()]
    assert len(made) > 2 and alone[0] == min(alone)
    allowed = torch.tensor([True, True, True] + [False] * 5)
    few_of_them = found(keys, columns, allowed=allowed)
    assert few_of_them and {*few_of_them, *(one.host for one in few_of_them.values())} <= {0, 1, 2}
    assert not found(keys, columns, allowed=torch.zeros(8, dtype=torch.bool))


def test_a_silent_neuron_writes_for_nobody_and_costs_nothing() -> None:
    keys, columns = problem(2, 4)
    keys[:, 1] = 0.0
    made = found(keys, columns, 0.0)
    assert list(made) == [1] and moved(keys, columns, made) == 0.0
    assert all(one.host != 1 for one in found(keys, columns).values())
