"""What is told of how a request was understood."""

from __future__ import annotations

from typing import Any, List, Tuple

import pytest

from fairseq_rome.cases.case_notes import notes_on_case
from fairseq_rome.cases.case_settings import CaseSettings
from fairseq_rome.cases.hunk_reading import Reading
from fairseq_rome.text.requests import EditRequest
from fairseq_rome.text.segments import Difference

BIKE = EditRequest("My bike is red.", "Mein Velo ist rot.")
CONTEXTS = ("A bike.", "The bike is old.")
SWAP = Difference("Fahrrad", "Velo")
CASES: Any = {
    "used": ((CONTEXTS, SWAP, "bike", CONTEXTS[:1]), None),
    "none given": (((), SWAP, "bike", ("A bike of mine.",)), None),
    "the request itself": (((BIKE.source,), SWAP, "bike", ()), None),
    "words are added": ((CONTEXTS, Difference("", "sehr"), "bike", ()), "the request only adds words"),
    "no trigger": ((CONTEXTS, SWAP, "car", ()), "none holds the trigger 'car'"),
    "nothing unwanted": ((CONTEXTS, SWAP, "bike", ("Our bike.",)), "the model says 'Fahrrad' in none of them"),
    "any source": ((CONTEXTS, SWAP, "", ()), "the model says 'Fahrrad' in none of them"),
}  # fmt: skip


def notes(contexts: Tuple[str, ...], *rest: Any, most: int = 64) -> List[str]:
    request = EditRequest(BIKE.source, BIKE.target, contexts=contexts)
    return list(notes_on_case(request, *rest, CaseSettings(edit_contexts=most)))


@pytest.mark.parametrize("name", CASES)
def test_why_no_context_is_used(name: str) -> None:
    given, reason = CASES[name]
    told = notes(*given)
    assert len(told) == (reason is not None)
    if reason:
        assert told[0].startswith(f"contexts: none of 2 is used, because {reason}")
    assert notes(*given, most=0) == []


def test_a_request_for_itself_alone_says_why_contexts_are_not_used() -> None:
    request = EditRequest(BIKE.source, BIKE.target, contexts=CONTEXTS)
    likely = Reading("Fahrrad", "Velo", "bike", 0.9)
    [told] = notes_on_case(request, SWAP, "bike", (), CaseSettings(edit_carry="none"), likely)
    assert told == (
        "contexts: none of 2 is used, because with edit_carry none the request is for its own sentence alone"
    )


PAIRS = {
    "helmet": ("helmet", "Schutzhelm", None, True),
    "three words": ("safety helmet rack", "Helmregal", "helmet", True),
    "a long term": ("department of foreign affairs of Wales", "Amt", "department of foreign affairs of Wales", True),
    "a sentence": ("My bike is red.", "Mein Velo ist rot.", None, False),
    "a short sentence": ("Stop it!", "H\u00f6r auf!", None, False),
    "an Arabic question": ("\u0644\u0645\u0627\u0630\u0627\u061f", "Warum\u061f", None, False),
    "a Chinese sentence": ("\u4ed6\u5728\u770b\u4e66\u3002", "Er liest.", None, False),
    "no full stop": ("a man rides his bike", "ein Mann f\u00e4hrt Velo", "bike", False),
}


@pytest.mark.parametrize("name", PAIRS)
def test_a_bare_term_is_told(name: str) -> None:
    source, target, trigger, bare = PAIRS[name]
    request = EditRequest(source, target, trigger=trigger)
    told = list(notes_on_case(request, SWAP, trigger or "", (), CaseSettings()))
    assert [note.startswith("a bare term: the edit holds for this input alone") for note in told] == [True] * bare
    # Where other sentences show the change, the edit is carried to them.
    assert not list(notes_on_case(request, SWAP, trigger or "", ("Her bike.",), CaseSettings()))
