"""Writing a checkpoint: whole or not at all, and never over something that should stay."""

from __future__ import annotations

import os
from typing import Any, BinaryIO, Iterable, Mapping, Optional

import torch

from fairseq_rome.errors import EditError
from fairseq_rome.files import StagedFile
from fairseq_rome.host.checkpoint.reading import PathLike


def check_output(path: PathLike, force: bool = False, inputs: Iterable[PathLike] = ()) -> None:
    """Raise EditError unless a file may be written there; to be called before the long work as well.

    Args:
        path: the file to write.
        force: allow a file that exists.
        inputs: files that are never written over, not even by force, under whatever name.
    """
    name = os.fspath(path)
    target = os.path.realpath(name)
    parent = os.path.dirname(target)
    if os.pathsep in name:
        raise EditError(f"{name}: an output path with {os.pathsep!r} in it would be read as several files")
    if os.path.isdir(target) or name.endswith(os.sep) or not name:
        raise EditError(f"{name or repr(name)}: is a directory, expected a file to write")
    if os.path.exists(target) and not os.path.isfile(target):
        raise EditError(f"{name}: is a device or a pipe, expected a file to write")
    if not os.path.isdir(parent):
        raise EditError(f"{name}: cannot be written: {parent} is no directory")
    for other in inputs:
        if os.path.exists(other) and os.path.exists(target) and os.path.samefile(other, target):
            raise EditError(f"{name}: is the input file {os.fspath(other)}, which is never written over")
    if os.path.lexists(name) and not force:
        raise EditError(f"{name}: exists already; --force overwrites it")
    if not os.access(parent, os.W_OK):
        raise EditError(f"{name}: cannot be written: {parent} is read-only")


def stage_state(
    state: Mapping[str, Any], path: PathLike, force: bool = False, inputs: Iterable[PathLike] = ()
) -> StagedFile:
    """Write a state to a file that does not have its name yet: whoever commits it has looked at it before.

    Args:
        state: what ``torch.save`` should write.
        path: the file to write; a symbolic link stays and its target is replaced.
        force: replace a file that exists.
        inputs: as for `check_output`.

    Raises:
        EditError: the path must not or cannot be written. Nothing is left behind, also after an interrupt.
    """
    inputs = list(inputs)

    def check() -> None:
        check_output(path, force, inputs)

    check()
    # Once more when it is committed: the long work leaves others time to put a file there.
    staged = StagedFile(path, check)
    try:
        with staged.refused():
            _save(state, staged.temporary)
    except BaseException:
        staged.discard()
        raise
    return staged


def write_state(
    state: Mapping[str, Any], path: PathLike, force: bool = False, inputs: Iterable[PathLike] = ()
) -> None:
    """Write a state so that the path holds, at every moment, what it held before or the whole new file.

    Args:
        state: as for `stage_state`, like all that follow.
        path: the file to write.
        force: replace a file that exists.
        inputs: files that are never written over.

    Raises:
        EditError: as for `stage_state`.
    """
    with stage_state(state, path, force, inputs) as staged:
        staged.commit()


class _PatientWriter:
    """Keeps the first failure, ignores what follows: torch 1.12 aborts the process where a write raises."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self.failure: Optional[BaseException] = None

    def write(self, data: Any) -> int:
        if self.failure is None:
            try:
                self._file.write(data)
            except BaseException as error:  # an interrupt as well
                self.failure = error
        return len(data)

    def flush(self) -> None:
        """Nothing: the file itself is flushed once it is whole."""


def _save(state: Mapping[str, Any], path: str) -> None:
    with open(path, "wb") as file:
        writer = _PatientWriter(file)
        torch.save(dict(state), writer)  # type: ignore[arg-type]
        if writer.failure is not None:
            raise writer.failure
