"""Ctrl-C where it may not come at any moment."""

from __future__ import annotations

import signal
import threading
from contextlib import contextmanager
from typing import Iterator, List


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
