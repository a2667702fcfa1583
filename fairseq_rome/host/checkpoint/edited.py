"""The state of an edited checkpoint: some tensors replaced, everything else as it was."""

from __future__ import annotations

import argparse
import re
from typing import Any, Dict, Mapping, Optional, Tuple

import torch
from torch import Tensor

from fairseq_rome.errors import EditError
from fairseq_rome.host.checkpoint.plain import check_plain, plain
from fairseq_rome.host.checkpoint.reading import State, place_of_setting
from fairseq_rome.host.checkpoint.tensors import aliases, tensor_fingerprint

PROVENANCE = "fairseq_rome"
"""The key in ``extra_state`` under which the edits of a checkpoint are listed, oldest first."""

_FEED_FORWARD = re.compile(r"(.*\.fc[12])\.(weight|bias)$")


def edited_state(
    state: Mapping[str, Any],
    changes: Mapping[str, Tensor],
    provenance: Mapping[str, Any],
    *,
    built: Optional[Mapping[str, Tensor]] = None,
    model_cfg: Optional[Mapping[str, Any]] = None,
    resize: bool = False,
    optimizer: bool = True,
) -> State:
    """A new state with some weights replaced; the given one stays as it is, and lends its other tensors.

    Args:
        state: from `read_state`.
        changes: new values by name, on any device, in any floating type; they are cast to what they replace.
        provenance: what was done, in plain types; appended to the list under ``extra_state["fairseq_rome"]``.
        built: the built model's ``state_dict()``: it tells which names share a weight where averaging stored
            them apart.
        model_cfg: settings to change in ``cfg.model`` (or ``args``) by their flat names, such as the width of a widened
            layer; they are changed where `place_of_setting` finds them.
        resize: allow another shape; the optimizer state, which no longer fits, is then left out.
        optimizer: keep the optimizer state.

    Raises:
        EditError: a name that the checkpoint lacks, another shape, or a value beyond the range of its type.
        TypeError: the provenance holds something else than plain types.
        ValueError: two names of one tensor were given different values.
    """
    check_plain(dict(provenance), "provenance")
    new: State = plain(dict(state))
    replaced = _replacements(state["model"], changes, built or {}, resize)
    new["model"].update(replaced)
    if not optimizer or any(value.shape != state["model"][name].shape for name, value in replaced.items()):
        new.pop("last_optimizer_state", None)
    extra = new.setdefault("extra_state", {})
    extra[PROVENANCE] = [*extra.get(PROVENANCE, []), dict(provenance)]
    for name, value in (model_cfg or {}).items():
        _set(new["args"] if new.get("args") is not None else new["cfg"]["model"], name, value)
    return new


def stale_parts(state: Mapping[str, Any]) -> Tuple[str, ...]:
    """The parts of a checkpoint that still hold weights from before an edit, by name."""
    extra = state.get("extra_state") or {}
    return tuple(f"extra_state.{key}" for key in ("ema", "ema_fp32_params") if extra.get(key) is not None)


def lost_parts(old: Mapping[str, Any], new: Mapping[str, Any]) -> Tuple[str, ...]:
    """The parts of a checkpoint that a widened one of it lacks, by name."""
    return tuple(name for name in ("last_optimizer_state",) if old.get(name) is not None and name not in new)


def _replacements(
    weights: Mapping[str, Tensor], changes: Mapping[str, Tensor], built: Mapping[str, Tensor], resize: bool
) -> Dict[str, Tensor]:
    """The new tensor of every name to change, one object for all names of one tensor."""
    stored, shared = aliases(weights), aliases(built)
    replaced: Dict[str, Tensor] = {}
    for name, value in changes.items():
        if name not in weights:
            raise EditError(f"the checkpoint holds no weight named {name}")
        fitted = _fitted(name, weights[name], value, resize)
        for alias in sorted({*stored[name], *shared.get(name, ())} & set(weights)):
            if alias in replaced and not torch.equal(replaced[alias], fitted):
                raise ValueError(f"{alias} and {name} are one tensor but were given different values")
            replaced[alias] = fitted
    for name in list(replaced):
        copied = _FEED_FORWARD.sub(r"\1_\2", name)  # fairseq 0.12.2 keeps copies for its encoder fast path
        if copied != name and copied in weights:
            replaced[copied] = _copy(weights[copied], weights[name], replaced[name])
    return replaced


def _copy(copy: Tensor, old: Tensor, new: Tensor) -> Tensor:
    """What becomes of a copy of a weight: it keeps step, but for one that did not, which only keeps the shape."""
    if tensor_fingerprint(copy) == tensor_fingerprint(old):
        return new
    if new.shape == copy.shape:
        return copy
    resized = copy.new_zeros(new.shape)
    both = tuple(slice(min(sizes)) for sizes in zip(copy.shape, new.shape))
    resized[both] = copy[both]
    return resized


def _fitted(name: str, old: Tensor, value: Tensor, resize: bool) -> Tensor:
    if value.shape != old.shape and not resize:
        raise EditError(f"{name}: the new shape {tuple(value.shape)} is not the old {tuple(old.shape)}")
    # Cloned: a view would bring its whole storage into the file, and the caller may go on changing it.
    new = value.detach().to(device="cpu", dtype=old.dtype).clone(memory_format=torch.contiguous_format)
    if not bool(torch.isfinite(new).all()):
        raise EditError(f"{name}: the new value holds NaN, infinity, or what {old.dtype} cannot hold")
    return new


def _set(whole: Any, flat_name: str, value: Any) -> None:
    settings, name = place_of_setting(whole, flat_name)
    if not isinstance(settings, argparse.Namespace):
        settings[name] = value
    if hasattr(settings, "__dict__"):  # a Namespace, or a mapping that carries its items as attributes too
        setattr(settings, name, value)
