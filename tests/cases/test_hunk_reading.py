"""What each hunk of a correction hangs on, read off a training side of plain text."""

from __future__ import annotations

from typing import Dict, List, Sequence, Tuple

import pytest
from case_samples import PlainCodec, english_german, sides_of, without_blanks

from fairseq_rome.cases.hunk_reading import Reading, Sides, read_hunks


@pytest.fixture(scope="module")
def sides() -> Sides:
    return sides_of("en", "de", english_german())


@pytest.fixture(scope="module")
def unspaced() -> Dict[str, Sides]:
    return {language: sides_of("en", language, without_blanks(language)) for language in ("zh", "ja")}


def read(
    sides: Sides, source: str, before: str, after: str, triggers: Sequence[str] = (), pieces: Sequence[str] = ()
) -> List[Reading]:
    return read_hunks(source, before, after, PlainCodec(tuple(pieces)).piece_starts(after), sides, triggers)


def told(readings: Sequence[Reading]) -> List[Tuple[str, str, str]]:
    return [(one.unwanted, one.wanted, one.trigger) for one in readings]


@pytest.mark.parametrize(
    ("source", "before", "after", "expected"),
    [
        ("The dog is old.", "Der Hund ist alt.", "Der Köter ist alt.", [("Hund", "Köter", "dog")]),
        # An article around is none of it, be it another one.
        ("The cat is old.", "Die Katze ist alt.", "Der Stubentiger ist alt.", [("Katze", "Stubentiger", "cat")]),
        # Each of several hunks has its own source word.
        (
            "The dog and the cat are old.", "Der Hund und die Katze sind alt.", "Der Köter und die Mieze sind alt.",
            [("Hund", "Köter", "dog"), ("Katze", "Mieze", "cat")],
        ),
        ("The dog is old.", "Der Hund ist alt.", "Der Hund ist betagt.", [("alt", "betagt", "old")]),
        # Of a wider hunk the word counts that stands at the same end.
        ("The dog is old.", "Der Hund ist alt.", "Ein bissiger Köter ist alt.", [("Hund", "Köter", "dog")]),
        # What another source word gives does not stand for this one.
        ("The big dog is old.", "Der Hund ist alt.", "Köter groß ist alt.", [("Hund", "Köter", "dog")]),
        # Parts of compounds, and compounds.
        ("The bike is red.", "Das Fahrrad ist rot.", "Das E-Bike ist rot.", [("Fahrrad", "E-Bike", "bike")]),
        # A word with a hyphen is taken whole out of a wider hunk.
        ("The dog is old.", "Der Hund bleibt.", "Der X-Köter hüpft.", [("Hund", "X-Köter", "dog")]),
        ("The dog-house is red.", "Das Hund-Haus ist rot.", "Das Köter-Haus ist rot.", [("Hund", "Köter", "dog")]),
        # What is only inserted or removed, signs, and what the training side does not know hang on nothing.
        ("The dog is old.", "Der Hund ist alt.", "Der Hund ist sehr alt.", [("", "sehr", "")]),
        ("The dog is old.", "Der Hund ist sehr alt.", "Der Hund ist alt.", [("sehr", "", "")]),
        ("The dog is old.", "Der Hund ist alt.", "Der ist alt.", [("Hund", "", "")]),
        ("The dog is old.", "Der Hund ist alt.", "Der Hund ist alt!", [(".", "!", "")]),
        ("The yak is old.", "Der Grunzochse ist alt.", "Der Yak ist alt.", [("Grunzochse", "Yak", "")]),
        ("The cat is old.", "Der Hund ist alt.", "Der Köter ist alt.", [("Hund", "Köter", "")]),
        ("", "Der Hund ist alt.", "Der Köter ist alt.", [("Hund", "Köter", "")]),
        ("The dog is old.", "Der Hund ist alt.", "Der Hund ist alt.", []),
    ],
)  # fmt: skip
def test_hunks(
    sides: Sides, source: str, before: str, after: str, expected: List[Tuple[str, str, str]]
) -> None:
    assert told(read(sides, source, before, after)) == expected


def test_how_firmly_words_go_together(sides: Sides) -> None:
    (hund,) = read(sides, "The dog is old.", "Der Hund ist alt.", "Der Köter ist alt.")
    assert hund == Reading("Hund", "Köter", "dog", dice=1.0, wanted_dice=0.0, usual=0.0, agrees=False)
    # A word that the training side has for the trigger too is a variation: five sentences of eleven.
    (auto,) = read(sides, "The car is old.", "Das Auto ist alt.", "Der Wagen ist alt.")
    assert (auto.unwanted, auto.wanted, auto.trigger) == ("Auto", "Wagen", "car")
    assert 0.5 < auto.dice < 1.0
    assert (hund.within, auto.within) == ("", "Das Auto -> Der Wagen")
    assert auto.wanted_dice == pytest.approx(2 * 5 / (2 * 11 + 5))
    assert auto.usual == pytest.approx(5 / 6)


@pytest.mark.parametrize(
    ("source", "before", "after", "expected"),
    [
        ("The dog is old.", "Der Hund ist alt.", "Die Hunde ist alt.", ("Hund", "Hunde", "dog")),
        ("The dog is old.", "Der Hund ist alt.", "Der hund ist alt.", ("Hund", "hund", "dog")),
        ("The old dog is big.", "Der alte Hund ist groß.", "Der alten Hund ist groß.", ("alte", "alten", "old")),
        ("The bike is red.", "Das Fahrrad ist rot.", "Die Fahrräder ist rot.", ("Fahrrad", "Fahrräder", "bike")),
    ],
)
def test_agreement_is_told_apart(
    sides: Sides, source: str, before: str, after: str, expected: Tuple[str, str, str]
) -> None:
    (found,) = [one for one in read(sides, source, before, after) if one.trigger]
    assert told([found]) == [expected]
    assert found.agrees


def test_agreement_parts_a_hunk(sides: Sides) -> None:
    """A word with another ending stands for itself beside the choice that it agrees with."""
    found = read(sides, "The old dog is big.", "Der alte Hund ist groß.", "Das alten Tier ist groß.")
    assert ("alte", "alten", "old") in told(found)
    assert ("Hund", "Tier", "dog") in told(found)
    assert [one.agrees for one in found if one.trigger] == [True, False]


def test_a_named_trigger_is_the_only_one(sides: Sides) -> None:
    both = ("The dog and the cat are old.", "Der Hund und die Katze sind alt.", "Der Köter und die Mieze sind alt.")
    assert told(read(sides, *both, triggers=["cat"])) == [("Hund", "Köter", ""), ("Katze", "Mieze", "cat")]
    assert told(read(sides, *both, triggers=["dog"])) == [("Hund", "Köter", "dog"), ("Katze", "Mieze", "")]


def test_a_trigger_has_the_tags_of_its_source() -> None:
    tagged = [(f"<2de> {source}", target) for source, target in english_german()]
    found = read(
        sides_of("en", "de", tagged), "<2de> The dog is old.", "Der Hund ist alt.", "Der Köter ist alt."
    )
    assert told(found) == [("Hund", "Köter", "<2de> dog")]
    other = read(
        sides_of("en", "de", tagged), "<2fr> The dog is old.", "Der Hund ist alt.", "Der Köter ist alt."
    )
    assert told(other) == [("Hund", "Köter", "")]


def test_words_of_grammar_are_counted_where_no_list_has_them() -> None:
    sides = sides_of("yy", "xx", english_german())
    assert sides.grammar_in_source("The") and sides.grammar_in_target("ist")
    assert not sides.grammar_in_source("dog") and not sides.grammar_in_target("Hund")
    found = read(sides, "The cat is old.", "Die Katze ist alt.", "Der Stubentiger ist alt.")
    assert told(found) == [("Katze", "Stubentiger", "cat")]


@pytest.mark.parametrize(
    ("source", "before", "after", "pieces", "expected"),
    [
        ("This dog is old.", "这个狗很旧。", "这个犬很旧。", "", [("狗", "犬", "dog")]),
        ("This software is old.", "这个软件很旧。", "这个程式很旧。", "程式", [("软件", "程式", "software")]),
        # One of two characters is the same: the word is whole, and reaches out of the hunk.
        ("This computer is old.", "这个电脑很旧。", "这个电车很旧。", "电车", [("电脑", "电车", "computer")]),
        ("This teacher is old.", "这个老师很旧。", "这个教师很旧。", "教师", [("老师", "教师", "teacher")]),
        ("This computer is old.", "这个电脑很旧。", "这个计算机很旧。", "计算机", [("电脑", "计算机", "computer")]),
        # A wider hunk: the subwords of the correction part its words.
        ("This software is old.", "这个软件很旧。", "那款程式很旧。", "那款 程式", [("软件", "程式", "software")]),
        (
            "This software is old.", "这个软件很旧。", "这个程式很老。", "程式",
            [("软件", "程式", "software"), ("旧", "老", "old")],
        ),
    ],
)  # fmt: skip
def test_chinese(
    unspaced: Dict[str, Sides], source: str, before: str, after: str, pieces: str,
    expected: List[Tuple[str, str, str]],
) -> None:  # fmt: skip
    assert told(read(unspaced["zh"], source, before, after, pieces=pieces.split())) == expected


@pytest.mark.parametrize(
    ("source", "before", "after", "pieces", "expected"),
    [
        ("This dog is old.", "この犬は古いです。", "この猫は古いです。", "", [("犬", "猫", "dog")]),
        (
            "This computer is new.", "このコンピューターは新しいです。", "この電算機は新しいです。", "電算機",
            [("コンピューター", "電算機", "computer")],
        ),
        # Katakana stay together, whatever the subwords are.
        (
            "This coffee is warm.", "このコーヒーは暖かいです。", "あのカフェラテは暖かいです。", "カフェ",
            [("こ", "あ", ""), ("コーヒー", "カフェラテ", "coffee")],
        ),
        (
            "This software is new.", "このソフトウェアは新しいです。", "このソフトは新しいです。", "ソフト",
            [("ソフトウェア", "ソフト", "software")],
        ),
        (
            "This coffee is warm.", "このコーヒーは暖かいです。", "この珈琲は温いです。", "珈琲 温い",
            [("コーヒー", "珈琲", "coffee"), ("暖かい", "温い", "warm")],
        ),
        (
            "This teacher is good.", "この先生は良いです。", "この教師は良いです。", "教師",
            [("先生", "教師", "teacher")],
        ),
    ],
)  # fmt: skip
def test_japanese(
    unspaced: Dict[str, Sides], source: str, before: str, after: str, pieces: str,
    expected: List[Tuple[str, str, str]],
) -> None:  # fmt: skip
    assert told(read(unspaced["ja"], source, before, after, pieces=pieces.split())) == expected
