"""What a checkpoint tells of its patches, and patch files put on a state."""

from __future__ import annotations

from typing import Any, Dict, Sequence

import torch

from fairseq_rome.checkpoint import State
from fairseq_rome.patch import Patch, fitting, load_patches, read_stack, with_patches
from fairseq_rome.version import __version__


def history(patches: Sequence[Patch]) -> Dict[str, Any]:
    """What a checkpoint's history tells of some edits made at one time."""
    versions = {"fairseq_rome": __version__, "torch": str(torch.__version__)}
    return {**versions, "edits": [_edit_record(patch) for patch in patches]}


def with_patch_files(state: State, paths: Sequence[str]) -> State:
    """A checkpoint's state with the patches of some files, in their order.

    Raises:
        EditError: if a file can't be read or does not fit.
    """
    files = [(path, load_patches(path)) for path in paths]
    patches = fitting(files, state["model"], read_stack(state))
    return with_patches(state, patches, history(patches))


def _edit_record(patch: Patch) -> Dict[str, Any]:
    return {
        "patch": patch.fingerprint,
        "method": patch.method,
        "site": str(patch.site),
        "neurons": patch.neurons,
        "parameters": patch.names,
        **patch.about,
    }
