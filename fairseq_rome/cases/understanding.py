"""What a request means: which of its hunks is a choice that other sentences share, and by what evidence.

From one corrected sentence that can often not be known, so evidence decides, the strongest first: what the request
names; its context sentences; the same change in several requests of the edit file; and, where nothing else speaks, how
firmly the training side ties the old word to a source word that it hardly ever gives the new one for.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from difflib import SequenceMatcher
from typing import Iterator, List, Optional, Sequence, Tuple

from fairseq_rome.cases.case_settings import CaseSettings
from fairseq_rome.cases.evidence import NAMED, choice, choices, strongest
from fairseq_rome.cases.forms import other_forms
from fairseq_rome.cases.hunk_reading import Reading, Sides, read_hunks
from fairseq_rome.cases.same_changes import SameChanges
from fairseq_rome.host.codec import TextCodec
from fairseq_rome.text.hunks import units
from fairseq_rome.text.requests import EditRequest, NamedHunk
from fairseq_rome.text.segments import Difference, wanted_difference
from fairseq_rome.text.words import count, words

# Share of the words that an output and its correction have in common below which they are two sentences.
_ANOTHER = 0.3


@dataclass(frozen=True)
class Understanding:
    """A request, as it was understood.

    Args:
        difference: what is to change: the segments that are carried, or else all that differs.
        trigger: the source segment that it hangs on; empty where none is known.
        triggers: the trigger in its forms.
        evidence: what speaks for carrying it to other sentences; empty where it is for this sentence alone.
        readings: the hunks, from left to right.
    """

    difference: Difference
    trigger: str
    triggers: Tuple[str, ...]
    evidence: str
    readings: Tuple[Reading, ...] = ()

    @property
    def carried(self) -> Optional[int]:
        """The number of the hunk that is carried; None where none is, or a part of the sentence that is none."""
        return next((number for number, one in enumerate(self.readings) if one.carried), None)

    @property
    def likely(self) -> Optional[Reading]:
        """The hunk that most likely is a choice, where nothing is carried; None if no hunk looks like one."""
        hanging = [one for one in self.readings if one.trigger and not one.agrees]
        return None if self.evidence else max(hanging, key=lambda one: one.dice, default=None)


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
    asked = [one[:2] for one in zip(requests, said, chosen) if one[2].generalises]
    return SameChanges(
        sides, ((request.source, one) for request, text in asked for one in _made(codec, request, text, sides))
    )


def _made(codec: TextCodec, request: EditRequest, said: str, sides: Sides) -> Iterator[Reading]:
    """The choices among the hunks of one request."""
    before, target = _compared(codec, request, said)
    if wanted_difference(request, said) is not None and not _is_another(before, target):
        readings = _readings(codec, request, said, sides)
        yield from (readings[index] for index in choices(request, readings))


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
        return _named(request, before, whole, readings, sides, settings)
    if _is_another(before, target):
        return _whole(request, whole, settings)
    chosen, evidence = choice(request, readings, sides, settings, same or SameChanges(sides))
    if chosen is None:
        return replace(_whole(request, whole, settings), readings=tuple(readings))
    reading = readings[chosen]
    difference, triggers = _carried(Difference(reading.unwanted, reading.wanted), reading.trigger, sides)
    repeated = count(before, difference.unwanted_forms) > 1
    return Understanding(
        replace(difference, repeated=repeated), reading.trigger, triggers, evidence, _marked(readings, chosen)
    )


def _is_another(before: str, target: str) -> bool:
    """Whether a target is another sentence, as for an output that was memorised, rather than a corrected one."""
    ours, theirs = ([one.text for one in units(text)] for text in (before, target))
    blocks = SequenceMatcher(None, ours, theirs, autojunk=False).get_matching_blocks()
    return sum(block.size for block in blocks) < _ANOTHER * max(len(ours), len(theirs))


def _whole(request: EditRequest, difference: Difference, settings: CaseSettings) -> Understanding:
    """All that differs as one change; a trigger is named for the sake of other sentences, whatever the change is.

    It is not carried where the request keeps a part of it for its own sentence, or where the trigger is all of its
    source and no context holds it: what the model says of a bare word tells nothing of sentences.
    """
    trigger = request.trigger or ""
    kept = settings.edit_carry == "none" or not all(one.carry for one in request.hunks)
    kept = kept or (request.is_its_trigger and not request.contexts)
    evidence = "" if kept or not trigger else NAMED
    return Understanding(difference, trigger, (trigger,) if trigger else (), evidence)


def _named(
    request: EditRequest, before: str, whole: Difference, readings: Sequence[Reading], sides: Sides,
    settings: CaseSettings,
) -> Understanding:  # fmt: skip
    """The understanding of a request that names its segments; where it names one of them, a hunk has the other one."""
    named = NamedHunk(request.unwanted or "", request.wanted or "", request.trigger)
    own = [index for index, one in enumerate(readings) if named.meets(one.unwanted, one.wanted, one.trigger)]
    own = own or [index for index, one in enumerate(readings) if one.unwanted and one.unwanted in whole.unwanted]
    best = strongest(readings, [index for index in own if readings[index].trigger])
    trigger = request.trigger or ("" if best is None else readings[best].trigger)
    if best is not None and not (named.unwanted and named.wanted):
        unwanted, wanted = named.unwanted or readings[best].unwanted, named.wanted or readings[best].wanted
        whole = Difference(unwanted, wanted, count(before, unwanted) > 1)
    if settings.edit_carry == "none":
        return Understanding(whole, trigger, (trigger,) if trigger else (), "", tuple(readings))
    difference, triggers = _carried(whole, trigger, sides)
    chosen = own[0] if best is None and own else best
    return Understanding(difference, trigger, triggers, NAMED, _marked(readings, chosen))


def _marked(readings: Sequence[Reading], chosen: Optional[int]) -> Tuple[Reading, ...]:
    """The hunks, with which of them is carried."""
    return tuple(replace(one, carried=number == chosen) for number, one in enumerate(readings))


def _carried(difference: Difference, trigger: str, sides: Sides) -> Tuple[Difference, Tuple[str, ...]]:
    """A difference with its other forms, and the trigger in those that go with them."""
    if not trigger:
        return difference, ()
    triggers = sides.forms(trigger)
    forms = other_forms(difference.unwanted, difference.wanted, triggers, sides.association, sides.target)
    single = len(words(difference.unwanted)) == 1
    return replace(difference, forms=forms), triggers if single else (trigger,)
