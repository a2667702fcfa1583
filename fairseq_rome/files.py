"""Writing a file whole: its path holds, at every moment, what it held before or all of the new file."""

from __future__ import annotations

import os
import stat
import uuid
from contextlib import contextmanager, suppress
from types import TracebackType
from typing import Callable, Iterator, Optional, Type, Union

from fairseq_rome.errors import EditError

PathLike = Union[str, "os.PathLike[str]"]


class StagedFile:
    """A new file that is written beside its path and takes that path only when it is committed.

    It lies in the same folder, and has the permissions that `open` gives a new file, however it is written. As a
    context manager it is discarded on leaving, also after an error or an interrupt, unless it was committed.

    Args:
        path: the file to write, or to replace. A symbolic link stays and its target is replaced.
        check: called when the file is committed, as the last thing before it takes its place; it may raise.

    Raises:
        EditError: if the system refuses.
    """

    def __init__(self, path: PathLike, check: Callable[[], None] = lambda: None) -> None:
        self.path = os.fspath(path)
        self._check = check
        self._target = os.path.realpath(path)
        self.temporary = os.path.join(os.path.dirname(self._target), f".fairseq-edit-{uuid.uuid4().hex}.tmp")
        with self.refused():
            try:
                with open(self.temporary, "xb") as file:
                    self._permissions = stat.S_IMODE(os.fstat(file.fileno()).st_mode)
            except BaseException:
                self.discard()
                raise
        self._written: Optional[int] = None

    @contextmanager
    def refused(self) -> Iterator[None]:
        """Turn what the system refuses inside into an `EditError` that names the path."""
        try:
            yield
        except OSError as error:
            raise EditError(f"{self.path}: cannot be written: {error.strerror or error}") from error

    @property
    def in_place(self) -> bool:
        """Whether the new file has taken its path; also right after an interrupt in the middle of `commit`."""
        try:
            return self._written is not None and os.stat(self._target).st_ino == self._written
        except OSError:
            return False

    def commit(self) -> None:
        """Let the file take its path. What was written is on the disk before that.

        Raises:
            EditError: if the system or the check refuses; the file is then discarded.
        """
        try:
            with self.refused():
                self._written = _flush(self.temporary, self._permissions)
                self._check()
                os.replace(self.temporary, self._target)
                _flush_folder(os.path.dirname(self._target))
        finally:
            self.discard()

    def discard(self) -> None:
        """Remove the file, unless it has taken its path; what was there stays as it was."""
        with suppress(OSError):
            os.unlink(self.temporary)

    def __enter__(self) -> StagedFile:
        return self

    def __exit__(
        self,
        kind: Optional[Type[BaseException]],
        error: Optional[BaseException],
        traceback: Optional[TracebackType],
    ) -> None:
        self.discard()


@contextmanager
def written_whole(path: PathLike, check: Callable[[], None] = lambda: None) -> Iterator[str]:
    """Give the path of an empty file to write to, which takes the place of `path` once the context ends well.

    Whatever is raised, an interrupt as well, leaves nothing behind and what was there as it was.

    Args:
        path: as for `StagedFile`.
        check: as for `StagedFile`.

    Yields:
        The path to write to, by opening it or by renaming another file to it.

    Raises:
        EditError: if the system refuses, also within the context.
    """
    with StagedFile(path, check) as staged:
        with staged.refused():
            yield staged.temporary
        staged.commit()


def _flush(path: str, permissions: int) -> int:
    """Bring a file to the disk, and give the number that its file system knows it by."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.chmod(path, permissions)  # safetensors makes files that nobody else can read
        os.fsync(descriptor)
        return os.fstat(descriptor).st_ino
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
