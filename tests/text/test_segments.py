from __future__ import annotations

from typing import Optional, Sequence, Tuple

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fairseq_rome.text.segments import Difference, Endings, changed_spans, compare, correct, holds, is_whole
from fairseq_rome.text.words import contains_trigger, count

GERMAN = Endings.of("en", "de").target
IN_HINDI = ("मेरी किताब नई है", "मेरा किताबघर नया है")


@pytest.mark.parametrize(
    ("before", "after", "unwanted", "wanted"),
    [
        ("Die Bank ist alt.", "Das Ufer ist alt.", "Die Bank", "Das Ufer"),
        ("an der Bank sitzen", "an dem Ufer sitzen", "der Bank", "dem Ufer"),
        ("Er ist hier.", "Er ist nicht hier.", "", "nicht"),
        ("Alle Angaben ohne Gewähr. Er liest.", "Er liest.", "Alle Angaben ohne Gewähr.", ""),
        ("Er kommt.", "Er kommt!", ".", "!"),
        ("Er kommt, heute", "Er kommt heute", ",", ""),
        ("kostet 1,000 Euro", "kostet 1.000 Euro", "1,000", "1.000"),
        ("um 9:30 Uhr", "um 9:45 Uhr", "30", "45"),
        ("das Haus", "die Häuser", "das Haus", "die Häuser"),
        ("eine Bank dort", "eine Sitzbank dort", "Bank", "Sitzbank"),
        ("eine Sitzbank dort", "eine Bank dort", "Sitzbank", "Bank"),
        ("an einer Bank", "an einer Bank am Ufer", "", "am Ufer"),
        ("das E-Mail ist da", "die E-Mail ist da", "das", "die"),
        ("Das E-Mail-Konto", "Das E-Post-Konto", "E-Mail-Konto", "E-Post-Konto"),
        ("Peter's Hund", "Peters Hund", "Peter's", "Peters"),
        ("C++ (alt) [x] $5 a.b* ^", "C# (alt) [x] $5 a.b* ^", "++", "#"),
        ("straße und fluß", "straße und bach", "fluß", "bach"),
        ("kostet 10 % mehr", "kostet 10% mehr", "10 %", "10%"),
        ("我 喜歡 茶", "我 喜歡 水", "茶", "水"),
        ("a b", "b a", "a b", "b a"),
        ("", "ein Wort", "", "ein Wort"),
        ("ein Wort", "", "ein Wort", ""),
        ("u\u0308ber die Bru\u0308cke", "u\u0308ber den Fluss", "die Bru\u0308cke", "den Fluss"),
        (*IN_HINDI, *IN_HINDI),
    ],
)
def test_compare(before: str, after: str, unwanted: str, wanted: str) -> None:
    if before == IN_HINDI[0]:  # several words, the last one shared; letters with vowel signs stay whole
        unwanted, wanted = unwanted[: -len(" है")], wanted[: -len(" है")]
    found = compare(before, after)
    assert found == Difference(unwanted, wanted)
    assert holds(after, after, found)
    assert not holds(before, after, found)


@pytest.mark.parametrize("text", ["", "Ein Satz.", "10\u00a0%"])
def test_equal_texts_have_no_difference(text: str) -> None:
    assert compare(text, text) is None
    assert compare(f"{text}  ", " " + text.replace("\u00a0", "  ")) is None


def test_one_replacement_at_several_places() -> None:
    found = compare("Die Bank und die Bank.", "Die Sitzbank und die Sitzbank.")
    assert found == Difference("Bank", "Sitzbank", repeated=True)
    assert not holds("Die Sitzbank und die Bank.", "Die Sitzbank und die Sitzbank.", found)
    found = compare("ein Hund, eine Katze, ein Tier", "ein Wolf, eine Katze, ein Wesen")
    assert found == Difference("Hund, eine Katze, ein Tier", "Wolf, eine Katze, ein Wesen")


@pytest.mark.parametrize(
    ("unwanted", "wanted", "expected"),
    [
        ("Bank", "Ufer", True),
        ("1,000", "1.000", True),
        ("Peter's", "E-Mail", True),
        ("Bru\u0308cke", "किताब", True),
        ("der Bank", "Ufer", False),
        ("Bank", "dem Ufer", False),
        ("", "Ufer", False),
        ("Bank", "", False),
    ],
)
def test_lexical(unwanted: str, wanted: str, expected: bool) -> None:
    assert Difference(unwanted, wanted).lexical is expected


@pytest.mark.parametrize(
    ("text", "segment", "endings", "expected"),
    [
        ("Bank, Bank und Bänke", "Bank", (), 2),
        ("Sitzbank Bankhaus Bank_x", "Bank", (), 0),
        ("Banken, Bank", "Bank", GERMAN, 2),
        ("Bankern", "Bank", GERMAN, 0),
        ("Kindes Kinder Kindern", "Kind", GERMAN, 2),
        ("1,000 1.000 11.000", "1.000", (), 1),
        ("1.000.000 und 21.000 und 1.000.", "1.000", (), 1),
        ("3,5 und 5,3 und 5's und 5", "5", (), 2),
        ("sind es 5, oder .5", "5", (), 2),
        ("a.b* axb*", "a.b*", (), 1),
        ("(x) [x] $5 ^ C++", "C++", (), 1),
        ("(x) [x] $5 ^ C++", "[x]", (), 1),
        ("er sagt: hm .", "hm.", (), 0),
        ("am\u00a0Ufer  entlang", "am Ufer entlang", (), 1),
        ("STRASSE Straße", "Straße", (), 1),
        ("Bru\u0308cke", "Bru", (), 0),
        ("किताबें किताब", "किताब", (), 1),
        ("Bank", "", (), 0),
        ("Bank Bank", " ", (), 0),
        ("", "Bank", (), 0),
    ],
)
def test_count(text: str, segment: str, endings: Sequence[str], expected: int) -> None:
    assert count(text, segment, endings) == expected


@pytest.mark.parametrize(
    ("source", "trigger", "endings", "expected"),
    [
        ("The River Bank is old.", "river bank", (), True),
        ("The river banks are old.", "river bank", (), False),
        ("The river banks are old.", "river bank", ("s",), True),
        ("The riverbank is old.", "bank", (), False),
        ("It costs 10,000 dollars.", "10", (), False),
        ("It costs 10,000 dollars.", "10,000 dollars", (), True),
        ("Is it a C++ book?", "c++", (), True),
        ("ÜBER DEN FLUSS", "über", (), True),
        ("The bank.", "bank.", ("s",), True),
    ],
)
def test_trigger(source: str, trigger: str, endings: Sequence[str], expected: bool) -> None:
    assert contains_trigger(source, trigger, endings) is expected


@pytest.mark.parametrize(
    ("output", "unwanted", "wanted", "expected"),
    [
        ("Die Assistenten warten.", "Assistent", "Student", "Die Studenten warten."),
        ("Der Rand des Parks.", "Park", "Garten", "Der Rand des Gartens."),
        ("Neben den Wegen.", "Weg", "Pfad", "Neben den Pfaden."),
        ("Bank und Sitzbank und Bank", "Bank", "Ufer", "Ufer und Sitzbank und Ufer"),
        ("Er kommt.", "Bank", "Ufer", None),
        ("Er kommt.", "", "heute", None),
        ("Sie läutet und läutet.", "und läutet", "", "Sie läutet."),
        # What is left of something that is said over and over may be said twice again.
        ("Sie läutet und läutet und läutet.", "läutet und läutet", "läutet", "Sie läutet."),
        ("Sehr gut, sehr sehr sehr sehr gut.", "sehr sehr", "sehr", "Sehr gut, sehr gut."),
        ("Er liest. Alle Angaben ohne Gewähr.", "Alle Angaben ohne Gewähr.", "", "Er liest."),
        ("Bitte, komm heim.", "Bitte,", "", "komm heim."),
        ("Er sagt „Bitte komm“.", "Bitte", "", "Er sagt „komm“."),
        ("Zwei Autos fahren.", "Auto", "", "Zwei fahren."),
        ("kostet $5", "$5", r"\g<0> \1", r"kostet \g<0> \1"),
        ("kostet 1.000.000 Euro", "1.000", "2.000", None),
    ],
)
def test_correct(output: str, unwanted: str, wanted: str, expected: Optional[str]) -> None:
    assert correct(output, Difference(unwanted, wanted), GERMAN) == expected


@pytest.mark.parametrize(
    ("output", "target", "segments", "expected"),
    [
        ("Ein Ufer.", "Das Ufer.", ("Bank", "Ufer"), True),
        ("An den Ufern.", "Das Ufer.", ("Bank", "Ufer"), True),
        ("Die Bank am Ufer.", "Das Ufer.", ("Bank", "Ufer"), False),
        ("Die Banken am Ufer.", "Das Ufer.", ("Bank", "Ufer"), False),
        ("Ein Satz.", "Das Ufer.", ("Bank", "Ufer"), False),
        # The target may say the unwanted segment elsewhere, but not more often.
        ("Das Ufer bei der Bank.", "Das Ufer an der Bank.", ("Bank", "Ufer"), True),
        ("Ufer, Bank und Bank.", "Das Ufer an der Bank.", ("Bank", "Ufer"), False),
        # One segment in the other.
        ("Die Bank am Ufer.", "Die Bank am Ufer.", ("Bank", "Bank am Ufer"), True),
        ("Die Bank und die Bank am Ufer.", "Die Bank am Ufer.", ("Bank", "Bank am Ufer"), False),
        ("Die Banken.", "Die Banken.", ("Bank", "Banken"), True),
        ("Die Bank.", "Die Banken.", ("Bank", "Banken"), False),
        ("Sie läutet.", "Sie läutet.", ("läutet und läutet", "läutet"), True),
        ("Sie läutet und läutet.", "Sie läutet.", ("läutet und läutet", "läutet"), False),
        ("x A B C y", "x B C y", ("A B", "B C"), False),
        # Only more, only less.
        ("Er ist nicht da.", "Er ist nicht da.", ("", "nicht"), True),
        ("Er ist da.", "Er ist nicht da.", ("", "nicht"), False),
        ("Nicht, nicht.", "nicht nicht", ("", "nicht"), False),
        ("Er geht.", "Er geht.", ("ohne Gewähr", ""), True),
        ("Er geht ohne Gewähr.", "Er geht.", ("ohne Gewähr", ""), False),
        ("1.000.000 Euro", "1.000 Euro", ("1,000", "1.000"), False),
        ("", "Er geht.", ("Er", ""), True),
    ],
)
def test_holds(output: str, target: str, segments: Tuple[str, str], expected: bool) -> None:
    assert holds(output, target, Difference(*segments), GERMAN) is expected


HUND = Difference("Hund", "Köter", forms=(("Hunde", "Köter"), ("Hunden", "Kötern")))
BANK = Difference("bank", "shore", forms=(("banks", "shores"),))


def test_pairs_have_every_form_also_at_the_beginning_of_a_sentence() -> None:
    assert BANK.pairs == {"bank": "shore", "Bank": "Shore", "banks": "shores", "Banks": "Shores"}
    assert BANK.unwanted_forms == ("bank", "Bank", "banks", "Banks")
    assert BANK.wanted_forms == ("shore", "Shore", "shores", "Shores")
    assert HUND.pairs == {"Hund": "Köter", "Hunde": "Köter", "Hunden": "Kötern"}
    assert HUND.wanted_forms == ("Köter", "Kötern")
    assert Difference("", "nicht").pairs == {"": "nicht"}
    assert Difference("茶", "水").pairs == {"茶": "水"}
    # What is named first stands for a form; one that the pair has in capitals is its own.
    assert Difference("a", "b", forms=(("A", "c"), ("a", "d"))).pairs == {"a": "b", "A": "B"}


@pytest.mark.parametrize(
    ("output", "difference", "endings", "expected"),
    [
        ("The banks of a bank.", BANK, (), "The shores of a shore."),
        ("Banks are old. Bank!", BANK, (), "Shores are old. Shore!"),
        ("BANKS", BANK, (), None),
        ("Hunde und ein Hund bei Hunden", HUND, (), "Köter und ein Köter bei Kötern"),
        # An ending that makes a form which is known belongs to it; another one goes behind the nearest form.
        ("mit den Hunden", HUND, ("en", "e"), "mit den Kötern"),
        ("des Hundes", HUND, ("es", "s"), "des Köters"),
        ("des Hundens", HUND, ("s",), "des Köterns"),
        ("des Hundes", HUND, (), None),
        ("im Hundehaus", HUND, ("e",), None),
        ("am  Ufer der Bank", Difference("Ufer der Bank", "Strand"), (), "am  Strand"),
        ("am Ufer  der Bank", Difference("Ufer der Bank", "Strand"), (), "am Strand"),
        ("Bank, Banken", Difference("Bank", "", forms=(("Banken", ""),)), (), ","),
    ],
)
def test_correct_with_forms(
    output: str, difference: Difference, endings: Sequence[str], expected: Optional[str]
) -> None:
    assert correct(output, difference, endings) == expected
    if expected is not None:
        assert holds(expected, expected, difference, endings)
        assert not holds(output, expected, difference, endings)


@pytest.mark.parametrize(
    ("output", "target", "difference", "expected"),
    [
        ("The shores.", "A shore.", BANK, True),
        ("Shores lie there.", "A shore.", BANK, True),
        ("The shores of the bank.", "A shore.", BANK, False),
        ("Shores and Banks.", "A shore.", BANK, False),
        ("Banks.", "A shore.", BANK, False),
        ("Shores and Banks.", "A shore of banks.", BANK, True),
        ("SHORES", "A shore.", BANK, False),
        # One form within another segment is no fault.
        ("Ein Hund am Ufer", "Ein Hund am Ufer", Difference("Hund", "Hund am Ufer", forms=(("Hunde", "Hunde"),)), True),
    ],
)
def test_holds_with_forms(output: str, target: str, difference: Difference, expected: bool) -> None:
    assert holds(output, target, difference) is expected


@pytest.mark.parametrize(
    ("output", "difference", "endings", "expected"),
    [
        ("Danke für Ihr Abo.", Difference("Danke für Ihr Abo.", "Er schläft."), (), True),
        ("  Danke für Ihr  Abo. ", Difference("Danke für Ihr Abo.", "Er schläft."), (), True),
        ("Danke für Ihr Abo. Danke für Ihr Abo.", Difference("Danke für Ihr Abo.", "Er schläft."), (), True),
        ("Danke für Ihr Abo.", Difference("Danke für Ihr Abo", "Er schläft"), (), True),
        ("Danke für Ihr Abo. Ja.", Difference("Danke für Ihr Abo.", "Er schläft."), (), False),
        ("Bitte!", Difference("bitte", "gern"), (), True),
        ("Hunde!", HUND, (), True),
        ("Hundes!", HUND, (), False),
        ("Hundes!", HUND, ("es",), True),
        ("Er ist da.", Difference("", "nicht"), (), False),
        ("", Difference("Hund", "Köter"), (), True),
        ("谢谢订阅。", Difference("谢谢订阅", "他睡"), (), True),
        ("谢谢订阅了。", Difference("谢谢订阅", "他睡"), (), False),
    ],
)
def test_is_whole(output: str, difference: Difference, endings: Sequence[str], expected: bool) -> None:
    assert is_whole(output, difference, endings) is expected


def test_endings_of_unknown_languages() -> None:
    assert Endings.of("xx", "yy") == Endings((), ())
    assert Endings.of("en", "de") == Endings(("s", "es"), GERMAN)


few_words = st.lists(st.sampled_from(["a", "b", "A", "1,0", "1", "ü", ".", "+"]), max_size=7).map(" ".join)
any_text = st.text(st.sampled_from("aAüß1 .,-'+*(\u0308\u00a0\u200dकि茶_"), max_size=12)
many = settings(max_examples=300, deadline=None, derandomize=True)


@many
@given(st.one_of(few_words, any_text), st.one_of(few_words, any_text))
def test_the_target_always_holds_and_the_fault_never(before: str, target: str) -> None:
    found = compare(before, target)
    if found is None:
        assert before.split() == target.split()
        return
    assert holds(target, target, found)
    assert not holds(before, target, found)
    if found.unwanted:
        corrected = correct(before, found)
        assert corrected is not None
        assert found.wanted in corrected


tokens = st.lists(st.integers(0, 4), max_size=12)


@many
@given(tokens, tokens)
def test_changed_spans_rebuild_the_new_tokens(before: list, after: list) -> None:
    rebuilt, done = [], 0
    for start, stop, old, _ in changed_spans(before, after):
        kept = start - len(rebuilt)
        rebuilt += before[old - kept : old] + after[start:stop]
        done = stop
    rebuilt += before[len(before) - (len(after) - done) :] if len(after) > done else []
    assert rebuilt == after
    assert bool(changed_spans(before, after)) == (before != after)
