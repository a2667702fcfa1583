"""Words, and whole segments, in scripts with blanks between words and in scripts without."""

from __future__ import annotations

from typing import Any, List, Sequence, Tuple, Union

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fairseq_rome.text.words import (
    contains_trigger,
    count,
    is_katakana,
    is_unspaced,
    mentions,
    pattern,
    those_with_trigger,
    words,
)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", []),
        ("Der E-Mail-Dienst geht's an.", ["Der", "E-Mail-Dienst", "geht's", "an", "."]),
        ("3,5 Mio. von 1.000", ["3,5", "Mio", ".", "von", "1.000"]),
        ("C++ (x)", ["C", "+", "+", "(", "x", ")"]),
        ("u\u0308ber किताब", ["u\u0308ber", "किताब"]),
        ("コーヒーメーカーを使う", ["コーヒーメーカー", "を", "使", "う"]),
        ("我用iPhone打电话。", ["我", "用", "iPhone", "打", "电", "话", "。"]),
        ("2024年", ["2024", "年"]),
        ("กินข้าว", ["กิ", "น", "ข้า", "ว"]),
        ("미국 여행", ["미국", "여행"]),
    ],
)
def test_words(text: str, expected: List[str]) -> None:
    assert words(text) == expected


@pytest.mark.parametrize(
    ("text", "unspaced", "katakana"),
    [
        ("茶", True, False),
        ("ひらがな", True, False),
        ("コーヒー", True, True),
        ("コーヒー豆", True, False),
        ("ข้าว", True, False),
        ("미국", False, False),
        ("tea", False, False),
    ],
)
def test_scripts(text: str, unspaced: bool, katakana: bool) -> None:
    assert is_unspaced(text) is unspaced
    assert is_katakana(text) is katakana


@pytest.mark.parametrize(
    ("text", "segments", "endings", "found"),
    [
        # A run of Katakana is one word, whatever else stands beside it.
        ("熱いコーヒーを飲む", "コーヒー", (), ["コーヒー"]),
        ("コーヒーメーカー", "コーヒー", (), []),
        ("アイスコーヒー", "コーヒー", (), []),
        ("カタカナと「カタカナ」", "カタカナ", (), ["カタカナ"] * 2),
        ("コーヒー豆とコーヒーメーカー", "コーヒー豆", (), ["コーヒー豆"]),
        # Among characters a segment may begin and end anywhere.
        ("我喜欢喝茶", "喝茶", (), ["喝茶"]),
        ("红茶和绿茶", "茶", (), ["茶", "茶"]),
        ("ひらがな", "らが", (), ["らが"]),
        # Letters of another script are words of their own beside them.
        ("我用iPhone打电话", "iPhone", (), ["iPhone"]),
        ("我用iPhones打电话", "iPhone", (), []),
        ("我用iPhones打电话", "iPhone", ("s",), ["iPhones"]),
        ("有2024年", "2024", (), ["2024"]),
        ("有12024年", "2024", (), []),
        ("AI芯片和OpenAI芯片", "AI芯片", (), ["AI芯片"]),
        # No ending stands behind a character.
        ("茶s", "茶", ("s",), ["茶"]),
        # A mark is a part of the letter before it.
        ("เขากินข้าวผัด", "ข้าว", (), ["ข้าว"]),
        ("ข้าว", "ข", (), []),
        ("ที่นี่", "นี", (), []),
        ("ที่นี่", "นี่", (), ["นี่"]),
        # Of several the longest that stands at a place.
        ("Bank am Ufer und Bank", ("Bank", "Bank am Ufer"), (), ["Bank am Ufer", "Bank"]),
        ("Sitzbänke, Bänke, Bank", ("Bank", "Bänke"), (), ["Bänke", "Bank"]),
        ("Der Hunde Hundes Hunden", "Hund", ("e", "es", "en"), ["Hunde", "Hundes", "Hunden"]),
        ("ein Hund  am\u00a0Ufer", "Hund am Ufer", (), ["Hund  am\u00a0Ufer"]),
        ("Hund am Ufers", "Hund am Ufer", ("s",), ["Hund am Ufers"]),
        ("Hunds am Ufer", "Hund am Ufer", ("s",), []),
        ("1,5 und 5 und 5,1", "5", (), ["5"]),
        ("[x]-[x]", "[x]", (), ["[x]", "[x]"]),
    ],
)
def test_segments_as_whole_words(
    text: str, segments: Union[str, Tuple[str, ...]], endings: Sequence[str], found: List[str]
) -> None:
    assert pattern(segments, endings).findall(text) == found
    assert count(text, segments, endings) == len(found)
    assert contains_trigger(text, segments, endings) is bool(found)


@pytest.mark.parametrize("segments", ["", " ", (), ("",), ("", " ")])
def test_nothing_stands_nowhere(segments: Union[str, Tuple[str, ...]]) -> None:
    assert count("ein Wort", segments) == 0


def test_an_empty_form_does_not_hide_another() -> None:
    assert count("ein Wort", ("", "Wort")) == 1


def test_a_trigger_stands_in_any_case_and_a_segment_in_its_own() -> None:
    assert contains_trigger("The BANKS are shut.", ("bank", "banks"))
    assert count("The BANKS are shut.", ("bank", "banks")) == 0


def test_where_a_source_mentions_a_trigger() -> None:
    found = mentions("Banks and a bank, no banker.", ("bank", "banks"))
    assert [match.span() for match in found] == [(0, 5), (12, 16)]
    assert not list(mentions("A bank.", ()))


@pytest.mark.parametrize("trigger", ["bank", ("bank", "banks"), "<2de> bank", ("<2de> bank", "shut"), ()])
def test_many_sources_are_searched_as_one_is(trigger: Any) -> None:
    sources = ["The BANKS are shut.", "<2de> A bank.", "<2fr> A bank.", "A bank's.", "Bankers.", ""]
    for endings in ((), ("s",)):
        wanted = [i for i, one in enumerate(sources) if contains_trigger(one, trigger, endings)]
        assert those_with_trigger(sources, trigger, endings) == wanted


def test_a_trigger_with_a_tag_is_of_one_direction() -> None:
    for text, expected in (("<2de> A bank.", True), ("<2fr> A bank.", False), ("A bank.", False)):
        assert contains_trigger(text, "<2de> bank") is expected, text


any_text = st.text(st.sampled_from("aB1 .,-'茶コーひขน\u0e49\u0308"), max_size=14)


@settings(max_examples=200, deadline=None, derandomize=True)
@given(any_text)
def test_words_are_all_of_a_text_but_its_blanks_and_each_stands_in_it(text: str) -> None:
    found = words(text)
    assert "".join(found) == "".join(text.split())
