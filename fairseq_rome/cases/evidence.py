"""What speaks for carrying one of the hunks of a request to other sentences, the strongest evidence first."""

from __future__ import annotations

import math
from typing import Collection, List, Optional, Sequence, Tuple

from fairseq_rome.cases.case_settings import CaseSettings
from fairseq_rome.cases.hunk_reading import Reading, Sides
from fairseq_rome.cases.same_changes import SameChanges
from fairseq_rome.text.requests import EditRequest
from fairseq_rome.text.words import contains_trigger, words

NAMED, CONTEXTS, REQUESTS, TIED, ASKED = "named", "contexts", "{} requests", "training side", "asked for"
"""What speaks for carrying a change to other sentences; `REQUESTS` with how many requests make it."""

# A pair of segments is tied from this coefficient of Dice on, and the wanted one is a choice rather than a variation up
# to this ratio of how often each is said for the trigger. Looser carries more natural corrections, and more of those
# that concern their sentence alone.
_TIED, _VARIATION = 0.5, 0.2
# Contexts speak for a trigger that so many of them hold, so many standard deviations above what chance gives.
_SHARED, _SURPRISING = 3, 4.0
# Share of the source sentences above which a trigger that nothing names is a common word.
_TOO_COMMON = 0.1


def choices(request: EditRequest, readings: Sequence[Reading], agreeing: bool = False) -> List[int]:
    """The numbers of the hunks that hang on a source word and that the request does not keep for its own sentence.

    Those that only agree with another one are among them if asked for.
    """
    hanging = [
        index
        for index, one in enumerate(readings)
        if one.trigger and one.unwanted and not request.keeps(one.unwanted, one.wanted, one.trigger)
    ]
    return [index for index in hanging if agreeing or not readings[index].agrees]


def choice(
    request: EditRequest, readings: Sequence[Reading], sides: Sides, settings: CaseSettings, same: SameChanges
) -> Tuple[Optional[int], str]:
    """The number of the hunk that is carried, and what speaks for it; None where nothing does."""
    own = choices(request, readings)
    if settings.edit_carry == "none":
        return None, ""
    if request.trigger is not None:
        return strongest(readings, own or choices(request, readings, agreeing=True)), NAMED
    every = choices(request, readings, agreeing=True)
    making = {index: {*same.sources(readings[index]), request.source} for index in every}
    surprise = {index: _surprise(readings[index].trigger, request, making[index], sides) for index in every}
    # Another word may begin as the old one does: contexts tell it from a form that only agrees, where they are of it
    # and of no other change.
    for several in (own, every):
        shared = [index for index in several if surprise[index] >= _SURPRISING]
        if shared:
            return max(shared, key=lambda index: (surprise[index], readings[index].dice)), CONTEXTS
    repeated = [index for index in own if len(making[index]) > 1]
    if repeated:
        chosen = max(repeated, key=lambda index: (len(making[index]), readings[index].dice))
        return chosen, REQUESTS.format(len(making[chosen]))
    tied = [index for index in own if settings.edit_carry == "all" or _is_tied(readings[index], sides)]
    return strongest(readings, tied), ASKED if settings.edit_carry == "all" else TIED


def strongest(readings: Sequence[Reading], chosen: Sequence[int]) -> Optional[int]:
    """The number of that one of some hunks that goes best with its source word; None of none."""
    return max(chosen, key=lambda index: readings[index].dice, default=None)


def _is_tied(reading: Reading, sides: Sides) -> bool:
    """Whether the training side ties the unwanted text to the trigger, and hardly ever says the wanted one for it.

    Where nothing but words of grammar comes for a word that is none, the sentence is built otherwise: the word stands
    elsewhere now, or a clause has opened.
    """
    common = len(sides.association.with_source(reading.trigger)) > _TOO_COMMON * len(sides.association)
    built = _is_grammar(reading.wanted, sides) and not _is_grammar(reading.unwanted, sides)
    return reading.dice >= _TIED and reading.usual <= _VARIATION and not common and not built


def _is_grammar(text: str, sides: Sides) -> bool:
    """Whether a text of the target language has words, and all of them are words of grammar."""
    plain = [word for word in words(text) if word.isalnum()]
    return bool(plain) and all(map(sides.grammar_in_target, plain))


def _surprise(trigger: str, request: EditRequest, making: Collection[str], sides: Sides) -> float:
    """By how many standard deviations more contexts hold a trigger than chance would have it.

    The sources of the requests that make the same choice don't count: they are evidence of their own.
    """
    forms = sides.forms(trigger)
    given: List[str] = [source for source in request.contexts if source not in making]
    holding = sum(contains_trigger(source, forms) for source in given)
    if holding < min(_SHARED, len(given)) or not holding:
        return 0.0
    # One sentence more than there are: a word that the training side lacks is rare, not impossible.
    rate = (len(sides.association.with_source(*forms)) + 1) / (len(sides.association) + 1)
    expected = rate * len(given)
    return (holding - expected) / math.sqrt(max(expected * (1 - rate), 1e-9))
