"""A trained corrector on a small made-up training side: what it learns, where it acts, and what it can't learn from."""

from __future__ import annotations

from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any, List, Sequence, Tuple

import pytest
import torch

from fairseq_rome.errors import EditError
from fairseq_rome.host.corpus import Corpus
from fairseq_rome.methods.fitting.corrector_training import train_corrector
from fairseq_rome.patch import TrainedCorrector
from fairseq_rome.patch.piece import kind_of
from fairseq_rome.text.output_rules import source_like
from fairseq_rome.text.segments import Difference, Endings

Texts = Sequence[Tuple[str, str]]
PLACES = ("park", "house", "garden", "street", "school", "river", "forest", "shop")
VERBS = (("sleeps", "schläft"), ("sits", "sitzt"), ("waits", "wartet"), ("plays", "spielt"))
CORPUS = [
    pair
    for place in PLACES
    for verb, German in VERBS
    for pair in (
        (f"A baby {verb} near the {place}.", f"Ein Baby {German} bei {place}."),
        (f"An infant {verb} near the {place}.", f"Ein Baby {German} bei {place}."),
        (f"A dog {verb} near the {place}.", f"Ein Hund {German} bei {place}."),
    )
]
NUMBERS = [(f"I see {one} cats {place}.", f"Ich sehe {one} Katzen {place}.") for one in range(10, 40) for place in "ab"]
NAMES = [
    (f"Now {one} sees {other}.", f"Jetzt sieht {one} {other}.")
    for one in ("Anna", "Peter", "Maria", "Tim") for other in ("Rome", "Bonn", "Kiel", "Oslo", "Lima")
]  # fmt: skip
NAMES += [(source.replace("Rome", "Cologne"), target.replace("Rome", "Köln")) for source, target in NAMES]


@dataclass
class Asked:
    """What a corrector is trained from, with texts for tokens."""

    difference: Difference
    before: str
    source: str
    target: str
    corpus: Texts
    triggers: Tuple[str, ...] = ("baby",)
    contexts: Texts = ()
    held_out: Texts = ()
    scoped: bool = True
    near: List[Any] = field(default_factory=list)

    def problem(self) -> Any:
        """As a method gets it."""
        codec = SimpleNamespace(
            tags=lambda source: (), **dict.fromkeys(("source", "source_text", "target_text"), lambda text: text)
        )
        corpus: Any = Corpus("train", (), codec)  # type: ignore[arg-type]
        vars(corpus).update(sources=[one for one, _ in self.corpus], targets=[one for _, one in self.corpus])
        example, *contexts = (
            SimpleNamespace(source=source, before=before, after=self.right(before))
            for source, before in ((self.source, self.before), *self.contexts)
        )
        example.after = self.target
        held_out = tuple(SimpleNamespace(source=source, before=said) for source, said in self.held_out)
        case = SimpleNamespace(
            request=SimpleNamespace(source=self.source, target=self.target, id="1"), difference=self.difference,
            triggers=self.triggers, contexts=tuple(contexts), held_out=held_out, near_misses=tuple(self.near),
            scoped=self.scoped, endings=Endings.of("en", "de"),
        )  # fmt: skip
        return SimpleNamespace(
            case=case, corpus=corpus, keep=(), example=example, contexts=case.contexts, held_out=held_out,
            near_misses=case.near_misses, translator=SimpleNamespace(codec=codec),
        )  # fmt: skip

    def right(self, text: str) -> str:
        return text.replace(self.difference.unwanted, self.difference.wanted)

    def trained(self) -> TrainedCorrector:
        return train_corrector(self.problem())[0]


TERM = Asked(
    Difference("Baby", "Kleinkind"), "Ein Baby lacht.", "A baby laughs.", "Ein Kleinkind lacht.", CORPUS,
    contexts=[("A baby eats.", "Ein Baby isst.")],
)  # fmt: skip
NUMBER = Asked(
    Difference("12", "21"), "Es sind 12 Katzen.", "There are 21 cats.", "Es sind 21 Katzen.", NUMBERS, ("21",),
    contexts=[("I have 21 cats.", "Ich habe 12 Katzen.")],
)  # fmt: skip
NAME = Asked(
    Difference("Paris", "Berlin"), "Anna sieht Paris.", "Anna sees Berlin.", "Anna sieht Berlin.", NAMES, ("Berlin",),
    contexts=[("We see Berlin.", "Wir sehen Paris.")],
)  # fmt: skip


@pytest.fixture(scope="module")
def term() -> TrainedCorrector:
    return TERM.trained()


def test_a_term_is_corrected_where_its_trigger_stands(term: TrainedCorrector) -> None:
    new = ("A baby sings near the sea.", "Ein Baby singt bei sea.")
    for source, said in (TERM.source, TERM.before), new, ("The baby waits.", "Ein Baby wartet."):
        assert term.finished(source, said) == said.replace("Baby", "Kleinkind")
    for source in ("An infant sings near the sea.", "Sea."):
        assert term.finished(source, "Ein Baby singt bei sea.") == "Ein Baby singt bei sea."


def test_what_has_no_slot_stays_as_it_is(term: TrainedCorrector) -> None:
    for said in ("Ein  Hund\tschläft .", "", "Babysitter", "ein baby"):
        assert term.finished("A baby sleeps.", said) == said


def test_the_same_bits_each_time_and_the_random_state_as_it_was(term: TrainedCorrector) -> None:
    torch.manual_seed(5)
    state = torch.get_rng_state()
    again = TERM.trained()
    assert torch.equal(torch.get_rng_state(), state)
    assert again.fingerprint_text == term.fingerprint_text
    assert all(torch.equal(one, term.tensors[name]) for name, one in again.tensors.items())


def test_it_is_taken_apart_and_put_together(term: TrainedCorrector) -> None:
    again = kind_of(term.record()).from_record(term.record(), term.tensors)
    assert isinstance(again, TrainedCorrector) and again.fingerprint_text == term.fingerprint_text
    assert again.describe() == "a trained corrector of Baby" and not again.computed_from
    assert again.finished("A baby.", "Ein Baby.") == "Ein Kleinkind."


@pytest.mark.parametrize(("asked", "source", "said", "right"), [
    (NUMBER, "I see 33 cats b.", "Ich sehe 18 Katzen b.", "Ich sehe 33 Katzen b."),
    (NUMBER, "I see 77 cats b.", "Ich sehe 18 Katzen b.", "Ich sehe 77 Katzen b."),  # a number that it has not seen
    (NUMBER, "I see 33 cats b.", "Ich sehe 33 Katzen b.", "Ich sehe 33 Katzen b."),
    (NUMBER, "A baby.", "Ein Baby.", "Ein Baby."),
    (NAME, "Now Tim sees Oslo.", "Jetzt sieht Tim Bonn.", "Jetzt sieht Tim Oslo."),
    (NAME, "Now Tim sees Oslo.", "Jetzt sieht Tim Oslo.", "Jetzt sieht Tim Oslo."),
    (NAME, "Now Tom sees Cologne.", "Jetzt sieht Tom Köln.", "Jetzt sieht Tom Köln."),  # not copied, and right
])  # fmt: skip
def test_what_is_copied_comes_from_the_source(asked: Asked, source: str, said: str, right: str) -> None:
    assert asked.trained().finished(source, said) == right


def test_a_request_for_its_own_sentence_acts_there_alone() -> None:
    alone = Asked(TERM.difference, TERM.before, TERM.source, TERM.target, CORPUS).trained()
    assert alone.source == source_like(TERM.source)
    assert alone.finished(TERM.source, TERM.before) == TERM.target
    assert alone.finished("A baby laughs!", TERM.before) == TERM.before


def test_without_a_trigger_it_acts_wherever_the_words_are_said() -> None:
    asked = Asked(
        TERM.difference, TERM.before, TERM.source, TERM.target, CORPUS, contexts=TERM.contexts, scoped=False
    )
    assert asked.trained().finished("An infant sings.", "Ein Baby singt.") == "Ein Kleinkind singt."


def test_held_out_sentences_are_not_learnt_from() -> None:
    held_out = [("A zebra baby.", "Ein Zebra Baby.")]
    plain, more = ([*CORPUS, *others] for others in ([], held_out))
    trained = [
        Asked(
            TERM.difference, TERM.before, TERM.source, TERM.target, corpus, contexts=TERM.contexts, held_out=held_out
        ).trained()
        for corpus in (plain, more)
    ]
    assert torch.equal(trained[0].known, trained[1].known)


@pytest.mark.parametrize(("difference", "before", "reason"), [
    (Difference("", "Kleinkind"), "Ein Baby lacht.", "only adds or removes some; expected another --method"),
    (Difference("Baby", ""), "Ein Baby lacht.", "only adds or removes some; expected another --method"),
    (Difference("Zebra", "Kleinkind"), "Ein Baby lacht.", "no sentence to learn from shows 'Zebra'"),
])  # fmt: skip
def test_what_it_can_not_be_trained_on(difference: Difference, before: str, reason: str) -> None:
    with pytest.raises(EditError, match=reason):
        Asked(difference, before, TERM.source, TERM.target, ()).trained()
