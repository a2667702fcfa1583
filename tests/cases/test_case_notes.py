"""What is told of how a request was understood."""

from __future__ import annotations

from typing import Any, List, Tuple

import pytest

from fairseq_rome.cases.case_notes import notes_on_case
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


def notes(contexts: Tuple[str, ...], *rest: Any) -> List[str]:
    return list(notes_on_case(EditRequest(BIKE.source, BIKE.target, contexts=contexts), *rest))


@pytest.mark.parametrize("name", CASES)
def test_why_no_context_is_used(name: str) -> None:
    given, reason = CASES[name]
    told = notes(*given)
    assert len(told) == (reason is not None)
    if reason:
        assert told[0].startswith(f"contexts: none of 2 is used, because {reason}")
