"""The same change in several requests of a file, as evidence for carrying it."""

from __future__ import annotations

from typing import Any, List, Optional, Sequence, Tuple

import pytest
from case_samples import PlainCodec, english_german, sides_of

from fairseq_rome.cases.case_settings import CaseSettings
from fairseq_rome.cases.evidence import CONTEXTS, NAMED, REQUESTS, TIED
from fairseq_rome.cases.hunk_reading import Reading, Sides
from fairseq_rome.cases.same_changes import SameChanges
from fairseq_rome.cases.understanding import same_changes, understand
from fairseq_rome.text.requests import EditRequest

CAR = ("The car is old.", "Das Auto ist alt.", "Der Wagen ist alt.")
CARS = ("The cars are new.", "Die Autos sind neu.", "Die Wagen sind neu.")
BOTH = ("The dog and the car are red.", "Der Hund und das Auto sind rot.", "Der Köter und der Wagen sind rot.")
REDDISH = ("The car is red.", "Das Auto ist rot.", "Das Auto ist rötlich.")
Sentence = Tuple[str, str, str]


@pytest.fixture(scope="module")
def sides() -> Sides:
    return sides_of("en", "de", english_german())


def evidence(
    sides: Sides, file: Sequence[Sentence], settings: Optional[List[CaseSettings]] = None, **first: Any
) -> List[Tuple[str, str]]:
    """What is carried of each request of a file, and why; the first has more fields."""
    requests = [EditRequest(*file[0][::2], **first), *(EditRequest(one[0], one[2]) for one in file[1:])]
    said = [one[1] for one in file]
    chosen = settings or [CaseSettings()] * len(file)
    same = same_changes(PlainCodec(), requests, said, sides, chosen)  # type: ignore[arg-type]
    codec: Any = PlainCodec()
    found = []
    for request, text, own in zip(requests, said, chosen):
        known = understand(codec, request, text, sides, own, same)
        assert known is not None
        found.append((known.difference.unwanted if known.evidence else "", known.evidence))
    return found


TWO, THREE = REQUESTS.format(2), REQUESTS.format(3)
FILES = {
    "one request": ([CAR], [("", "")]),
    "a plural": ([CAR, CARS], [("Auto", TWO), ("Autos", TWO)]),
    "one of several hunks": ([CAR, BOTH], [("Auto", TWO), ("Auto", TWO)]),
    "three": ([CAR, CARS, BOTH], [("Auto", THREE), ("Autos", THREE), ("Auto", THREE)]),
    "one sentence twice": ([CAR, CAR], [("", ""), ("", "")]),
    "another wanted word": ([CAR, (CARS[0], CARS[1], "Die Karren sind neu.")], [("", ""), ("Autos", TIED)]),
    "another trigger": (
        [("The tree is old.", "Der Baum ist alt.", "Der Wagen ist alt."), CAR], [("Baum", TIED), ("", "")]
    ),
    "agreement": (
        [("The dog is old.", "Der Hund ist alt.", "Der Hunde ist alt."),
         ("The dog is new.", "Der Hund ist neu.", "Der Hunde ist neu.")],
        [("", ""), ("", "")],
    ),
    "another sentence": (
        [CAR, ("A car, and more.", "Das Auto ist weg, danke für Ihr Abo und bis bald.", "Ein Wagen, mehr.")],
        [("", ""), ("", "")],
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", FILES)
def test_what_requests_of_a_file_say_of_one_another(sides: Sides, name: str) -> None:
    file, expected = FILES[name]
    assert evidence(sides, file) == expected


def test_the_order_of_evidence(sides: Sides) -> None:
    """Names and contexts come before other requests, and these before the training side, which speaks for the dog."""
    assert evidence(sides, [BOTH]) == [("Hund", TIED)]
    assert evidence(sides, [BOTH, CAR])[0] == ("Auto", TWO)
    dogs = ("Two dogs.", "My dog.", "The dogs sleep.")
    assert evidence(sides, [BOTH, CAR], contexts=dogs)[0] == ("Hund", CONTEXTS)
    assert evidence(sides, [BOTH, CAR], trigger="dog")[0] == ("Hund", NAMED)


def test_requests_that_make_the_change_are_no_contexts_besides(sides: Sides) -> None:
    """As where the first of them has the sentences of the others, to learn from."""
    assert evidence(sides, [CAR, CARS], contexts=(CARS[0],))[0] == ("Auto", TWO)


@pytest.mark.parametrize("alone", [CaseSettings(edit_carry="none"), CaseSettings(edit_contexts=0)])
def test_a_request_for_itself_alone_says_nothing_of_others(sides: Sides, alone: CaseSettings) -> None:
    assert evidence(sides, [CAR, CARS], [CaseSettings(), alone])[0] == ("", "")


@pytest.mark.parametrize(
    ("unwanted", "wanted", "trigger", "same"),
    [
        ("Auto", "Wagen", "car", True),
        ("Autos", "Wagen", "cars", True),
        ("auto", "Wagens", "Car", True),
        ("Auto", "Karren", "car", False),
        ("Automat", "Wagen", "car", False),
        ("Auto", "Wagen", "dog", False),
    ],
)
def test_forms_of_one_choice(sides: Sides, unwanted: str, wanted: str, trigger: str, same: bool) -> None:
    known = SameChanges(sides, [("one", Reading("Auto", "Wagen", "car"))])
    assert known.sources(Reading(unwanted, wanted, trigger)) == (("one",) if same else ())


def test_requests_that_make_a_choice_of_a_request_are_alike_in_that(sides: Sides) -> None:
    file = [CAR, CARS, REDDISH]
    requests = [EditRequest(one[0], one[2]) for one in file]
    codec: Any = PlainCodec()
    same = same_changes(codec, requests, [one[1] for one in file], sides, [CaseSettings()] * 3)
    assert set(same.alike(CAR[0])) == {CAR[0], CARS[0]} == set(same.alike(CARS[0]))
    assert CAR[0] not in same.alike(REDDISH[0])
    assert same.alike("No such sentence.") == ()
