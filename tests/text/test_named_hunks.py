"""Hunks that a request names."""

from __future__ import annotations

from typing import Any, Dict

import pytest

from fairseq_rome.errors import EditError
from fairseq_rome.text.requests import EditRequest, NamedHunk
from fairseq_rome.text.requests.records import to_fields
from fairseq_rome.text.segments import Difference, wanted_difference

SOURCE, SAID = "The old dog sees a cat.", "Der alte Hund sieht eine Katze."
TARGET = "Der betagte Köter sieht eine Mieze."


def request(*hunks: NamedHunk, **fields: Any) -> EditRequest:
    return EditRequest(SOURCE, TARGET, id="7", hunks=hunks, **fields)


def test_the_carried_hunk_is_what_the_request_names() -> None:
    named = request(NamedHunk("Hund", "Köter", "dog"), NamedHunk("Katze", "Mieze", carry=False))
    assert (named.unwanted, named.wanted, named.trigger) == ("Hund", "Köter", "dog")
    kept = request(NamedHunk("Katze", "Mieze", carry=False))
    assert (kept.unwanted, kept.wanted, kept.trigger) == (None, None, None)
    # A trigger may have got its tags by then.
    assert request(NamedHunk("Hund", trigger="dog"), trigger="<2de> dog").trigger == "<2de> dog"


def test_they_are_written_as_they_are_read() -> None:
    told = to_fields(request(NamedHunk("Hund", trigger="dog"), NamedHunk(wanted="Mieze", carry=False)))
    assert told["hunks"] == [
        {"trigger": "dog", "unwanted": "Hund", "carry": True}, {"wanted": "Mieze", "carry": False},
    ]  # fmt: skip


FOUND = {
    "both": NamedHunk("Hund", "Köter"),
    "one": NamedHunk(wanted="Mieze"),
    "more than the hunk": NamedHunk("alte Hund", "betagte Köter"),
    "with a word that stays": NamedHunk("eine Katze", "eine Mieze"),
}
NONE = {
    "a word that stays": NamedHunk("sieht"),
    "two places": NamedHunk("Hund", "Mieze"),
    "half a word": NamedHunk(wanted="Miez"),
    "a word that is not there": NamedHunk("Hund", "Kläffer", carry=False),
}


@pytest.mark.parametrize("name", FOUND)
def test_a_part_of_what_changes(name: str) -> None:
    request(FOUND[name]).check_hunks(SAID)
    # Where nothing changes there is nothing to do.
    request(FOUND[name]).check_hunks(TARGET)


@pytest.mark.parametrize("name", NONE)
def test_what_is_no_part_of_what_changes(name: str) -> None:
    with pytest.raises(EditError) as caught:
        request(NONE[name]).check_hunks(SAID)
    assert str(caught.value) == (
        f"request 7: {NONE[name]} is no part of what changes; expected whole words of one of the places where the "
        f"target differs from the output {SAID!r}: alte Hund -> betagte Köter, Katze -> Mieze"
    )


def test_an_unwanted_output_counts_and_not_what_the_model_says() -> None:
    with pytest.raises(EditError, match=r"fixes.jsonl:3: 'Katze' -> any words is no part"):
        request(NamedHunk("Katze"), negative="Der Hund.", origin="fixes.jsonl:3").check_hunks(SAID)


@pytest.mark.parametrize(
    ("fields", "unwanted", "wanted"),
    [
        ({"wanted": "Mieze"}, "Katze", "Mieze"),
        ({"unwanted": "Katze"}, "Katze", "Mieze"),
        ({"wanted": "Köter"}, "alte Hund", "Köter"),
        # Nothing stands in its place: all that differs.
        ({"wanted": "sieht"}, "alte Hund sieht eine Katze", "sieht"),
    ],
)
def test_a_segment_that_is_named_alone(fields: Dict[str, str], unwanted: str, wanted: str) -> None:
    assert wanted_difference(request(**fields), SAID) == Difference(unwanted, wanted)


@pytest.mark.parametrize(
    ("change", "met"),
    [
        (("Hund", "Köter", "dog"), True),
        (("alte Hund", "alte Köter", ""), True),
        (("Hund", "Kläffer", "dog"), False),
        (("Hund", "Köter", "cat"), False),
        (("Hund", "Köter", "old Dog"), True),
        (("Hundes", "Köter", "dog"), False),
    ],
)
def test_a_change_that_is_a_hunk(change: Any, met: bool) -> None:
    assert NamedHunk("Hund", "Köter", "dog").meets(*change) == met
