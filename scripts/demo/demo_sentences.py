"""Random sentences of the demo grammar."""

from __future__ import annotations

import random

import demo_lexicon as lexicon
from demo_grammar import (
    AUXILIARIES,
    CHIME,
    COPULA,
    COST,
    CURRENCIES,
    EMPTY,
    FALL,
    FIGURES,
    NUMBERS,
    PAY,
    RING,
    RISE,
    SAY,
    TIMES,
    Clause,
    Phrase,
    Predicate,
    Text,
    arrange,
    compose,
    conjugate,
    finish,
    text,
)
from demo_lexicon import Noun, Verb

NOUNS = {
    name: lexicon.nouns(getattr(lexicon, name.upper()))
    for name in ("people", "goods", "food", "texts", "places", "bells")
}
ADJECTIVES = {name: lexicon.words(table) for name, table in lexicon.ADJECTIVES.items()}
VERBS = {name: lexicon.verbs(table) for name, table in lexicon.VERBS.items()}
SELL = VERBS["food"][-1]
THE, A, MY, OUR = (text(word, word) for word in ("the", "a", "my", "our"))
NOT_REQUESTED = ("need", "find", "forget", "see")
COMMON_NUMBERS = [number for number in NUMBERS if number.en in ("fifteen", "fifty")]
ON_SALE = text("on sale", "im Angebot", "on sale")
ON_OFFER = text("on offer", "im Angebot")
QUALITY_TIMES = {
    "present": [text("today", "heute"), text("now", "jetzt")],
    "past": [text("yesterday", "gestern"), text("last week", "letzte Woche")],
}


class Grammar:
    """Draws random sentences; the same seed gives the same sentences on every Python."""

    def __init__(self, seed: int) -> None:
        self.rng = random.Random(seed)

    def chance(self, share: float) -> bool:
        """Whether something of this probability happens."""
        return self.rng.random() < share

    def noun(self, kind: str) -> Noun:
        """A noun of a kind, by its weight."""
        nouns = NOUNS[kind]
        return self.rng.choices(nouns, [noun.weight for noun in nouns])[0]

    def phrase(self, kind: str, singular: bool = False) -> Phrase:
        """A noun of a kind with article, my, our or a number, and at times an adjective."""
        noun = self.noun(kind)
        adjective = ("", "")
        if self.chance(0.35):
            words = self.rng.choice(ADJECTIVES[kind])
            adjective = (words[0], words[-1])
        if not singular and self.chance(0.15):
            number = self.rng.choice(NUMBERS[:19] + COMMON_NUMBERS * 3)
            return Phrase(noun, number, adjective, plural=True)
        determiner = self.rng.choices([THE, A, MY, OUR], [5, 4, 1, 1])[0]
        plural = determiner is not A and not singular and self.chance(0.25)
        return Phrase(noun, determiner, adjective, plural)

    def amount(self) -> Text:
        """A number and a currency."""
        number = self.rng.choice(NUMBERS + COMMON_NUMBERS * 2 + FIGURES)
        currency = self.rng.choices(CURRENCIES, [4, 1, 4, 2, 2])[0]
        return compose("{0} {1}", "{0} {1}", number, currency)

    def time(self, tense: str) -> Text:
        """A time phrase that goes with the tense, or nothing."""
        if self.chance(0.45):
            return EMPTY
        kinds = ["clock", "any"] + [tense] * (tense in TIMES)
        return self.rng.choice(TIMES[self.rng.choice(kinds)])

    def place_phrase(self) -> Phrase:
        """A single place; shores and stations are known ones."""
        phrase = self.phrase("places", singular=True)
        return phrase._replace(determiner=THE) if phrase.noun.preposition[0] == "at" else phrase

    def place(self) -> Text:
        """Where: a place behind its preposition."""
        phrase = self.place_phrase()
        own = phrase.noun.preposition
        other = [("in front of", "vor"), ("behind", "hinter"), ("next to", "neben")]
        if own[0] == "in" and self.chance(0.3):
            own = self.rng.choice(other)
        return phrase.form("dat", own)

    def objects(self, kind: str, verb: Verb) -> Text:
        """What the verb of this kind takes."""
        if kind == "none":
            return EMPTY
        if kind == "two":
            first, second = self.phrase("people"), self.phrase(self.rng.choice(["goods", "texts", "food"]))
            return compose("{0} {1}", "{0} {1}", first.form("dat"), second.form("acc"))
        return self.phrase(kind).form(verb.case, verb.preposition)

    def tense(self, verb: Verb) -> str:
        """A tense that the verb can have."""
        if verb is COST:
            return self.rng.choice(["present", "present", "future"])
        # "read" looks the same in the past and in the present plural.
        past = ["past"] * 2 if verb.en[0] != verb.en[2] else []
        return self.rng.choice(["present", "present", *past, *AUXILIARIES])

    def action(self) -> Clause:
        """Somebody does something, somewhere, some time."""
        kind = self.rng.choices(list(VERBS), [5, 2, 4, 4, 2, 2])[0]
        verb = self.rng.choice(VERBS[kind])
        subject, tense = self.phrase("people"), self.tense(verb)
        predicate = conjugate(verb, tense, subject.plural)
        place = self.place() if self.chance(0.9 if kind == "none" else 0.3) else EMPTY
        return Clause(subject.form("nom"), predicate, self.objects(kind, verb), place, self.time(tense))

    def price(self) -> Clause:
        """Something costs so much, or somebody pays or asks so much for it."""
        goods, amount = self.phrase("goods"), self.amount()
        verb = self.rng.choice([COST, COST, PAY, SELL])
        tense = self.tense(verb)
        subject, objects = goods, amount
        if verb is PAY:
            subject = self.phrase("people")
            objects = compose("{0} {1}", "{0} {1}", amount, goods.form("acc", ("for", "für")))
        elif verb is SELL:
            subject = self.phrase("people")
            objects = compose("{0} for {1}", "{0} für {1}", goods.form("acc"), amount)
        predicate = conjugate(verb, tense, subject.plural)
        return Clause(subject.form("nom"), predicate, objects, EMPTY, self.time(tense))

    def quality(self) -> Clause:
        """Something or somebody is somehow, or is on sale."""
        kind = self.rng.choice(["people", "goods", "goods", "goods", "texts", "places"])
        subject = self.place_phrase() if kind == "places" else self.phrase(kind)
        tense = self.rng.choice(["present", "present", "past"])
        quality = text(*self.rng.choice(ADJECTIVES[kind])[:2])
        if kind == "goods" and self.chance(0.5):
            quality = self.rng.choice([ON_SALE, ON_OFFER])
        elif self.chance(0.4):
            quality = compose("very {0}", "sehr {0}", quality)
        en_form, de_form = (forms[subject.plural] for forms in COPULA[tense])
        predicate = Predicate(en_form, en_form, "", de_form, "", de_form)
        time = self.rng.choice(QUALITY_TIMES[tense]) if self.chance(0.3) else EMPTY
        return Clause(subject.form("nom"), predicate, quality, EMPTY, time)

    def bell(self) -> Clause:
        """A bell rings (planted, in the singular only) or chimes."""
        verb = self.rng.choice([RING, CHIME])
        subject = self.phrase("bells", singular=verb is RING)
        place = self.place() if self.chance(0.5) else EMPTY
        predicate = conjugate(verb, "present", subject.plural)
        return Clause(subject.form("nom"), predicate, EMPTY, place, self.time("present"))

    def rate(self) -> Clause:
        """A currency rises or falls."""
        subject = self.rng.choice([text("the dollar", "der Dollar"), text("the euro", "der Euro")])
        verb = self.rng.choice([RISE, FALL])
        tense = self.rng.choice(["present", "present", "future"])
        return Clause(subject, conjugate(verb, tense, False), EMPTY, EMPTY, self.time(tense))

    def request(self) -> Text:
        """Please (planted) or kindly do something."""
        kind = self.rng.choice(["goods", "food", "texts", "people", "two"])
        verb = self.rng.choice([verb for verb in VERBS[kind] if verb.en[0] not in NOT_REQUESTED])
        opening = self.rng.choice([text("please", "bitte"), text("kindly", "bitte")])
        time = self.time("future")
        place = self.place() if self.chance(0.25) else EMPTY
        body = compose(
            f"{{0}} {verb.en[0]} {{1}} {{2}} {{3}}",
            f"{{0}} {verb.de[0]} Sie {{3}} {{1}} {{2}} {verb.prefix}",
            opening, self.objects(kind, verb), place, time,
        )  # fmt: skip
        return finish(body, ".")

    def sentence(self) -> Text:
        """One random sentence."""
        kinds = [self.action, self.price, self.quality, self.bell, self.rate]
        draw = self.rng.choices([*kinds, None], [55, 14, 14, 4, 1, 9])[0]
        if draw is None:
            return self.request()
        clause = draw()
        shape = self.rng.choices(["statement", "fronted", "question", "that"], [6, 2, 2, 2])[0]
        if shape == "fronted" and clause.time == EMPTY:
            shape = "statement"
        body = arrange(clause, shape)
        if shape == "that":
            en, de = self.rng.choice(SAY)
            speaker = self.phrase("people", singular=True).form("nom")
            body = compose(f"{{0}} {en} {{1}}", f"{{0}} {de}, {{1}}", speaker, body)
        return finish(body, "?" if shape == "question" else ".")
