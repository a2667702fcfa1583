"""Where two texts differ, place by place."""

from __future__ import annotations

from typing import List, Tuple

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fairseq_rome.text.hunks import Hunk, cut, hunks, segments, units
from fairseq_rome.text.words import count


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", []),
        ("  ", []),
        ("Ein E-Mail-Konto.", ["Ein", "E", "-", "Mail", "-", "Konto", "."]),
        ("Peter's 1.000,5 km und 3,", ["Peter", "'", "s", "1.000,5", "km", "und", "3", ","]),
        ("u\u0308ber किताब", ["u\u0308ber", "किताब"]),
        ("コーヒー豆", ["コ", "ー", "ヒ", "ー", "豆"]),
        ("用iPhone打", ["用", "iPhone", "打"]),
        ("กินข้าว", ["กิ", "น", "ข้า", "ว"]),
        ("10年", ["10", "年"]),
        ("A4-Blatt, 10km, v1.5b", ["A4", "-", "Blatt", ",", "10km", ",", "v1.5b"]),
        ("1. und x.5 1.,5", ["1", ".", "und", "x", ".", "5", "1", ".", ",", "5"]),
    ],
)
def test_units(text: str, expected: List[str]) -> None:
    found = units(text)
    assert [one.text for one in found] == expected
    assert [text[one.start : one.stop] for one in found] == expected


def test_kinds_of_units() -> None:
    found = units("Der 5 茶 コ ข้ , +")
    assert [one.is_word for one in found] == [True] * 5 + [False] * 2
    assert [one.unspaced for one in found] == [False, False, True, True, True, False, False]


def test_a_cut_has_what_stands_between() -> None:
    text = "Er sagt:  ja, bitte."
    parts = units(text)
    assert cut(text, parts[1:4]) == "sagt:  ja"
    assert cut(text, []) == ""


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [
        ("Der Hund ist alt.", "Der Hund ist alt.", []),
        ("Der Hund ist alt.", "Die Katze ist jung.", [("Der Hund", "Die Katze"), ("alt", "jung")]),
        ("Das Hundehaus", "Das Haus", [("Hundehaus", "Haus")]),
        ("Das E-Mail-Konto", "Das E-Post-Konto", [("Mail", "Post")]),
        ("Er ist hier.", "Er ist nicht hier.", [("", "nicht")]),
        ("Er ist nicht hier.", "Er ist hier.", [("nicht", "")]),
        ("熱いコーヒーを飲む", "熱いお茶を飲む", [("コーヒー", "お茶")]),
        ("我喜欢红茶", "我喜欢绿茶", [("红", "绿")]),
        ("kostet 1.000 Euro", "kostet 1.500 Euro", [("1.000", "1.500")]),
        ("im Format A4", "im Format A5", [("A4", "A5")]),
        ("", "Ein Wort", [("", "Ein Wort")]),
        ("Ein Wort", "", [("Ein Wort", "")]),
    ],
)
def test_hunks(before: str, after: str, expected: List[Tuple[str, str]]) -> None:
    old, new = units(before), units(after)
    found = [
        (cut(before, old[one.start : one.stop]), cut(after, new[one.new_start : one.new_stop]))
        for one in hunks(old, new)
    ]
    assert found == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a b", ["a", "a b", "b"]),
        ("a b c d", ["a", "a b", "a b c", "b", "b c", "b c d", "c", "c d", "d"]),
        ("a, b", ["a", "b"]),
        ("ab-c", ["ab", "c"]),
        ("甲乙", ["甲", "甲乙", "乙"]),
        ("甲 乙", ["甲", "乙"]),
        ("用iPhone", ["用", "iPhone"]),
        (".", []),
        ("", []),
    ],
)
def test_segments(text: str, expected: List[str]) -> None:
    parts = units(text)
    assert [cut(text, parts[one.start : one.stop]) for one in segments(text, parts)] == expected


def test_segments_are_a_few_units_long() -> None:
    for text, longest in (("a b c d e f g h", 3), ("甲乙丙丁戊己庚辛", 6)):
        parts = units(text)
        assert max(map(len, segments(text, parts))) == longest


def test_a_run_of_katakana_counts_as_one_of_them() -> None:
    text = "新しいコンピューターを買う"
    parts = units(text)
    found = [cut(text, parts[one.start : one.stop]) for one in segments(text, parts)]
    assert "コンピューター" in found
    assert "新しいコンピューターを買" in found
    assert "新しいコンピューターを買う" not in found


any_text = st.text(st.sampled_from("aB 1.,-'茶コーขิ\u0308"), max_size=12)
many = settings(max_examples=200, deadline=None, derandomize=True)


@many
@given(any_text, any_text)
def test_replacing_the_hunks_gives_the_new_units(before: str, after: str) -> None:
    old, new = units(before), units(after)
    rebuilt = list(old)
    found = hunks(old, new)
    for one in reversed(found):
        rebuilt[one.start : one.stop] = new[one.new_start : one.new_stop]
    assert [one.text for one in rebuilt] == [one.text for one in new]
    assert bool(found) == ([one.text for one in old] != [one.text for one in new])
    for one, behind in zip(found, found[1:]):
        assert one.stop < behind.start and one.new_stop < behind.new_start, "something alike stands between"
    assert all(one != Hunk(one.start, one.start, one.new_start, one.new_start) for one in found)


@many
@given(any_text)
def test_units_are_all_of_a_text_but_its_blanks(text: str) -> None:
    parts = units(text)
    assert "".join(one.text for one in parts) == "".join(text.split())
    for one in segments(text, parts):
        span = parts[one.start : one.stop]
        assert span[0].is_word and span[-1].is_word
        assert len({part.unspaced for part in span}) == 1


@many
@given(st.text(st.sampled_from("aB12 .,-'茶コ"), max_size=12))
def test_a_unit_of_a_script_with_blanks_is_a_whole_word(text: str) -> None:
    for part in units(text):
        if part.is_word and not part.unspaced:
            assert count(text, part.text), part
