"""One thread for all: batches across requests, changes between two batches, and failures of one request alone."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from typing import Iterator, List

import pytest
from conftest import Demo
from edit_runs import lines

from fairseq_rome.errors import EditError
from fairseq_rome.host.decoding import Hypothesis, Translator
from fairseq_rome.server.translation_loop import Busy, TranslationLoop, check_lengths

SOURCES = lines("fixes.en")


@dataclass
class Slow:
    """A translator that notes its batches, and begins none before it is let."""

    translator: Translator
    batches: List[List[str]] = field(default_factory=list)
    let: threading.Event = field(default_factory=threading.Event)

    @property
    def model(self) -> object:
        return self.translator.model

    def translate(self, sentences: List[str]) -> List[Hypothesis]:
        self.let.wait(20)
        self.batches.append(list(sentences))
        return self.translator.translate(sentences)


@pytest.fixture
def slow(demo: Demo) -> Slow:
    return Slow(demo.translator)


@pytest.fixture
def loop(slow: Slow) -> Iterator[TranslationLoop]:
    one = TranslationLoop(slow, 3, 10)
    one.start()
    yield one
    slow.let.set()
    one.close()


def test_sentences_of_several_requests_share_batches(loop: TranslationLoop, slow: Slow, demo: Demo) -> None:
    first = loop.translate([SOURCES[0]])  # is on its way while the others come
    others = [loop.translate(SOURCES[1:3]), loop.translate([SOURCES[3]]), loop.translate([SOURCES[0]])]
    slow.let.set()
    said = {one: demo.translator.translate([one])[0].text for one in SOURCES}
    assert first.result(20) == [said[SOURCES[0]]]
    assert [one.result(20) for one in others] == [
        [said[one] for one in asked] for asked in (SOURCES[1:3], SOURCES[3:4], SOURCES[:1])
    ]
    assert [one for batch in slow.batches for one in batch] == [SOURCES[0], *SOURCES[1:], SOURCES[0]]
    assert max(map(len, slow.batches)) == 3
    assert loop.translate([]).result(20) == []


def test_a_change_waits_for_one_batch_at_most(loop: TranslationLoop, slow: Slow) -> None:
    waiting = [loop.translate(SOURCES[:3]) for _ in range(3)]
    done = loop.change(lambda: len(slow.batches))
    slow.let.set()
    assert done.result(20) <= 1
    assert all(len(one.result(20)) == 3 for one in waiting)
    with pytest.raises(ZeroDivisionError):
        loop.change(lambda: 1 // 0).result(20)
    assert len(loop.translate(SOURCES[:1]).result(20)) == 1


def test_a_request_that_fails_fails_alone(loop: TranslationLoop, slow: Slow) -> None:
    first, good = loop.translate(SOURCES[:1]), loop.translate(SOURCES[1:2])
    bad = loop.translate(["flower " * 3000])
    slow.let.set()
    assert first.result(20) and good.result(20)
    with pytest.raises(EditError, match="expected at most"):
        bad.result(20)


def test_what_goes_first_waits_for_no_other(loop: TranslationLoop, slow: Slow) -> None:
    waiting = [loop.translate(SOURCES[:3]) for _ in range(3)]
    urgent = loop.translate([SOURCES[3], SOURCES[3]], first=True)
    slow.let.set()
    assert len(urgent.result(20)) == 2 and all(len(one.result(20)) == 3 for one in waiting)
    assert SOURCES[3] in [one for batch in slow.batches[:2] for one in batch]


def test_more_than_may_wait_are_turned_away(loop: TranslationLoop) -> None:
    with pytest.raises(Busy):
        loop.translate(["a"] * 11)


def test_nobody_waits_for_a_loop_that_has_ended(demo: Demo) -> None:
    loop = TranslationLoop(demo.translator, 3, 10)
    waiting = loop.translate(SOURCES[:1])
    loop.close()
    loop.start()
    loop.close()
    assert waiting.cancelled() and loop.change(lambda: None).cancelled()
    with pytest.raises(Busy):
        loop.translate(SOURCES[:1])


def test_what_the_model_can_not_take_does_not_wait(demo: Demo) -> None:
    check_lengths(demo.translator, SOURCES)
    with pytest.raises(EditError, match="expected at most 1024"):
        check_lengths(demo.translator, [SOURCES[0], "flower " * 3000])
