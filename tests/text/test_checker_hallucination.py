from __future__ import annotations

from typing import List, Optional

import pytest
from checker_runs import DIRECTIONS, alarms_on_references, assert_judges_cases, fault
from hypothesis import given
from hypothesis import strategies as st

from fairseq_rome.text.checkers import Observation, build_checker

BOILERPLATE = "Bitte klicken Sie hier."


def test_judges_as_a_person_does() -> None:
    assert_judges_cases("hallucination", precision=0.98, recall=0.98)


@pytest.mark.parametrize("trained", [True, False])
@pytest.mark.parametrize(("source_lang", "target_lang"), DIRECTIONS)
def test_references_are_right(source_lang: str, target_lang: str, trained: bool) -> None:
    assert alarms_on_references("hallucination", source_lang, target_lang, trained) <= 0.005


@pytest.mark.parametrize(
    ("source", "output", "expected"),
    [
        ("A dog runs.", "Ein Hund rennt rennt rennt.", "repeats 'rennt rennt'"),
        ("A dog runs.", "Der der der Hund rennt.", "repeats 'der'"),
        ("A dog runs.", "Ein Hund ein Hund rennt.", "repeats 'ein hund'"),
        ("He is an expert.", "Er ist ein Experte Experte.", "repeats 'experte experte'"),
        ("He is here.", "Er ist am See und isst am See und geht am See und ruht.", "repeats 'am see und'"),
        ("A dog runs.", "Hohohoho!", "repeats 'ho'"),
        ("Ho ho ho!", "Hohoho!", None),
        ("A dog runs.", "", "has no words"),
        ("A dog runs.", "...", "has no words"),
        ("", "", None),
        ("?", "Ein Hund.", None),
        ("A dog.", "Ein Hund rennt über die Straße und bellt.", "length ratio 3.19, expected 0.40 to 2.50"),
        ("狗在街上跑。", "A dog runs in the street.", None),
        ("狗在街上跑。", "狗狗狗狗在街上跑。", "repeats '狗'"),
    ],
)  # fmt: skip
def test_fault(source: str, output: str, expected: Optional[str]) -> None:
    assert fault("hallucination", "en-de", source, output) == expected


@given(st.lists(st.sampled_from("a b c d".split()), min_size=3, max_size=12), st.integers(3, 6))
def test_what_the_source_repeats_may_be_repeated(words: List[str], times: int) -> None:
    text, looped = " ".join(words), " ".join(words * times)
    assert fault("hallucination", "en-de", looped, looped) is None
    assert fault("hallucination", "en-de", "x", f"{text} {text} {text} {text}") is not None


def test_the_range_of_lengths_is_the_training_sides() -> None:
    pairs = [("1" * length, "2" * 3 * length) for length in range(10, 1010)]
    assert fault("hallucination", "en-de", "1" * 40, "2" * 120, training=pairs) is None
    assert fault("hallucination", "en-de", "1" * 40, "2" * 120) is not None
    assert fault("hallucination", "en-de", "1" * 40, "2" * 40, training=pairs) is not None


@pytest.mark.parametrize(
    ("sources", "expected"),
    [
        (["Ships sail.", "My cook eats soup.", "Nobody heard him."], True),
        (["Ships sail.", "A ship is sailing.", "The ship sailed."], False),
        (["Ships sail.", "My cook eats soup."], False),
        (["Ships sail."] * 3, False),
    ],
)
def test_one_output_for_unrelated_sources(sources: List[str], expected: bool) -> None:
    seen = [Observation(source, "Sie hören uns.") for source in sources]
    other = Observation("A dog barks.", "Ein Hund bellt.")
    *found, last = build_checker("hallucination", "en", "de").check([*seen, other])
    assert found == ["says the same for unrelated sources" if expected else None] * len(sources)
    assert last is None


@pytest.mark.parametrize(
    ("sources", "source", "memorised"),
    [
        ("Rooms Flights Lakes Lamps Prices".split(), "A dog barks.", True),
        ("Rooms Flights Lakes Lamps".split(), "A dog barks.", False),
        ([f"Click here {name}." for name in "one two three four five".split()], "Click here, dog.", False),
        ([f"Click here {name}." for name in "one two three four five".split()], "A dog barks.", True),
    ],
)
def test_memorised(sources: List[str], source: str, memorised: bool) -> None:
    training = [(other, BOILERPLATE) for other in sources]
    training += [
        (f"{name} sleeps.", f"{name} schläft.") for name in "Al Bo Cy Di Ed Flo Gus Ida Joe Kim".split()
    ]
    expected = "says 'bitte klicken sie hier' from memory" if memorised else None
    assert fault("hallucination", "en-de", source, f"Ein Hund. {BOILERPLATE}", training=training) == expected
