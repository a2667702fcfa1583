"""Requests mined where a model is wrong, and the sentences that judge them."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, List, Optional, Set, Tuple

import pytest
from conftest import Demo
from edit_runs import probes

from fairseq_rome.cases.mining import MINED_TASKS, SEGMENT, Mined, mine, with_probes
from fairseq_rome.host.corpus import Corpus, load_corpus
from fairseq_rome.text.segments import Endings

RIGHT = {record["source"]: record["target"] for record in probes().values()}
ENDINGS = Endings.of("en", "de")


@pytest.fixture(scope="module")
def corpus(demo: Demo) -> Corpus:
    return load_corpus(demo.codec, 1, 4000)


def mined(
    demo: Demo, corpus: Corpus, task: str, pairs: Optional[List[Tuple[str, str]]] = None, **more: Any
) -> List[Mined]:
    chosen = list(RIGHT.items()) if pairs is None else pairs
    tokens = [demo.codec.source(source) for source, _ in chosen]
    return list(mine(demo.translator, "demo", chosen, tokens, task, ("en", "de"), corpus, **more))


@pytest.mark.parametrize("task", MINED_TASKS)
def test_a_request_wants_the_reference_where_the_model_says_something_else(
    demo: Demo, corpus: Corpus, task: str
) -> None:
    said = {record["source"]: record["before"] for record in probes().values()}
    found = mined(demo, corpus, task)
    for one in found:
        request = one.request
        assert (request.target, request.negative) == (RIGHT[request.source], said[request.source])
        assert request.task == task and request.id.startswith(f"{task}-demo-")
        assert (request.unwanted or "", request.wanted or "") == (one.difference.unwanted, one.difference.wanted)
        assert bool(one.fault) == (task not in ("term", SEGMENT))
        assert str(one).startswith(f"{request.id}: {one.fault or one.difference.unwanted}")
    assert found


def test_what_the_model_says_rightly_is_no_request(demo: Demo, corpus: Corpus) -> None:
    said = [(record["source"], record["before"]) for record in probes().values()]
    for task in MINED_TASKS:
        assert mined(demo, corpus, task, said) == []


def test_a_segment_is_no_longer_than_was_asked_for(demo: Demo, corpus: Corpus) -> None:
    longest = {
        words: max(
            len(text.split())
            for one in mined(demo, corpus, SEGMENT, words=words)
            for text in (one.difference.unwanted, one.difference.wanted)
        )
        for words in (1, 3)
    }
    assert longest[1] == 1 < longest[3] <= 3


def test_no_probe_is_mined_as_a_request_itself(demo: Demo, corpus: Corpus) -> None:
    source = "The shop assistants can read the poem."
    [one] = mined(demo, corpus, "term", [(source, RIGHT[source])])

    def found(judging: Set[str]) -> Set[str]:
        request = with_probes(demo.translator, one, corpus, ENDINGS, 3, judging)
        held_out = {probe.source for probe in request.probes}
        assert request.trigger and not held_out & set(request.contexts) and source not in held_out
        return held_out

    first = found({source})
    assert len(first) == 3
    second = found({source, *first})
    assert len(second) == 3 and not first & second


def test_a_change_that_no_other_sentence_shows_gets_no_probes(demo: Demo, corpus: Corpus) -> None:
    source = "The shop assistants can read the poem."
    [one] = mined(demo, corpus, "term", [(source, RIGHT[source])])
    alone = replace(corpus, pairs=corpus.pairs[:1])
    assert with_probes(demo.translator, one, alone, ENDINGS, 3, {source}) == one.request
    several = replace(one, difference=replace(one.difference, unwanted="das Gedicht"))
    assert with_probes(demo.translator, several, corpus, ENDINGS, 3, {source}) == one.request
