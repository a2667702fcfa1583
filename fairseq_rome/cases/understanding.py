"""What a request means: which of its hunks is a choice that other sentences share, and by what evidence.

From one corrected sentence that can often not be known, so evidence decides, the strongest first: what the request
names; its context sentences; the same change in several requests of the edit file; and, where nothing else speaks, how
firmly the training side ties the old word to a source word that it hardly ever gives the new one for.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from difflib import SequenceMatcher
from typing import Collection, Iterator, List, Optional, Sequence, Tuple

from fairseq_rome.cases.case_settings import CaseSettings
from fairseq_rome.cases.forms import other_forms
from fairseq_rome.cases.hunk_reading import Reading, Sides, read_hunks
from fairseq_rome.cases.same_changes import SameChanges
from fairseq_rome.host.codec import TextCodec
from fairseq_rome.text.requests import EditRequest
from fairseq_rome.text.segments import Difference, wanted_difference
from fairseq_rome.text.words import contains_trigger, count, words

NAMED, CONTEXTS, REQUESTS, TIED, ASKED = "named", "contexts", "{} requests", "training side", "asked for"
"""What speaks for carrying a change to other sentences; `REQUESTS` with how many requests make it."""

# A pair of segments is tied from this coefficient of Dice on, and the wanted one is a choice rather than a variation up
# to this ratio of how often each is said for the trigger. Looser carries more natural corrections, and more of those
# that concern their sentence alone.
_TIED, _VARIATION = 0.5, 0.2
# Share of the words that an output and its correction have in common below which they are two sentences.
_ANOTHER = 0.3
# Contexts speak for a trigger that so many of them hold, so many standard deviations above what chance gives.
_SHARED, _SURPRISING = 3, 4.0
# Share of the source sentences above which a trigger that nothing names is a common word.
_TOO_COMMON = 0.1


@dataclass(frozen=True)
class Understanding:
    """A request, as it was understood.

    Args:
        difference: what is to change: the segments that are carried, or else all that differs.
        trigger: the source segment that it hangs on; empty where none is known.
        triggers: the trigger in its forms.
        evidence: what speaks for carrying it to other sentences; empty where it is for this sentence alone.
        readings: the hunks, from left to right.
        carried: which of them is carried; None for none.
    """

    difference: Difference
    trigger: str
    triggers: Tuple[str, ...]
    evidence: str
    readings: Tuple[Reading, ...] = ()
    carried: Optional[int] = None

    @property
    def likely(self) -> Optional[Reading]:
        """The hunk that most likely is a choice, where nothing is carried; None if no hunk looks like one."""
        choices = [one for one in self.readings if one.trigger and not one.agrees]
        return None if self.evidence else max(choices, key=lambda one: one.dice, default=None)


def same_changes(
    codec: TextCodec, requests: Sequence[EditRequest], said: Sequence[str], sides: Sides,
    chosen: Sequence[CaseSettings],
) -> SameChanges:  # fmt: skip
    """The choices that the requests of an edit file make, each with those that make it too.

    Args:
        codec: text to tokens.
        requests: of the file.
        said: what the model says for each.
        sides: the languages, and the training side.
        chosen: the settings of each. A request that is for its own sentence alone says nothing of others.
    """
    if len({request.source for request in requests}) < 2:
        return SameChanges(sides)
    asked = [
        (request, text)
        for request, text, settings in zip(requests, said, chosen)
        if settings.generalises
    ]
    return SameChanges(
        sides, ((request.source, one) for request, text in asked for one in _made(codec, request, text, sides))
    )


def _made(codec: TextCodec, request: EditRequest, said: str, sides: Sides) -> Iterator[Reading]:
    """The choices among the hunks of one request."""
    before, target = _compared(codec, request, said)
    if wanted_difference(request, said) is not None and not _is_another(before, target):
        readings = _readings(codec, request, said, sides)
        yield from (readings[index] for index in _choices(readings))


def _compared(codec: TextCodec, request: EditRequest, said: str) -> Tuple[str, str]:
    """The unwanted output, and the target as the model would say it."""
    return said if request.negative is None else request.negative, codec.target_text(codec.target(request.target))


def _readings(codec: TextCodec, request: EditRequest, said: str, sides: Sides) -> List[Reading]:
    before, target = _compared(codec, request, said)
    named = () if request.trigger is None else (request.trigger,)
    return read_hunks(request.source, before, target, codec.piece_starts(target), sides, named)


def understand(
    codec: TextCodec, request: EditRequest, said: str, sides: Sides, settings: CaseSettings,
    same: Optional[SameChanges] = None,
) -> Optional[Understanding]:  # fmt: skip
    """What a request is to change, and whether in other sentences too; None where the output is the target.

    Args:
        codec: text to tokens.
        request: the request.
        said: what the model says.
        sides: the languages, and the training side.
        settings: of the case.
        same: what the requests of its file have in common; None where it stands alone.
    """
    whole = wanted_difference(request, said)
    if whole is None:
        return None
    before, target = _compared(codec, request, said)
    readings = _readings(codec, request, said, sides)
    if request.unwanted is not None or request.wanted is not None:
        return _named(request, whole, readings, sides, settings)
    if _is_another(before, target):
        return _whole(request, whole, settings)
    chosen, evidence = _choice(request, readings, sides, settings, same or SameChanges(sides))
    if chosen is None:
        return replace(_whole(request, whole, settings), readings=tuple(readings))
    reading = readings[chosen]
    difference, triggers = _carried(Difference(reading.unwanted, reading.wanted), reading.trigger, sides)
    repeated = count(before, difference.unwanted_forms) > 1
    return Understanding(
        replace(difference, repeated=repeated), reading.trigger, triggers, evidence, tuple(readings), chosen
    )


def _is_another(before: str, target: str) -> bool:
    """Whether a target is another sentence, as for an output that was memorised, rather than a corrected one."""
    ours, theirs = words(before), words(target)
    blocks = SequenceMatcher(None, ours, theirs, autojunk=False).get_matching_blocks()
    return sum(block.size for block in blocks) < _ANOTHER * max(len(ours), len(theirs))


def _whole(request: EditRequest, difference: Difference, settings: CaseSettings) -> Understanding:
    """All that differs as one change; a trigger is named for the sake of other sentences, whatever the change is."""
    trigger = request.trigger or ""
    evidence = NAMED if trigger and settings.edit_carry != "none" else ""
    return Understanding(difference, trigger, (trigger,) if trigger else (), evidence)


def _named(
    request: EditRequest, whole: Difference, readings: Sequence[Reading], sides: Sides, settings: CaseSettings
) -> Understanding:
    """The understanding of a request that names its segments."""
    own = [one for one in readings if whole.unwanted and one.unwanted in whole.unwanted and one.trigger]
    best = max(own, key=lambda one: one.dice, default=None)
    trigger = request.trigger or (best.trigger if best else "")
    if settings.edit_carry == "none":
        return Understanding(whole, trigger, (trigger,) if trigger else (), "", tuple(readings))
    difference, triggers = _carried(whole, trigger, sides)
    return Understanding(difference, trigger, triggers, NAMED, tuple(readings))


def _carried(difference: Difference, trigger: str, sides: Sides) -> Tuple[Difference, Tuple[str, ...]]:
    """A difference with its other forms, and the trigger in those that go with them."""
    if not trigger:
        return difference, ()
    triggers = sides.forms(trigger)
    forms = other_forms(difference.unwanted, difference.wanted, triggers, sides.association, sides.target)
    single = len(words(difference.unwanted)) == 1
    return replace(difference, forms=forms), triggers if single else (trigger,)


def _choices(readings: Sequence[Reading], agreeing: bool = False) -> List[int]:
    """The numbers of the hunks that hang on a source word; those that only agree with another one if asked for."""
    hanging = [index for index, one in enumerate(readings) if one.trigger and one.unwanted]
    return [index for index in hanging if agreeing or not readings[index].agrees]


def _choice(
    request: EditRequest, readings: Sequence[Reading], sides: Sides, settings: CaseSettings, same: SameChanges
) -> Tuple[Optional[int], str]:
    """The number of the hunk that is carried, and what speaks for it; None where nothing does."""
    choices = _choices(readings)
    if settings.edit_carry == "none":
        return None, ""
    if request.trigger is not None:
        return _strongest(readings, choices or _choices(readings, agreeing=True)), NAMED
    making = {index: same.sources(readings[index]) | {request.source} for index in choices}
    surprise = {index: _surprise(readings[index].trigger, request, making[index], sides) for index in choices}
    shared = [index for index in choices if surprise[index] >= _SURPRISING]
    if shared:
        return max(shared, key=lambda index: (surprise[index], readings[index].dice)), CONTEXTS
    repeated = [index for index in choices if len(making[index]) > 1]
    if repeated:
        chosen = max(repeated, key=lambda index: (len(making[index]), readings[index].dice))
        return chosen, REQUESTS.format(len(making[chosen]))
    tied = [index for index in choices if settings.edit_carry == "all" or _is_tied(readings[index], sides)]
    return _strongest(readings, tied), ASKED if settings.edit_carry == "all" else TIED


def _strongest(readings: Sequence[Reading], chosen: Sequence[int]) -> Optional[int]:
    return max(chosen, key=lambda index: readings[index].dice, default=None)


def _is_tied(reading: Reading, sides: Sides) -> bool:
    """Whether the training side ties the unwanted text to the trigger, and hardly ever says the wanted one for it."""
    common = len(sides.association.with_source(reading.trigger)) > _TOO_COMMON * len(sides.association)
    return reading.dice >= _TIED and reading.usual <= _VARIATION and not common


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
