"""One edit for requests that want the same change."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace
from typing import Any, Dict, List

import pytest
from conftest import Demo
from demo_edits import RECORDS, of_demo, run

from fairseq_rome.cases.case import Case
from fairseq_rome.editing.edit_settings import EditSettings
from fairseq_rome.editing.outcome import EDITED
from fairseq_rome.editing.run import preview
from fairseq_rome.editing.sharing import share_changes
from fairseq_rome.errors import EditError
from fairseq_rome.host.corpus import load_corpus
from fairseq_rome.text.requests import EditFile, EditRequest, NamedHunk
from fairseq_rome.text.segments import Endings

DOLLARS = of_demo(3)
PROBES: List[Dict[str, Any]] = RECORDS[3]["probes"]


def of_probe(number: int, **fields: Any) -> EditRequest:
    probe = PROBES[number]
    return EditRequest(
        **{"source": probe["source"], "target": probe["target"], "id": f"probe-{number}", **fields}
    )


def shared(demo: Demo, *requests: EditRequest) -> List[EditRequest]:
    before = demo.translator.translate([request.source for request in requests])
    return share_changes(demo.translator, requests, before, Endings.of("en", "de"))


def test_the_first_has_the_others_as_contexts(demo: Demo) -> None:
    first, *rest = shared(demo, DOLLARS, of_probe(0), of_demo(0), of_probe(1))
    assert first == replace(DOLLARS, contexts=(PROBES[0]["source"], PROBES[1]["source"]))
    assert rest == [of_probe(0), of_demo(0), of_probe(1)]


def test_contexts_of_its_own_come_first_and_each_once(demo: Demo) -> None:
    own = replace(DOLLARS, contexts=("We have ten dollars.", PROBES[1]["source"]))
    first = shared(demo, own, of_probe(0), of_probe(1))[0]
    assert first.contexts == (*own.contexts, PROBES[0]["source"])


OTHERS = {
    "hangs on another word": of_probe(0, trigger="euros", source="The chair costs ten euros.", target="Ten."),
    "is right already": of_probe(0, target=PROBES[0]["before"]),
    "is the whole sentence": of_probe(0, target="Nein, danke vielmals."),
}


@pytest.mark.parametrize("other", OTHERS)
def test_nothing_is_shared_with_a_request_that(demo: Demo, other: str) -> None:
    requests = [DOLLARS, OTHERS[other]]
    assert shared(demo, *requests) == requests


def test_two_forms_of_a_letter_are_no_change() -> None:
    """Many subword models take both for one: there is nothing to do, and no trigger to be found."""
    codec = SimpleNamespace(target=lambda text: text, target_text=lambda text: text.replace("\ufb01", "fi"))
    requests = [EditRequest("She finds it.", "Sie \ufb01ndet es.", id=name) for name in ("a", "b")]
    before = [SimpleNamespace(text="Sie findet es.")] * 2
    translator: Any = SimpleNamespace(codec=codec)
    assert share_changes(translator, requests, before, Endings.of("en", "de")) == requests


def test_the_second_needs_no_edit_of_its_own(demo: Demo) -> None:
    second = of_probe(0)
    # The only other sentence that the fit sees.
    outcome = run(demo, [DOLLARS, second], {"edit_contexts": 8, "edit_tries": 3, "edit_mine": "never"})
    assert outcome.results[0].contexts == 1
    assert [result.status for result in outcome.results] == [EDITED, EDITED]
    assert [result.request for result in outcome.results] == [DOLLARS, second]
    assert len(outcome.patches) == 1
    told = outcome.results[1]
    assert (told.patch, told.reason) == (None, "by the edit of another request")
    assert told.before == PROBES[0]["before"] != told.after
    assert told.difference is not None


def previewed(demo: Demo, requests: List[EditRequest], **settings: Any) -> List[Case]:
    corpus = load_corpus(demo.codec, seed=1, most=4000)
    chosen = EditSettings(**{"edit_contexts": 8, "edit_mine": "never", **settings})
    shown = preview(demo.translator, EditFile(tuple(requests)), corpus, chosen, Endings.of("en", "de"))
    cases = [one.plan.case for one in shown if one.plan is not None]
    assert len(cases) == len(requests)
    return cases


def test_the_same_change_in_two_requests_is_carried(demo: Demo) -> None:
    """Each then learns from the sentence of the other one."""
    requests = [replace(DOLLARS, trigger=None), of_probe(0)]
    cases = previewed(demo, requests)
    assert [case.evidence for case in cases] == ["2 requests"] * 2
    assert [[one.source for one in case.contexts] for case in cases] == [
        [PROBES[0]["source"]], [DOLLARS.source],
    ]  # fmt: skip
    assert [sum(one.carried for one in case.readings) for case in cases] == [1, 1]


def test_a_request_for_itself_alone_learns_from_nothing_else(demo: Demo) -> None:
    given = replace(DOLLARS, contexts=(PROBES[0]["source"],))
    assert previewed(demo, [given])[0].contexts
    for named in ({}, {"wanted": "Dollar", "unwanted": "Euro"}):
        alone = replace(given, settings={"edit_carry": "none", "edit_mine": "always"}, **named)
        [case] = previewed(demo, [alone])
        assert (case.evidence, case.contexts, case.held_out) == ("", (), ())


def test_a_hunk_that_is_none_is_refused_before_anything_is_edited(demo: Demo) -> None:
    hunk = NamedHunk("Hund", "Köter")
    with pytest.raises(EditError, match=r"^p\.jsonl:2: 'Hund' -> 'Köter' is no part of what changes; expected"):
        run(demo, [DOLLARS, of_probe(0, hunks=(hunk,), origin="p.jsonl:2")], {})
