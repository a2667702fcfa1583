"""Places of an output that may be wrong, what may stand there, and references that are made wrong on purpose."""

from __future__ import annotations

from random import Random
from typing import List, Tuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fairseq_rome.text.corrupting import swapped, unwanted_again, without_trigger
from fairseq_rome.text.segments import Difference
from fairseq_rome.text.slots import NAME, NUMBER, TERM, SlotKind, choice, filled

BABY = SlotKind.of(Difference("Baby", "Kleinkind", forms=(("Babys", "Kleinkinder"),)), "A baby.", "Ein Kleinkind.")


@pytest.mark.parametrize(("kind", "source", "output", "found"), [
    (BABY, "Two babies.", "Zwei Babys.", [("Babys", "Kleinkinder")]),
    (BABY, "A baby.", "Ein Kleinkind.", []),
    (BABY, "A babysitter.", "Ein Babysitter.", []),
    # A wanted segment that holds the unwanted one is right.
    (SlotKind(TERM, (("bike", "mountain bike"),)), "x", "A mountain bike, a bike.", [("bike", "mountain bike")]),
    (SlotKind(NUMBER), "It costs 1,000 or 25.", "Es kostet 1.000 oder 52.", [("52", "25")]),
    (SlotKind(NUMBER), "It costs 25.", "Es kostet 25 von 30.", []),  # none is missing
    (SlotKind(NAME), "Today Anna sees Berlin.", "Heute sieht Anna Paris.", [("Paris", "Berlin")]),
    (SlotKind(NAME), "Anna runs. Then she sees Rome.", "Anna läuft. Rom sieht sie.", []),  # where a sentence begins
])  # fmt: skip
def test_what_may_be_wrong(kind: SlotKind, source: str, output: str, found: List[Tuple[str, ...]]) -> None:
    slots = kind.slots(source, output)
    assert [slot.candidates for slot in slots] == found
    assert all(output[slot.start : slot.stop] == slot.candidates[0] for slot in slots)


@pytest.mark.parametrize(("unwanted", "wanted", "source", "target", "name"), [
    ("Baby", "Kleinkind", "A baby.", "Ein Kleinkind.", TERM),
    ("25", "52", "It is 52.", "Es ist 52.", NUMBER),
    ("drei", "zwei", "It is two.", "Es ist zwei.", TERM),
    ("Paris", "Berlin", "I see Berlin.", "Ich sehe Berlin.", NAME),
    ("Bleistift", "Pen", "Pen here.", "Pen hier.", TERM),  # capitalised as any word is there
])  # fmt: skip
def test_a_request_tells_the_kind(unwanted: str, wanted: str, source: str, target: str, name: str) -> None:
    assert SlotKind.of(Difference(unwanted, wanted), source, target).name == name


@given(st.text("ab Bay.", max_size=20))
def test_what_stands_there_leaves_the_output_as_it_is(around: str) -> None:
    output = f"{around} Baby {around}"
    slots = BABY.slots("", output)
    assert slots and filled(output, slots, [0] * len(slots)) == output
    assert not BABY.slots("", filled(output, slots, [1] * len(slots)))


def test_a_word_of_the_source_is_given_once() -> None:
    kind = SlotKind(NUMBER)
    slots = kind.slots("It is 7.", "Es ist 8 oder 9.")
    assert choice(slots, [[0, 1], [0, 1]], once=True) == [1, 0]
    assert choice(slots, [[0, 1], [0, 1]], once=False) == [1, 1]
    assert choice(slots, [[1, 1], [0, 1]], once=True) == [0, 1]  # what stands there, where both are as good


def test_what_is_seen_of_a_slot() -> None:
    source, said = "A Baby's bed.", "Dort steht heute ein Bett vom Baby."
    [slot] = BABY.slots(source, said)
    assert BABY.view(source, said, slot) == (
        ("baby", "kleinkind"), (False, False), ("a", "baby", "s", "bed", "."), ("ein", "bett", "vom"), (".",)
    )  # fmt: skip


def test_references_are_made_wrong() -> None:
    assert unwanted_again("Zwei Kleinkinder, ein Kleinkind.", BABY.pairs) == "Zwei Babys, ein Baby."
    assert unwanted_again("Ein Hund.", BABY.pairs) is None
    assert swapped("It is 7.", "Es ist 7.", SlotKind(NUMBER), ["7", "9"], Random(1)) == "Es ist 9."
    assert swapped("It is 7.", "Es ist 7.", SlotKind(NUMBER), ["7"], Random(1)) is None
    assert swapped("It is seven.", "Es ist 7.", SlotKind(NUMBER), ["9"], Random(1)) is None
    assert without_trigger("A baby and a Baby.", ("baby",), "dog") == "A dog and a dog."
    assert without_trigger("A baby sleeps.", ("baby",), "") == "A sleeps."
