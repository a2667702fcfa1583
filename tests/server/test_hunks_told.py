"""Where hunks stand in a target, and what clients choose of them."""

from __future__ import annotations

from typing import List, Tuple

import pytest

from fairseq_rome.cases.hunk_reading import Reading
from fairseq_rome.errors import EditError
from fairseq_rome.server.hunks_told import check_choices, named_hunks, told_hunks
from fairseq_rome.text.requests import NamedHunk

BEFORE = "Ein Mann in kurzen Hosen fährt ein Fahrrad mit Hosen."
TARGET = "Ein Mann in Shorts fährt auf ein Velo mit Hosen"
READINGS = [
    Reading("kurzen", "Shorts", "shorts", 0.4), Reading("", "auf"),
    Reading("Fahrrad", "Velo", "bike", 0.5, carried=True), Reading(".", ""),
]  # fmt: skip


@pytest.mark.parametrize(("before", "target", "pairs"), [
    (BEFORE, TARGET, [("kurzen", "Shorts"), ("", "auf"), ("Fahrrad", "Velo"), (".", "")]),
    ("ein Hund", "ein Kater ein Hund", [("", "Kater")]),
    ("a b a b a", "a c a d a", [("b", "c"), ("b", "d")]),
    ("彼は犬を見た。", "彼は猫を見た。", [("犬", "猫")]),
])  # fmt: skip
def test_places_are_where_the_words_stand(before: str, target: str, pairs: List[Tuple[str, str]]) -> None:
    told = told_hunks([Reading(old, new) for old, new in pairs], "", before, target)
    assert [target[one["start"] : one["end"]] for one in told] == [new for _, new in pairs]
    starts = [one["start"] for one in told]
    assert starts == sorted(starts) and [one["number"] for one in told] == list(range(len(pairs)))


def test_each_hunk_says_why_it_is_carried_or_not() -> None:
    told = told_hunks(READINGS, "training side", BEFORE, TARGET)
    assert [one["carried"] for one in told] == [False, False, True, False]
    assert [one["kind"] for one in told] == ["choice", "added", "choice", "removed"]
    assert "hardly ever says 'Velo'" in told[2]["why"] and all(one["why"] for one in told)
    assert [one["confidence"] for one in told] == [0.4, None, 0.5, None]


def test_choices_are_named_in_words_that_the_unedited_model_says() -> None:
    chosen = ((0, False), (2, True))
    assert named_hunks(chosen, READINGS, BEFORE, TARGET) == (
        NamedHunk("kurzen", "Shorts", "shorts", False), NamedHunk("Fahrrad", "Velo", "bike", True),
    )  # fmt: skip
    # Another fix has made it say Fahrrad where the unedited model says Rad.
    unedited = BEFORE.replace("Fahrrad", "Rad")
    assert named_hunks(((2, True),), READINGS, unedited, TARGET) == (NamedHunk("", "Velo", None, True),)
    assert named_hunks(((2, True),), READINGS, TARGET, TARGET) == ()  # nothing is left of it
    with pytest.raises(EditError, match="hunk 4"):
        named_hunks(((4, True),), READINGS, BEFORE, TARGET)


def test_an_edit_carries_one_hunk() -> None:
    check_choices(((0, True), (1, False), (2, False)))
    with pytest.raises(EditError, match="hunks 0, 2 are to be carried, expected one at most"):
        check_choices(((0, True), (2, True)))
    with pytest.raises(EditError, match="twice"):
        check_choices(((0, True), (0, False)))
