"""What differs between what a model says and what it should say, and where: text only, no model."""

from __future__ import annotations

import re
from dataclasses import dataclass
from difflib import SequenceMatcher
from typing import Dict, List, Optional, Sequence, Tuple

# Numbers with separators and hyphenated or apostrophised words are one word each.
_WORD = re.compile(r"\w+(?:[-'’.,]\w+)*|[^\w\s]")

ENDINGS: Dict[str, Tuple[str, ...]] = {
    "de": ("s", "es", "e", "en", "n", "er"),
    "en": ("s", "es"),
}
"""Endings with which a term still counts as itself, by language; none in others."""


@dataclass(frozen=True)
class Endings:
    """Endings with which a segment still counts as itself, on the source and on the target side."""

    source: Tuple[str, ...] = ()
    target: Tuple[str, ...] = ()

    @classmethod
    def of(cls, source_lang: str, target_lang: str) -> Endings:
        """Those of two languages; none for a language that is not in the table."""
        return cls(ENDINGS.get(source_lang, ()), ENDINGS.get(target_lang, ()))


@dataclass(frozen=True)
class Difference:
    """The target segment that should go and the one that should come.

    Args:
        unwanted: text of the segment in the unwanted output; empty where something is only inserted.
        wanted: text of the segment in the wanted output; empty where something is only removed.
        repeated: the same replacement occurs more than once.
    """

    unwanted: str
    wanted: str
    repeated: bool = False

    @property
    def lexical(self) -> bool:
        """Whether one word is replaced by one other word."""
        return len(_WORD.findall(self.unwanted)) == 1 == len(_WORD.findall(self.wanted))


def compare(before: str, after: str) -> Optional[Difference]:
    """The one segment in which two texts differ, whole words; None where they agree.

    Several differences that are the same replacement count as one, repeated; otherwise the segment runs from the
    first difference to the last.
    """
    old, new = list(_WORD.finditer(before)), list(_WORD.finditer(after))
    matcher = SequenceMatcher(None, [m.group() for m in old], [m.group() for m in new], autojunk=False)
    spans = [code[1:] for code in matcher.get_opcodes() if code[0] != "equal"]
    if not spans:
        return None if before == after else Difference(before, after)
    pairs = {(_cut(before, old, i1, i2), _cut(after, new, j1, j2)) for i1, i2, j1, j2 in spans}
    if len(pairs) == 1:
        unwanted, wanted = pairs.pop()
        return Difference(unwanted, wanted, len(spans) > 1)
    first, last = spans[0], spans[-1]
    return Difference(_cut(before, old, first[0], last[1]), _cut(after, new, first[2], last[3]))


def _cut(text: str, words: Sequence[re.Match[str]], start: int, stop: int) -> str:
    return text[words[start].start() : words[stop - 1].end()] if stop > start else ""


def changed_spans(before: Sequence[int], after: Sequence[int]) -> List[Tuple[int, int, int]]:
    """Where `after` differs from `before`, in tokens.

    Returns:
        (start, stop, old) for each difference: `after[start:stop]` stands where `before[old:]` went on otherwise;
        start equals stop where something was only removed.
    """
    codes = SequenceMatcher(None, list(before), list(after), autojunk=False).get_opcodes()
    return [(j1, j2, i1) for kind, i1, _, j1, j2 in codes if kind != "equal"]


def pattern(segment: str, inflections: Sequence[str] = (), ignore_case: bool = False) -> re.Pattern[str]:
    """Matches a segment as whole words, its last word with one of the inflections or none (group 1)."""
    endings = "|".join(map(re.escape, sorted(inflections, key=len, reverse=True)))
    suffix = f"((?:{endings})?)" if endings and segment[-1:].isalpha() else "()"
    head = r"(?<!\w)" if segment[:1].isalnum() else ""
    tail = r"(?!\w)" if segment[-1:].isalnum() else ""
    return re.compile(head + re.escape(segment) + suffix + tail, re.IGNORECASE if ignore_case else 0)


def count(text: str, segment: str, inflections: Sequence[str] = ()) -> int:
    """How often a segment stands in a text."""
    return len(pattern(segment, inflections).findall(text)) if segment else 0


def contains_trigger(source: str, trigger: str, inflections: Sequence[str] = ()) -> bool:
    """Whether a source text holds the trigger as whole words, whatever the case, bare or with one of the endings."""
    return pattern(trigger, inflections, ignore_case=True).search(source) is not None


def correct(output: str, difference: Difference, inflections: Sequence[str] = ()) -> Optional[str]:
    """An output with the unwanted segment replaced by the wanted one, endings kept; None where it is not there."""
    if not difference.unwanted:
        return None
    found = pattern(difference.unwanted, inflections)
    if not found.search(output):
        return None
    return found.sub(lambda match: difference.wanted + match.group(1), output)


def holds(output: str, target: str, difference: Difference, inflections: Sequence[str] = ()) -> bool:
    """Whether an output shows the wanted segment and no longer the unwanted one.

    Args:
        output: what the model says.
        target: what it should say, which may itself hold the unwanted segment elsewhere.
        difference: the segments.
        inflections: endings with which a segment still counts.
    """
    wanted, unwanted = difference.wanted, difference.unwanted
    if wanted and not count(output, wanted, inflections):
        return False
    if not unwanted:
        return count(output, wanted, inflections) >= count(target, wanted, inflections)
    return _outside(output, wanted, unwanted, inflections) <= _outside(target, wanted, unwanted, inflections)


def _outside(text: str, wanted: str, unwanted: str, inflections: Sequence[str]) -> int:
    """Occurrences of the unwanted segment that are no part of the wanted one."""
    apart = wanted and not count(unwanted, wanted, inflections)
    rest = pattern(wanted, inflections).sub("\0", text) if apart else text
    return count(rest, unwanted, inflections)
