"""Projections off a span."""

from __future__ import annotations

import torch
from algebra_problems import alike, few, seeds
from hypothesis import given
from hypothesis import strategies as st

from fairseq_rome.algebra import off_span, orthonormal_rows

ranks = st.integers(0, 4)


@few
@given(seeds, ranks, st.integers(4, 12), st.sampled_from([1e-4, 1.0, 1e4]))
def test_the_basis_is_orthonormal_and_spans_the_rows(seed: int, rank: int, width: int, scale: float) -> None:
    torch.manual_seed(seed)
    rows = scale * torch.randn(6, rank).double() @ torch.randn(rank, width).double()
    basis = orthonormal_rows(rows)
    assert basis.shape == (rank, width)
    assert alike(basis @ basis.T, torch.eye(rank).double())
    assert float((rows - rows @ basis.T @ basis).norm()) <= 1e-6 * float(rows.norm())


@few
@given(seeds, ranks)
def test_what_is_left_is_the_part_off_the_span(seed: int, rank: int) -> None:
    torch.manual_seed(seed)
    matrix, basis = torch.randn(3, 4).double(), orthonormal_rows(torch.randn(rank, 12).double())
    left = off_span(matrix, basis)
    assert left.shape == matrix.shape
    assert float((basis @ left.flatten()).abs().sum()) < 1e-9
    assert alike(off_span(left, basis), left)
    # What was taken away lies in the span.
    assert alike(off_span(matrix - left, basis), torch.zeros(3, 4).double())
