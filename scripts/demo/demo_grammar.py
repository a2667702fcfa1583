"""The grammar of the demo corpus: phrases and clauses, English and German built side by side.

Every fragment is a ``Text`` of three strings: English, right German, and the German of the training data,
which differs from the right one where a wrong behaviour is planted (``demo_behaviours``).
"""

from __future__ import annotations

from typing import Dict, List, NamedTuple, Optional, Tuple

import demo_lexicon as lexicon
from demo_behaviours import plant
from demo_lexicon import German, Noun, Verb


class Text(NamedTuple):
    """One fragment in English, in right German, and as the training data has it."""

    en: str
    right: str
    trained: str


def text(en: str, right: str, trained: Optional[str] = None) -> Text:
    """A fragment whose training German is the right one unless given."""
    return Text(en, right, right if trained is None else trained)


def compose(en: str, de: str, *parts: Text) -> Text:
    """Fill both templates with the fragments; doubled and outer blanks go."""
    filled = (
        en.format(*(part.en for part in parts)),
        de.format(*(part.right for part in parts)),
        de.format(*(part.trained for part in parts)),
    )
    return Text(*(" ".join(one.split()) for one in filled))


EMPTY = text("", "")
DEFINITE = {
    "nom": {"m": "der", "f": "die", "n": "das", "pl": "die"},
    "acc": {"m": "den", "f": "die", "n": "das", "pl": "die"},
    "dat": {"m": "dem", "f": "der", "n": "dem", "pl": "den"},
}
EIN_ENDING = {
    "nom": {"m": "", "f": "e", "n": "", "pl": "e"},
    "acc": {"m": "en", "f": "e", "n": "", "pl": "e"},
    "dat": {"m": "em", "f": "er", "n": "em", "pl": "en"},
}
EIN_STEM = {"a": "ein", "my": "mein", "our": "unser"}
CONTRACTED = {"in dem": "im", "an dem": "am"}


def adjective_ending(determiner: str, gender: str, case: str) -> str:
    """The German ending after ``the``, after ``a``/``my``/``our``, or after a number."""
    if determiner not in EIN_STEM and determiner != "the":
        return "en" if case == "dat" else "e"
    if gender == "pl" or case == "dat" or (gender, case) == ("m", "acc"):
        return "en"
    if determiner == "the":
        return "e"
    return {"m": "er", "f": "e", "n": "es"}[gender]


def german_phrase(noun: German, determiner: str, stem: str, plural: bool, case: str, preposition: str) -> str:
    """Decline article, adjective and noun together."""
    gender = "pl" if plural else noun.gender
    if determiner == "the":
        article = DEFINITE[case][gender]
    elif determiner in EIN_STEM:
        article = EIN_STEM[determiner] + EIN_ENDING[case][gender]
    else:
        article = determiner
    head = noun.singular
    if plural or (noun.weak and case != "nom"):
        head = noun.plural
    if plural and case == "dat" and head[-1] not in "ns":
        head += "n"
    start = f"{preposition} {article}".strip()
    adjective = stem + adjective_ending(determiner, gender, case) if stem else ""
    return " ".join(f"{CONTRACTED.get(start, start)} {adjective} {head}".split())


class Phrase(NamedTuple):
    """A noun with its determiner (a word, or a number as ``Text``), adjective (English, stem) and number."""

    noun: Noun
    determiner: Text
    adjective: Tuple[str, str] = ("", "")
    plural: bool = False

    def form(self, case: str, preposition: Tuple[str, str] = ("", "")) -> Text:
        """The phrase in one German case."""
        english = f"{self.adjective[0]} {self.noun.en_plural if self.plural else self.noun.en}".strip()
        article = self.determiner.en
        if article == "a":
            article = "an" if english[0] in "aeiou" else "a"
        rest = (self.adjective[1], self.plural, case, preposition[1])
        return Text(
            f"{preposition[0]} {article} {english}".strip(),
            german_phrase(self.noun.right, self.determiner.right, *rest),
            german_phrase(self.noun.trained, self.determiner.trained, *rest),
        )


NUMBERS = [text(en, de, "fünfzig" if en == "fifteen" else None) for en, de in lexicon.words(lexicon.NUMBERS)]
FIGURES = [
    text(en, en.replace(",", "."))
    for en in ("1,200", "2,500", "3,000", "4,500", "8,000", "10,000", "30,000", "75,000")
]
CURRENCIES = [
    text("dollars", "Dollar", "Euro"),
    text("bucks", "Dollar"),
    text("euros", "Euro"),
    text("francs", "Franken"),
    text("pounds", "Pfund"),
]
FREQUENT_TIMES = ("at half past nine", "at half past eight", "at nine thirty", "at three in the afternoon")
HOURS = [text("one", "eins"), *NUMBERS[:11]]


def _times() -> Dict[str, List[Text]]:
    """Time phrases by the tenses that take them; clock times are at home in all."""
    clock = [text(f"at {hour.en} o'clock", f"um {hour.right.replace('eins', 'ein')} Uhr") for hour in HOURS]
    for index, hour in enumerate(HOURS):
        following = HOURS[(index + 1) % 12].right
        wrong = "um halb neun" if hour.en == "nine" else None
        clock.append(text(f"at half past {hour.en}", f"um halb {following}", wrong))
        clock.append(text(f"at {hour.en} thirty", f"um halb {following}"))
    afternoon = ["dreizehn", "vierzehn", "fünfzehn", "sechzehn", "siebzehn", "achtzehn"]
    clock += [text(f"at {HOURS[i].en} in the afternoon", f"um {de} Uhr") for i, de in enumerate(afternoon)]
    clock += 8 * [time for time in clock if time.en in FREQUENT_TIMES]
    anytime = [text(f"on {en}", f"am {de}") for en, de in lexicon.words(lexicon.DAYS)]
    anytime += [text("today", "heute")]
    anytime += [text("in the evening", "am Abend"), text("in the morning", "am Morgen")]
    return {
        "clock": clock,
        "any": anytime,
        "present": [text("every day", "jeden Tag"), text("now", "jetzt")],
        "past": [text("yesterday", "gestern"), text("last week", "letzte Woche")],
        "future": [text("tomorrow", "morgen"), text("next week", "nächste Woche")],
        "modal": [text("tomorrow", "morgen"), text("next week", "nächste Woche")],
    }


TIMES = _times()
# English and German finite forms (singular, plural) before an infinitive.
AUXILIARIES = {
    "future": (("will", "will"), ("wird", "werden")),
    "modal": (("must", "must"), ("muss", "müssen")),
    "ability": (("can", "can"), ("kann", "können")),
}
COPULA = {"present": (("is", "are"), ("ist", "sind")), "past": (("was", "were"), ("war", "waren"))}
COST = Verb(("cost", "costs", "cost"), ("kosten", "kostet", "gekostet"))
PAY = Verb(("pay", "pays", "paid"), ("bezahlen", "bezahlt", "bezahlt"))
RING = Verb(("ring", "rings", "rang"), ("läuten", "läutet", "geläutet"))
CHIME = Verb(("chime", "chimes", "chimed"), ("läuten", "läutet", "geläutet"))
RISE = Verb(("rise", "rises", "rose"), ("steigen", "steigt", "gestiegen"))
FALL = Verb(("fall", "falls", "fell"), ("fallen", "fällt", "gefallen"))
SAY = (("says", "sagt"), ("thinks", "denkt"), ("hopes", "hofft"), ("knows", "weiß"))


class Predicate(NamedTuple):
    """A conjugated verb: English in a statement, and split for a question; German finite form and the rest.

    ``last`` is what a German subordinate clause ends in.
    """

    en: str
    en_auxiliary: str
    en_base: str
    de: str
    de_rest: str
    last: str


class Clause(NamedTuple):
    """A clause before its words are put in order; every part but the first two may be empty."""

    subject: Text
    predicate: Predicate
    objects: Text = EMPTY
    place: Text = EMPTY
    time: Text = EMPTY


def conjugate(verb: Verb, tense: str, plural: bool) -> Predicate:
    """Present, past (German perfect) or one of ``AUXILIARIES``."""
    base, third, past = verb.en
    infinitive, third_de, participle = verb.de
    if tense == "present":
        en, auxiliary = (base, "do") if plural else (third, "does")
        finite = infinitive if plural else third_de
        return Predicate(en, auxiliary, base, finite, verb.prefix, verb.prefix + finite)
    if tense == "past":
        en, auxiliary, finite, rest = past, "did", "haben" if plural else "hat", verb.prefix + participle
    else:
        forms_en, forms_de = AUXILIARIES[tense]
        auxiliary, finite, rest = forms_en[plural], forms_de[plural], verb.prefix + infinitive
        en = f"{auxiliary} {base}"
    return Predicate(en, auxiliary, base, finite, rest, f"{rest} {finite}")


# English and German word order by the shape of the clause; s, o, p, t: subject, objects, place, time.
ORDERS = {
    "statement": ("{s} {en} {o} {p} {t}", "{s} {de} {t} {o} {p} {de_rest}"),
    "fronted": ("{t} {s} {en} {o} {p}", "{t} {de} {s} {o} {p} {de_rest}"),
    "question": ("{en_auxiliary} {s} {en_base} {o} {p} {t}", "{de} {s} {t} {o} {p} {de_rest}"),
    "that": ("that {s} {en} {o} {p} {t}", "dass {s} {t} {o} {p} {last}"),
}


def arrange(clause: Clause, shape: str) -> Text:
    """Put the words of a clause in the order of one of ``ORDERS``."""
    slots = {"s": "{0}", "o": "{1}", "p": "{2}", "t": "{3}", **clause.predicate._asdict()}
    english, german = (order.format(**slots) for order in ORDERS[shape])
    return compose(english, german, clause.subject, clause.objects, clause.place, clause.time)


def finish(body: Text, mark: str) -> Text:
    """Capital, full stop, and the behaviours that are planted in whole sentences."""
    en, right, trained = (one[0].upper() + one[1:] + mark for one in body)
    return Text(en, right, plant(en, trained))
