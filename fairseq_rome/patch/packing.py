"""Patches as plain records and named tensors: what files and checkpoints hold of them."""

from __future__ import annotations

import hashlib
import json
import math
from typing import Any, Dict, List, Mapping, Sequence, Tuple

import torch
from torch import Tensor

from fairseq_rome.host.checkpoint import tensor_fingerprint
from fairseq_rome.host.sites import Site
from fairseq_rome.patch.beside import Beside
from fairseq_rome.patch.changes import Change, Patch
from fairseq_rome.patch.piece import Piece, kind_of


def packed(patches: Sequence[Patch]) -> Tuple[List[Dict[str, Any]], Dict[str, Tensor]]:
    """Records in plain types, and tensors under the names that the records give."""
    tensors: Dict[str, Tensor] = {}
    return [_record(patch, str(index), tensors) for index, patch in enumerate(patches)], tensors


def unpacked(records: Sequence[Mapping[str, Any]], tensors: Mapping[str, Tensor]) -> Tuple[Patch, ...]:
    """The patches that `packed` took apart, each compared with the hash that it was packed with.

    Raises:
        KeyError, TypeError, ValueError: if the records or the tensors are damaged.
    """
    for number, record in enumerate(records, start=1):
        if _digest(record, tensors) != record["sha256"]:
            raise ValueError(f"patch {number} is not what was written")
    return tuple(_patch(record, tensors) for record in records)


def joined(tensors: Mapping[str, Tensor]) -> Tuple[Dict[str, Tensor], List[List[Any]]]:
    """All numbers in one flat tensor for each type, because thousands of small tensors are slow to load.

    Args:
        tensors: by name.

    Returns:
        The flat tensors by type, and the name, type and shape of each tensor in their order in the flat ones.
    """
    groups: Dict[str, List[Tensor]] = {}
    places: List[List[Any]] = []
    for name, tensor in tensors.items():
        dtype = str(tensor.dtype).replace("torch.", "")
        groups.setdefault(dtype, []).append(tensor.reshape(-1))
        places.append([name, dtype, list(tensor.shape)])
    return {dtype: torch.cat(parts) for dtype, parts in groups.items()}, places


def parted(flat: Mapping[str, Tensor], places: Sequence[Sequence[Any]]) -> Dict[str, Tensor]:
    """The tensors that `joined` put together, as views.

    Raises:
        KeyError, RuntimeError, TypeError, ValueError: if they are damaged.
    """
    offsets = dict.fromkeys(flat, 0)
    found: Dict[str, Tensor] = {}
    for name, dtype, shape in places:
        size, start = math.prod(shape), offsets[dtype]
        found[name] = flat[dtype].narrow(0, start, size).view(shape)
        offsets[dtype] = start + size
    return found


def _record(patch: Patch, key: str, tensors: Dict[str, Tensor]) -> Dict[str, Any]:
    changes = [_taken_apart(one, f"{key}.{index}", tensors) for index, one in enumerate(patch.changes)]
    beside = [_taken_apart(one, f"{key}.beside.{index}", tensors) for index, one in enumerate(patch.beside)]
    for name, keys in patch.keys.items():
        tensors[f"{key}.keys.{name}"] = _own(keys)
    for name, running in patch.running.items():
        tensors[f"{key}.running.{name}"] = _own(running)
    record: Dict[str, Any] = {
        "method": patch.method,
        "site": str(patch.site),
        "notes": {name: float(value) for name, value in patch.notes.items()},
        "about": dict(patch.about),
        "changes": changes,
        "keys": {name: f"{key}.keys.{name}" for name in patch.keys},
        **({"beside": beside} if beside else {}),
    }
    if patch.running:  # few methods have any, and the hash is of all that is told
        record["running"] = {name: f"{key}.running.{name}" for name in patch.running}
    return {**record, "sha256": _digest(record, tensors)}


def _taken_apart(piece: Piece, place: str, tensors: Dict[str, Tensor]) -> Dict[str, Any]:
    told = piece.record()
    for part, value in piece.tensors.items():
        tensors[f"{place}.{part}"] = _own(value)
    # The hash of a file is of its text, so the order of the values counts.
    first: Dict[str, Any] = {name: told.pop(name) for name in ("kind", "name") if name in told}
    return {**first, "tensors": place, **told}


def _digest(record: Mapping[str, Any], tensors: Mapping[str, Tensor]) -> str:
    """SHA-256, in hexadecimal, of all that a record tells and of the numbers that it names."""
    told = {name: value for name, value in record.items() if name != "sha256"}
    digest = hashlib.sha256(json.dumps(told, sort_keys=True).encode())
    places = [f"{one['tensors']}.{part}" for one in _pieces(record) for part in kind_of(one).parts]
    for place in (*places, *record["keys"].values(), *record.get("running", {}).values()):
        if place in tensors:
            digest.update(f"{place} {tensor_fingerprint(tensors[place])}".encode())
    return digest.hexdigest()


def _own(value: Tensor) -> Tensor:
    # Cloned: a view would bring its whole storage into the file.
    return value.detach().cpu().clone(memory_format=torch.contiguous_format)


def _pieces(record: Mapping[str, Any]) -> List[Mapping[str, Any]]:
    return [*record["changes"], *record.get("beside", ())]


def _patch(record: Mapping[str, Any], tensors: Mapping[str, Tensor]) -> Patch:
    pieces = [_put_together(one, tensors) for one in _pieces(record)]
    changes = tuple(one for one in pieces if isinstance(one, Change))
    beside = tuple(one for one in pieces if isinstance(one, Beside))
    keys = {name: tensors[place] for name, place in record["keys"].items()}
    running = {name: tensors[place] for name, place in record.get("running", {}).items()}
    return Patch(
        record["method"], Site.parse(record["site"]), changes, record["notes"], keys, record["about"], beside, running
    )


def _put_together(record: Mapping[str, Any], tensors: Mapping[str, Tensor]) -> Piece:
    kind, place = kind_of(record), record["tensors"]
    places = {part: f"{place}.{part}" for part in kind.parts}
    return kind.from_record(record, {part: tensors[at] for part, at in places.items() if at in tensors})
