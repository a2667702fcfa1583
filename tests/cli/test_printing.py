"""What `fairseq-edit` says of a run in one line."""

from __future__ import annotations

import json
from typing import Sequence

import pytest

from fairseq_rome.cli.printing import JSON, TEXT
from fairseq_rome.editing.outcome import EDITED, FAILED, NOTHING, Outcome, Result, Unchanged
from fairseq_rome.text.requests import EditRequest

NOBODY = Unchanged((), (), ())


def outcome(*ends: Sequence[str]) -> Outcome:
    """Of requests for `b c`, by their status and what the model says in the end."""
    return Outcome(tuple(Result(EditRequest("a", "b c"), end[0], "d", end[1]) for end in ends), NOBODY, NOBODY)


@pytest.mark.parametrize(("ends", "text", "as_wanted"), [
    ([(EDITED, "b c")], "1 request: 1 edited", 1),
    ([(EDITED, "b c"), (EDITED, "b"), (FAILED, "d")],
     "3 requests: 2 edited (1 of them not word for word as wanted), 1 failed", 1),
    ([(NOTHING, "b c"), (FAILED, "b c")], "2 requests: 0 edited, 1 with nothing to do, 1 failed", 0),
])  # fmt: skip
def test_the_last_word(ends: Sequence[Sequence[str]], text: str, as_wanted: int) -> None:
    assert TEXT.verdict(outcome(*ends)) == text
    told = json.loads(JSON.verdict(outcome(*ends)))
    assert (told["requests"], told["as_wanted"]) == (len(ends), as_wanted)
