"""All that is wrong in an edit file, line by line, as far as that can be known without a model.

An error is what makes `read_edit_file` refuse the file. A warning is what the file is read with, although a request
cannot do what it says, or cannot be judged as it says. There is no warning about what may be right.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Dict, Iterator, List, Optional, Tuple

from fairseq_rome.text.languages.profile import profile_of
from fairseq_rome.text.requests.leftovers import leftover
from fairseq_rome.text.requests.lines import Faults, LineError, Place
from fairseq_rome.text.requests.markup import AUTO
from fairseq_rome.text.requests.placed import PlacedFile
from fairseq_rome.text.requests.readers import read_placed
from fairseq_rome.text.requests.request import EditRequest
from fairseq_rome.text.segments import Endings, compare, count_outside
from fairseq_rome.text.words import contains_trigger, count

ERROR, WARNING = "error", "warning"
"""How severe a finding is."""


@dataclass(frozen=True)
class Finding:
    """What is wrong at one place of an edit file.

    Attributes:
        path: the file.
        line: counted from 1; None where the whole file is meant.
        message: what is wrong and what was expected, one sentence without the place.
        severity: `ERROR` or `WARNING`.
    """

    path: str
    line: Optional[int]
    message: str
    severity: str = WARNING

    def __str__(self) -> str:
        return f"{Place(self.path, self.line)}: {self.severity}: {self.message}"


def check_edit_file(path: str, source_lang: str, target_lang: str, markup: str = AUTO) -> List[Finding]:
    """Find all that is wrong in an edit file.

    Args:
        path: the prefix of parallel text, or the full name of a TSV, JSONL or YAML file.
        source_lang: language code of the sources.
        target_lang: language code of the targets.
        markup: as for `read_edit_file`.

    Returns:
        What was found, by file and line; nothing for a file without a fault.
    """
    faults = Faults(stop=False)
    placed = PlacedFile()
    with faults.kept():
        placed = read_placed(path, source_lang, target_lang, faults, markup)
    found = [_error(fault) for fault in faults.found]
    found += [_warning(Place(path), note[len(f"{path}: ") :]) for note in placed.notes]
    segments = _Segments(source_lang, target_lang)
    for record in placed.records:
        found += [_warning(record.place, message) for message in _about_texts(record.request)]
        found += [_warning(record.place, message) for message in segments.check(record.request)]
    found += [_warning(*one) for about in (_repeated, _learnt, _contradictory) for one in about(placed)]
    return sorted(found, key=lambda one: (one.path, one.line or 0))


def _error(fault: LineError) -> Finding:
    column = "" if fault.column is None else f"column {fault.column}: "
    return Finding(fault.place.path, fault.place.line, column + fault.problem, ERROR)


def _warning(place: Place, message: str) -> Finding:
    return Finding(place.path, place.line, message)


def _about_texts(request: EditRequest) -> Iterator[str]:
    """What is wrong with the whole texts of a request."""
    if request.source.split() == request.target.split():
        yield "the target is the source itself; expected its translation"
    if request.negative is not None and compare(request.negative, request.target) is None:
        yield "the target is the unwanted output itself, so that nothing changes; expected another text"
    left = leftover(request.target, request.source)
    if left is not None:
        yield f"the target holds {left[1]!r}, {left[0]}, and the source holds none; expected plain text"
    if "\ufffd" in request.source:
        yield "the source holds '\ufffd', the sign for a character that could not be read; expected plain text"


class _Segments:
    """Checks the segments that a request names against its texts."""

    def __init__(self, source_lang: str, target_lang: str) -> None:
        self._source, self._target = profile_of(source_lang), profile_of(target_lang)
        self._endings = Endings.of(source_lang, target_lang)

    def check(self, request: EditRequest) -> Iterator[str]:
        """What is wrong with the segments of a request."""
        trigger, wanted, unwanted = request.trigger, request.wanted, request.unwanted
        if trigger is not None and not self._triggers(request.source, trigger):
            yield f"trigger {trigger!r} is not in the source; expected whole words of the source"
        if wanted is not None and not self._says(request.target, wanted):
            yield f"wanted {wanted!r} is not in the target; expected whole words of the target"
        if unwanted is None:
            return
        if unwanted == wanted:
            yield f"wanted and unwanted are both {wanted!r}; expected two different segments"
        elif count_outside(request.target, wanted or "", unwanted, self._endings.target):
            yield f"unwanted {unwanted!r} is in the target too, so that the output may keep it"
        if request.negative is not None and not self._says(request.negative, unwanted):
            yield f"unwanted {unwanted!r} is not in the unwanted output; expected whole words of it"

    def _triggers(self, source: str, trigger: str) -> bool:
        if self._source.spaced:
            return contains_trigger(source, trigger, self._endings.source)
        return trigger.strip().lower() in source.lower()

    def _says(self, text: str, segment: str) -> bool:
        # Without blanks between words a segment may be whole words and stand between letters.
        if self._target.spaced:
            return count(text, segment, self._endings.target) > 0
        return segment.strip() in text


_Warnings = Iterator[Tuple[Place, str]]


def _repeated(placed: PlacedFile) -> _Warnings:
    """Requests that say the same as an earlier one."""
    first: Dict[Tuple[object, ...], Place] = {}
    for request, place, _ in placed.records:
        named = (request.trigger, request.wanted, request.unwanted, request.hunks)
        earlier = first.setdefault((request.source, request.target, request.negative, *named), place)
        if earlier is not place:
            yield place, f"says the same as the request of {earlier}; expected each request once"


def _learnt(placed: PlacedFile) -> _Warnings:
    """Sentences that are to judge an edit, although the edit may learn from them."""
    contexts = dict(reversed(placed.contexts))
    # The requests of parallel text have the whole pool as their contexts, which is in the dictionary already.
    for request, place, _ in () if contexts else placed.records:
        for text in request.contexts:
            contexts.setdefault(text, place)
    requested = _requested(placed)
    for kind, text, place in _judging(placed):
        if text in requested:
            yield (
                place,
                f"{kind} {text!r} is the source of the request of {requested[text]}, so that it can't judge",
            )
        elif text in contexts:
            yield (
                place,
                f"{kind} {text!r} is a context too ({contexts[text]}); it judges and no edit learns from it",
            )


def _contradictory(placed: PlacedFile) -> _Warnings:
    """Sentences that are to change and to stay as they are."""
    requested = _requested(placed)
    probes = {text: place for kind, text, place in _judging(placed) if kind == _PROBE}
    for request, place, _ in placed.records:
        near = set(request.near)
        for text in dict.fromkeys(probe.source for probe in request.probes if probe.source in near):
            yield (
                place,
                f"{text!r} is a probe and a near miss; expected one: a probe changes, a near miss stays",
            )
    kept = [*placed.keep, *((text, record.place) for record in placed.records for text in record.keep)]
    for text, place in kept:
        if text in requested:
            yield place, f"keep {text!r} is the source of the request of {requested[text]}, which changes it"
        elif text in probes:
            yield place, f"keep {text!r} is a probe too ({probes[text]}); expected one: a probe changes"


_PROBE, _NEAR_MISS = "probe", "near miss"


def _judging(placed: PlacedFile) -> Iterator[Tuple[str, str, Place]]:
    """Every sentence that judges an edit: its kind, its text and its place."""
    for request, place, _ in placed.records:
        yield from ((_PROBE, probe.source, place) for probe in request.probes)
        yield from ((_NEAR_MISS, text, place) for text in request.near)
    yield from ((_PROBE, text, place) for text, place in placed.probes)


def _requested(placed: PlacedFile) -> Dict[str, Place]:
    """The first place of each source of a request."""
    return {record.request.source: record.place for record in reversed(placed.records)}
