"""Where two texts differ: each place for itself, and the segments within it that may belong together."""

from __future__ import annotations

import re
from dataclasses import dataclass
from difflib import SequenceMatcher
from typing import Iterator, List, Optional, Sequence, Tuple

from fairseq_rome.text.characters import LETTERS, MARKS, UNSPACED, UNSPACED_ALPHABETS
from fairseq_rome.text.words import is_katakana, is_unspaced

_SPACED = rf"(?:(?![{UNSPACED}{UNSPACED_ALPHABETS}])[{LETTERS}])"
# Words without their hyphens, so that a part of a compound can differ; numbers with their separators, and with the
# letters that they are written together with, since neither part alone would be a whole word; every character of a
# script without blanks, Katakana too, since a run of them may be two words.
_UNIT = re.compile(
    rf"{_SPACED}+(?:(?<=\d)[.,'’](?=\d){_SPACED}+)*|[{UNSPACED}{UNSPACED_ALPHABETS}][{MARKS}]*|[^\s]"
)
_WORD = re.compile(rf"[{LETTERS}]")
_LONGEST, _LONGEST_UNSPACED = 3, 6


@dataclass(frozen=True)
class Unit:
    """The smallest piece of a text that differs as a whole.

    Args:
        text: its text.
        start: where it begins in the text, in characters.
        stop: where it ends.
    """

    text: str
    start: int
    stop: int

    @property
    def is_word(self) -> bool:
        """Whether it is made of letters or digits."""
        return _WORD.match(self.text) is not None

    @property
    def unspaced(self) -> bool:
        """Whether it is a character of a script without blanks."""
        return is_unspaced(self.text)


@dataclass(frozen=True)
class Hunk:
    """One place in which two texts differ, as ranges of their units.

    Args:
        start: first unit of the old text that is gone.
        stop: behind the last one; equal to `start` where something is only inserted.
        new_start: first unit of the new text that has come.
        new_stop: behind the last one.
    """

    start: int
    stop: int
    new_start: int
    new_stop: int


def units(text: str) -> List[Unit]:
    """The units of a text in order; blanks are none."""
    return [Unit(found.group(), found.start(), found.end()) for found in _UNIT.finditer(text)]


def cut(text: str, parts: Sequence[Unit]) -> str:
    """The text from the first to the last of some units."""
    return text[parts[0].start : parts[-1].stop] if parts else ""


def hunks(before: Sequence[Unit], after: Sequence[Unit]) -> List[Hunk]:
    """Where two texts differ, from left to right."""
    matcher = SequenceMatcher(None, [one.text for one in before], [one.text for one in after], autojunk=False)
    return [Hunk(*code[1:]) for code in matcher.get_opcodes() if code[0] != "equal"]


def segments(text: str, parts: Sequence[Unit]) -> Iterator[range]:
    """The ranges of units that may be a word or a term: neighbours without a sign between them, a few at most."""
    for start, first in enumerate(parts):
        longest = _LONGEST_UNSPACED if first.unspaced else _LONGEST
        length = 0
        for stop in range(start + 1, len(parts) + 1):
            last = parts[stop - 1]
            joined = stop == start + 1 or not last.unspaced or parts[stop - 2].stop == last.start
            # A run of Katakana is one word, however long it is.
            length += stop == start + 1 or not is_katakana(parts[stop - 2].text + last.text)
            if not (last.is_word and last.unspaced == first.unspaced and joined and length <= longest):
                break
            yield range(start, stop)


def places(before: str, after: str) -> List[Tuple[str, str]]:
    """What each hunk between two texts replaces by what, from left to right; empty where one of them has nothing."""
    return [_texts(before, after, one) for one in hunks(units(before), units(after))]


def place_of(before: str, after: str, unwanted: str = "", wanted: str = "") -> Optional[Tuple[str, str]]:
    """The first hunk between two texts that two segments reach into, as `places` tells it; None where there is none.

    Args:
        before: the old text.
        after: the new text.
        unwanted: a segment of the old text; empty for any.
        wanted: a segment of the new text; empty for any.
    """
    old, new = units(before), units(after)
    for one in hunks(old, new):
        gone = not unwanted or _reaches(unwanted, old, range(one.start, one.stop))
        if gone and (not wanted or _reaches(wanted, new, range(one.new_start, one.new_stop))):
            return _texts(before, after, one)
    return None


def _texts(before: str, after: str, hunk: Hunk) -> Tuple[str, str]:
    old, new = units(before)[hunk.start : hunk.stop], units(after)[hunk.new_start : hunk.new_stop]
    return cut(before, old), cut(after, new)


def _reaches(segment: str, parts: Sequence[Unit], inside: range) -> bool:
    """Whether a segment stands among units, and some of it in a range of them."""
    wanted, texts = [one.text for one in units(segment)], [one.text for one in parts]
    length = len(wanted)
    return any(
        texts[start : start + length] == wanted
        for start in range(max(inside.start - length + 1, 0), inside.stop)
        if len(inside)
    )
