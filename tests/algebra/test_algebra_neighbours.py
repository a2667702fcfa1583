"""Nearest neighbours: exact, whichever library searches."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from fairseq_rome.algebra import Neighbours, distance_to_nearest, neighbours


@pytest.mark.parametrize("many", [1, 10**9])
@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 2**16), keys=st.integers(1, 40), queries=st.integers(0, 60), count=st.integers(1, 50))
def test_they_are_those_of_the_whole_matrix(many: int, seed: int, keys: int, queries: int, count: int) -> None:
    draw = torch.Generator().manual_seed(seed)
    rows, asked = torch.randn(keys, 3, generator=draw), torch.randn(queries, 3, generator=draw)
    whole = (asked.unsqueeze(1) - rows).norm(dim=2)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(neighbours, "_MANY", many)  # where faiss is installed, the one way or the other
        patch.setattr(neighbours, "_AT_A_TIME", 7)
        distances, numbers = Neighbours(rows).nearest(asked, count)
    assert distances.shape == numbers.shape == (queries, min(count, keys))
    assert torch.allclose(distances, whole.gather(1, numbers), atol=2e-3)
    assert torch.allclose(distances, whole.sort(1).values[:, :count], atol=2e-3)


def test_only_what_is_allowed_is_near(monkeypatch: Any) -> None:
    monkeypatch.setattr(neighbours, "_AT_A_TIME", 4)
    rows, others = torch.tensor([[0.0], [10.0], [0.0]]), torch.tensor([[1.0], [3.0], [12.0]])
    allowed = torch.tensor([[True, True, True], [True, True, False], [False, False, False]])
    assert distance_to_nearest(rows, others, allowed).tolist() == [1.0, 7.0, float("inf")]
    assert distance_to_nearest(rows, others[:0], allowed[:, :0]).isinf().all()
