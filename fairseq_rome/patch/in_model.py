"""Patches in the weights of a model: made in place, taken back bit for bit."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, ContextManager, Dict, Iterator, Mapping

import torch
from torch import Tensor, nn

from fairseq_rome.patch.changes import Patch
from fairseq_rome.patch.composing import widened, width_of
from fairseq_rome.patch.intervention import Intervention


def apply_(model: nn.Module, patch: Patch) -> None:
    """Make a patch's changes in a model, in place; a layer that lacks its neurons grows."""
    with torch.no_grad():
        for change in patch.changes:
            parameter = model.get_parameter(change.name)
            width = change.needed_width(parameter)
            if width:
                parameter.data = widened(change.name, parameter.data, width)
            change.apply_(parameter)


@contextmanager
def preserved(model: nn.Module) -> Iterator[Dict[str, Tensor]]:
    """Give back every parameter bit for bit on leaving, whatever was done to it; yields the saved copies."""
    saved = {name: parameter.detach().clone() for name, parameter in model.named_parameters()}
    try:
        yield saved
    finally:
        restore_(model, saved)


@dataclass(frozen=True, eq=False)
class WeightPatches(Intervention):
    """Patches made in a model's weights; a copy of the weights that they change puts them back bit for bit."""

    @contextmanager
    def on(self, model: Any) -> Iterator[None]:
        """The model with the patches inside the context, and bit for bit as before after it."""
        names = dict.fromkeys(name for patch in self.patches for name in patch.names)
        saved = {name: model.get_parameter(name).detach().clone() for name in names}
        try:
            for patch in self.patches:
                apply_(model, patch)
            yield
        finally:
            restore_(model, saved)

    def describe(self) -> str:
        """The patches, which are in the weights."""
        return f"{self._listed()} in the weights"


def applied(model: nn.Module, *patches: Patch) -> ContextManager[None]:
    """The model with patches in its weights inside the context, and bit for bit as before after it."""
    return WeightPatches(patches).on(model)


def restore_(model: nn.Module, saved: Mapping[str, Tensor]) -> None:
    """Put saved values, in their shapes, back into a model's parameters."""
    with torch.no_grad():
        for name, tensor in saved.items():
            parameter = model.get_parameter(name)
            if parameter.shape != tensor.shape:
                parameter.data = tensor.clone()
            else:
                parameter.copy_(tensor)


def relative_size(model: nn.Module, patch: Patch) -> Dict[str, float]:
    """Frobenius norm of the change over that of the weight, for each weight matrix that a patch changes."""
    before = {name: model.get_parameter(name).detach().clone() for name in patch.names}
    with applied(model, patch):
        return {
            name: _change(name, model.get_parameter(name), old)
            for name, old in before.items()
            if old.dim() == 2
        }


def _change(name: str, now: Tensor, old: Tensor) -> float:
    if now.shape != old.shape:
        old = widened(name, old, width_of(name, now))
    return float((now.detach().float() - old.float()).norm() / old.float().norm())
