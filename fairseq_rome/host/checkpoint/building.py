"""From a raw state to a fairseq model, and the one form of a state that every consumer opens."""

from __future__ import annotations

import argparse
import io
import os
from collections import OrderedDict
from dataclasses import is_dataclass
from typing import Any, Callable, Dict, List, Mapping, Optional, Tuple

import omegaconf
import torch
from omegaconf import OmegaConf
from torch import Tensor, nn

from fairseq_rome.errors import EditError
from fairseq_rome.host.adapters.base import TaskAdapter
from fairseq_rome.host.checkpoint.misfits import misfit
from fairseq_rome.host.checkpoint.plain import plain
from fairseq_rome.host.checkpoint.reading import PathLike, State
from fairseq_rome.host.checkpoint.safe import load_safely
from fairseq_rome.host.checkpoint.tensors import is_marker

Load = Callable[[Mapping[str, Any]], nn.Module]
"""Builds the model of a raw state."""

_LEFT_BY_GENERATORS = ("beam_size", "reorder_encoder_out")
"""What attention and encoder of BART have once a generator has told them its beam size."""


def load_model(
    path: PathLike, state: Mapping[str, Any], adapter: TaskAdapter, overrides: Optional[Mapping[str, Any]] = None
) -> nn.Module:
    """Build the model of a raw state as fairseq would from the file, in eval mode on the CPU.

    Args:
        path: where the state was read; fairseq wants to see the file, and errors name it.
        state: from `read_state`; neither it nor its tensors are changed.
        adapter: of the fairseq task that builds the model and holds the dictionaries.
        overrides: settings to put over the saved ones, as ``--model-overrides`` does.

    Raises:
        EditError: the weights do not fit the model that the settings and the task's dictionaries make.
    """
    from fairseq import checkpoint_utils

    name = os.fspath(path)
    converted = _as_fairseq_reads(state, overrides or {})
    try:
        models, _, _ = checkpoint_utils.load_model_ensemble_and_task([name], task=adapter.task, state=converted)
    except RuntimeError as error:
        if "state_dict" not in str(error):
            raise
        reason = misfit(state, adapter, error)
        raise EditError(f"{name}: does not fit the dictionaries or the architecture: {reason}") from error
    return models[0].eval()


def portable_cfg(state: Mapping[str, Any]) -> State:
    """The state with its settings in the one form that every consumer opens; the input stays as it is.

    ``cfg.model``, and ``cfg.task`` of older kinds of tasks, become ordered dictionaries that also carry their items
    as attributes: safe loading refuses a ``Namespace``, OmegaConf wants a mapping, CTranslate2's converter wants
    attributes. Older flat ``args`` become the ``cfg`` that fairseq makes of them. Not every model survives: see
    `reloads_alike`.
    """
    cfg = state["cfg"] if state.get("args") is None else _as_fairseq_reads(state, {})["cfg"]
    new = {**state, "args": None, "cfg": plain(cfg)}
    for group, settings in new["cfg"].items():
        if isinstance(settings, argparse.Namespace):
            new["cfg"][group] = _mapping_with_attributes(vars(settings))
    return new


def reloads_alike(
    model: nn.Module,
    state: Mapping[str, Any],
    path: PathLike,
    adapter: TaskAdapter,
    overrides: Optional[Mapping[str, Any]] = None,
    load: Optional[Load] = None,
) -> bool:
    """Whether fairseq, opening this state safely and without our plugin, builds exactly this model.

    Args:
        model: as `load_model` gave it, before any change of weights or dtype.
        state: the form in question, with the model's own weights.
        path: where the state was read.
        adapter: as for `load_model`.
        overrides: as for `load_model`.
        load: builds the second model where `load_model` would; it has no use for path, adapter and overrides.
    """
    try:
        again = _reopened(state)
        reloaded = load_model(path, again, adapter, overrides) if load is None else load(again)
    except Exception:  # whatever a consumer would stumble over makes this form unfit
        return False
    return _parts(model) == _parts(reloaded) and _same_weights(model.state_dict(), reloaded.state_dict())


def portable_state(
    model: nn.Module,
    state: Mapping[str, Any],
    path: PathLike,
    adapter: TaskAdapter,
    overrides: Optional[Mapping[str, Any]] = None,
    load: Optional[Load] = None,
) -> Optional[State]:
    """`portable_cfg` where `reloads_alike` proves it the same, else None: the file then needs the plugin."""
    try:
        portable = portable_cfg(state)
    except Exception:  # settings that fairseq cannot convert stay as they are
        return None
    return portable if reloads_alike(model, portable, path, adapter, overrides, load) else None


def _as_fairseq_reads(state: Mapping[str, Any], overrides: Mapping[str, Any]) -> State:
    """A copy that shares the tensors, after what fairseq's ``load_checkpoint_to_cpu`` does behind torch."""
    from fairseq import checkpoint_utils
    from fairseq.dataclass.utils import omegaconf_no_object_check, overwrite_args_by_name

    new: State = plain({key: value for key, value in state.items() if key != "last_optimizer_state"})
    if new.get("args") is not None:
        for name, value in overrides.items():
            setattr(new["args"], name, value)
    if new.get("cfg") is not None:
        if omegaconf.__version__ < "2.2":  # no allow_objects flag yet
            with omegaconf_no_object_check():
                new["cfg"] = OmegaConf.create(new["cfg"])
            OmegaConf.set_struct(new["cfg"], True)
        else:
            new["cfg"] = OmegaConf.create(new["cfg"], flags={"allow_objects": True})
        overwrite_args_by_name(new["cfg"], dict(overrides))
    return checkpoint_utils._upgrade_state_dict(new)


def _mapping_with_attributes(items: Mapping[str, Any]) -> OrderedDict[str, Any]:
    mapping = OrderedDict(items)
    # An attribute named like a method would hide it.
    mapping.__dict__.update({name: value for name, value in items.items() if not hasattr(OrderedDict, name)})
    return mapping


def _reopened(state: Mapping[str, Any]) -> State:
    """The state after a safe load that allows torch's own globals only; the weights skip the file."""
    light = plain(
        {key: value for key, value in state.items() if key not in ("model", "last_optimizer_state")}
    )
    extra = light.get("extra_state") or {}
    light["extra_state"] = {key: value for key, value in extra.items() if not key.startswith("ema")}
    buffer = io.BytesIO()
    torch.save(light, buffer)
    buffer.seek(0)
    return {**load_safely(buffer, allowed={}), "model": state["model"]}


def _parts(model: nn.Module) -> List[Tuple[str, type, Dict[str, Any]]]:
    """Every module with its class and its settings: where models with equal weights can differ."""
    return [
        (
            name,
            type(module),
            {key: _comparable(value) for key, value in vars(module).items() if _is_setting(key)},
        )
        for name, module in model.named_modules()
    ]


def _is_setting(name: str) -> bool:
    """Whether an attribute of a module is a setting, and not what a generator has left there."""
    return not name.startswith("_") and name not in _LEFT_BY_GENERATORS


def _comparable(value: Any) -> Any:
    if isinstance(value, argparse.Namespace):
        return plain(vars(value))
    if OmegaConf.is_config(value) or isinstance(value, OrderedDict):
        return dict(plain(value))
    if is_dataclass(value) or isinstance(value, (int, float, str, type(None))):
        return value
    return getattr(value, "__qualname__", type(value))  # which function, or at least what kind of thing


def _same_weights(first: Mapping[str, Tensor], second: Mapping[str, Tensor]) -> bool:
    return list(first) == list(second) and all(
        one.dtype == second[name].dtype and (is_marker(name) or torch.equal(one.cpu(), second[name]))
        for name, one in first.items()
    )
