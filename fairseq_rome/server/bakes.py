"""Writing a checkpoint with all that is proven, one at a time."""

from __future__ import annotations

from concurrent.futures import Future
from dataclasses import dataclass
from functools import partial
from pathlib import PurePath
from typing import Any, Callable, Dict, List, Optional, Tuple

from fairseq_rome.errors import EditError
from fairseq_rome.server.fix import Refused
from fairseq_rome.server.worker_process import WorkFailed

RUNNING, WRITTEN, FAILED = "running", "written", "failed"
Fixes = Tuple[int, ...]


@dataclass
class Bake:
    """One writing of a checkpoint with all that is proven.

    Args:
        id: from 1.
        state: `running`, `written` or `failed`.
        file: the name of the file, without its folder.
        reason: why it failed.
        fixes: numbers of the fixes in it.
    """

    id: int
    state: str
    file: str
    reason: str = ""
    fixes: Tuple[int, ...] = ()

    def as_plain(self) -> Dict[str, Any]:
        """What clients are told of it."""
        return {**vars(self), "fixes": list(self.fixes)}


class Bakes:
    """The bakes of a server; for a thread at a time.

    Args:
        path: the file that they write; None for none.
        work: begins to write it; its result are the numbers of the fixes in it.
        changed: is told of each bake as it begins and ends.
    """

    def __init__(self, path: Optional[str], work: Callable[[], Future[Fixes]], changed: Callable[[Bake], None]) -> None:
        self._path, self._work, self._changed = path, work, changed
        self._all: List[Bake] = []

    def begin(self, proven: Fixes) -> Bake:
        """Begin to write what is proven.

        Raises:
            Refused: if there is no file for it, nothing is proven, or a bake goes on.
        """
        if self._path is None:
            raise Refused("this server was started without --bake-to, so that it writes no checkpoint")
        if not proven:
            raise Refused("no fix is proven, and there is nothing to bake")
        if self._all and self._all[-1].state == RUNNING:
            raise Refused(f"bake {self._all[-1].id} goes on, expected its end first")
        bake = Bake(len(self._all) + 1, RUNNING, PurePath(self._path).name)
        self._all.append(bake)
        self._changed(bake)
        self._work().add_done_callback(partial(self._ended, bake))
        return bake

    def _ended(self, bake: Bake, future: Future[Fixes]) -> None:
        """A checkpoint is written, or not."""
        if future.cancelled():
            return
        try:
            bake.fixes, bake.state = future.result(), WRITTEN
        except (EditError, WorkFailed) as error:
            bake.state, bake.reason = FAILED, str(error)
        self._changed(bake)
