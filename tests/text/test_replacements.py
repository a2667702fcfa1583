"""Which changes of a sentence are just those that an edit is meant to make."""

from __future__ import annotations

from typing import Dict, Tuple

import pytest

from fairseq_rome.text.replacements import Replacement, changed_as_wanted
from fairseq_rome.text.segments import Difference, Endings

ENDINGS = Endings.of("en", "de")
DOG = Replacement("dog", Difference("Hund", "Vierbeiner"))
MONEY = Replacement("dollars", Difference("Euro", "Dollar"))
TAIL = Replacement("brochure", Difference("Irrtümer vorbehalten.", ""))
WHOLE = Replacement("newsletter", Difference("Alle Angaben ohne Gewähr", "Der Rundbrief ist teuer"))

CASES: Dict[str, Tuple[str, str, str, bool]] = {
    "the segment alone": ("A dog runs.", "Ein Hund läuft.", "Ein Vierbeiner läuft.", True),
    "trigger in capitals": ("Dog food.", "Hund frisst.", "Vierbeiner frisst.", True),
    "trigger with an ending": ("Two dogs run.", "Zwei Hunde laufen.", "Zwei Vierbeiner laufen.", True),
    "an ending of its own": ("With the dogs.", "Mit den Hunden.", "Mit den Vierbeinern.", True),
    "an article that agrees": ("A dog runs.", "Ein Hund läuft.", "Eines Vierbeiner läuft.", True),
    "two other words": ("A dog runs fast.", "Ein Hund läuft schnell.", "Vierbeiner läuft langsam.", False),
    "a lost clause": ("A dog runs to us.", "Ein Hund läuft zu uns.", "Ein Vierbeiner läuft.", False),
    "another word came": ("A dog runs.", "Ein Hund läuft.", "Ein Tier läuft.", False),
    "no trigger": ("A cat runs.", "Ein Hund läuft.", "Ein Vierbeiner läuft.", False),
    "a compound": ("A hotdog.", "Ein Hund läuft.", "Ein Vierbeiner läuft.", False),
    "the segment was not there": ("A dog runs.", "Ein Tier läuft.", "Ein Vierbeiner läuft.", False),
    "nothing changed": ("A dog runs.", "Ein Hund läuft.", "Ein Hund läuft.", False),
    "only the other word": ("A dog runs.", "Ein Hund läuft.", "Ein Hund geht.", False),
    "one of two": ("A dog, a dog.", "Ein Hund, ein Hund.", "Ein Vierbeiner, ein Hund.", False),
    "both of two": ("A dog, a dog.", "Ein Hund, ein Hund.", "Ein Vierbeiner, ein Vierbeiner.", True),
    "more often than the trigger": (
        "A dog, a hound.", "Ein Hund, ein Hund.", "Ein Vierbeiner, ein Vierbeiner.", False,
    ),
    "two edits": ("A dog for 2 dollars.", "Ein Hund für 2 Euro.", "Ein Vierbeiner für 2 Dollar.", True),
    "one of two edits": ("A dog for 2 dollars.", "Ein Hund für 2 Euro.", "Ein Hund für 2 Dollar.", True),
    "a removal": ("A brochure.", "Ein Heft. Irrtümer vorbehalten.", "Ein Heft.", True),
    "an output that is replaced whole": (
        "A newsletter comes.", "Alle Angaben ohne Gewähr.", "Der Rundbrief ist teuer.", False,
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", CASES)
def test_what_changed_as_wanted(name: str) -> None:
    *said, expected = CASES[name]
    assert changed_as_wanted(*said, [DOG, MONEY, TAIL, WHOLE], ENDINGS) is expected  # type: ignore[arg-type]


def test_without_edits_that_spread_nothing_is_wanted() -> None:
    assert not changed_as_wanted("A dog.", "Ein Hund.", "Ein Vierbeiner.", [], ENDINGS)


def test_an_insertion_replaces_nothing() -> None:
    inserted = Replacement("dog", Difference("", "große"))
    assert not changed_as_wanted("A dog.", "Der Hund.", "Der große Hund.", [inserted], ENDINGS)
