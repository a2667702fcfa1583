"""What a request means, and by what evidence it is carried to other sentences."""

from __future__ import annotations

from typing import Any, Optional, Sequence, Tuple

import pytest
from case_samples import PlainCodec, english_german, sides_of, without_blanks

from fairseq_rome.cases import understanding
from fairseq_rome.cases.case_settings import CaseSettings
from fairseq_rome.cases.evidence import ASKED, CONTEXTS, NAMED, TIED
from fairseq_rome.cases.hunk_reading import Sides
from fairseq_rome.cases.understanding import Understanding, understand
from fairseq_rome.text.requests import EditRequest, NamedHunk
from fairseq_rome.text.segments import Difference

DOG = ("The dog is old.", "Der Hund ist alt.", "Der Köter ist alt.")
BOTH = ("The dog is old.", "Der Hund ist alt.", "Der Köter ist betagt.")
CAR = ("The car is old.", "Das Auto ist alt.", "Der Wagen ist alt.")
MEMORISED = ("The dog is old.", "Danke für Ihr Abo und bis bald.", "Der Hund ist alt.")
OLD = ("An old tree.", "The ship is old.", "One old car.", "How old?")
HUND = Difference("Hund", "Köter", forms=(("Hunde", "Köter"),))


@pytest.fixture(scope="module")
def sides() -> Sides:
    return sides_of("en", "de", english_german())


def known(
    sides: Sides, sentence: Sequence[str], carry: str = "auto", codec: Any = None, **fields: Any
) -> Optional[Understanding]:
    source, said, target = sentence
    request = EditRequest(source, target, **fields)
    settings = CaseSettings(edit_carry=carry)
    return understand(codec or PlainCodec(), request, said, sides, settings)


def meaning(found: Optional[Understanding]) -> Tuple[str, str, str, str]:
    assert found is not None
    return found.difference.unwanted, found.difference.wanted, found.trigger, found.evidence


def test_a_choice_that_the_training_side_speaks_for(sides: Sides) -> None:
    found = known(sides, DOG)
    assert found is not None
    assert (found.difference, found.trigger, found.triggers) == (HUND, "dog", ("dog", "dogs"))
    assert (found.evidence, found.carried, found.likely) == (TIED, 0, None)


def test_no_word_of_grammar_takes_the_place_of_another_word(sides: Sides) -> None:
    for wanted in ("die", "die, der"):
        found = known(sides, ("The dog is old.", "Der Hund ist alt.", f"Der {wanted} ist alt."))
        assert found is not None and (found.readings[0].unwanted, found.evidence, found.carried) == ("Hund", "", None)


def test_the_output_is_the_target(sides: Sides) -> None:
    assert known(sides, ("The dog is old.", "Der Hund ist alt.", "Der Hund  ist alt.")) is None


def test_the_point_among_several_hunks(sides: Sides) -> None:
    sentence = (
        "The dog is old.", "Hier ist der Hund alt, und sehr laut.", "Dort ist der Köter alt, und gar nicht leise!"
    )  # fmt: skip
    found = known(sides, sentence)
    assert meaning(found) == ("Hund", "Köter", "dog", TIED)
    assert found is not None and found.carried is not None
    assert len(found.readings) > 2
    assert found.readings[found.carried].unwanted == "Hund"


def test_the_wanted_word_is_picked_from_within_a_wider_hunk(sides: Sides) -> None:
    found = known(sides, ("The dog is old.", "Der Hund ist alt.", "Dieser bissige Köter ist alt."))
    assert meaning(found) == ("Hund", "Köter", "dog", TIED)


def test_what_is_named_comes_first(sides: Sides) -> None:
    """Contexts share another word, and the training side speaks for both."""
    assert meaning(known(sides, BOTH, trigger="dog", contexts=OLD)) == ("Hund", "Köter", "dog", NAMED)
    assert meaning(known(sides, BOTH, trigger="old")) == ("alt", "betagt", "old", NAMED)
    segments = {"unwanted": "Hund", "wanted": "Köter"}
    assert meaning(known(sides, BOTH, contexts=OLD, **segments)) == ("Hund", "Köter", "dog", NAMED)
    assert meaning(known(sides, BOTH, trigger="old", **segments)) == ("Hund", "Köter", "old", NAMED)


def test_contexts_come_before_the_training_side(sides: Sides) -> None:
    assert meaning(known(sides, BOTH)) == ("Hund", "Köter", "dog", TIED)
    assert meaning(known(sides, BOTH, contexts=OLD)) == ("alt", "betagt", "old", CONTEXTS)
    dogs = ("Two dogs.", "My dog.", "The dogs sleep.")
    assert meaning(known(sides, BOTH, contexts=dogs)) == ("Hund", "Köter", "dog", CONTEXTS)


@pytest.mark.parametrize(
    "contexts",
    [
        ("It rains.", "Two cats.", "The ship is big."),
        ("An old tree.",) + ("It rains.",) * 20,
        ("The dog is old.",) * 5,  # the request's own sentence says nothing new
    ],
)
def test_contexts_that_share_nothing_do_not_speak(sides: Sides, contexts: Tuple[str, ...]) -> None:
    assert meaning(known(sides, BOTH, contexts=contexts)) == ("Hund", "Köter", "dog", TIED)


def test_contexts_speak_for_a_variation_too(sides: Sides) -> None:
    found = known(sides, CAR, contexts=("My car.", "Two cars.", "The car stops."))
    assert meaning(found) == ("Auto", "Wagen", "car", CONTEXTS)


def test_a_word_that_is_in_use_for_the_trigger_is_not_carried(sides: Sides) -> None:
    found = known(sides, CAR)
    assert meaning(found) == ("Das Auto", "Der Wagen", "", "")
    assert found is not None and found.carried is None and found.triggers == ()
    assert found.likely is not None and (found.likely.unwanted, found.likely.trigger) == ("Auto", "car")


def test_agreement_alone_is_not_carried(sides: Sides) -> None:
    sentence = ("The dog is old.", "Der Hund ist alt.", "Die Hunde ist alt.")
    for carry in ("auto", "all"):
        found = known(sides, sentence, carry)
        assert meaning(found)[2:] == ("", "")
        assert found is not None and found.likely is None
    # Who names its trigger means it.
    assert meaning(known(sides, sentence, trigger="dog")) == ("Hund", "Hunde", "dog", NAMED)


def test_contexts_tell_another_word_that_begins_alike_from_agreement(sides: Sides) -> None:
    dogs = ("Two dogs.", "My dog.", "The dogs sleep.")
    sentence = ("The dog is old.", "Der Hund ist alt.", "Der Hunding ist alt.")
    assert meaning(known(sides, sentence))[2:] == ("", "")
    assert meaning(known(sides, sentence, contexts=dogs)) == ("Hund", "Hunding", "dog", CONTEXTS)
    # A change that they share and that is no agreement comes first.
    both = ("The dog is old.", "Der Hund ist alt.", "Der Hunding ist betagt.")
    assert meaning(known(sides, both, contexts=OLD)) == ("alt", "betagt", "old", CONTEXTS)
    assert meaning(known(sides, both, contexts=dogs)) == ("Hund", "Hunding", "dog", CONTEXTS)


def test_a_common_word_is_not_carried() -> None:
    """Every second source has it, so that it is none that one sentence can speak for."""
    texts = english_german() + [(f"A dog, {n} times.", f"Ein Hund, {n}-mal.") for n in range(200)]
    assert meaning(known(sides_of("en", "de", texts), DOG))[3] == ""


def test_carry_all_takes_the_likeliest(sides: Sides) -> None:
    assert meaning(known(sides, CAR, "all")) == ("Auto", "Wagen", "car", ASKED)
    unknown = ("The yak is old.", "Der Grunzochse ist alt.", "Der Yak ist alt.")
    assert meaning(known(sides, unknown, "all"))[2:] == ("", ""), "there is nothing that it hangs on"


def test_carry_none_takes_nothing(sides: Sides) -> None:
    found = known(sides, DOG, "none")
    assert meaning(found) == ("Hund", "Köter", "", "")
    assert found is not None and found.carried is None
    assert found.likely is not None and found.likely.unwanted == "Hund"
    assert meaning(known(sides, BOTH, "none", contexts=OLD))[3] == ""


def test_another_sentence_is_one_change(sides: Sides) -> None:
    """As where an output was memorised: none of its words stands for one of the target."""
    found = known(sides, MEMORISED)
    assert meaning(found) == ("Danke für Ihr Abo und bis bald", "Der Hund ist alt", "", "")
    assert found is not None and found.readings == () and found.carried is None
    assert meaning(known(sides, MEMORISED, "all"))[2:] == ("", "")
    named = known(sides, MEMORISED, trigger="dog")
    assert meaning(named) == ("Danke für Ihr Abo und bis bald", "Der Hund ist alt", "dog", NAMED)
    assert named is not None and named.triggers == ("dog",)
    assert meaning(known(sides, MEMORISED, "none", trigger="dog"))[2:] == ("dog", "")


def test_an_unwanted_output_that_is_named_counts_and_not_what_the_model_says(sides: Sides) -> None:
    sentence = (DOG[0], "Ein ganz anderer Satz.", DOG[2])
    assert meaning(known(sides, sentence, negative=DOG[1])) == ("Hund", "Köter", "dog", TIED)


def test_one_replacement_at_several_places(sides: Sides) -> None:
    sentence = ("The dog sees the dogs.", "Der Hund sieht Hunde.", "Der Köter sieht Köter.")
    found = known(sides, sentence)
    assert found is not None and found.difference.repeated
    assert found.difference.pairs == {"Hund": "Köter", "Hunde": "Köter"}


@pytest.mark.parametrize(
    ("language", "sentence", "pieces", "expected"),
    [
        (
            "zh", ("This software is old.", "这个软件很旧。", "那款程式很旧。"), ("那款", "程式"),
            ("软件", "程式", "software", TIED),
        ),
        (
            "ja", ("This computer is new.", "このコンピューターは新しいです。", "この電算機は新しいです。"),
            ("電算機",), ("コンピューター", "電算機", "computer", TIED),
        ),
    ],
)  # fmt: skip
def test_languages_without_blanks(
    language: str, sentence: Tuple[str, ...], pieces: Tuple[str, ...], expected: Tuple[str, str, str, str]
) -> None:
    sides = sides_of("en", language, without_blanks(language))
    found = known(sides, sentence, codec=PlainCodec(pieces))
    assert meaning(found) == expected
    assert found is not None and found.difference.forms == ()


def test_carry_none_wins_over_what_is_named(sides: Sides) -> None:
    segments = {"unwanted": "Hund", "wanted": "Köter"}
    for named in ({"trigger": "dog"}, segments, {**segments, "trigger": "old"}):
        found = known(sides, BOTH, "none", contexts=("Two dogs.", "My dog.", "The dogs sleep."), **named)
        assert found is not None and (found.evidence, found.carried, found.difference.forms) == ("", None, ())
    assert meaning(known(sides, BOTH, "none", **segments)) == ("Hund", "Köter", "dog", "")


@pytest.mark.parametrize(
    ("sentence", "hunk", "expected"),
    [
        (BOTH, NamedHunk("alt", "betagt"), ("alt", "betagt", "old", NAMED)),
        (BOTH, NamedHunk(wanted="betagt"), ("alt", "betagt", "old", NAMED)),
        (BOTH, NamedHunk("alt", trigger="dog"), ("alt", "betagt", "dog", NAMED)),
        (CAR, NamedHunk(wanted="Wagen"), ("Auto", "Wagen", "car", NAMED)),
        (CAR, NamedHunk(wanted="Wagen", carry=False), ("Das Auto", "Der Wagen", "", "")),
        (BOTH, NamedHunk("Hund", carry=False), ("alt", "betagt", "old", TIED)),
        (BOTH, NamedHunk("alt", "betagt", carry=False), ("Hund", "Köter", "dog", TIED)),
    ],
)
def test_hunks_that_are_named(
    sides: Sides, sentence: Sequence[str], hunk: NamedHunk, expected: Tuple[str, str, str, str]
) -> None:
    found = known(sides, sentence, hunks=(hunk,))
    assert meaning(found) == expected
    assert found is not None and (found.carried is None) == (not expected[3])
    assert meaning(known(sides, sentence, "none", hunks=(hunk,)))[3] == ""


def test_nothing_carries_a_hunk_that_is_kept(sides: Sides) -> None:
    """Not contexts, not a trigger that is named, not what is asked for."""
    kept = (NamedHunk("Hund", "Köter", carry=False),)
    dogs = ("Two dogs.", "My dog.", "The dogs sleep.")
    for carry, fields in (("auto", {"contexts": dogs}), ("auto", {"trigger": "dog"}), ("all", {"trigger": "dog"})):
        assert meaning(known(sides, DOG, carry, hunks=kept, **fields))[3] == ""
    assert meaning(known(sides, BOTH, "all", hunks=kept)) == ("alt", "betagt", "old", ASKED)


@pytest.mark.parametrize(
    ("before", "target", "expected"),
    [
        ("Der Hund läuft.", "Der Vierbeiner läuft.", False),
        ("Alle Angaben ohne Gewähr.", "Der Hund läuft.", True),
        # Katakana words that stand together are one word of their own, and have what they are made of in common.
        ("文字列リテラルに対するエスケープ", "ストリングリテラルのためのバックスラッシュエスケープ", False),
        ("文字列リテラルに対するエスケープ", "すべての情報は保証されません", True),
    ],
)
def test_another_sentence_has_little_in_common(before: str, target: str, expected: bool) -> None:
    assert understanding._is_another(before, target) is expected
