"""Ctrl-C where it may not come at any moment."""

from __future__ import annotations

import os
import signal
import threading
from contextlib import contextmanager
from typing import Iterator, List, Optional, Tuple


@contextmanager
def held_back() -> Iterator[None]:
    """Hold Ctrl-C back until the end of the context.

    An interrupt in the middle of importing compiled modules breaks them, and what they raise then hides it.

    Raises:
        KeyboardInterrupt: on leaving, if it came.
    """
    ours = threading.current_thread() is threading.main_thread()
    if not ours or signal.getsignal(signal.SIGINT) is not signal.default_int_handler:
        yield
        return
    came: List[int] = []
    signal.signal(signal.SIGINT, lambda number, _: came.append(number))
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, signal.default_int_handler)
        if came:
            raise KeyboardInterrupt


@contextmanager
def telling_if_written(path: str) -> Iterator[None]:
    """Have a Ctrl-C that comes when a file is in its place already say so.

    Raises:
        KeyboardInterrupt: with that text.
    """
    before = _identity(path) if path else None
    try:
        yield
    except KeyboardInterrupt:
        if not path or _identity(path) == before:
            raise
        raise KeyboardInterrupt(f"{path} was already written whole") from None


def _identity(path: str) -> Optional[Tuple[int, int]]:
    try:
        found = os.stat(path)
    except OSError:
        return None
    return found.st_ino, found.st_mtime_ns
