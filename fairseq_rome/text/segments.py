"""The segments in which two texts differ, and whether a text holds a segment. Text alone, without a model."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from difflib import SequenceMatcher
from typing import List, Optional, Sequence, Tuple

from fairseq_rome.text.characters import LETTERS
from fairseq_rome.text.languages.profile import profile_of
from fairseq_rome.text.requests import EditRequest

# Numbers with separators and hyphenated or apostrophised words are one word each.
_WORD = re.compile(rf"[{LETTERS}]+(?:[-'’.,][{LETTERS}]+)*|[^{LETTERS}\s]")
_CHUNK = re.compile(r"\S+")
_LETTER = re.compile(rf"[{LETTERS}]")


@dataclass(frozen=True)
class Endings:
    """Endings with which a segment still counts as itself, on the source and on the target side."""

    source: Tuple[str, ...] = ()
    target: Tuple[str, ...] = ()

    @classmethod
    def of(cls, source_lang: str, target_lang: str) -> Endings:
        """Those of two languages, as their profiles have them."""
        return cls(profile_of(source_lang).endings, profile_of(target_lang).endings)


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
        return len(words(self.unwanted)) == 1 == len(words(self.wanted))


def words(text: str) -> List[str]:
    """The words of a text in order; a punctuation mark is one of its own."""
    return _WORD.findall(text)


def compare(before: str, after: str) -> Optional[Difference]:
    """The one segment in which two texts differ, whole words; None where they agree.

    The width of the gaps between words does not count. Several differences that are the same replacement count as
    one, repeated; otherwise the segment runs from the first difference to the last.
    """
    if before.split() == after.split():
        return None
    # The words may agree while their spacing differs, as in `10 %` and `10%`.
    return _compare(before, after, _WORD) or _compare(before, after, _CHUNK)


def wanted_difference(request: EditRequest, said: str) -> Optional[Difference]:
    """What a request changes in the unwanted output that it names, or else in what the model says.

    Returns:
        The difference; None if there is none.
    """
    found = compare(said if request.negative is None else request.negative, request.target)
    if found is None:
        return None
    return replace(
        found,
        unwanted=found.unwanted if request.unwanted is None else request.unwanted,
        wanted=found.wanted if request.wanted is None else request.wanted,
    )


def _compare(before: str, after: str, unit: re.Pattern[str]) -> Optional[Difference]:
    old, new = list(unit.finditer(before)), list(unit.finditer(after))
    matcher = SequenceMatcher(None, [m.group() for m in old], [m.group() for m in new], autojunk=False)
    spans = [code[1:] for code in matcher.get_opcodes() if code[0] != "equal"]
    if not spans:
        return None
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
        (start, stop, old) for each difference: `after[start:stop]` takes the place of what begins at `before[old]`;
        start equals stop where something was only removed.
    """
    codes = SequenceMatcher(None, list(before), list(after), autojunk=False).get_opcodes()
    return [(j1, j2, i1) for kind, i1, _, j1, j2 in codes if kind != "equal"]


def pattern(segment: str, endings: Sequence[str] = (), ignore_case: bool = False) -> re.Pattern[str]:
    """Matches a segment as whole words, its last word with one of the endings or none (group 1).

    A part of a number is no whole word: 1,5 does not hold 5.
    """
    segment = segment.strip()
    first, last = segment[:1], segment[-1:]
    choice = "|".join(map(re.escape, sorted(endings, key=len, reverse=True)))
    suffix = f"((?:{choice})?)" if choice and last.isalpha() else "()"
    head = rf"(?<![{LETTERS}])" if _LETTER.match(first) else ""
    tail = rf"(?![{LETTERS}])" if _LETTER.match(last) else ""
    head += r"(?<!\d[.,'’])" if first.isdigit() else ""
    tail += r"(?![.,'’]\d)" if last.isdigit() else ""
    body = r"\s+".join(map(re.escape, segment.split()))
    return re.compile(head + body + suffix + tail, re.IGNORECASE if ignore_case else 0)


def count(text: str, segment: str, endings: Sequence[str] = ()) -> int:
    """How often a segment stands in a text."""
    return len(pattern(segment, endings).findall(text)) if segment.strip() else 0


def contains_trigger(source: str, trigger: str, endings: Sequence[str] = ()) -> bool:
    """Whether a source holds the trigger as whole words, in any case, bare or with one of the endings."""
    return pattern(trigger, endings, ignore_case=True).search(source) is not None


def correct(output: str, difference: Difference, endings: Sequence[str] = ()) -> Optional[str]:
    """An output with the unwanted segment replaced; None where the output does not hold it.

    The ending of the unwanted segment is put behind the wanted one, whether or not that word takes this ending.
    """
    if not difference.unwanted:
        return None
    found = pattern(difference.unwanted, endings)
    if not found.search(output):
        return None
    if not difference.wanted:
        # One of the two gaps is removed too: the one before, because punctuation may follow.
        return re.sub(rf"\s+{found.pattern}|{found.pattern}\s*", "", output)
    return found.sub(lambda match: difference.wanted + match.group(1), output)


def holds(output: str, target: str, difference: Difference, endings: Sequence[str] = ()) -> bool:
    """Whether an output shows the wanted segment and no longer the unwanted one.

    Args:
        output: what the model says.
        target: what it should say, which may itself hold the unwanted segment elsewhere.
        difference: the segments.
        endings: endings with which a segment still counts.
    """
    wanted, unwanted = difference.wanted, difference.unwanted
    if wanted and not count(output, wanted, endings):
        return False
    if not unwanted:
        return count(output, wanted, endings) >= count(target, wanted, endings)
    return count_outside(output, wanted, unwanted, endings) <= count_outside(
        target, wanted, unwanted, endings
    )


def count_outside(text: str, wanted: str, unwanted: str, endings: Sequence[str]) -> int:
    """How often the unwanted segment stands in a text without being a part of the wanted one."""
    apart = count(wanted, unwanted, endings) and not count(unwanted, wanted, endings)
    rest = pattern(wanted, endings).sub("\0", text) if apart else text
    return count(rest, unwanted, endings)
