"""Running statistics of a stream."""

from __future__ import annotations

from typing import List

import torch
from algebra_problems import alike, few, seeds
from hypothesis import given
from hypothesis import strategies as st

from fairseq_rome.algebra import Running

pieces = st.lists(st.integers(1, 5), min_size=1, max_size=5)


@few
@given(seeds, pieces, st.floats(-1e3, 1e3))
def test_pieces_of_a_stream_make_no_difference(seed: int, sizes: List[int], middle: float) -> None:
    torch.manual_seed(seed)
    rows = middle + torch.randn(sum(sizes), 4).double()
    found = None
    for part in rows.split(sizes):
        found = Running.of(part, found)
    assert found is not None
    count, mean, squares = found.rows
    assert torch.equal(count, torch.full_like(count, float(len(rows))))
    assert alike(mean, rows.mean(0), 1e-9)
    assert alike(squares, (rows - rows.mean(0)).square().sum(0), 1e-6)


def test_rows_come_to_the_scale_of_the_stream() -> None:
    torch.manual_seed(1)
    rows = torch.randn(500, 3) * torch.tensor([1.0, 2.0, 4.0]) + 7
    normalised = Running.of(rows).normalised(rows)
    assert normalised.dtype == rows.dtype
    assert float(normalised.mean(0).abs().max()) < 1e-5
    assert float((normalised.std(0) - 1).abs().max()) < 0.35


def test_a_column_that_never_moves_stays_finite() -> None:
    rows = torch.tensor([[1.0, 0.0], [3.0, 0.0]])
    assert torch.equal(Running.of(rows).normalised(rows)[:, 1], torch.zeros(2))
    assert torch.equal(Running.of(rows[:1]).normalised(rows[:1]), torch.zeros(1, 2))
