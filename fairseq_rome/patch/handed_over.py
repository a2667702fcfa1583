"""The change that frees a neuron: what it wrote is written by another one that fires with it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar, Dict, Mapping, Tuple

import torch
from torch import Tensor

from fairseq_rome.patch.changes import Change, width_dim


@dataclass(frozen=True)
class HandedOver(Change, kind="handed-over"):
    """Adds to the column of one neuron in an `fc2.weight`.

    Args:
        name: state-dict name of the weight.
        index: the neuron that writes for another one too.
        column: what is added to its column.
    """

    parts: ClassVar[Tuple[str, ...]] = ("column",)
    adds: ClassVar[bool] = True

    index: int
    column: Tensor

    def apply_(self, weight: Tensor) -> None:
        """Add to the column in place; the sum is rounded at the end to the weight's own type."""
        place = weight.select(1, self.index)
        place.copy_(place.to(torch.float64) + self.column.to(device=place.device, dtype=torch.float64))

    def fault(self, weight: Tensor) -> str:
        """Why the change can't be made in a weight of whatever width, in a few words; empty if it can."""
        if width_dim(self.name) != 1 or not 0 <= self.index < weight.shape[1]:
            return f"is of neuron {self.index}, which has no column there"
        if list(self.column.shape) != [len(weight)]:
            return f"has shape {list(self.column.shape)}, expected {[len(weight)]}"
        return self._number_fault()

    @property
    def host(self) -> int:
        """The neuron that writes for another one too."""
        return self.index

    @property
    def rank(self) -> int:
        """The rank of the matrix that is added."""
        return 1

    def describe(self) -> str:
        """Which neuron writes for another one."""
        return f"neuron {self.index} of {self.name} writes for a merged one"

    @property
    def fingerprint_text(self) -> str:
        """As for every change, with the neuron."""
        return f"{super().fingerprint_text} {self.index}"

    def record(self) -> Dict[str, Any]:
        """All that is no tensor, in plain values."""
        return {**super().record(), "index": self.index}

    @classmethod
    def from_record(cls, record: Mapping[str, Any], tensors: Mapping[str, Tensor]) -> HandedOver:
        """Read back what `record` gave; raises as `Change.from_record`."""
        return cls(record["name"], int(record["index"]), tensors["column"])
