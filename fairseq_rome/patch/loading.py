"""Patches of files on models: made as a checkpoint is read, or for a while on a model that is open.

In the weights both give what a checkpoint with the same patches holds, bit for bit, since patches are made in the type
that the checkpoint was saved in. Hooks leave the weights as they are. No copy of a model goes to the disk.
"""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Dict, Iterator, Mapping, Optional, Sequence, Tuple

import torch
from fairseq.hub_utils import GeneratorHubInterface
from fairseq.models import FairseqMultiModel
from torch import Tensor, nn

from fairseq_rome.errors import EditError
from fairseq_rome.host.checkpoint import edited_state
from fairseq_rome.patch.beside import besides_on, set_besides_
from fairseq_rome.patch.changes import Patch
from fairseq_rome.patch.composing import composed
from fairseq_rome.patch.fitting import NamedFile, fitting
from fairseq_rome.patch.hooks import HookedPatches
from fairseq_rome.patch.in_model import restore_
from fairseq_rome.patch.intervention import Intervention
from fairseq_rome.patch.marks import Mark
from fairseq_rome.patch.patch_files import load_patches
from fairseq_rome.patch.stack import Stack

_STACK, _HOOKED = "fairseq_rome_stack", "fairseq_rome_hooked"


def patch_on_load_(model: nn.Module, files: Sequence[NamedFile]) -> None:
    """Have a model take patches in whenever a state dict is loaded into it; the state dict stays as it is.

    Loading then raises `EditError` if a file does not apply to the weights that are loaded.

    Args:
        model: as built, before its weights are loaded; layers that lack a patch's neurons grow on loading.
        files: path and contents of each patch file, in the order in which they are made.
    """
    left_out = _of_other_directions(model)

    def before_load(module: nn.Module, state_dict: Dict[str, Tensor], *_: Any) -> None:
        # fairseq 0.12.2's encoder layers have copies of weights that other versions' files lack.
        weights = {**left_out, **module.state_dict(), **state_dict}
        changed, stack = _changed(module, weights, files, Stack())
        for name, weight in changed.items():
            if name in left_out:
                continue
            parameter = module.get_parameter(name)
            if parameter.shape != weight.shape:
                parameter.data = parameter.new_empty(weight.shape)
        state_dict.update({name: weight for name, weight in changed.items() if name in state_dict})
        setattr(module, _STACK, stack)
        set_besides_(module, [one for patch in _patches(files) for one in patch.beside])

    model._register_load_state_dict_pre_hook(before_load, with_module=True)


def hook_on_load_(model: nn.Module, files: Sequence[NamedFile]) -> None:
    """Have hooks hold the gates of patches beside a model from now on; its weights are loaded as they are.

    Loading then raises `EditError` if a file does not apply to the weights that are loaded.

    Args:
        model: as built, before its weights are loaded; it is in eval mode afterwards.
        files: path and contents of each patch file, in the order in which they are made.

    Raises:
        EditError: naming the file, if it holds a change that takes more than hooks and the patch itself.
    """
    for path, file in files:
        try:
            HookedPatches.of(model, file.patches)
        except EditError as error:
            raise EditError(f"{path}: {error}") from error
    hooked = HookedPatches.of(model, _patches(files))
    hooked.enter(model)

    def before_load(module: nn.Module, state_dict: Dict[str, Tensor], *_: Any) -> None:
        fitting(files, {**module.state_dict(), **state_dict}, Stack(), beside=True)
        setattr(module, _HOOKED, hooked.patches)

    model._register_load_state_dict_pre_hook(before_load, with_module=True)


@dataclass(frozen=True, eq=False)
class FilePatches(Intervention):
    """The patches of files in a model's weights, once all files are known to apply to the model.

    The model may be fairseq's hub interface to one. One inside another is a stack of patches.

    Args:
        patches: of all files.
        files: path and contents of each, in the order in which they are made.
    """

    files: Tuple[NamedFile, ...] = ()

    @classmethod
    def of(cls, paths: Sequence[str]) -> FilePatches:
        """The patches of files, in the order in which they are made.

        Raises:
            EditError: if a file can't be read.
        """
        files = tuple((path, load_patches(path)) for path in paths)
        return cls(_patches(files), files)

    @contextmanager
    def on(self, model: Any) -> Iterator[None]:
        """The model with the patches inside the context, and bit for bit as before after it.

        Raises:
            EditError: if a file does not apply to the model, or the interface holds an ensemble.
            RuntimeError: if it is left before a context that was entered inside it; all patches then stay.
        """
        one = _only_model(model)
        outer = stack_on(one)
        weights = _as_saved(one.state_dict(), self.files)
        changed, stack = _changed(one, weights, self.files, outer or Stack())
        saved = {name: one.get_parameter(name).detach().clone() for name in changed}
        beside = besides_on(one)
        try:
            _put_(one, changed, stack)
            set_besides_(one, (*beside, *(piece for patch in self.patches for piece in patch.beside)))
            yield
        finally:
            if not any(stack_on(one) is known for known in (stack, outer)):
                raise RuntimeError("patches of an inner context are still on the model, expected them off first")
            set_besides_(one, beside)
            _put_(one, saved, outer)

    def describe(self) -> str:
        """The patches and their files, and where they are."""
        return f"{self._listed()} of {', '.join(path for path, _ in self.files)} {self._place()}"


@contextmanager
def patched(model: Any, *paths: str) -> Iterator[Any]:
    """A model with the patches of files inside the context, and bit for bit as before after it.

    With fairseq's hub interface::

        with patched(hub, "fixes.safetensors"):
            hub.translate(...)

    Args:
        model: a model, or fairseq's hub interface to one.
        paths: patch files, in the order in which they are made.

    Yields:
        `model`.

    Raises:
        EditError: if a file can't be read, and as for `FilePatches.on`.
        RuntimeError: as for `FilePatches.on`.
    """
    with FilePatches.of(paths).on(model):
        yield model


def stack_on(model: nn.Module) -> Optional[Stack]:
    """The patches that were put on a loaded model; None where none were, whatever its checkpoint holds."""
    return getattr(model, _STACK, None)


def hooked_on(model: nn.Module) -> Tuple[Patch, ...]:
    """The patches that hooks hold beside a loaded model since `hook_on_load_`; none where there are no hooks."""
    return getattr(model, _HOOKED, ())


def _of_other_directions(model: nn.Module) -> Dict[str, Tensor]:
    """What the model, while it is loading a state dict, drops of it; empty at other times.

    A model with an encoder and a decoder for each direction is built for one of them alone. A patch that was made in
    another one names that one's weights, and those that directions share have a name for each.
    """
    left_out: Dict[str, Tensor] = {}
    if isinstance(model, FairseqMultiModel):
        load, built = model.load_state_dict, model.state_dict().keys()

        def load_state_dict(state_dict: Mapping[str, Tensor], *args: Any, **kwargs: Any) -> Any:
            left_out.update({name: weight for name, weight in state_dict.items() if name not in built})
            try:
                return load(state_dict, *args, **kwargs)
            finally:
                left_out.clear()

        vars(model)["load_state_dict"] = load_state_dict
    return left_out


def _patches(files: Sequence[NamedFile]) -> Tuple[Patch, ...]:
    return tuple(patch for _, file in files for patch in file.patches)


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
