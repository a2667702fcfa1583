"""The change of one neuron: one part of what is its own in a layer gets new numbers."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, ClassVar, Dict, Mapping, Optional, Tuple

from torch import Tensor

from fairseq_rome.host.checkpoint import tensor_fingerprint
from fairseq_rome.patch.changes import Change, width_dim


@dataclass(frozen=True)
class NeuronChange(Change, kind="neuron"):
    """Replaces what is one neuron's: a row of fc1's weight, an entry of its bias or a column of fc2's weight.

    Args:
        name: state-dict name of the parameter.
        dim: the dimension that `index` counts in.
        index: the neuron; past the end of the weight for one that widening adds.
        new: what to put there.
        old: what stood there; None for a neuron that the base does not have.
    """

    parts: ClassVar[Tuple[str, ...]] = ("new", "old")
    adds: ClassVar[bool] = False

    dim: int
    index: int
    new: Tensor
    old: Optional[Tensor] = None

    def apply_(self, weight: Tensor) -> None:
        """Put the new numbers in a weight, which is wide enough, in place."""
        weight.select(self.dim, self.index).copy_(self.new)

    def undo_(self, weight: Tensor) -> None:
        """Put back what stood there; zero where widening added it."""
        place = weight.select(self.dim, self.index)
        if self.old is None:
            place.zero_()
        else:
            place.copy_(self.old)

    def rooted(self, base: Tensor) -> NeuronChange:
        """The same change, knowing what stands at the neuron in a base weight."""
        there = self.index < base.shape[self.dim]
        return replace(self, old=base.select(self.dim, self.index).clone() if there else None)

    def fault(self, weight: Tensor) -> str:
        """Why the change can't be made in a weight of whatever width, in a few words; empty if it can."""
        if self.dim != width_dim(self.name) or self.index < 0:
            return f"is of index {self.index} in dimension {self.dim}, which is no neuron there"
        shape = [size for dim, size in enumerate(weight.shape) if dim != self.dim]
        for part in self.tensors.values():
            if list(part.shape) != shape:
                return f"has shape {list(part.shape)}, expected {shape}"
        return self._number_fault()

    @property
    def neuron(self) -> int:
        """The neuron that the change takes over."""
        return self.index

    def needed_width(self, weight: Tensor) -> int:
        """The width of a layer that ends with this neuron, where the weight ends before it; else 0."""
        return self.index + 1 if self.index >= weight.shape[self.dim] else 0

    @property
    def gate_part(self) -> Tensor:
        """What hooks give a gate of their own in place of the neuron."""
        return self.new

    def describe(self) -> str:
        """The neuron and its weight."""
        return f"neuron {self.index} of {self.name}"

    @property
    def fingerprint_text(self) -> str:
        """What the change does to a model; what stood there before it makes no difference."""
        return f"{self.name} {(self.dim, self.index)} {tensor_fingerprint(self.new)}"

    def record(self) -> Dict[str, Any]:
        """All that is no tensor, in plain values."""
        return {**super().record(), "dim": self.dim, "index": self.index}

    @classmethod
    def from_record(cls, record: Mapping[str, Any], tensors: Mapping[str, Tensor]) -> NeuronChange:
        """Read back what `record` gave; raises as `Change.from_record`."""
        return cls(
            record["name"], int(record["dim"]), int(record["index"]), tensors["new"], tensors.get("old")
        )
