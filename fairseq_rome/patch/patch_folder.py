"""The folder of `--save-patch DIR/`: a patch file for each edit, by its request's name."""

from __future__ import annotations

import os
import re
from dataclasses import replace
from typing import Any, Iterable, List, Mapping, Sequence

from fairseq_rome.errors import EditError
from fairseq_rome.patch.changes import Patch
from fairseq_rome.patch.patch_files import patch_files, save_patches

_ENDING = ".safetensors"
_LONGEST = 60


def is_folder(path: str) -> bool:
    """Whether a path asks for a folder: it ends in a separator, or is one already."""
    return path.endswith(os.sep) or os.path.isdir(path)


def check_patch_folder(path: str, force: bool) -> None:
    """Raise EditError unless patch files may be written to a folder, which need not be there yet.

    Args:
        path: the folder.
        force: allow that it holds patch files already.
    """
    target = os.path.realpath(path)
    if os.pathsep in path:
        raise EditError(f"{path}: paths with {os.pathsep!r} in them would be read as several files")
    if os.path.lexists(target) and not os.path.isdir(target):
        raise EditError(f"{path}: is a file, expected a folder to write to")
    there = target if os.path.isdir(target) else os.path.dirname(target)
    if not os.path.isdir(there) or not os.access(there, os.W_OK):
        raise EditError(f"{path}: cannot be written: {there} is no directory, or read-only")
    held = sorted(name for name in os.listdir(there) if name.endswith(_ENDING)) if there == target else []
    if held and not force:
        raise EditError(f"{path}: holds {held[0]} already; --force writes beside and over what is there")


def write_folder(
    path: str,
    patches: Sequence[Patch],
    state: Mapping[str, Any],
    info: Mapping[str, Any],
    force: bool,
    inputs: Sequence[str] = (),
) -> None:
    """Write each patch to a file of its own, which knows of those before it.

    Args:
        path: the folder; it is made if it is not there.
        patches: in the order in which they were made.
        state: of the checkpoint that the first was made for.
        info: what each file tells besides; its `edits`, one for each patch, are shared out.
        force: replace files of the same names.
        inputs: files that are never replaced: where the folder holds one, a new file takes another name.

    Raises:
        EditError: if the folder or a file can't be written.
    """
    try:
        os.makedirs(path, exist_ok=True)
    except OSError as error:
        raise EditError(f"{path}: cannot be written: {error.strerror or error}") from error
    files = patch_files(patches, state, info)
    for name, edit, file in zip(file_names(patches, _names_within(path, inputs)), info["edits"], files):
        own = replace(file, info={**info, "edits": [edit]})
        save_patches(os.path.join(path, name), own, force, inputs)


def file_names(patches: Sequence[Patch], unwanted: Iterable[str] = ()) -> List[str]:
    """A file name for each patch: its request's, made safe; numbers keep apart what is then alike.

    Low-rank patches are for one order only. Where there are any, all names begin with the number of the patch, so that
    the order of names is that of the patches.

    Args:
        patches: the patches.
        unwanted: names that none is to have.
    """
    names: List[str] = []
    taken = {name.lower()[: -len(_ENDING)] for name in unwanted if name.lower().endswith(_ENDING)}
    digits = len(str(len(patches))) if any(patch.added_to for patch in patches) else 0
    for number, patch in enumerate(patches, start=1):
        safe = re.sub(r"[^A-Za-z0-9._-]+", "_", str(patch.about.get("id", number)))
        name = safe.lstrip(".")[:_LONGEST] or str(number)
        if digits:
            name = f"{number:0{digits}}-{name}"
        # Some file systems take capitals for small letters.
        while name.lower() in taken:
            name = f"{name}-{number}"
        taken.add(name.lower())
        names.append(name + _ENDING)
    return names


def _names_within(folder: str, paths: Sequence[str]) -> List[str]:
    """The names that files have in a folder, also by a link."""
    there = [path for path in paths if os.path.exists(path)]
    entries = [entry for entry in os.scandir(folder) if entry.is_file()]
    return [entry.name for entry in entries if any(os.path.samefile(entry.path, path) for path in there)]
