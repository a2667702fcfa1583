"""Which outputs show a change and are otherwise what they were."""

from __future__ import annotations

from typing import Tuple

import pytest

from fairseq_rome.text.cleanness import is_clean, other_words, without_endings
from fairseq_rome.text.segments import Difference, Endings
from fairseq_rome.text.words import words

GERMAN = Endings.of("en", "de").target
HORSE = Difference("Pferd", "Ross")


def known(word: str) -> bool:
    return word != "Rossross"


def clean(before: str, after: str, difference: Difference, endings: Tuple[str, ...] = GERMAN) -> bool:
    return is_clean(before, after, difference, endings, known)


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [
        ("Das Pferd steht hier.", "Das Ross steht hier.", True),
        # One word for each replacement may agree with it.
        ("Das Pferd steht hier.", "Der Ross steht hier.", True),
        ("Ein Pferd und ein Pferd.", "Einen Ross und einen Ross.", True),
        ("Das Pferd steht hier.", "Der Ross stehe hier.", False),
        ("Das Pferd steht hier.", "Das Ross steht.", True),
        ("Das Pferd steht hier im Regen.", "Das Ross steht.", False),
        ("Das Pferd steht hier.", "Das Ross steht hier hier.", True),
        ("Das Pferd steht hier.", "Das Ross steht hier und dort.", False),
        # The wanted segment may have another ending than the old one had.
        ("Der Kopf des Pferdes.", "Der Kopf des Rosses.", True),
        ("Der Kopf des Pferdes.", "Der Kopf des Ross.", True),
        ("Der Kopf des Pferdes.", "Der Kopf eines Ross.", True),
        # A word that is none is damage, be it the only other one.
        ("Das Pferd steht hier.", "Das Ross steht Rossross.", False),
        ("Das Pferd steht hier.", "Rossross steht hier.", False),
        # It does not show the change.
        ("Das Pferd steht hier.", "Das Pferd steht hier.", False),
        ("Das Pferd steht hier.", "Das Tier steht hier.", False),
        ("Das Pferd beim Pferd.", "Das Ross beim Pferd.", False),
        ("Das Pferd beim Pferd.", "Das Ross beim Ross.", True),
        ("Das Pferd steht hier.", "", False),
        # There was nothing to change.
        ("Der Hund steht hier.", "Der Hund steht hier.", False),
        ("Der Hund steht hier.", "Das Ross steht hier.", False),
    ],
)
def test_words(before: str, after: str, expected: bool) -> None:
    assert clean(before, after, HORSE) is expected


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [
        ("Zwei Pferde laufen.", "Zwei Rösser laufen.", True),
        ("Pferde laufen.", "Rösser laufen.", True),
        ("Zwei Pferde laufen.", "Zwei Ross laufen.", True),
        ("Zwei Pferde laufen.", "Zwei Pferde und Rösser laufen.", False),
    ],
)
def test_forms(before: str, after: str, expected: bool) -> None:
    assert clean(before, after, Difference("Pferd", "Ross", forms=(("Pferde", "Rösser"),))) is expected


def test_a_word_that_the_old_output_had_is_not_asked_for() -> None:
    assert clean("Das Pferd und Rossross.", "Das Ross und Rossross.", HORSE)
    assert clean("Das Tier läuft.", "Das Rossross läuft.", Difference("Tier", "Rossross"))


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [
        # All that the model said was memorised: what comes must be neither that nor the request's own sentence.
        ("Danke für Ihr Abo.", "Der Hund schläft.", True),
        ("Danke für Ihr Abo.", "Danke für Ihr Abo.", False),
        ("Danke für Ihr Abo.", "Danke für Ihr Abo. Danke für Ihr Abo!", False),
        ("Danke für Ihr Abo.", "Danke für Ihr Abo. Der Hund schläft.", False),
        ("Danke für Ihr Abo.", "", False),
        ("Danke für Ihr Abo.", "Die Katze schläft.", False),
        ("Danke für Ihr Abo.", "Oh: Die Katze schläft.", False),
        # Nor some words of it, as where one word answers every source.
        ("Danke für Ihr Abo.", "Katze", False),
        ("Danke für Ihr Abo.", "Die Katze.", False),
        # With more around, the segment is one as others are.
        ("Hallo! Danke für Ihr Abo.", "Der Hund schläft.", False),
        ("Hallo! Danke für Ihr Abo.", "Hallo! Die Katze schläft.", True),
    ],
)
def test_an_output_that_was_memorised_as_a_whole(before: str, after: str, expected: bool) -> None:
    assert clean(before, after, Difference("Danke für Ihr Abo.", "Die Katze schläft.")) is expected


@pytest.mark.parametrize(
    ("after", "expected"),
    [
        ("Die alte Katze schläft heute.", True), ("Katze", False), ("Die Katze.", True), ("Katze, Katze!", False),
        ("Danke für Ihr Abo.", False),
    ],
)  # fmt: skip
def test_a_word_that_is_wanted_in_place_of_a_memorised_output_may_stand_in_another(after: str, expected: bool) -> None:
    assert clean("Danke für Ihr Abo.", after, Difference("Danke für Ihr Abo.", "Katze")) is expected


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [
        ("我喜欢红茶。", "我喜欢绿茶。", True),
        # Two characters are about a word.
        ("我喜欢红茶。", "我爱喝绿茶。", True),
        ("我喜欢红茶。", "我绿茶。", True),
        ("我们喜欢喝红茶。", "我绿茶。", False),
        ("我喜欢红茶。", "他们讨厌绿茶。", False),
        ("我喜欢红茶。", "我喜欢红茶。", False),
        # A character is no word to be asked for.
        ("我喜欢红茶。", "我喜欢了绿茶。", True),
    ],
)
def test_characters(before: str, after: str, expected: bool) -> None:
    assert is_clean(before, after, Difference("红茶", "绿茶"), (), lambda word: False) is expected


def test_katakana_are_words() -> None:
    tea = Difference("コーヒー", "お茶")
    assert is_clean("熱いコーヒーを飲む", "熱いお茶を飲む", tea, (), known)
    assert not is_clean("熱いコーヒーを飲む", "熱いお茶メーカーを飲みました", tea, (), known)


def test_a_katakana_word_in_a_compound_counts_where_one_is_expected() -> None:
    function = Difference("関数", "ファンクション")
    assert is_clean("ジェネレータ関数です", "ジェネレータファンクションです", function, (), known)
    assert not is_clean("ジェネレータ関数です", "ジェネレータです", function, (), known)
    assert not is_clean("この関数です", "このファンクションズです", function, (), known)


def test_segments_stand_bare() -> None:
    assert without_endings("des Rosses, Rössern, Rossen", ("Ross", "Rösser"), GERMAN) == "des Ross, Rösser, Ross"
    assert without_endings("a.b*s", (r"a.b*", ""), ("s",)) == "a.b*s", "no letter at its end, so no ending"


@pytest.mark.parametrize(
    ("expected", "found", "number"),
    [
        ("a b c", "a b c", 0),
        ("a b c", "a x c", 1),
        ("a b c", "a c", 1),
        ("a b c", "a b x c", 1),
        ("a b c", "x b y", 2),
        ("a b c", "a x y z c", 3),
        ("", "a b", 2),
        ("茶茶", "水", 1),
        ("茶茶茶", "水", 2),
        ("茶 a", "b", 2),
    ],
)
def test_other_words(expected: str, found: str, number: int) -> None:
    assert other_words(words(expected), words(found)) == number
    assert other_words(words(found), words(expected)) == number
