from __future__ import annotations

from typing import Optional

import pytest
from checker_runs import assert_judges_cases, fault

from fairseq_rome.errors import EditError
from fairseq_rome.text.checkers import TASKS, build_checker
from fairseq_rome.text.segments import Difference, Endings, holds


def test_judges_as_a_person_does() -> None:
    # Missed: plurals that change their vowel or their stem (Häuser, Mäuse, babies).
    assert_judges_cases("term", precision=1.0, recall=0.92)


@pytest.mark.parametrize(
    ("output", "unwanted", "wanted", "target", "expected"),
    [
        ("am Ufer", "Bank", "Ufer", None, None),
        ("an der Bank", "Bank", "Ufer", None, "says 'Bank', lacks 'Ufer'"),
        ("am Fluss", "Bank", "Ufer", None, "lacks 'Ufer'"),
        ("die Bank am Ufer", "Bank", "Ufer", None, "says 'Bank'"),
        ("die Bank am Ufer", "Bank", "Ufer", "die Bank an den Ufern", None),
        ("er kommt", "", "nicht", "er kommt nicht", "lacks 'nicht'"),
        ("er kommt nicht", "", "nicht", "er kommt nicht, nein, nicht", "lacks 'nicht'"),
        ("er kommt nicht", "nicht", "", "er kommt", "says 'nicht'"),
    ],
)
def test_fault(
    output: str, unwanted: str, wanted: str, target: Optional[str], expected: Optional[str]
) -> None:
    difference = Difference(unwanted, wanted)
    assert fault("term", "en-de", "", output, difference=difference, target=target) == expected
    agreed = holds(output, wanted if target is None else target, difference, Endings.of("en", "de").target)
    assert (expected is None) == agreed


def test_no_difference_is_no_fault() -> None:
    assert fault("term", "en-de", "a", "b", target="c") is None


@pytest.mark.parametrize("task", TASKS)
def test_checkers_have_the_name_of_their_task(task: str) -> None:
    checker = build_checker(task, "en", "de")
    assert checker.name == task
    assert checker.check([]) == []


def test_an_unknown_task_is_refused() -> None:
    with pytest.raises(EditError, match="task 'terms': unknown, expected one of term, number"):
        build_checker("terms", "en", "de")
