"""Blanks beside characters that need none, which a corrected sentence has as the model does."""

from __future__ import annotations

from difflib import SequenceMatcher
from typing import List, Tuple

from fairseq_rome.text.words import is_unspaced


def blanks_as_in(before: str, after: str) -> str:
    """A text with blanks as in another, wherever a character stands beside them of a script that needs none.

    A blank between two words of a script with blanks stays as it is.

    Args:
        before: what the model says.
        after: what it should say.
    """
    (old, old_blanks), (new, new_blanks) = _characters(before), _characters(after)
    codes = SequenceMatcher(None, old, new, autojunk=False).get_opcodes()
    for kind, old_start, old_stop, start, stop in codes:
        # Of what is new only the beginning stands where something stood before.
        length = stop - start if kind == "equal" else min(old_stop - old_start, stop - start, 1)
        for index in range(length):
            place = start + index
            if place and (is_unspaced(new[place]) or is_unspaced(new[place - 1])):
                new_blanks[place] = old_blanks[old_start + index]
    return "".join(" " * blank + character for character, blank in zip(new, new_blanks))


def _characters(text: str) -> Tuple[List[str], List[bool]]:
    """The characters of a text but for blanks, and whether a blank stands before each; none before the first."""
    found, blanks, blank = [], [], False
    for character in text.strip():
        if character.isspace():
            blank = True
        else:
            found.append(character)
            blanks.append(blank)
            blank = False
    return found, blanks
