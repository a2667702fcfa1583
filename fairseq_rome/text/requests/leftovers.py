"""What a preparation of text leaves behind: marks that belong in no plain sentence."""

from __future__ import annotations

import re
from html.entities import html5
from typing import Optional, Tuple

_SUBWORD_MARK = re.compile(r"\u2581|@@(?=\s|$)")
_SYMBOL = re.compile(r"<<?unk>>?|</?s>|<pad>|<mask>|(?<!\w)__[a-z]{2,3}(?:_[A-Za-z]+)?__(?!\w)")
_LOST_CHARACTER = re.compile("\ufffd")
_TAG = re.compile(r"</?[A-Za-z][A-Za-z0-9]*(?:\s[^<>]*)?/?>")
_ENTITY = re.compile(r"&(?:#\d+|#[xX][0-9a-fA-F]+|[A-Za-z]+);")
_KINDS = (
    ("a mark between subwords", _SUBWORD_MARK),
    ("a symbol of a dictionary", _SYMBOL),
    ("the sign for a character that could not be read", _LOST_CHARACTER),
    ("markup", _TAG),
    ("an escaped character", _ENTITY),
)


def leftover(target: str, source: str) -> Optional[Tuple[str, str]]:
    """The first leftover in a target of a kind that its source does not hold.

    What the source holds too may be meant: a model can be trained on text with markup, or on subwords.

    Returns:
        What kind of leftover it is, and the leftover itself; None if there is none.
    """
    for kind, pattern in _KINDS:
        found = _first(pattern, target)
        if found is not None and _first(pattern, source) is None:
            return kind, found
    return None


def _first(pattern: re.Pattern[str], text: str) -> Optional[str]:
    pieces = (match.group() for match in pattern.finditer(text))
    # Not all that looks like an entity is one: `&c;` is none.
    return next((one for one in pieces if pattern is not _ENTITY or one[1] == "#" or one[1:] in html5), None)
