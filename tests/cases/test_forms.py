"""Other forms of a word, and what goes together, read off a training side of plain text."""

from __future__ import annotations

from typing import Tuple

import pytest
from case_samples import ADJECTIVES, NOUNS, corpus_of, english_german, sides_of, without_blanks

from fairseq_rome.cases.association import word_check
from fairseq_rome.cases.forms import akin, other_forms, target_forms, trigger_forms
from fairseq_rome.cases.hunk_reading import Sides
from fairseq_rome.text.languages.profile import profile_of

MANY = len(ADJECTIVES)


@pytest.fixture(scope="module")
def sides() -> Sides:
    return sides_of("en", "de", english_german())


def test_counts_of_sentences(sides: Sides) -> None:
    association = sides.association
    assert len(association) == 24 * MANY
    assert len(association.with_source("dog")) == len(association.with_target("Hund")) == MANY
    assert association.with_source("DOG", "dogs") == association.with_target("Hund", "Hunde")
    assert association.with_target("hund") == frozenset()
    assert {association.target(index) for index in association.with_source("dog")} == {
        f"Der Hund ist {adjektiv}." for _, adjektiv in ADJECTIVES
    }
    assert association.frequency("Hund") == pytest.approx(1 / 24)


def test_how_segments_go_together(sides: Sides) -> None:
    association = sides.association
    assert association.dice(("dog",), ("Hund",)) == 1
    assert association.dice(("dog",), ("Hund", "Hunde")) == pytest.approx(2 / 3)
    assert association.dice(("dog",), ("Katze",)) == 0
    assert association.dice(("no such",), ("nichts",)) == 0
    # Five of eleven cars are said otherwise.
    assert association.share("Wagen", ("car",)) == pytest.approx(5 / MANY)
    assert association.purity("Wagen", ("car",)) == 1
    assert association.purity("ist", ("car",)) == pytest.approx(1 / 12)
    assert association.share("Wagen", ("no such",)) == association.purity("nichts", ("car",)) == 0
    assert sides.dice("car", "Wagen") == pytest.approx(2 * 5 / (2 * MANY + 5)), "with the trigger in its forms"


def test_a_small_training_side_does_not_tell_what_is_no_word() -> None:
    small = corpus_of([("A dog.", "Ein Hund.")])
    assert word_check(small)("Hundhund")
    large = word_check(corpus_of([("A dog.", "Ein Hund.")] * 10_000))
    assert large("Hund") and large("Ein") and not large("Hundhund") and not large("HUND")
    assert word_check(corpus_of([("A dog.", "ein Hund.")] * 10_000))("Ein"), "as at the beginning of a sentence"


@pytest.mark.parametrize(
    ("trigger", "forms"),
    [
        ("dog", ("dog", "dogs")),
        ("dogs", ("dogs", "dog")),
        ("city", ("city", "cities")),
        ("cities", ("cities", "city")),
        ("woman", ("woman",)),  # the usual plural is none of the training side's
        ("bus", ("bus",)),
        ("The dog", ("The dog", "The dogs")),
        ("the black dog", ("the black dog",)),
    ],
)
def test_forms_of_a_trigger(sides: Sides, trigger: str, forms: Tuple[str, ...]) -> None:
    assert trigger_forms(trigger, sides.association, profile_of("en")) == forms
    assert sides.forms(trigger) == forms


@pytest.mark.parametrize(
    ("word", "forms"),
    [
        ("Hund", {"Hund", "Hunde"}),
        ("Hunde", {"Hunde", "Hund"}),
        ("Katzen", {"Katzen", "Katze"}),
        ("Baum", {"Baum"}),  # no ending makes its plural
        ("Köter", {"Köter"}),
        ("3", {"3"}),
        ("alte Hund", {"alte Hund"}),
    ],
)
def test_forms_of_a_target_word(sides: Sides, word: str, forms: Tuple[str, ...]) -> None:
    found = target_forms(word, sides.association, profile_of("de"))
    assert found[0] == word
    assert set(found) == set(forms)


@pytest.mark.parametrize(
    ("trigger", "unwanted", "wanted", "forms"),
    [
        ("dog", "Hund", "Vierbeiner", (("Hunde", "Vierbeiner"),)),
        ("cat", "Katze", "Mieze", (("Katzen", "Miezen"),)),
        ("newspaper", "Zeitung", "Lesung", (("Zeitungen", "Lesungen"),)),
        ("bike", "Fahrrad", "Velo", (("Fahrräder", "Velos"),)),
        # Every form may be the one that the request has.
        ("cats", "Katzen", "Miezen", (("Katze", "Mieze"),)),
        # A genitive, or what the model took for one; the wanted word has no ending to take off.
        ("dog", "Hunds", "Akte", (("Hund", "Akte"), ("Hunde", "Akten"))),
        # What the training side has comes before a rule.
        ("dog", "Hund", "Frau", (("Hunde", "Frauen"),)),
        ("bike", "Fahrrad", "Schiff", (("Fahrräder", "Schiffe"),)),
        # What a rule makes of a form that goes with another source word is not carried.
        ("dog", "Katze", "Mieze", ()),
        # Several words, signs and numbers have none.
        ("dog", "Der Hund", "Der Köter", ()),
        ("dog", "Hund", "alter Köter", ()),
        ("dog", "", "Köter", ()),
        ("dog", "Hund", "", ()),
        ("dog", "3", "4", ()),
    ],
)
def test_other_forms(
    sides: Sides, trigger: str, unwanted: str, wanted: str, forms: Tuple[Tuple[str, str], ...]
) -> None:
    found = other_forms(unwanted, wanted, sides.forms(trigger), sides.association, profile_of("de"))
    assert found == forms


def test_a_form_never_takes_its_own_place(sides: Sides) -> None:
    singulars = {wort: noun for noun, _, wort, _, _ in NOUNS}
    found = {
        (wort, wanted): other_forms(wort, wanted, sides.forms(noun), sides.association, profile_of("de"))
        for wort, noun in singulars.items()
        for _, _, single, plural, _ in NOUNS
        for wanted in (single, plural)
        if wanted != wort
    }
    assert sum(map(bool, found.values())) > 100
    assert all(form not in (made, wort) for (wort, _), forms in found.items() for form, made in forms)


@pytest.mark.parametrize("language", ["zh", "ja"])
def test_no_forms_without_blanks(language: str) -> None:
    sides = sides_of("en", language, without_blanks(language))
    word = sides.association.target(0)[2:3]
    assert target_forms(word, sides.association, profile_of(language)) == (word,)
    assert other_forms(word, "茶", ("dog",), sides.association, profile_of(language)) == ()


@pytest.mark.parametrize(
    ("word", "other", "expected"),
    [
        ("Hund", "Hunde", True),
        ("Baum", "Bäume", True),
        ("Fahrrad", "Fahrräder", True),
        ("groß", "große", True),
        ("cheval", "chevaux", True),
        ("stark", "stärker", True),
        ("Hund", "Hund", False),
        ("Hund", "Katze", False),
        ("Hund", "hunde", False),
        ("Hund", "Hundehütte", False),
        ("das", "dass", True),
        ("der", "die", False),
        ("1990", "1991", False),
        ("茶道具", "茶道", False),
    ],
)
def test_akin(word: str, other: str, expected: bool) -> None:
    assert akin(word, other) is expected
