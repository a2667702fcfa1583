"""An edit as data: low-rank or single-neuron changes of weights, made in place and taken back exactly."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Dict, Iterator, List, Mapping, Tuple, Union

import torch
from torch import Tensor, nn

from fairseq_rome.sites import Site


@dataclass(frozen=True)
class LowRankChange:
    """Adds left @ right.T to a weight.

    Args:
        name: state-dict name of the weight.
        left: d x r.
        right: f x r.
    """

    name: str
    left: Tensor
    right: Tensor

    def apply_(self, weight: Tensor) -> None:
        """Change the weight in place."""
        change = (self.left @ self.right.T).to(weight.device)
        weight.copy_(weight.to(change.dtype) + change)

    @property
    def tensors(self) -> Tuple[Tensor, ...]:
        """All numbers of the change."""
        return (self.left, self.right)


@dataclass(frozen=True)
class NeuronChange:
    """Replaces what is one neuron's: a row of fc1's weight, an entry of its bias or a column of fc2's weight.

    Args:
        name: state-dict name of the parameter.
        dim: the dimension that `index` counts in.
        index: the neuron.
        new: what to put there.
    """

    name: str
    dim: int
    index: int
    new: Tensor

    def apply_(self, weight: Tensor) -> None:
        """Change the weight in place."""
        weight.select(self.dim, self.index).copy_(self.new)

    @property
    def tensors(self) -> Tuple[Tensor, ...]:
        """All numbers of the change."""
        return (self.new,)


Change = Union[LowRankChange, NeuronChange]


@dataclass(frozen=True)
class Patch:
    """The changes of one edit, in the order in which they are made.

    Args:
        method: the method that computed it.
        site: where it edits.
        changes: the changes.
        notes: figures about the edit (gate margins, number of contexts, ...), plain numbers by name.
    """

    method: str
    site: Site
    changes: Tuple[Change, ...]
    notes: Mapping[str, float] = field(default_factory=dict)

    @property
    def names(self) -> List[str]:
        """The parameters it changes, each once."""
        return list(dict.fromkeys(change.name for change in self.changes))

    @property
    def size_bytes(self) -> int:
        """Memory of all numbers of its changes."""
        return sum(part.numel() * part.element_size() for change in self.changes for part in change.tensors)

    @property
    def neurons(self) -> List[int]:
        """The neurons that it takes over."""
        return sorted({change.index for change in self.changes if isinstance(change, NeuronChange)})


def apply_(model: nn.Module, patch: Patch) -> None:
    """Make a patch's changes in a model, in place."""
    with torch.no_grad():
        for change in patch.changes:
            change.apply_(model.get_parameter(change.name))


@contextmanager
def preserved(model: nn.Module) -> Iterator[Dict[str, Tensor]]:
    """Give back every parameter bit for bit on leaving, whatever was done to it; yields the saved copies."""
    saved = {name: parameter.detach().clone() for name, parameter in model.named_parameters()}
    try:
        yield saved
    finally:
        with torch.no_grad():
            for name, tensor in saved.items():
                model.get_parameter(name).copy_(tensor)


@contextmanager
def applied(model: nn.Module, patch: Patch) -> Iterator[None]:
    """The model with a patch inside the context, bit for bit as before after it."""
    saved = {name: model.get_parameter(name).detach().clone() for name in patch.names}
    try:
        apply_(model, patch)
        yield
    finally:
        with torch.no_grad():
            for name, tensor in saved.items():
                model.get_parameter(name).copy_(tensor)


def relative_size(model: nn.Module, patch: Patch) -> Dict[str, float]:
    """Frobenius norm of the change over that of the weight, for each weight matrix that a patch changes."""
    before = {name: model.get_parameter(name).detach().clone() for name in patch.names}
    with applied(model, patch):
        return {
            name: float(
                (model.get_parameter(name).detach().float() - old.float()).norm() / old.float().norm()
            )
            for name, old in before.items()
            if old.dim() == 2
        }
