"""The segments in which two texts differ, and whether a text holds a segment. Text alone, without a model."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from difflib import SequenceMatcher
from functools import cached_property
from typing import Dict, List, Optional, Sequence, Tuple

from fairseq_rome.text.hunks import place_of
from fairseq_rome.text.languages.profile import profile_of
from fairseq_rome.text.requests import EditRequest
from fairseq_rome.text.words import WORD, Segments, count, is_katakana, pattern, words

_CHUNK = re.compile(r"\S+")


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
        forms: other forms of the unwanted segment, such as its plural, each with what is to take its place.
    """

    unwanted: str
    wanted: str
    repeated: bool = False
    forms: Tuple[Tuple[str, str], ...] = ()

    @property
    def lexical(self) -> bool:
        """Whether one word is replaced by one other word."""
        return len(words(self.unwanted)) == 1 == len(words(self.wanted))

    @cached_property
    def pairs(self) -> Dict[str, str]:
        """What is to take the place of each form of the unwanted segment, also where it begins a sentence."""
        found: Dict[str, str] = {}
        for old, new in ((self.unwanted, self.wanted), *self.forms):
            found.setdefault(old, new)
            if old[:1].islower():
                found.setdefault(_capital(old), _capital(new))
        return found

    @property
    def unwanted_forms(self) -> Tuple[str, ...]:
        """Every form that should go."""
        return tuple(self.pairs)

    @property
    def wanted_forms(self) -> Tuple[str, ...]:
        """Every form that may come."""
        return tuple(dict.fromkeys(self.pairs.values()))


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]


def compare(before: str, after: str) -> Optional[Difference]:
    """The one segment in which two texts differ, whole words; None where they agree.

    The width of the gaps between words does not count. Several differences that are the same replacement count as
    one, repeated; otherwise the segment runs from the first difference to the last.
    """
    if before.split() == after.split():
        return None
    # The words may agree while their spacing differs, as in `10 %` and `10%`.
    return _compare(before, after, WORD) or _compare(before, after, _CHUNK)


def wanted_difference(request: EditRequest, said: str) -> Optional[Difference]:
    """What a request changes in the unwanted output that it names, or else in what the model says.

    Of a request that names one segment alone, the other one is what stands in its place, if anything does.

    Returns:
        The difference; None if there is none.
    """
    before, unwanted, wanted = said if request.negative is None else request.negative, request.unwanted, request.wanted
    found = compare(before, request.target)
    if found is None or unwanted is wanted is None:
        return found
    place = place_of(before, request.target, unwanted or "", wanted or "") or (found.unwanted, found.wanted)
    return replace(
        found,
        unwanted=place[0] if unwanted is None else unwanted,
        wanted=place[1] if wanted is None else wanted,
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


def changed_spans(before: Sequence[int], after: Sequence[int]) -> List[Tuple[int, int, int, int]]:
    """Where `after` differs from `before`, in tokens.

    Returns:
        (start, stop, old, old_stop) for each difference: `after[start:stop]` takes the place of `before[old:old_stop]`;
        start equals stop where something was only removed.
    """
    codes = SequenceMatcher(None, list(before), list(after), autojunk=False).get_opcodes()
    return [(j1, j2, i1, i2) for kind, i1, i2, j1, j2 in codes if kind != "equal"]


def correct(output: str, difference: Difference, endings: Sequence[str] = ()) -> Optional[str]:
    """An output with every form of the unwanted segment replaced; None where the output holds none.

    A form that the difference does not know, but one of the endings makes, is replaced with this ending behind the
    wanted segment, whether or not that word takes it. What is said over and over is replaced until it is there no more.
    """
    if not difference.unwanted:
        return None
    found = pattern(difference.unwanted_forms, endings)
    if not found.search(output):
        return None
    if not difference.wanted:
        # One of the two gaps is removed too: the one before, because punctuation may follow.
        return re.sub(rf"\s+(?:{found.pattern})|(?:{found.pattern})\s*", "", output)
    corrected = _replaced(output, found, difference)
    while len(corrected) < len(output) and found.search(corrected):
        output, corrected = corrected, _replaced(corrected, found, difference)
    return corrected


def _replaced(text: str, found: re.Pattern[str], difference: Difference) -> str:
    return found.sub(lambda match: _replacement(match.group(), difference), text)


def _replacement(found: str, difference: Difference) -> str:
    """What takes the place of a form: the one that belongs to it, or that of the longest form that it begins with."""
    form = max((old for old in difference.pairs if _bare(found).startswith(_bare(old))), key=len)
    return difference.pairs[form] + _bare(found)[len(_bare(form)) :]


def _bare(text: str) -> str:
    """A text with one blank in each gap."""
    return " ".join(text.split())


def holds(output: str, target: str, difference: Difference, endings: Sequence[str] = ()) -> bool:
    """Whether an output shows the wanted segment and no longer the unwanted one, each in any of its forms.

    Args:
        output: what the model says.
        target: what it should say, which may itself hold the unwanted segment elsewhere.
        difference: the segments.
        endings: endings with which a segment still counts.
    """
    wanted, unwanted = difference.wanted_forms, difference.unwanted_forms
    if difference.wanted and not count(output, wanted, endings) and not _holds_as_part(output, target, wanted, endings):
        return False
    if not difference.unwanted:
        return count(output, wanted, endings) >= count(target, wanted, endings)
    return count_outside(output, wanted, unwanted, endings) <= count_outside(target, wanted, unwanted, endings)


def _holds_as_part(output: str, target: str, wanted: Segments, endings: Sequence[str]) -> bool:
    """Whether an output has a segment in Katakana as a part of a word, where what it should say has it so too.

    Katakana words that stand together are written as one. In other scripts a part of a word is another word.
    """
    parts = [one for one in wanted if one and is_katakana(one)]
    return not count(target, wanted, endings) and any(one in target and one in output for one in parts)


def is_whole(output: str, difference: Difference, endings: Sequence[str] = ()) -> bool:
    """Whether the unwanted segment is all that an output says, as where it was memorised."""
    if not difference.unwanted:
        return False
    rest = pattern(difference.unwanted_forms, endings).sub(" ", output)
    return not any(word.isalnum() for word in words(rest))


def count_outside(text: str, wanted: Segments, unwanted: Segments, endings: Sequence[str]) -> int:
    """How often the unwanted segment stands in a text without being a part of the wanted one."""
    old, new = ((one,) if isinstance(one, str) else one for one in (unwanted, wanted))
    apart = any(count(one, old, endings) for one in new) and not any(count(one, new, endings) for one in old)
    rest = pattern(new, endings).sub("\0", text) if apart else text
    return count(rest, old, endings)
