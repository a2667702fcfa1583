"""Marks in parallel text: `[[words]]` in a line say which words of it are carried to other sentences.

In a source they are the trigger, in a target the wanted words, in an unwanted output the unwanted ones. The brackets
come off before anything else is done with the line, and no blank comes or goes with them.
"""

from __future__ import annotations

import re
from typing import NamedTuple, Optional

from fairseq_rome.text.requests.lines import LineError, Place
from fairseq_rome.text.words import pattern

AUTO, NONE = "auto", "none"
MARKUP = (AUTO, NONE)
"""How parallel text is read: with marks, or with all brackets as text."""

AS_TEXT = "or --edit-markup none, which takes brackets as text"
"""What a message on marks ends with, for who did not mean any."""

_BRACKETS = re.compile(r"\[{2,}|\]{2,}")


class Line(NamedTuple):
    """A line without its mark.

    Attributes:
        text: the line.
        marked: the words that were marked; None where none were.
    """

    text: str
    marked: Optional[str] = None


def unmarked(line: str, place: Place) -> Line:
    """Take the mark off a line.

    Args:
        line: the text.
        place: where it stands.

    Raises:
        LineError: for brackets that are no mark: not one pair, nothing between them, or a part of a word.
    """
    found = list(_BRACKETS.finditer(line))
    if not found:
        return Line(line)
    told = " ".join(one.group() for one in found)
    if [one.group() for one in found] != ["[[", "]]"]:
        raise LineError(place, f"{told!r} is no mark; expected one pair around words, as in [[words]], {AS_TEXT}")
    first, last = found
    inner = line[first.end() : last.start()]
    text, start = line[: first.start()] + inner + line[last.end() :], first.start()
    marked = inner.strip()
    if not marked:
        raise LineError(place, f"nothing is marked by {told!r}; expected words between them, {AS_TEXT}")
    start += len(inner) - len(inner.lstrip())
    if not any(one.start() == start for one in pattern(marked).finditer(text)):
        raise LineError(place, f"[[{marked}]] is a part of a word; expected whole words, {AS_TEXT}")
    return Line(text, marked)
