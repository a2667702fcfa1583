"""Patches in the weights of a model, and what they have beside these: made in place, taken back bit for bit."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, ContextManager, Dict, Iterable, Iterator, Mapping, Optional

import torch
from torch import Tensor, nn

from fairseq_rome.host.checkpoint import parts_of, same_bits
from fairseq_rome.patch.beside import besides_on, set_besides_
from fairseq_rome.patch.changes import Patch
from fairseq_rome.patch.composing import widened, width_of
from fairseq_rome.patch.intervention import Intervention


def apply_(model: nn.Module, patch: Patch) -> None:
    """Make a patch's changes in a model, and put beside it what the patch has there; a layer that lacks neurons grows.

    A changed weight is a new tensor: another model may share the memory of the old one.
    """
    with torch.no_grad():
        for name in patch.names:
            parameter = model.get_parameter(name)
            parameter.data = parameter.data.clone()
        for change in patch.changes:
            parameter = model.get_parameter(change.name)
            width = change.needed_width(parameter)
            if width:
                parameter.data = widened(change.name, parameter.data, width)
            change.apply_(parameter)
    set_besides_(model, (*besides_on(model), *patch.beside))


@contextmanager
def preserved(model: nn.Module, names: Optional[Iterable[str]] = None) -> Iterator[Dict[str, Tensor]]:
    """Give back parameters bit for bit on leaving, whatever was done to them, and what was beside the model.

    Args:
        model: the model.
        names: of the parameters; None for all.

    Yields:
        The saved copies by name, in half precision where that holds the same numbers: those of a model that was saved
        so. `restore_` takes them as they are.
    """
    chosen = [name for name, _ in model.named_parameters()] if names is None else names
    saved = {name: _kept(model.get_parameter(name).detach()) for name in chosen}
    beside = besides_on(model)
    try:
        yield saved
    finally:
        set_besides_(model, beside)
        restore_(model, saved)


@dataclass(frozen=True, eq=False)
class WeightPatches(Intervention):
    """Patches made in a model's weights; a copy of the weights that they change puts them back bit for bit."""

    @contextmanager
    def on(self, model: Any) -> Iterator[None]:
        """The model with the patches inside the context, and bit for bit as before after it."""
        names = dict.fromkeys(name for patch in self.patches for name in patch.names)
        saved = {name: model.get_parameter(name).detach().clone() for name in names}
        beside = besides_on(model)
        try:
            for patch in self.patches:
                apply_(model, patch)
            yield
        finally:
            set_besides_(model, beside)
            restore_(model, saved)

    def describe(self) -> str:
        """The patches, and where they are."""
        return f"{self._listed()} {self._place()}"


def applied(model: nn.Module, *patches: Patch) -> ContextManager[None]:
    """The model with patches in its weights inside the context, and bit for bit as before after it."""
    return WeightPatches(patches).on(model)


def restore_(model: nn.Module, saved: Mapping[str, Tensor]) -> None:
    """Put saved values, in their shapes, back into a model's parameters, in the type and on the device of these.

    A parameter that has its value already is left alone, another is a new tensor: see `apply_`.
    """
    with torch.no_grad():
        for name, tensor in saved.items():
            parameter = model.get_parameter(name)
            if not _holds(parameter.detach(), tensor):
                parameter.data = tensor.to(device=parameter.device, dtype=parameter.dtype, copy=True)


def differing(model: nn.Module, saved: Mapping[str, Tensor]) -> Dict[str, Tensor]:
    """Those of some saved values, as `preserved` gives them, that the model's parameters no longer have."""
    return {
        name: tensor for name, tensor in saved.items() if not _holds(model.get_parameter(name).detach(), tensor)
    }


def _holds(weight: Tensor, saved: Tensor) -> bool:
    """Whether a weight has a saved value bit for bit, be it saved in another type."""
    if weight.shape != saved.shape:
        return False
    return all(same_bits(part, one.to(part)) for part, one in zip(parts_of(weight), parts_of(saved)))


def _kept(weight: Tensor) -> Tensor:
    """A copy of a weight, in half precision if that loses nothing."""
    if weight.dtype == torch.float32:
        parts = [part.half() for part in parts_of(weight)]
        if all(same_bits(half.float(), part) for half, part in zip(parts, parts_of(weight))):
            return torch.cat(parts).view(weight.shape) if parts else weight.half()
    return weight.clone()


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
