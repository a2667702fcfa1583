"""An edit as data: low-rank or single-neuron changes of weights, in the order in which they are made."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, List, Mapping, Optional, Tuple, Union

import torch
from torch import Tensor

from fairseq_rome.host.checkpoint import tensor_fingerprint
from fairseq_rome.host.sites import Site

_WIDTH_DIMS = {"fc1.weight": 0, "fc1.bias": 0, "fc2.weight": 1}


def width_dim(name: str) -> Optional[int]:
    """The dimension of a feed-forward weight that counts its neurons; None for any other weight."""
    return _WIDTH_DIMS.get(".".join(name.split(".")[-2:]))


@dataclass(frozen=True)
class LowRankChange:
    """Adds left @ right.T to a weight, as far as both have neurons.

    The weight may have been widened since; or it was wider then, and has lost neurons that this was for.

    Args:
        name: state-dict name of the weight.
        left: rows x r.
        right: columns x r.
    """

    name: str
    left: Tensor
    right: Tensor

    def apply_(self, weight: Tensor) -> None:
        """Change the weight in place, rounded at the end to its own type.

        Products of float32 numbers are exact in float64, and the sum has an order: the same bits on every machine,
        which a matrix product would not give.
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

    @property
    def tensors(self) -> Mapping[str, Tensor]:
        """All numbers of the change by field."""
        return {"left": self.left, "right": self.right}

    def fault(self, weight: Tensor) -> str:
        """Why the change can't be made in a weight of whatever width, in a few words; empty if it can."""
        factors = (self.left, self.right)
        told = f"has factors of shape {' and '.join(str(list(factor.shape)) for factor in factors)}"
        if weight.dim() != 2 or any(factor.dim() != 2 for factor in factors):
            return f"{told}, expected two matrices, for a matrix"
        fixed = [dim for dim in range(2) if dim != width_dim(self.name)]
        if any(len(factors[dim]) != weight.shape[dim] for dim in fixed):
            return f"{told}, expected a product of shape {list(weight.shape)}"
        if self.left.shape[1] != self.right.shape[1]:
            return f"{told}, expected one rank"
        return _no_numbers(self.tensors)


@dataclass(frozen=True)
class NeuronChange:
    """Replaces what is one neuron's: a row of fc1's weight, an entry of its bias or a column of fc2's weight.

    Args:
        name: state-dict name of the parameter.
        dim: the dimension that `index` counts in.
        index: the neuron; past the end of the weight for one that widening adds.
        new: what to put there.
        old: what stood there; None for a neuron that the base does not have.
    """

    name: str
    dim: int
    index: int
    new: Tensor
    old: Optional[Tensor] = None

    def apply_(self, weight: Tensor) -> None:
        """Change the weight, which is wide enough, in place."""
        weight.select(self.dim, self.index).copy_(self.new)

    def undo_(self, weight: Tensor) -> None:
        """Put back what stood there; zero where widening added it."""
        place = weight.select(self.dim, self.index)
        if self.old is None:
            place.zero_()
        else:
            place.copy_(self.old)

    @property
    def tensors(self) -> Mapping[str, Tensor]:
        """All numbers of the change by field."""
        return {"new": self.new} if self.old is None else {"new": self.new, "old": self.old}

    def fault(self, weight: Tensor) -> str:
        """Why the change can't be made in a weight of whatever width, in a few words; empty if it can."""
        if self.dim != width_dim(self.name) or self.index < 0:
            return f"is of index {self.index} in dimension {self.dim}, which is no neuron there"
        shape = [size for dim, size in enumerate(weight.shape) if dim != self.dim]
        for part in self.tensors.values():
            if list(part.shape) != shape:
                return f"has shape {list(part.shape)}, expected {shape}"
        return _no_numbers(self.tensors)


def _no_numbers(tensors: Mapping[str, Tensor]) -> str:
    good = all(part.is_floating_point() and bool(torch.isfinite(part).all()) for part in tensors.values())
    return "" if good else "holds NaN, infinity or integers"


Change = Union[LowRankChange, NeuronChange]


@dataclass(frozen=True)
class Patch:
    """The changes of one edit, in the order in which they are made.

    Args:
        method: the method that computed it.
        site: where it edits; the deepest site of an edit of several.
        changes: the changes.
        notes: figures about the edit (gate margins, number of contexts, ...), plain numbers by name.
        keys: by name of an `fc2.weight`, the m x f keys that the edit gave new values; later edits keep off them.
        about: the request that it is for, in plain values: id, source, target, ...
    """

    method: str
    site: Site
    changes: Tuple[Change, ...]
    notes: Mapping[str, float] = field(default_factory=dict)
    keys: Mapping[str, Tensor] = field(default_factory=dict)
    about: Mapping[str, Any] = field(default_factory=dict)

    @property
    def names(self) -> List[str]:
        """The parameters it changes, each once."""
        return list(dict.fromkeys(change.name for change in self.changes))

    @property
    def size_bytes(self) -> int:
        """Memory of all numbers of its changes."""
        parts = [part for change in self.changes for part in change.tensors.values()]
        return sum(part.numel() * part.element_size() for part in parts)

    @property
    def neurons(self) -> List[int]:
        """The neurons that it takes over."""
        return sorted({change.index for change in self.changes if isinstance(change, NeuronChange)})

    @property
    def low_rank(self) -> List[str]:
        """The weights to which it adds a low-rank change, each once."""
        names = [change.name for change in self.changes if isinstance(change, LowRankChange)]
        return list(dict.fromkeys(names))

    @cached_property
    def fingerprint(self) -> str:
        """SHA-256, in hexadecimal, of what it does to a model."""
        digest = hashlib.sha256(f"{self.method} {self.site}".encode())
        for change in self.changes:
            place = (change.dim, change.index) if isinstance(change, NeuronChange) else "low-rank"
            parts = [tensor_fingerprint(part) for name, part in change.tensors.items() if name != "old"]
            digest.update(f"\n{change.name} {place} {' '.join(parts)}".encode())
        return digest.hexdigest()
