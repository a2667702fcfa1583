"""Patch files: the changes of some edits in their order, with the hash of every weight that they apply to."""

from __future__ import annotations

import json
import os
import uuid
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Dict, List, Mapping, Sequence, Tuple

from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from fairseq_rome.checkpoint import check_output, tensor_fingerprint
from fairseq_rome.errors import EditError
from fairseq_rome.patch.changes import Change, LowRankChange, NeuronChange, Patch, apply_
from fairseq_rome.sites import Site

FORMAT = "1"
"""Version of the file's form."""

_FORM = f"expected a patch file of fairseq-edit --save-patch, format {FORMAT}"


@dataclass(frozen=True)
class PatchFile:
    """What a patch file holds.

    Args:
        patches: the edits, in the order in which they are made.
        base: SHA-256 of each weight that they change, by name, as it is before the first of them.
        info: what else is told: versions, settings, requests; plain values.
    """

    patches: Tuple[Patch, ...]
    base: Mapping[str, str]
    info: Mapping[str, Any]


def save_patches(
    path: str,
    patches: Sequence[Patch],
    weights: Mapping[str, Tensor],
    info: Mapping[str, Any],
    force: bool = False,
) -> None:
    """Write a patch file, whole or not at all.

    Args:
        path: the file.
        patches: edits in the order in which they are made.
        weights: the unedited model's weights by name.
        info: plain values to tell besides.
        force: replace a file that exists.

    Raises:
        EditError: if the file must not or cannot be written.
    """
    check_output(path, force)
    tensors: Dict[str, Tensor] = {}
    records = [_record(patch, f"{index}", tensors) for index, patch in enumerate(patches)]
    names = dict.fromkeys(name for patch in patches for name in patch.names)
    base = {name: tensor_fingerprint(weights[name]) for name in names}
    texts = {"base": base, "patches": records, "info": dict(info)}
    metadata = {
        "format": FORMAT,
        **{name: json.dumps(value, ensure_ascii=False) for name, value in texts.items()},
    }
    temporary = os.path.join(os.path.dirname(os.path.abspath(path)), f".fairseq-edit-{uuid.uuid4().hex}.tmp")
    try:
        save_file(tensors, temporary, metadata)
        os.replace(temporary, path)
    except (OSError, SafetensorError) as error:
        raise EditError(f"{path}: cannot be written: {error}") from error
    finally:
        with suppress(OSError):
            os.unlink(temporary)


def load_patches(path: str) -> PatchFile:
    """Read a patch file.

    Raises:
        EditError: if it is missing, damaged, or of another format.
    """
    if not os.path.isfile(path):
        raise EditError(f"{path}: no such file, {_FORM}")
    try:
        with safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118, no mapping
    except (OSError, SafetensorError) as error:
        raise EditError(f"{path}: {error}, {_FORM}") from error
    if metadata.get("format") != FORMAT:
        raise EditError(f"{path}: format {metadata.get('format')!r}, {_FORM}")
    try:
        patches = tuple(_patch(record, tensors) for record in json.loads(metadata["patches"]))
        return PatchFile(patches, json.loads(metadata["base"]), json.loads(metadata["info"]))
    except (KeyError, TypeError, ValueError) as error:
        raise EditError(f"{path}: damaged ({type(error).__name__}: {error}), {_FORM}") from error


def apply_file_(model: nn.Module, patch_file: PatchFile, path: str) -> None:
    """Make the changes of a patch file in a model, in place.

    Args:
        model: the model, with its weights as they were read.
        patch_file: from `load_patches`.
        path: of that file, for messages.

    Raises:
        EditError: if a weight is not the one that the patches were made for; then nothing is changed.
    """
    weights = dict(model.named_parameters())
    for name, wanted in patch_file.base.items():
        if name not in weights:
            raise EditError(
                f"{path}: the model has no weight {name}; expected the checkpoint it was made for"
            )
        found = tensor_fingerprint(weights[name])
        if found != wanted:
            raise EditError(
                f"{path}: {name} is {found[:12]}..., expected {wanted[:12]}...: it was made for another checkpoint, "
                "or for one with other patches before it"
            )
    for patch in patch_file.patches:
        apply_(model, patch)


def _record(patch: Patch, key: str, tensors: Dict[str, Tensor]) -> Dict[str, Any]:
    """A patch without its tensors, which go into `tensors` under names that begin with `key`."""
    changes: List[Dict[str, Any]] = []
    for index, change in enumerate(patch.changes):
        place = f"{key}.{index}"
        if isinstance(change, LowRankChange):
            parts = {"left": change.left, "right": change.right}
            changes.append({"kind": "low-rank", "name": change.name, "tensors": place})
        else:
            parts = {"new": change.new}
            changes.append(
                {
                    "kind": "neuron",
                    "name": change.name,
                    "dim": change.dim,
                    "index": change.index,
                    "tensors": place,
                }
            )
        # Cloned: a view would bring its whole storage into the file.
        tensors.update({f"{place}.{part}": value.detach().cpu().clone() for part, value in parts.items()})
    notes = {name: float(value) for name, value in patch.notes.items()}
    return {"method": patch.method, "site": str(patch.site), "notes": notes, "changes": changes}


def _patch(record: Mapping[str, Any], tensors: Mapping[str, Tensor]) -> Patch:
    changes = tuple(_change(one, tensors) for one in record["changes"])
    return Patch(record["method"], Site.parse(record["site"]), changes, record["notes"])


def _change(record: Mapping[str, Any], tensors: Mapping[str, Tensor]) -> Change:
    place, name = record["tensors"], record["name"]
    if record["kind"] == "low-rank":
        return LowRankChange(name, tensors[f"{place}.left"], tensors[f"{place}.right"])
    if record["kind"] == "neuron":
        return NeuronChange(name, record["dim"], record["index"], tensors[f"{place}.new"])
    raise ValueError(f"change of kind {record['kind']!r}")
