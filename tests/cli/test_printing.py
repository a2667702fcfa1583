"""What `fairseq-edit` says of a run in one line."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Sequence, Type

import pytest

from fairseq_rome.cases.evidence import ASKED, CONTEXTS, NAMED, REQUESTS, TIED
from fairseq_rome.cases.hunk_reading import Reading
from fairseq_rome.cli.printers import OTHERWISE, JsonPrinter, Printer, understood_lines
from fairseq_rome.editing.outcome import EDITED, FAILED, NOTHING, Outcome, Result, Unchanged
from fairseq_rome.text.requests import EditRequest
from fairseq_rome.text.segments import Difference

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
def test_the_last_word(
    ends: Sequence[Sequence[str]], text: str, as_wanted: int, capsys: pytest.CaptureFixture[str]
) -> None:
    Printer().verdict(outcome(*ends))
    assert capsys.readouterr().out == f"{text}\n"
    JsonPrinter().verdict(outcome(*ends))
    told = json.loads(capsys.readouterr().out)
    assert (told["requests"], told["as_wanted"]) == (len(ends), as_wanted)


def test_other_directions_are_told_by_direction(capsys: pytest.CaptureFixture[str]) -> None:
    directions = {"en-fr": Unchanged(("a", "b"), ("c", "d"), ("c", "e")), "en-pt": Unchanged(("a",), ("f",), ("f",))}
    told = replace(outcome((EDITED, "b c")), directions=directions)
    Printer().outcome(told)
    [rest] = capsys.readouterr().out.split("other sentences: 0 of 0 decode identically\n")[1:]
    assert rest.splitlines()[:5] == [
        "other directions: 2 of 3 decode identically (en-fr 1 of 2, en-pt 1 of 1)",
        "  in      en-fr",
        "  source  b",
        "  before  d",
        "  after   e",
    ]
    JsonPrinter().outcome(told)
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    [found] = [line["other directions"] for line in lines if "other directions" in line]
    assert (found["total"], found["identical"]) == (3, 2)
    assert [len(one["changed"]) for one in found["directions"].values()] == [1, 0]


@pytest.mark.parametrize("printer", [Printer, JsonPrinter])
def test_a_result_is_printed_again_only_where_it_has_changed(
    printer: Type[Printer], capsys: pytest.CaptureFixture[str]
) -> None:
    say = printer()
    first = outcome((EDITED, "b c"), (EDITED, "b c")).results
    second = replace(first[1], request=replace(first[1].request, id="2"))
    for result in (first[0], second):
        say.result(result)
    assert len(capsys.readouterr().out.split("after")) == 3
    undone = replace(first[0], status=FAILED, after="d", reason="held at first")
    for result in (undone, second):
        say.result(result)
    assert capsys.readouterr().out.count("held at first") == 1
    say.result(undone)
    assert capsys.readouterr().out == ""


def test_every_hunk_is_told_with_what_overrules_it() -> None:
    readings = (
        Reading("Hund", "Köter", "dog", 0.9, carried=True, within="Der Hund -> Dieser Köter"),
        Reading("kurzen", "Shorts", "shorts", 0.42, within="kurzen Hosen -> Shorts"),
        Reading("", "sehr"),
        Reading("alt", "alter", "old", 0.5, agrees=True),
    )
    difference = Difference("Hund", "Köter", forms=(("Hunde", "Köter"),))
    assert understood_lines(difference, "dog", "3 requests", readings) == [
        "change  Hund -> Köter, where the source says: dog, carried to other sentences "
        "(3 requests of the file make the same change)",
        "form    Hunde -> Köter",
        "hunk    the rest of Der Hund -> Dieser Köter, for this sentence alone",
        "hunk    kurzen -> Shorts, where the source says: shorts (0.42), a part of kurzen Hosen -> Shorts, "
        "for this sentence alone",
        "hunk    (nothing) -> sehr, for this sentence alone",
        "hunk    alt -> alter, where the source says: old (0.50), agreement, for this sentence alone",
        OTHERWISE,
    ]


@pytest.mark.parametrize(
    ("evidence", "why"),
    [
        (NAMED, "as the request names it"), (CONTEXTS, "its context sentences share it"),
        (REQUESTS.format(2), "2 requests of the file make the same change"),
        (TIED, "the training side ties the two words"), (ASKED, "--edit-carry all"),
    ],
)  # fmt: skip
def test_all_evidence_is_told(evidence: str, why: str) -> None:
    [told, _] = understood_lines(Difference("a", "b"), "c", evidence, ())
    assert told == f"change  a -> b, where the source says: c, carried to other sentences ({why})"
