"""Requests that ask for different things, told before anything is fitted."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, Dict, Optional, Sequence, Tuple

import pytest
import torch
from case_samples import PlainCodec, english_german, sides_of

from fairseq_rome.cases.case_settings import CaseSettings
from fairseq_rome.cases.contradictions import Claim, check_agreement, claim_of, noted
from fairseq_rome.cases.hunk_reading import Sides
from fairseq_rome.cases.understanding import understand
from fairseq_rome.errors import EditError
from fairseq_rome.host.decoding import Hypothesis
from fairseq_rome.text.replacements import Replacement
from fairseq_rome.text.requests import EditRequest
from fairseq_rome.text.segments import Difference, Endings

# A source, what the model says, and the target.
KÖTER = ("The dog is old.", "Der Hund ist alt.", "Der Köter ist alt.")
KÖTER_AGAIN = ("My dog is young.", "Mein Hund ist jung.", "Mein Köter ist jung.")
KÖTERS = ("The dogs are old.", "Die Hunde sind alt.", "Die Köter sind alt.")
VIERBEINER = ("My dog is young.", "Mein Hund ist jung.", "Mein Vierbeiner ist jung.")
MANY = ("The dogs are young.", "Die Hunde sind jung.", "Die Vierbeiner sind jung.")
BACK = ("My dog is young.", "Mein Köter ist jung.", "Mein Hund ist jung.")
ON = ("My dog is young.", "Mein Köter ist jung.", "Mein Vierbeiner ist jung.")
KATER = ("The cat is old.", "Der Hund ist alt.", "Der Kater ist alt.")
MEMORISED = ("The dog is old.", "Danke und bis bald.", "Der Hund ist alt.")
MEMORISED_AGAIN = ("The dog is big.", "Danke und bis bald.", "Der Hund ist groß.")
DOG = {"trigger": "dog"}

Sentence = Tuple[str, str, str]


@pytest.fixture(scope="module")
def sides() -> Sides:
    return sides_of("en", "de", english_german())


def request(sentence: Sentence, number: int, **fields: Any) -> EditRequest:
    source, _, target = sentence
    return EditRequest(source, target, id=str(number), origin=f"fixes.en:{number}", **fields)


def refusal(sides: Sides, *given: Tuple[Sentence, Dict[str, Any]], **settings: Any) -> Optional[str]:
    """What is said of requests that contradict one another; None if nothing is."""
    requests = [
        request(sentence, number, **fields) for number, (sentence, fields) in enumerate(given, start=1)
    ]
    before = [Hypothesis(said, torch.tensor([0]), 0.0) for (_, said, _), _ in given]
    chosen = [CaseSettings(**settings)] * len(given)
    codec: Any = PlainCodec()
    try:
        check_agreement(codec, requests, before, sides, chosen)
    except EditError as error:
        return str(error)
    return None


CONTRADICTORY = {
    "two words for one": (KÖTER, VIERBEINER, {}, "'Hund' -> 'Vierbeiner'", "'Hund' -> 'Köter'"),
    "in another form": (KÖTER, MANY, {}, "'Hunde' -> 'Vierbeiner'", "'Hund' -> 'Köter'"),
    "a circle": (KÖTER, BACK, DOG, "'Köter' -> 'Hund'", "'Hund' -> 'Köter'"),
    "a chain": (KÖTER, ON, DOG, "'Köter' -> 'Vierbeiner'", "'Hund' -> 'Köter'"),
    "case of the trigger": (
        KÖTER,
        VIERBEINER,
        {"trigger": "Dog"},
        "'Hund' -> 'Vierbeiner'",
        "'Hund' -> 'Köter'",
    ),
}


@pytest.mark.parametrize("case", CONTRADICTORY)
def test_what_is_carried_by_one_request_is_undone_by_another(sides: Sides, case: str) -> None:
    first, second, fields, asked, other = CONTRADICTORY[case]
    told = refusal(sides, (first, {}), (second, fields))
    assert told is not None
    assert told.startswith(f"request 2 (fixes.en:2) asks for {asked} where the source says '")
    assert (
        f"and request 1 (fixes.en:1) for {other} where the source says 'dog', both in other sentences" in told
    )
    assert "; expected one of them: take one out" in told


AGREEING = {
    "the same twice": [(KÖTER, {}), (KÖTER_AGAIN, {})],
    "the same in the plural": [(KÖTER, {}), (KÖTERS, {})],
    "another trigger": [(KÖTER, {}), (KATER, {"trigger": "cat"})],
    "a longer trigger": [(KÖTER, {}), (VIERBEINER, {"trigger": "My dog"})],
    "for its own sentence alone": [(KÖTER, {}), (BACK, {})],
    "outputs that are wrong as a whole": [(MEMORISED, DOG), (MEMORISED_AGAIN, DOG)],
    "one request": [(KÖTER, {})],
}


@pytest.mark.parametrize("case", AGREEING)
def test_what_is_no_contradiction(sides: Sides, case: str) -> None:
    assert refusal(sides, *AGREEING[case]) is None


@pytest.mark.parametrize("settings", [{"edit_contexts": 0}, {"edit_carry": "none"}])
def test_what_is_not_carried_contradicts_nothing(sides: Sides, settings: Dict[str, Any]) -> None:
    assert refusal(sides, (KÖTER, {}), (VIERBEINER, {}), **settings) is None


def test_without_the_condition_on_the_source_a_trigger_keeps_nothing_apart(sides: Sides) -> None:
    both = AGREEING["another trigger"]
    assert "'Hund' -> 'Kater'" in (refusal(sides, *both, edit_scope="target") or "")


def test_further_pairs_are_named(sides: Sides) -> None:
    told = refusal(sides, (KÖTER, {}), (VIERBEINER, {}), (KÖTER_AGAIN, {}), (KATER, {}))
    assert told is not None
    assert told.partition("; likewise ")[2].count(" and ") == 1


DIFFERENCE = Difference("Hund", "Köter", forms=(("Hunde", "Köter"),))
EARLIER = {
    "another word": Claim(
        "E", "A dog.", "Ein Hündchen.", Replacement(("dog",), Difference("Hund", "Hündchen"))
    ),
    "another target": Claim("E", "The  dog is old.", "Der alte Hund."),
    "its word is gone": Claim(
        "E", "The dog is old.", "Der Hund ist uralt.", Replacement(("old",), Difference("alt", "uralt"))
    ),
}
NO_NOTE = {
    "the same": Claim("E", "The dog is old.", "Der Köter ist alt.", Replacement("dog", DIFFERENCE)),
    "another word of the same source": Claim(
        "E", "The dog is old.", "Ein Hund ist alt.", Replacement(("old",), Difference("betagt", "alt"))
    ),
    "another source": Claim("E", "A dog.", "Ein Hund."),
    "sentences that were not kept": Claim("E", "", ""),
}


def notes(sides: Sides, earlier: Claim) -> Sequence[str]:
    """The notes on a request where the model has an earlier edit; of the case only what they hang on."""
    source, said, _ = KÖTER
    own, settings = request(KÖTER, 1), CaseSettings()
    codec: Any = PlainCodec()
    known = understand(codec, own, said, sides, settings)
    assert known is not None
    assert claim_of(own, said, known, settings).carried is not None
    from fairseq_rome.cases.case import Case

    none: Any = SimpleNamespace()
    case = Case(
        own, Hypothesis(said, torch.tensor([0]), 0.0), known.difference, known.trigger, none, (), (), (), frozenset(),
        Endings.of("en", "de"), ("first",), known.triggers, known.evidence,
    )  # fmt: skip
    first, *rest = noted(case, [earlier], settings).notes
    assert first == "first"
    return rest


@pytest.mark.parametrize("case", EARLIER)
def test_an_earlier_edit_that_a_request_corrects_is_named(sides: Sides, case: str) -> None:
    [note] = notes(sides, EARLIER[case])
    assert note.startswith("is to replace E: that asks for ")
    asked = (
        "'Hund' -> 'Köter' where the source says 'dog'"
        if case == "another word"
        else "'Der Köter ist alt.' of the"
    )
    assert f", this for {asked}" in note


@pytest.mark.parametrize("case", NO_NOTE)
def test_an_earlier_edit_that_agrees_gets_no_note(sides: Sides, case: str) -> None:
    assert not notes(sides, NO_NOTE[case])
