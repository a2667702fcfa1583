"""Jobs for a worker's process; a module of its own, since the process imports it."""

from __future__ import annotations

import os
import signal
from pathlib import Path
from typing import Any, Callable

from fairseq_rome.errors import EditError


class Jobs:
    """Jobs that do well, are refused, or kill their process."""

    def __init__(self, folder: str, tell: Callable[[Any], None]) -> None:
        self._folder, self._tell = Path(folder), tell

    def add(self, one: int, other: int) -> int:
        self._tell(("adding", 1, 2))
        return one + other

    def process(self) -> int:
        return os.getpid()

    def refused(self) -> None:
        raise EditError("expected something else")

    def fail(self, text: str) -> None:
        raise KeyError(text)

    def die(self, times: int) -> str:
        """Kill the process as long as it was called no more than so often."""
        count = self._folder / "count"
        called = int(count.read_text()) + 1 if count.exists() else 1
        count.write_text(str(called))
        if called <= times:
            os.kill(os.getpid(), signal.SIGKILL)
        return f"after {called - 1} deaths"


def make_jobs(folder: str, tell: Callable[[Any], None]) -> Jobs:
    return Jobs(folder, tell)
