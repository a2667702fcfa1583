"""Exact nearest neighbours by Euclidean distance: with torch, or with faiss for few queries among many."""

from __future__ import annotations

from functools import cached_property
from typing import Any, Optional, Tuple

import torch
from torch import Tensor

try:
    import faiss  # type: ignore[import-not-found, import-untyped, unused-ignore]
except ImportError:
    faiss = None

# Keys from which on, and queries up to which, faiss searches. On one core, with 128 numbers a key, 4 queries took torch
# 4.4 ms and faiss 2.7 ms among 20,000 keys, 96 ms and 17 ms among 100,000; 64 queries took torch 118 ms and faiss
# 178 ms among 100,000.
_MANY, _FEW = 20_000, 24
# Numbers of a distance matrix that torch holds at a time, 128 MiB of them: more are no faster.
_AT_A_TIME = 2**25


class Neighbours:
    """Keys to search among.

    Args:
        keys: n x d.
    """

    def __init__(self, keys: Tensor) -> None:
        self.keys = keys.float()

    def nearest(self, queries: Tensor, count: int) -> Tuple[Tensor, Tensor]:
        """The nearest keys of each query, the nearest first.

        Args:
            queries: q x d.
            count: how many keys; all where there are fewer.

        Returns:
            Distances and numbers of the keys, both q x min(count, n), on the device of the queries.
        """
        count = min(count, len(self.keys))
        if len(queries) <= _FEW and queries.device.type == "cpu" and self._index is not None:
            squares, numbers = self._index.search(queries.float().contiguous().numpy(), count)
            return torch.from_numpy(squares).clamp_min(0).sqrt(), torch.from_numpy(numbers)
        self.keys = keys = self.keys.to(queries.device)  # for all later queries
        parts = [
            torch.cdist(part, keys).topk(count, dim=1, largest=False)
            for part in queries.float().split(max(_AT_A_TIME // len(keys), 1))
        ]
        return torch.cat([part.values for part in parts]), torch.cat([part.indices for part in parts])

    @cached_property
    def _index(self) -> Optional[Any]:
        if faiss is None or len(self.keys) < _MANY:
            return None
        index = faiss.IndexFlatL2(self.keys.shape[1])
        index.add(self.keys.cpu().contiguous().numpy())
        return index


def distance_to_nearest(rows: Tensor, others: Tensor, allowed: Tensor) -> Tensor:
    """How far the nearest of the others is from each row, among those that are allowed for it.

    Args:
        rows: n x d.
        others: m x d.
        allowed: n x m; or m for all rows alike.

    Returns:
        Length n; infinite where none is allowed.
    """
    if not len(others):
        return rows.new_full((len(rows),), float("inf"))
    chosen = allowed.expand(len(rows), len(others))
    step = max(_AT_A_TIME // len(others), 1)
    parts = [
        torch.cdist(rows[start : start + step].float(), others.float())
        .masked_fill(~chosen[start : start + step], float("inf")).amin(1)
        for start in range(0, len(rows), step)
    ]  # fmt: skip
    return torch.cat(parts) if parts else rows.new_zeros(0)
