"""States made of plain types: containers copied, tensors shared, numpy and OmegaConf as Python's own."""

from __future__ import annotations

import argparse
import copy
from collections import OrderedDict
from typing import Any

import numpy as np
import torch
from omegaconf import OmegaConf

from fairseq_rome.host.checkpoint.standins import PickledMeter


def plain(value: Any) -> Any:
    """Copy every container, however deep, without copying a tensor.

    Kinds of dictionaries, their order and their attributes stay (``state_dict()`` has one, ``_metadata``).
    Arrays become lists, numpy's scalars Python's, OmegaConf nodes the containers that they stand for.
    """
    if isinstance(value, dict):
        return _plain_dict(value)
    if isinstance(value, (list, tuple)):
        return type(value)([plain(item) for item in value]) if type(value) in (list, tuple) else value
    if isinstance(value, argparse.Namespace):
        return argparse.Namespace(**plain(vars(value)))
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, np.ndarray):
        return value.tolist()
    if isinstance(value, PickledMeter):
        return plain(vars(value))
    if OmegaConf.is_config(value):
        return plain(OmegaConf.to_container(value, resolve=True, enum_to_str=True))
    return value


def _plain_dict(value: Any) -> Any:
    copied = copy.copy(value)
    for key, item in value.items():
        copied[key] = plain(item)
    for name, item in getattr(value, "__dict__", {}).items():
        setattr(copied, name, plain(item))
    return copied


def is_portable(value: Any) -> bool:
    """Whether a state holds nothing but what torch 2.6 and newer open unasked; a plugin has to allow the rest."""
    if isinstance(value, dict):
        return type(value) in (dict, OrderedDict) and all(map(is_portable, value.values()))
    if isinstance(value, (list, tuple, set)):
        return type(value) in (list, tuple, set) and all(map(is_portable, value))
    return value is None or isinstance(value, torch.Tensor) or type(value) in (bool, int, float, complex, str, bytes)


def check_plain(value: Any, where: str) -> None:
    """Raise TypeError unless a value is made of None, bool, int, float, str, list and dict with str keys."""
    if isinstance(value, dict):
        for key, item in value.items():
            if type(key) is not str:
                raise TypeError(f"{where}: the key {key!r} is no string")
            check_plain(item, f"{where}.{key}")
    elif isinstance(value, list):
        for index, item in enumerate(value):
            check_plain(item, f"{where}[{index}]")
    elif value is not None and type(value) not in (bool, int, float, str):
        raise TypeError(f"{where}: {value!r} is a {type(value).__name__}, not a plain value")
