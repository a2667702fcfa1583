"""Reading a checkpoint: the raw state, or one line that says why this file cannot be edited."""

from __future__ import annotations

import argparse
import os
import re
import shlex
from typing import Any, BinaryIO, Callable, Dict, List, Mapping, Optional, Tuple, Union

import torch

from fairseq_rome.errors import EditError
from fairseq_rome.host.checkpoint.archives import foreign_archive
from fairseq_rome.host.checkpoint.plain import plain
from fairseq_rome.host.checkpoint.safe import load_safely, load_trusted
from fairseq_rome.host.checkpoint.tensors import is_marker, parts_of

State = Dict[str, Any]
PathLike = Union[str, "os.PathLike[str]"]

_TOLD_BY = 9
_SHARD_NAME = re.compile(r"-shard\d+\.pt$|-model_part-\d+\.pt$")


def read_state(path: PathLike, trust: bool = False) -> State:
    """The raw dictionary of a fairseq encoder-decoder checkpoint, its tensors on the CPU.

    Args:
        path: one checkpoint file.
        trust: let the file run code while it is opened; without it that is refused, never done in silence.

    Raises:
        EditError: the file is missing, damaged, names forbidden code, holds NaN or infinity, or is of a kind
            that is not edited (ensemble, shards, product-quantised, mixture of experts, no encoder-decoder).
    """
    name = os.fspath(path)
    _check_path(name)
    state = _open(name, trust)
    reason = _form_reason(state) or next((text for refuses, text in _REFUSALS if refuses(state)), None)
    if reason is not None:
        raise EditError(f"{name}: {reason}")
    _check_finite(name, state)
    return state


def is_checkpoint(path: PathLike) -> bool:
    """Whether a file begins as torch.save's do; not if it can't be read."""
    try:
        with open(path, "rb") as file:
            return _begins_as_checkpoint(file.read(_TOLD_BY))
    except OSError:
        return False


def _begins_as_checkpoint(start: bytes) -> bool:
    # A file of safetensors starts with a length in eight bytes, which may look like the other two, and then with JSON.
    return start.startswith((b"PK\x03\x04", b"\x80\x02")) and start[8:] != b"{"


def saved_model_cfg(state: Mapping[str, Any]) -> Dict[str, Any]:
    """The model's settings as the checkpoint has them, from ``cfg.model`` or from the older flat ``args``."""
    return _section(state, "model")


def place_of_setting(settings: Any, name: str) -> Tuple[Any, str]:
    """Where a model's settings hold one that is a stack's own, such as ``decoder_ffn_embed_dim``.

    fairseq-hydra-train nests it, as ``ffn_embed_dim`` of ``decoder``. Where there is such a group fairseq reads nothing
    else, though the file may hold the flat name too, with an architecture's default.

    Args:
        settings: a ``Namespace`` or a mapping.
        name: the flat name.

    Returns:
        The group that counts, and the name in it.
    """
    stack, _, part = name.partition("_")
    items = vars(settings) if isinstance(settings, argparse.Namespace) else settings
    group = items.get(stack)
    return (group, part) if isinstance(group, Mapping) else (settings, name)


def saved_task(state: Mapping[str, Any]) -> Optional[str]:
    """The name of the task that the checkpoint was trained with."""
    name = _section(state, "task").get("task" if state.get("args") is not None else "_name")
    return name if isinstance(name, str) else None


def saved_languages(state: Mapping[str, Any]) -> Tuple[Optional[str], Optional[str]]:
    """The source and the target language that the checkpoint was trained with, as far as it tells them."""
    section = _section(state, "task")
    return section.get("source_lang"), section.get("target_lang")


def _section(state: Mapping[str, Any], name: str) -> Dict[str, Any]:
    if state.get("args") is not None:
        return dict(plain(vars(state["args"])))
    section = state["cfg"].get(name)
    if isinstance(section, argparse.Namespace):
        section = vars(section)
    return dict(plain(section)) if isinstance(section, Mapping) else {}


def _check_path(name: str) -> None:
    if os.pathsep in name:
        raise EditError(
            f"{name}: names several checkpoints (an ensemble), expected one file; the members are edited one by one: "
            f"{_each_member(name.split(os.pathsep))}"
        )
    if os.path.isdir(name):
        raise EditError(f"{name}: is a directory, expected a checkpoint file")
    exists, first_shard = os.path.exists(name), f"{os.path.splitext(name)[0]}-shard0.pt"
    if _SHARD_NAME.search(name) or (os.path.exists(first_shard) and not exists):
        raise EditError(f"{name}: is one part of a sharded checkpoint, expected a whole one")
    if not exists:
        raise EditError(f"{name}: no such file, expected a checkpoint")


def _each_member(paths: List[str]) -> str:
    """A line of shell that edits each member of an ensemble, whatever other options the user gives."""
    members = " ".join(shlex.quote(path) for path in paths if path)
    return f'for one in {members}; do fairseq-edit DATA --path "$one" --save-to "${{one%.pt}}-edited.pt" ...; done'


def _open(name: str, trust: bool) -> Any:
    try:
        file = open(name, "rb")  # noqa: SIM115 (its errors are told apart from those of what it holds)
    except OSError as error:
        raise EditError(f"{name}: cannot be read: {error.strerror or error}") from error
    with file:
        try:
            return load_trusted(file) if trust else load_safely(file)
        except Exception as error:  # a damaged pickle can raise anything
            raise EditError(f"{name}: {_why_unreadable(file, error, trust)}") from error


def _why_unreadable(file: BinaryIO, error: Exception, trust: bool) -> str:
    if trust and isinstance(error, (ImportError, AttributeError)):
        return f"names a class that is not installed here: {error}"
    forbidden = re.search(r"GLOBAL ([\w.]+)", str(error))
    if forbidden:
        return (
            f"names {forbidden.group(1)}, which is not among what a checkpoint may name and could run code; "
            "if you trust the file, say --trust-checkpoint"
        )
    file.seek(0)
    start = file.read(_TOLD_BY)
    if not _begins_as_checkpoint(start):
        safe = start[8:] == b"{"
        return "is a patch file or another of safetensors, not a checkpoint" if safe else "is not a checkpoint"
    foreign = foreign_archive(file)
    if foreign:
        return foreign
    if "Unsupported operand" in str(error):  # another pickle protocol than torch.save's
        return "cannot be opened without trust; if you trust the file, say --trust-checkpoint"
    return "is truncated or damaged, or no checkpoint (the file starts as one)"


def _form_reason(state: Any) -> Optional[str]:
    """Why this is no fairseq checkpoint at all, or None."""
    if not isinstance(state, dict):
        return f"is a torch file that holds a {type(state).__name__}, not a fairseq checkpoint"
    weights = state.get("model")
    if not isinstance(weights, dict) or not all(
        isinstance(key, str) and isinstance(value, torch.Tensor) for key, value in weights.items()
    ):
        return "is a torch file without a dictionary of tensors under 'model', not a fairseq checkpoint"
    args, cfg = state.get("args"), state.get("cfg")
    if not isinstance(args, argparse.Namespace) and (args is not None or not isinstance(cfg, Mapping)):
        return "has neither 'cfg' nor 'args', so its architecture is unknown"
    if not saved_model_cfg(state):
        return "has no model settings in 'cfg', so its architecture is unknown"
    if not (state.get("optimizer_history") and "extra_state" in state) and "best_loss" not in state:
        return "lacks 'optimizer_history' or 'extra_state', without which fairseq itself cannot load it"
    return None


def _has_name(pattern: str) -> Callable[[Mapping[str, Any]], bool]:
    found = re.compile(pattern).search
    return lambda state: any(found(name) for name in state["model"])


def _lacks_name(pattern: str) -> Callable[[Mapping[str, Any]], bool]:
    has = _has_name(pattern)
    return lambda state: not has(state)


def _is_sharded(state: Mapping[str, Any]) -> bool:
    return "shard_metadata" in state or "fsdp_metadata" in state


def _is_model_parallel(state: Mapping[str, Any]) -> bool:
    if state.get("args") is not None:
        return (getattr(state["args"], "model_parallel_size", None) or 1) > 1
    return (_section(state, "common").get("model_parallel_size") or 1) > 1


def _keeps_layers(state: Mapping[str, Any]) -> bool:
    settings = saved_model_cfg(state)
    places = [place_of_setting(settings, f"{stack}_layers_to_keep") for stack in ("encoder", "decoder")]
    return any(bool(group.get(name)) for group, name in places)


_REFUSALS: List[Tuple[Callable[[Mapping[str, Any]], bool], str]] = [
    (_is_sharded, "is sharded (FSDP), expected a whole checkpoint"),
    (_is_model_parallel, "is one part of a model-parallel checkpoint, expected a whole one"),
    (_has_name(r"\.(centroids|assignments|counts)$"), "is product-quantised, expected plain weights"),
    (_has_name(r"(^|\.)(experts|moe_layer|gating_network)\."), "is a mixture of experts, expected one model"),
    (_lacks_name(r"(^|\.)encoder\."), "has no encoder (a language model?), expected an encoder-decoder"),
    (_lacks_name(r"(^|\.)decoder\."), "has no decoder, expected an encoder-decoder"),
    (_keeps_layers, "drops layers on loading (*_layers_to_keep), which renumbers them"),
]


def _check_finite(name: str, state: State) -> None:
    for key, tensor in state["model"].items():
        if not tensor.is_floating_point() or is_marker(key):
            continue
        if not all(bool(torch.isfinite(part).all()) for part in parts_of(tensor)):
            raise EditError(f"{name}: {key} holds NaN or infinity")
