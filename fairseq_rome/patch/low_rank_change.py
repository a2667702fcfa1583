"""The change of a matrix by a product of two thin ones."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar, Mapping, Tuple

import torch
from torch import Tensor

from fairseq_rome.patch.changes import Change, width_dim


@dataclass(frozen=True)
class LowRankChange(Change, kind="low-rank"):
    """Adds left @ right.T to a weight, as far as both have neurons.

    The weight may have been widened since; or it was wider then, and has lost neurons that this was for.

    Args:
        name: state-dict name of the weight.
        left: rows x r.
        right: columns x r.
    """

    parts: ClassVar[Tuple[str, ...]] = ("left", "right")
    adds: ClassVar[bool] = True

    left: Tensor
    right: Tensor

    def apply_(self, weight: Tensor) -> None:
        """Add to the weight in place; the sum is rounded at the end to the weight's own type.

        Products of float32 numbers are exact in float64, and the terms are added in a fixed order. So the bits are the
        same on every machine, which a matrix product would not give.
        """
        rows, columns, dim = self.left, self.right, width_dim(self.name)
        if dim == 0:
            weight, rows = weight[: len(rows)], rows[: len(weight)]
        elif dim == 1:
            weight, columns = weight[:, : len(columns)], columns[: weight.shape[1]]
        total = weight.to(torch.float64, copy=True)
        for left, right in zip(rows.T.to(total), columns.T.to(total)):
            total.addr_(left, right)
        weight.copy_(total)

    def fault(self, weight: Tensor) -> str:
        """Why the change can't be made in a weight of whatever width, in a few words; empty if it can."""
        shapes = " and ".join(str(list(factor.shape)) for factor in self.factors)
        if weight.dim() != 2 or any(factor.dim() != 2 for factor in self.factors):
            return f"has factors of shape {shapes}, expected two matrices, for a matrix"
        fixed = [dim for dim in range(2) if dim != width_dim(self.name)]
        if any(len(self.factors[dim]) != weight.shape[dim] for dim in fixed):
            return f"has factors of shape {shapes}, expected a product of shape {list(weight.shape)}"
        if self.left.shape[1] != self.right.shape[1]:
            return f"has factors of shape {shapes}, expected one rank"
        return self._number_fault()

    @property
    def rank(self) -> int:
        """The number of columns of each factor."""
        return self.left.shape[1]

    @property
    def factors(self) -> Tuple[Tensor, Tensor]:
        """The two factors, left and right."""
        return self.left, self.right

    def describe(self) -> str:
        """The rank and the weight."""
        return f"rank {self.rank} in {self.name}"

    @classmethod
    def from_record(cls, record: Mapping[str, Any], tensors: Mapping[str, Tensor]) -> LowRankChange:
        """Read back what `record` gave; raises as `Change.from_record`."""
        return cls(record["name"], tensors["left"], tensors["right"])
