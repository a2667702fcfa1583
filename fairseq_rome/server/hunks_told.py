"""How a correction was understood, hunk by hunk, in plain values for clients; and what clients choose of it."""

from __future__ import annotations

from typing import Any, Dict, List, Sequence, Tuple

from fairseq_rome.cases.evidence import ASKED, CONTEXTS, NAMED, TIED
from fairseq_rome.cases.hunk_reading import Reading
from fairseq_rome.errors import EditError
from fairseq_rome.server.fix import Choices
from fairseq_rome.text.hunks import Hunk, hunks, place_of, units
from fairseq_rome.text.requests import NamedHunk

_WHY = {
    NAMED: "asked for",
    ASKED: "asked for",
    CONTEXTS: "other sentences that were given share it",
    TIED: "the training side ties {trigger!r} to {unwanted!r}, and hardly ever says {wanted!r} for it",
}


def told_hunks(readings: Sequence[Reading], evidence: str, before: str, target: str) -> List[Dict[str, Any]]:
    """The hunks of a correction as clients are told them.

    Args:
        readings: from left to right.
        evidence: what speaks for carrying the one that is carried.
        before: what the model said.
        target: what it should say.
    """
    places = _places(readings, before, target)
    return [
        {
            "number": number, "unwanted": one.unwanted, "wanted": one.wanted, "trigger": one.trigger,
            "kind": _kind(one), "carried": one.carried, "confidence": round(one.dice, 3) if one.trigger else None,
            "why": _why(one, evidence), "start": start, "end": end,
        }
        for number, (one, (start, end)) in enumerate(zip(readings, places))
    ]  # fmt: skip


def check_choices(choices: Choices) -> None:
    """Refuse choices that no edit can meet, whatever the sentence.

    Raises:
        EditError: if several hunks are to be carried, or one is named twice.
    """
    carried = [number for number, flag in choices if flag]
    if len(carried) > 1:
        raise EditError(
            f"hunks {', '.join(map(str, carried))} are to be carried, expected one at most: hand in another sentence "
            "for the other, since an edit carries one change"
        )
    numbers = [number for number, _ in choices]
    if len(set(numbers)) < len(numbers):
        raise EditError("hunks: one is named twice, expected each once")


def named_hunks(
    choices: Choices, readings: Sequence[Reading], said: str, target: str
) -> Tuple[NamedHunk, ...]:
    """What a client chose, in words that hold for what the unedited model says.

    Args:
        choices: by the number of the hunk.
        readings: of the output that the client saw.
        said: what the unedited model says.
        target: what it should say.

    Raises:
        EditError: for a number that no hunk has.
    """
    found = []
    for number, carried in choices:
        if not 0 <= number < len(readings):
            raise EditError(f"hunk {number}: there are {len(readings)}, expected a number below that")
        one = readings[number]
        if place_of(said, target, one.unwanted, one.wanted) is not None:
            found.append(NamedHunk(one.unwanted, one.wanted, one.trigger or None, carried))
        elif one.wanted and place_of(said, target, wanted=one.wanted) is not None:
            # Another fix has put there what the client saw, and that word need not go with a word of the source.
            found.append(NamedHunk("", one.wanted, None, carried))
    return tuple(found)


def _kind(reading: Reading) -> str:
    if reading.agrees:
        return "agreement"
    if reading.trigger:
        return "choice"
    if not reading.unwanted:
        return "added"
    return "wording" if reading.wanted else "removed"


def _why(reading: Reading, evidence: str) -> str:
    """Why a hunk is carried or not, as a sentence or a part of one."""
    if reading.carried:
        told = _WHY.get(evidence, "several corrections make it")
        return told.format(trigger=reading.trigger, unwanted=reading.unwanted, wanted=reading.wanted)
    if reading.agrees:
        return "another form of the same word, which agrees with the words around it"
    if not reading.trigger:
        return "no source word is known to stand for it"
    return "nothing speaks for it in other sentences"


def _places(readings: Sequence[Reading], before: str, target: str) -> List[Tuple[int, int]]:
    """Where each hunk stands in the target, in characters: its wanted words, or where something is missing now."""
    old, new = units(before), units(target)
    spans = [(_start(target, new, one), _stop(target, new, one)) for one in hunks(old, new)]
    found, position, current = [], 0, 0
    for reading in readings:
        place = None
        for index in range(current, len(spans)):
            start = max(spans[index][0], position)
            at = target.find(reading.wanted, start, spans[index][1]) if reading.wanted else start
            if at >= 0 and at <= spans[index][1]:
                place, current = (at, at + len(reading.wanted)), index + int(not reading.wanted)
                break
        if place is None:  # reaches out of its hunk, as where a script has no blanks
            at = target.find(reading.wanted, position)
            at = target.find(reading.wanted) if at < 0 else at
            place = (max(at, 0), max(at, 0) + (len(reading.wanted) if at >= 0 else 0))
        found.append(place)
        position = place[1]
    return found


def _start(text: str, parts: Sequence[Any], hunk: Hunk) -> int:
    return int(parts[hunk.new_start].start) if hunk.new_start < len(parts) else len(text)


def _stop(text: str, parts: Sequence[Any], hunk: Hunk) -> int:
    return int(parts[hunk.new_stop - 1].stop) if hunk.new_stop > hunk.new_start else _start(text, parts, hunk)
