"""Tags: words at the beginning of a source that tell a model the direction, such as `<2de>` or `eng_Latn hin_Deva`.

They are words of the text, and no part of what it says: no change hangs on one, and a sentence with other tags is one
of another direction, which an edit leaves alone. A trigger that begins with tags stands for its other words in the
sentences that begin with the same ones.
"""

from __future__ import annotations

import re
from typing import Sequence, Tuple

# Two languages at most: that of the source and that of the target.
_MOST = 2
_CODE = r"[A-Za-z]{2,3}(?:[-_][A-Za-z]{2,4})?"
# <2de> <de> [de] [2de] __de__ __2de__ >>de<< and, without signs, a language with its region or script: de_DE, eng_Latn.
_TAG = re.compile(rf"<2?{_CODE}>|\[2?{_CODE}\]|__2?{_CODE}__|>>{_CODE}<<|[a-z]{{2,3}}_[A-Z][A-Za-z]{{1,3}}")


def leading_tags(text: str) -> Tuple[str, ...]:
    """The tags that a text begins with, two at most; a text of nothing else has none.

    By its looks alone a word can be something else: whether it is a tag of a model is for its dictionary to tell.
    """
    found = []
    for word in text.split(None, _MOST)[:-1]:
        if not _TAG.fullmatch(word):
            break
        found.append(word)
    return tuple(found)


def without_tags(text: str) -> str:
    """The text behind its tags; a text without tags as it is."""
    tags = leading_tags(text)
    return text.split(None, len(tags))[-1] if tags else text


def opens_with(source: str, tags: Sequence[str]) -> bool:
    """Whether a source begins with these tags; every source does where there are none."""
    return not tags or source.split(None, len(tags))[: len(tags)] == list(tags)
