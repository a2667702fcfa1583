"""What clients that listen are told: the last events, and those that come, each with a number that only grows."""

from __future__ import annotations

import asyncio
import json
import time
from collections import deque
from dataclasses import dataclass
from typing import Any, AsyncIterator, Callable, Deque, Iterable, List, Optional, Set

_KEPT = 1000
# Seconds after which a stream without events shows that it is open still.
_HEARTBEAT = 15.0
# Events that one listener may be behind; one that is slower starts again from what is then.
_BEHIND = 1000

FIX, PROGRESS, BAKE = "fix", "progress", "bake"


@dataclass(frozen=True)
class Event:
    """One event.

    Args:
        number: larger than that of every earlier one, also of an earlier run of the server.
        kind: `fix`, `progress` or `bake`.
        data: in plain values.
    """

    number: int
    kind: str
    data: Any

    def as_text(self) -> str:
        """As a stream of server-sent events has it."""
        return f"id: {self.number}\nevent: {self.kind}\ndata: {json.dumps(self.data, ensure_ascii=False)}\n\n"


class EventStream:
    """Tells many listeners; all but `tell` is for the thread of one event loop.

    Args:
        now: gives the state of all that events speak of, for a listener who missed some.
    """

    def __init__(self, now: Callable[[], Iterable[Event]]) -> None:
        self._now = now
        self._next = time.time_ns() // 1_000_000
        self._kept: Deque[Event] = deque(maxlen=_KEPT)
        self._first = self._next
        self._listeners: Set[asyncio.Queue[Optional[Event]]] = set()
        self._loop: Optional[asyncio.AbstractEventLoop] = None
        self._closed = False

    @property
    def listeners(self) -> int:
        """How many streams are open."""
        return len(self._listeners)

    @property
    def last(self) -> int:
        """The number of the last event."""
        return self._next - 1

    def open(self, loop: asyncio.AbstractEventLoop) -> None:
        """Begin to tell, in the thread of an event loop."""
        self._loop = loop

    def close(self) -> None:
        """End all streams."""
        self._closed = True
        for one in self._listeners:
            one.put_nowait(None)

    def tell(self, kind: str, data: Any) -> None:
        """Tell all listeners; from any thread."""
        loop = self._loop
        if loop is not None and not loop.is_closed():
            loop.call_soon_threadsafe(self._tell, kind, data)

    def _tell(self, kind: str, data: Any) -> None:
        event = Event(self._next, kind, data)
        self._next += 1
        self._kept.append(event)
        for one in self._listeners:
            if one.qsize() < _BEHIND:
                one.put_nowait(event)
            else:
                self._listeners = self._listeners - {one}
                one.put_nowait(None)

    async def stream(self, after: Optional[int]) -> AsyncIterator[str]:
        """The events from now on as text.

        Args:
            after: the number of the last event that the listener has; None for one who has none.
        """
        queue: asyncio.Queue[Optional[Event]] = asyncio.Queue()
        missed = [] if after is None else self._missed(after)
        self._listeners.add(queue)
        try:
            yield "retry: 1000\n\n"
            for event in missed:
                yield event.as_text()
            while not self._closed:
                try:
                    told = await asyncio.wait_for(queue.get(), _HEARTBEAT)
                except asyncio.TimeoutError:
                    yield ": still here\n\n"
                    continue
                if told is None:
                    break
                yield told.as_text()
        finally:
            self._listeners.discard(queue)

    def _missed(self, after: int) -> List[Event]:
        """What a listener missed: the events themselves, or how all is now where they are no longer known."""
        first = self._kept[0].number if self._kept else self._next
        if after >= first - 1 and after >= self._first - 1:
            return [event for event in self._kept if event.number > after]
        return list(self._now())
