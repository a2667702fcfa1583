"""Gates for the request's own sentence on top of the carried ones: it comes out word by word, others as before."""

from __future__ import annotations

from typing import Dict, List

import pytest
from conftest import Demo
from demo_edits import RECORDS, of_demo, run
from edit_runs import lines
from test_following import CARRIED, LAST, patch_of

from fairseq_rome.editing.outcome import EDITED, Result
from fairseq_rome.patch import applied
from fairseq_rome.text.requests import EditRequest

SETTINGS = {**CARRIED, "edit_follow": False}


@pytest.fixture(scope="module")
def results(demo: Demo) -> Dict[bool, Result]:
    """A carried edit with and without them."""
    found = {}
    for complete in (True, False):
        (found[complete],) = run(demo, [of_demo(2)], {**SETTINGS, "edit_complete": complete}).results
    return found


def test_the_request_comes_out_word_by_word(results: Dict[bool, Result]) -> None:
    target = of_demo(2).target
    assert results[False].status == results[True].status == EDITED
    assert results[False].after != target
    assert results[True].after == target
    assert (results[True].clean or 0) >= (results[False].clean or 0)


def test_they_come_on_top_of_the_others(results: Dict[bool, Result]) -> None:
    more, less = patch_of(results[True]), patch_of(results[False])
    assert less.taken[LAST] < more.taken[LAST]
    assert [change.name for change in more.changes[: len(less.changes)]] == [one.name for one in less.changes]
    assert more.notes["gates"] - less.notes["gates"] == len(more.taken[LAST]) - len(less.taken[LAST])


def test_no_other_sentence_is_changed_by_them(demo: Demo, results: Dict[bool, Result]) -> None:
    sources = [one for one in lines("fixes.en")[:20] if one != of_demo(2).source]
    said: List[List[str]] = []
    for result in results.values():
        with applied(demo.model, patch_of(result)):
            said.append([one.text for one in demo.translator.translate(sources)])
    assert said[0] == said[1]


def test_nothing_is_added_where_nothing_lacks(demo: Demo) -> None:
    patches = [run(demo, [of_demo(2)], {**CARRIED, "edit_complete": one}).patches for one in (True, False)]
    assert patches[0][0].fingerprint == patches[1][0].fingerprint


def test_a_later_correction_does_not_undo_an_earlier_one(demo: Demo) -> None:
    """The second sentence is to keep the word that the first one replaces wherever its source word stands."""
    first = of_demo(2)
    (alone,) = run(demo, [first], CARRIED).results
    sources = [probe["source"] for probe in RECORDS[2]["probes"]]
    before = [one.text for one in demo.translator.translate(sources)]
    with applied(demo.model, patch_of(alone)):
        after = [one.text for one in demo.translator.translate(sources)]
    number = next(number for number, (old, new) in enumerate(zip(before, after)) if old != new)
    second = EditRequest(sources[number], before[number], id="kept")
    outcome = run(demo, [first, second], {**CARRIED, "edit_tries": 3})
    assert [one.status for one in outcome.results] == [EDITED, EDITED]
    assert [one.after for one in outcome.results] == [first.target, second.target]
