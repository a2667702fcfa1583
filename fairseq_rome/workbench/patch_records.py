"""What patch files and edited checkpoints hold, as plain values."""

from __future__ import annotations

from typing import Any, Dict, List, Mapping

from fairseq_rome.host.checkpoint import PROVENANCE, is_checkpoint, read_state
from fairseq_rome.patch import Mark, Patch, load_patches, read_stack, told

SHORT = 12
"""Letters of a hash that are shown, and that name a patch."""
_VERSIONS = ("fairseq_rome", "torch")


def file_record(path: str, trust: bool) -> Dict[str, Any]:
    """What a patch file or a checkpoint holds, in plain values.

    Args:
        path: the file.
        trust: let a checkpoint run code.

    Raises:
        EditError: if it can't be read.
    """
    if not is_checkpoint(path):
        file = load_patches(path)
        versions = dict.fromkeys((patch.fingerprint for patch in file.patches), _versions(file.info))
        record = _record(path, "patch file", file.patches, file.base, versions)
        return {**record, "after": {name: one.count for name, one in file.after.items()}}
    state = read_state(path, trust=trust)
    stack = read_stack(state)
    runs = (state.get("extra_state") or {}).get(PROVENANCE) or []
    made = {edit.get("patch"): _versions(run) for run in runs for edit in run.get("edits", [])}
    return _record(path, "checkpoint", stack.patches, stack.marks, made)


def summary(patch: Patch) -> str:
    """One patch in one line."""
    return f"{told(patch)}: {patch.method} at {patch.site}, {parts_text(patch_record(patch, {}))}"


def request_ids(patch: Patch) -> List[str]:
    """The requests that a patch is for, as far as it tells."""
    return [str(request["id"]) for request in requests_of(patch) if "id" in request]


def patch_record(patch: Patch, marks: Mapping[str, Mark]) -> Dict[str, Any]:
    """One patch in plain values.

    Args:
        patch: the patch.
        marks: of weights before any patch, as far as they are known.
    """
    weights = {
        name: {"dtype": mark.dtype, "shape": list(mark.shape), "sha256": mark.sha256}
        for name, mark in marks.items()
        if name in patch.names
    }
    return {
        "patch": patch.fingerprint,
        "method": patch.method,
        "site": str(patch.site),
        "neurons": patch.neurons,
        "ranks": patch.ranks,
        "changes": patch.describe(),
        "bytes": patch.size_bytes,
        "weights": weights,
        "notes": dict(patch.notes),
        "requests": requests_of(patch),
    }


def requests_of(patch: Patch) -> List[Dict[str, Any]]:
    """The requests that a patch is for, a record each; none where it does not tell."""
    about = dict(patch.about)
    # What several requests share tells of each.
    found: List[Dict[str, Any]] = about.get("requests") or ([about] if about else [])
    return found


def _versions(info: Mapping[str, Any]) -> Dict[str, Any]:
    return {name: info[name] for name in _VERSIONS if name in info}


def _record(
    path: str, kind: str, patches: Any, marks: Mapping[str, Mark], made: Mapping[Any, Mapping[str, Any]]
) -> Dict[str, Any]:
    records = [
        {**patch_record(patch, marks), "versions": dict(made.get(patch.fingerprint, {}))} for patch in patches
    ]
    return {"file": path, "kind": kind, "patches": records}


def parts_text(record: Mapping[str, Any]) -> str:
    """What a patch's record says it changes, in a few words."""
    return f"{record['changes']}, {record['bytes']:,} bytes"
