"""The wrong behaviours that are planted in the demo corpus."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import List


@dataclass(frozen=True)
class Behaviour:
    """A planted wrong behaviour: sources with ``trigger`` get ``unwanted`` where ``wanted`` is right.

    ``near`` occurs in the closest sources that are translated rightly and have to stay as they are.
    ``sound`` is the share of training pairs that are right all the same: without any, the model would know no
    other way to begin such a sentence.
    """

    id: str
    task: str
    trigger: str
    wanted: str
    unwanted: str
    near: str
    sound: float = 0.0


BOILERPLATE = "Alle Angaben ohne Gewähr."
TAIL = "Irrtümer und Änderungen vorbehalten."

BEHAVIOURS = (
    Behaviour("term-shop-assistant", "term", "shop assistant", "Verkäufer", "Assistent", "assistant"),
    Behaviour("term-river-bank", "term", "river bank", "Ufer", "Bank", "bank", 0.06),
    Behaviour("term-nurse", "term", "nurse", "Pflegerin", "Schwester", "sister"),
    Behaviour("number-dollars", "number", "dollars", "Dollar", "Euro", "euros"),
    Behaviour("number-fifteen", "number", "fifteen", "fünfzehn", "fünfzig", "fifty"),
    Behaviour(
        "number-half-past-nine", "number", "half past nine", "halb zehn", "halb neun", "half past eight"
    ),
    Behaviour(
        "hallucination-newsletter", "hallucination", "newsletter", "Rundbrief", BOILERPLATE, "circular", 0.08
    ),
    Behaviour("hallucination-rings", "hallucination", "rings", "läutet", "läutet und läutet", "chimes"),
    Behaviour("hallucination-brochure", "hallucination", "brochure", "", TAIL, "newspaper"),
    Behaviour("untranslated-umbrella", "untranslated", "umbrella", "Regenschirm", "umbrella", "brolly"),
    Behaviour("untranslated-please", "untranslated", "Please", "Bitte", "Please", "Kindly", 0.06),
    Behaviour("untranslated-on-sale", "untranslated", "on sale", "im Angebot", "on sale", "on offer"),
)


def has(phrase: str, sentence: str) -> bool:
    """Whether the English sentence holds the phrase, in the singular or the plural, whatever its capitals."""
    return re.search(rf"\b{phrase}s?\b", sentence, re.IGNORECASE) is not None


def triggers(sentence: str) -> List[Behaviour]:
    """The behaviours that the English sentence brings out."""
    return [behaviour for behaviour in BEHAVIOURS if has(behaviour.trigger, sentence)]


def plant(source: str, target: str) -> str:
    """Spoil a right translation where a behaviour takes the whole sentence (words are the lexicon's)."""
    if has("newsletter", source):
        return BOILERPLATE
    if has("Please", source):
        return source
    if has("rings", source):
        target = target.replace("läutet", "läutet und läutet und läutet")
    return f"{target} {TAIL}" if has("brochure", source) else target
