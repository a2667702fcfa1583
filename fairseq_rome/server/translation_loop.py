"""One thread owns the model that translates: sentences of all requests in batches, and changes between two of them."""

from __future__ import annotations

import threading
from collections import deque
from concurrent.futures import Future, InvalidStateError
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Callable, Deque, List, Optional, Sequence, Tuple, TypeVar

from fairseq_rome.errors import EditError
from fairseq_rome.host.decoding import Translator
from fairseq_rome.host.sites import prepared

T = TypeVar("T")


class Busy(Exception):
    """More sentences wait than may."""


@dataclass
class _Asked:
    """The sentences of one request, and what is known of their translations."""

    sentences: Tuple[str, ...]
    future: Future[List[str]] = field(default_factory=Future)
    said: List[Optional[str]] = field(default_factory=list)


class TranslationLoop:
    """Translates for many at once.

    Args:
        translator: the model and what decodes with it; from here on this thread's alone.
        most_sentences: of one batch. More translate faster together, and keep a new request or a change of the model
            waiting longer.
        most_waiting: sentences that may wait.
    """

    def __init__(self, translator: Translator, most_sentences: int, most_waiting: int) -> None:
        self._translator = translator
        self._most_sentences, self._most_waiting = most_sentences, most_waiting
        self._waiting: Deque[Tuple[_Asked, int]] = deque()
        self._changes: Deque[Callable[[], None]] = deque()
        self._wake = threading.Condition()
        self._closed = False
        self._thread = threading.Thread(target=self._run, name="translating", daemon=True)

    def start(self) -> None:
        """Begin to work."""
        self._thread.start()

    def close(self) -> None:
        """Stop after the batch that goes on; what still waits is cancelled."""
        with self._wake:
            self._closed = True
            self._wake.notify()
        if self._thread.ident is not None:
            self._thread.join()

    def translate(self, sentences: Sequence[str], first: bool = False) -> Future[List[str]]:
        """The translations of some sentences, in their order, once they are there.

        Args:
            sentences: the sentences.
            first: go before all that wait, however many these are.

        Raises:
            Busy: if too many wait.
        """
        asked = _Asked(tuple(sentences), said=[None] * len(sentences))
        parts = [(asked, index) for index in range(len(sentences))]
        with self._wake:
            if self._closed or (not first and len(self._waiting) + len(sentences) > self._most_waiting):
                raise Busy
            if first:
                self._waiting.extendleft(reversed(parts))
            else:
                self._waiting.extend(parts)
            self._wake.notify()
        if not sentences:
            asked.future.set_result([])
        return asked.future

    def change(self, work: Callable[[], T]) -> Future[T]:
        """Do something to the model between two batches, before the next one."""
        future: Future[T] = Future()

        def do() -> None:
            if future.set_running_or_notify_cancel():
                try:
                    future.set_result(work())
                except BaseException as error:
                    future.set_exception(error)

        with self._wake:
            if self._closed:
                future.cancel()
            else:
                self._changes.append(do)
                self._wake.notify()
        return future

    def _run(self) -> None:
        with prepared(self._translator.model):
            while True:
                with self._wake:
                    self._wake.wait_for(lambda: self._closed or self._changes or self._waiting)
                    if self._closed:
                        break
                    changes = list(self._changes)
                    self._changes.clear()
                    several = [] if changes else self._batch()
                for work in changes:
                    work()
                if several:
                    self._translate(several)
        for asked, _ in self._waiting:
            asked.future.cancel()

    def _batch(self) -> List[Tuple[_Asked, int]]:
        """The sentences that have waited longest, without those that nobody waits for any more."""
        several: List[Tuple[_Asked, int]] = []
        while self._waiting and len(several) < self._most_sentences:
            asked, index = self._waiting.popleft()
            if not asked.future.done():
                several.append((asked, index))
        return several

    def _translate(self, several: Sequence[Tuple[_Asked, int]]) -> None:
        """Translate a batch; where that fails, each request for itself, so that no other one fails with it."""
        try:
            said = self._translator.translate([asked.sentences[index] for asked, index in several])
        except Exception as error:  # of whatever kind: it goes to whoever asked
            if len({id(asked) for asked, _ in several}) > 1:
                for asked in {id(asked): asked for asked, _ in several}.values():
                    self._translate([one for one in several if one[0] is asked])
                return
            with suppress(InvalidStateError):  # nobody waits any more
                several[0][0].future.set_exception(error)
            return
        for (asked, index), hypothesis in zip(several, said):
            asked.said[index] = hypothesis.text
        for asked in {id(asked): asked for asked, _ in several}.values():
            texts = [text for text in asked.said if text is not None]
            if len(texts) == len(asked.said):
                with suppress(InvalidStateError):
                    asked.future.set_result(texts)


def check_lengths(translator: Translator, sentences: Sequence[str]) -> None:
    """Refuse sentences that the model can't take, before they wait.

    Raises:
        EditError: for the first that is too long.
    """
    limit = translator.adapter.longest_source(translator.model)
    for sentence in sentences:
        length = len(translator.codec.source(sentence))
        if length > limit:
            raise EditError(f"a sentence of {length} subwords, expected at most {limit}, which the model takes")
