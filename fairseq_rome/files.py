"""Writing a file whole: its path holds, at every moment, what it held before or all of the new file."""

from __future__ import annotations

import os
import stat
import uuid
from contextlib import contextmanager, suppress
from typing import Callable, Iterator, Union

from fairseq_rome.errors import EditError

PathLike = Union[str, "os.PathLike[str]"]


@contextmanager
def written_whole(path: PathLike, check: Callable[[], None] = lambda: None) -> Iterator[str]:
    """Give the path of an empty file to write to, which takes the place of `path` once the context ends well.

    It lies in the same folder, and has the permissions that `open` gives a new file, however it is written. What was
    written is on the disk before it takes its place. A symbolic link stays and its target is replaced. Whatever is
    raised, an interrupt as well, leaves nothing behind and what was there as it was.

    Args:
        path: the file to write, or to replace.
        check: called when all is written, as the last thing before it takes its place; it may raise.

    Yields:
        The path to write to, by opening it or by renaming another file to it.

    Raises:
        EditError: if the system refuses, also within the context.
    """
    target = os.path.realpath(path)
    folder = os.path.dirname(target)
    temporary = os.path.join(folder, f".fairseq-edit-{uuid.uuid4().hex}.tmp")
    try:
        with open(temporary, "xb") as file:
            permissions = stat.S_IMODE(os.fstat(file.fileno()).st_mode)
        yield temporary
        _flush(temporary, permissions)
        check()
        os.replace(temporary, target)
        _flush_folder(folder)
    except OSError as error:
        raise EditError(f"{os.fspath(path)}: cannot be written: {error.strerror or error}") from error
    finally:
        with suppress(OSError):
            os.unlink(temporary)


def _flush(path: str, permissions: int) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.chmod(path, permissions)  # safetensors makes files that nobody else can read
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _flush_folder(path: str) -> None:
    # The file is whole and in its place: a file system that can't flush folders, or a folder that may be written
    # to but not read, is no failure.
    with suppress(OSError):
        descriptor = os.open(path, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
