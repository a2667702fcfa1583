"""The change of a weight by a matrix of its own shape, such as fine-tuning gives."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar, Mapping, Tuple

import torch
from torch import Tensor

from fairseq_rome.patch.changes import Change, width_dim


@dataclass(frozen=True)
class DenseChange(Change, kind="dense"):
    """Adds a tensor of the weight's shape to a weight, as far as both have neurons.

    The weight may have been widened since; or it was wider then, and has lost neurons that this was for.

    Args:
        name: state-dict name of the weight.
        delta: of the weight's shape; kept in float32, whatever type it is given in, so that a change in memory is the
            same as after it was saved.
    """

    parts: ClassVar[Tuple[str, ...]] = ("delta",)
    adds: ClassVar[bool] = True

    delta: Tensor

    def __post_init__(self) -> None:
        """Keep the numbers in the type that files hold; integers stay, for `fault` to tell of."""
        if self.delta.is_floating_point():
            object.__setattr__(self, "delta", self.delta.detach().float())

    def apply_(self, weight: Tensor) -> None:
        """Add to the weight in place; the sum is taken in float64 and rounded once, to the weight's own type."""
        delta, dim = self.delta, width_dim(self.name)
        if dim is not None:
            width = min(weight.shape[dim], delta.shape[dim])
            weight, delta = weight.narrow(dim, 0, width), delta.narrow(dim, 0, width)
        total = weight.to(torch.float64, copy=True)
        weight.copy_(total.add_(delta.to(total)))

    def fault(self, weight: Tensor) -> str:
        """Why the change can't be made in a weight of whatever width, in a few words; empty if it can."""
        dim, shapes = width_dim(self.name), (self.delta.shape, weight.shape)
        fixed = [[size for at, size in enumerate(shape) if at != dim] for shape in shapes]
        if self.delta.dim() != weight.dim() or fixed[0] != fixed[1]:
            return f"has shape {list(self.delta.shape)}, expected {list(weight.shape)}"
        return self._number_fault()

    @property
    def factors(self) -> Tuple[Tensor, Tensor]:
        """The change as a product with the identity: left is rows x rows, right is the transpose of `delta`."""
        return torch.eye(len(self.delta)).to(self.delta), self.delta.T

    def describe(self) -> str:
        """The size and the weight."""
        return f"dense {' x '.join(map(str, self.delta.shape))} in {self.name}"

    @classmethod
    def from_record(cls, record: Mapping[str, Any], tensors: Mapping[str, Tensor]) -> DenseChange:
        """Read back what `record` gave; raises as `Change.from_record`."""
        return cls(record["name"], tensors["delta"])
