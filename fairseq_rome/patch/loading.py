"""Patches on models instead of in files: made as a checkpoint is read, or for a while on a model that is open.

Both give the weights that a checkpoint with the same patches holds, bit for bit, since patches are made in the type
that the checkpoint was saved in; and no copy of a model goes to the disk.
"""

from __future__ import annotations

from contextlib import contextmanager
from typing import Any, Dict, Iterator, Mapping, Optional, Sequence, Tuple

import torch
from fairseq.hub_utils import GeneratorHubInterface
from torch import Tensor, nn

from fairseq_rome.errors import EditError
from fairseq_rome.host.checkpoint import edited_state
from fairseq_rome.patch.composing import composed
from fairseq_rome.patch.fitting import NamedFile, fitting
from fairseq_rome.patch.in_model import restore_
from fairseq_rome.patch.marks import Mark
from fairseq_rome.patch.patch_files import load_patches
from fairseq_rome.patch.stack import Stack

_STACK = "fairseq_rome_stack"


def patch_on_load_(model: nn.Module, files: Sequence[NamedFile]) -> None:
    """Have a model take patches in whenever a state dict is loaded into it; the state dict stays as it is.

    Loading then raises `EditError` if a file does not apply to the weights that are loaded.

    Args:
        model: as built, before its weights are loaded; layers that lack a patch's neurons grow on loading.
        files: path and contents of each patch file, in the order in which they are made.
    """

    def before_load(module: nn.Module, state_dict: Dict[str, Tensor], *_: Any) -> None:
        # fairseq 0.12.2's encoder layers have copies of weights that other versions' files lack.
        weights = {**module.state_dict(), **state_dict}
        changed, stack = _changed(module, weights, files, Stack())
        for name, weight in changed.items():
            parameter = module.get_parameter(name)
            if parameter.shape != weight.shape:
                parameter.data = parameter.new_empty(weight.shape)
        state_dict.update({name: weight for name, weight in changed.items() if name in state_dict})
        setattr(module, _STACK, stack)

    model._register_load_state_dict_pre_hook(before_load, with_module=True)


@contextmanager
def patched(model: Any, *paths: str) -> Iterator[Any]:
    """A model with patches inside the context, bit for bit as before after it; one inside another is a stack.

        with patched(hub, "fixes.safetensors"):
            hub.translate(...)

    Args:
        model: a model, or fairseq's hub interface to one.
        paths: patch files, in the order in which they are made.

    Yields:
        `model`.

    Raises:
        EditError: if a file can't be read or does not apply to the model, or the interface holds an ensemble.
        RuntimeError: if it is left before a context that was entered inside it; all patches then stay.
    """
    one = _only_model(model)
    files = [(path, load_patches(path)) for path in paths]
    outer = stack_on(one)
    weights = _as_saved(one.state_dict(), files)
    changed, stack = _changed(one, weights, files, outer or Stack())
    saved = {name: one.get_parameter(name).detach().clone() for name in changed}
    try:
        _put_(one, changed, stack)
        yield model
    finally:
        if not any(stack_on(one) is known for known in (stack, outer)):
            raise RuntimeError("patches of an inner context are still on the model, expected them off first")
        _put_(one, saved, outer)


def stack_on(model: nn.Module) -> Optional[Stack]:
    """The patches that were put on a loaded model; None where none were, whatever its checkpoint holds."""
    return getattr(model, _STACK, None)


def _changed(
    model: nn.Module, weights: Mapping[str, Tensor], files: Sequence[NamedFile], stack: Stack
) -> Tuple[Dict[str, Tensor], Stack]:
    """The new weights under every name that they have, and the patches that are then on the model."""
    patches, built = fitting(files, weights, stack), model.state_dict()
    new = composed(weights, patches, built)
    marks = {**{name: Mark.of(weights[name]) for name in new}, **stack.marks}
    whole = edited_state({"model": weights}, new, {}, built=built, resize=True)["model"]
    changed = {name: weight for name, weight in whole.items() if weight is not weights[name]}
    return changed, Stack((*stack.patches, *patches), {}, marks)


def _as_saved(weights: Mapping[str, Tensor], files: Sequence[NamedFile]) -> Dict[str, Tensor]:
    """Weights in the type that patches were made for, where the model's own holds the same numbers.

    Raises:
        EditError: if the model's type is the narrower one: what it has lost can't be told from another model.
    """
    found = dict(weights)
    for path, file in files:
        for name, mark in file.base.items():
            saved, weight = getattr(torch, mark.dtype, None), found.get(name)
            if weight is None or saved is None or weight.dtype == saved:
                continue
            if torch.finfo(weight.dtype).bits < torch.finfo(saved).bits:
                raise EditError(
                    f"{path}: was made for weights in {mark.dtype}, the model's are in {_told(weight.dtype)}; "
                    "put patches on before the model is made half"
                )
            cast = weight.to(saved)
            if torch.equal(cast.to(weight.dtype), weight):
                found[name] = cast
    return found


def _put_(model: nn.Module, weights: Mapping[str, Tensor], stack: Optional[Stack]) -> None:
    """Replace parameters, in the type and on the device that the model has by now."""
    restore_(model, {name: weight.to(model.get_parameter(name)) for name, weight in weights.items()})
    setattr(model, _STACK, stack)


def _only_model(model: Any) -> nn.Module:
    models = list(model.models) if isinstance(model, GeneratorHubInterface) else [model]
    if len(models) != 1:
        raise EditError(f"the interface holds an ensemble of {len(models)} models, expected one")
    return models[0]


def _told(dtype: torch.dtype) -> str:
    return str(dtype).replace("torch.", "")
