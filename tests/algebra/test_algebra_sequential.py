from __future__ import annotations

from typing import Tuple

import pytest
import torch
from algebra_problems import RIDGE, alike, few, problem, seeds, sizes
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from fairseq_rome.algebra import alphaedit_update, batch_update, nse_neurons, nse_update, null_space, ridged

energies = st.sampled_from([0.0, 0.3, 0.9, 0.999, 1.0])


def spread_out(seed: int, size: int) -> Tensor:
    """A moment whose eigenvalues span several orders of magnitude."""
    torch.manual_seed(seed)
    turn = torch.linalg.qr(torch.randn(size, size).double())[0]
    return turn @ torch.diag(10.0 ** torch.linspace(-4, 2, size).double()) @ turn.T


@few
@given(seeds, st.integers(3, 12), energies, st.sampled_from([1e-9, 1.0, 1e6]))
def test_the_null_space_is_as_large_as_its_energy_allows(
    seed: int, size: int, energy: float, scale: float
) -> None:
    moment = scale * spread_out(seed, size)
    basis = null_space(torch.linalg.eigh(moment), energy)
    rank = basis.shape[1]
    assert alike(basis.T @ basis, torch.eye(rank).double())
    bound = (1 - energy + 1e-9) * float(moment.trace())
    assert float((basis.T @ moment @ basis).trace()) <= bound
    smallest = torch.linalg.eigvalsh(moment)
    assert rank == size or float(smallest[: rank + 1].sum()) > bound * (1 - 1e-6)


def test_neurons_that_never_fire_are_free() -> None:
    basis = null_space(torch.linalg.eigh(torch.diag(torch.tensor([0.0, 5.0, 0.0, 1.0]))), 1.0)
    assert torch.equal((basis @ basis.T).round(decimals=5), torch.diag(torch.tensor([1.0, 0.0, 1.0, 0.0])))


@few
@given(seeds, sizes, st.integers(1, 4))
def test_alphaedit_leaves_what_is_outside_the_null_space(
    seed: int, size: Tuple[int, int], count: int
) -> None:
    moment = spread_out(seed, size[0])
    keys, residuals, _ = problem(seed, size, count)
    basis = null_space(torch.linalg.eigh(moment), 0.9)
    left, right = alphaedit_update(keys, residuals, basis, keys[:0], 1e-3)
    assert (left.shape, right.shape) == ((size[1], count), (size[0], count))
    outside = torch.eye(size[0]).double() - basis @ basis.T
    assert float((left @ right.T @ outside).abs().max()) < 1e-9 * float(1 + (left @ right.T).abs().max())
    assert float((left @ right.T).abs().max()) > 0


@few
@given(seeds, sizes, st.integers(1, 4), st.integers(0, 3))
def test_alphaedit_solves_the_equation_of_its_paper(
    seed: int, size: Tuple[int, int], count: int, past: int
) -> None:
    keys, residuals, _ = problem(seed, size, count)
    old = torch.randn(past, size[0]).double()
    basis = null_space(torch.linalg.eigh(spread_out(seed, size[0])), 0.5)
    projection, ridge = basis @ basis.T, 0.1
    left, right = alphaedit_update(keys, residuals, basis, old, ridge)
    identity = torch.eye(size[0]).double()
    system = old.T @ old @ projection + keys.T @ keys @ projection + ridge * identity
    assert alike(left @ right.T, residuals.T @ keys @ projection @ torch.linalg.inv(system), 1e-6)


@few
@given(seeds, st.integers(1, 4))
def test_alphaedit_respects_past_keys(seed: int, count: int) -> None:
    keys, residuals, _ = problem(seed, (12, 5), 2)
    past = torch.randn(count, 12).double()
    basis = torch.eye(12).double()
    free, kept = (
        left @ right.T for left, right in (
            alphaedit_update(keys, residuals, basis, old, 1e-4) for old in (past[:0], past)
        )
    )  # fmt: skip
    assert alike(keys @ kept.T, residuals, 0.05)
    assert (past @ kept.T).norm() < 0.1 * (past @ free.T).norm()


@pytest.mark.parametrize("rank", [0, 2])
def test_keys_without_a_part_in_the_null_space(rank: int) -> None:
    basis = torch.eye(4)[:, :rank]
    with pytest.raises(ValueError, match="no part in the null space, expected less energy outside it"):
        alphaedit_update(
            torch.tensor([[0.0, 0.0, 1.0, 1.0]]), torch.ones(1, 3), basis, torch.empty(0, 4), 0.1
        )


@pytest.mark.parametrize(
    ("keys", "share", "expected"),
    [
        ([[3.0, 0.0, 4.0, 0.0]], 0.0, [2]),
        ([[3.0, 0.0, 4.0, 0.0]], 0.64, [2]),
        ([[3.0, 0.0, 4.0, 0.0]], 0.65, [0, 2]),
        ([[3.0, 0.0, 4.0, 0.0]], 1.0, [0, 2]),
        ([[1.0, 0.0, -2.0], [1.0, 3.0, 0.0]], 0.85, [1, 2]),
    ],
)
def test_the_busiest_neurons(keys: list, share: float, expected: list) -> None:
    assert nse_neurons(torch.tensor(keys), share).tolist() == expected


@few
@given(seeds, sizes, st.integers(1, 4), st.sampled_from([0.3, 0.7, 0.95]))
def test_nse_changes_its_neurons_alone(seed: int, size: Tuple[int, int], count: int, share: float) -> None:
    keys, residuals, moment = problem(seed, size, count)
    neurons = nse_neurons(keys, share)
    left, right = nse_update(keys, residuals, ridged(moment, RIDGE), neurons)
    others = torch.ones(size[0], dtype=torch.bool)
    others[neurons] = False
    assert (left.shape, right.shape) == ((size[1], count), (size[0], count))
    assert not right[others].any()
    assert bool(right[neurons].any())


@few
@given(seeds, sizes, st.integers(1, 4))
def test_nse_with_all_neurons_is_the_batch(seed: int, size: Tuple[int, int], count: int) -> None:
    keys, residuals, moment = problem(seed, size, count)
    cover = ridged(moment, RIDGE)
    for found, expected in zip(
        nse_update(keys, residuals, cover, torch.arange(size[0])), batch_update(keys, residuals, cover)
    ):
        assert alike(found, expected)
