"""What a checkpoint tells of its patches, and patch files put on a state."""

from __future__ import annotations

from typing import Any, Dict, List, Mapping, Optional, Sequence, Tuple

import torch
from torch import Tensor

from fairseq_rome.cli.command import naming
from fairseq_rome.host.checkpoint import State, fingerprint
from fairseq_rome.patch import Patch, fitting, load_patches, read_stack, with_patches
from fairseq_rome.version import __version__


def history(patches: Sequence[Patch]) -> Dict[str, Any]:
    """What a checkpoint's history tells of some edits made at one time."""
    versions = {"fairseq_rome": __version__, "torch": str(torch.__version__)}
    return {**versions, "edits": [_edit_record(patch) for patch in patches]}


def with_patch_files(
    path: str, state: State, patches: Sequence[str], built: Optional[Mapping[str, Tensor]] = None
) -> Tuple[State, List[Patch]]:
    """A checkpoint's state with the patches of some files, in their order; and these patches.

    Args:
        path: where the state was read, for messages.
        state: from `read_state`.
        patches: the files.
        built: the model's ``state_dict()``, as for `with_patches`.

    Raises:
        EditError: if a file can't be read or does not fit.
    """
    files = [(one, load_patches(one)) for one in patches]
    with naming(path):
        stack = read_stack(state)
    found = fitting(files, state["model"], stack)
    told = {**history(found), "base": fingerprint(state)}
    with naming(path):
        return with_patches(state, found, told, built=built), found


def _edit_record(patch: Patch) -> Dict[str, Any]:
    return {
        "patch": patch.fingerprint,
        "method": patch.method,
        "site": str(patch.site),
        "neurons": patch.neurons,
        "parameters": patch.names,
        **patch.about,
    }
