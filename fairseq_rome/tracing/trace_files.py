"""Traces as files, JSON or safetensors, written whole or not at all."""

from __future__ import annotations

import json
import math
import os
from pathlib import Path
from typing import Any, Dict, List, Mapping

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from fairseq_rome.errors import EditError
from fairseq_rome.files import PathLike, written_whole
from fairseq_rome.tracing.causal_trace import CausalTrace, StackEffects

FORMATS = ("json", "safetensors")
"""Endings of the files that hold a trace's arrays."""
_FORMAT = 1
_TEXTS = ("id", "mode", "source", "target", "segment", "trigger")
_NUMBERS = ("clean", "corrupted")


def to_record(trace: CausalTrace) -> Dict[str, Any]:
    """A trace as plain data for JSON; its arrays stand under `effects` as `STACK/KIND`, NaN as None."""
    arrays = {name: _rows(array) for name, array in _arrays(trace).items()}
    return {**_header(trace), "effects": arrays}


def from_record(record: Mapping[str, Any]) -> CausalTrace:
    """The trace that `to_record` wrote.

    Raises:
        KeyError: if a part is missing.
        TypeError: if a part is of another type, and `ValueError` if it is of another format.
    """
    arrays = {name: _array(rows) for name, rows in record["effects"].items()}
    return _with_arrays(record, arrays)


def save_trace(trace: CausalTrace, path: PathLike) -> None:
    """Write a trace as its file's ending says: `.safetensors` with the rest as metadata, or else JSON.

    Raises:
        EditError: if the file can't be written.
    """
    if Path(path).suffix == ".safetensors":
        arrays = {name: array.contiguous() for name, array in _arrays(trace).items()}
        data = save(arrays, {"trace": json.dumps(_header(trace), ensure_ascii=False)})
    else:
        data = (json.dumps(to_record(trace), ensure_ascii=False, allow_nan=False) + "\n").encode()
    write_whole(path, data)


def load_trace(path: PathLike) -> CausalTrace:
    """Read what `save_trace` wrote.

    Raises:
        EditError: if the file is missing, damaged or of another format.
    """
    name = os.fspath(path)
    try:
        if Path(path).suffix != ".safetensors":
            return from_record(json.loads(Path(path).read_text(encoding="utf-8")))
        with safe_open(name, framework="pt") as file:
            arrays = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118, it is no mapping
            return _with_arrays(json.loads((file.metadata() or {})["trace"]), arrays)
    except OSError as error:
        raise EditError(f"{name}: {error.strerror or error}, expected a trace") from error
    except (SafetensorError, KeyError, TypeError, AttributeError, ValueError) as error:
        raise EditError(
            f"{name}: is damaged or no trace of format {_FORMAT} ({type(error).__name__})"
        ) from error


def write_whole(path: PathLike, data: bytes) -> None:
    """Write a file so that the path holds, at every moment, what it held before or all of `data`.

    Raises:
        EditError: if it can't be written; nothing is left behind.
    """
    with written_whole(path) as temporary:
        Path(temporary).write_bytes(data)


def _header(trace: CausalTrace) -> Dict[str, Any]:
    return {
        "format": _FORMAT,
        **{name: getattr(trace, name) for name in (*_TEXTS, *_NUMBERS)},
        "details": dict(trace.details),
        "stacks": [
            {
                "stack": one.stack,
                "kinds": list(one.effects),
                "tokens": list(one.tokens),
                "marked": list(one.marked),
            }
            for one in trace.stacks
        ],
    }


def _arrays(trace: CausalTrace) -> Dict[str, Tensor]:
    return {f"{one.stack}/{kind}": array for one in trace.stacks for kind, array in one.effects.items()}


def _with_arrays(header: Mapping[str, Any], arrays: Mapping[str, Tensor]) -> CausalTrace:
    if header["format"] != _FORMAT:
        raise ValueError(f"format {header['format']}")
    stacks: List[StackEffects] = []
    for one in header["stacks"]:
        effects = {kind: arrays[f"{one['stack']}/{kind}"] for kind in one["kinds"]}
        stacks.append(StackEffects(one["stack"], tuple(one["tokens"]), tuple(one["marked"]), effects))
    kept = {name: header[name] for name in (*_TEXTS, *_NUMBERS)}
    return CausalTrace(**kept, stacks=tuple(stacks), details=header["details"])


def _rows(array: Tensor) -> List[List[Any]]:
    return [[None if math.isnan(value) else value for value in row] for row in array.tolist()]


def _array(rows: List[List[Any]]) -> Tensor:
    return torch.tensor([[math.nan if value is None else value for value in row] for row in rows])
