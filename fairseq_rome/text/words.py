"""The words of a text, and where a segment stands in it as whole words. Text alone, in any script.

Where a script has blanks between words, they and signs tell the words apart. Where it has none, a run of Katakana is
one word and every other character is one of its own, so that a segment may begin and end anywhere among them.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Iterator, List, Sequence, Tuple, Union

from fairseq_rome.text.characters import KATAKANA, LETTERS, MARKS, UNSPACED, UNSPACED_ALPHABETS
from fairseq_rome.text.tags import leading_tags, opens_with, without_tags

_NO_BLANKS = UNSPACED + UNSPACED_ALPHABETS
# A letter of a script with blanks between words.
_SPACED = rf"(?:(?![{_NO_BLANKS}])[{LETTERS}])"
# Numbers with separators and hyphenated or apostrophised words are one word each.
WORD = re.compile(
    rf"[{KATAKANA}]+|[{_NO_BLANKS}][{MARKS}]*|{_SPACED}+(?:[-'’.,]{_SPACED}+)*|[^{LETTERS}\s]"
)
_UNSPACED = re.compile(rf"[{_NO_BLANKS}]")
_KATAKANA = re.compile(rf"[{KATAKANA}]")
_LETTER = re.compile(rf"[{LETTERS}]")


def words(text: str) -> List[str]:
    """The words of a text in order; a punctuation mark is one of its own, and so is a character without blanks."""
    return WORD.findall(text)


def is_unspaced(word: str) -> bool:
    """Whether a word begins with a character of a script without blanks between words."""
    return _UNSPACED.match(word) is not None


def is_katakana(text: str) -> bool:
    """Whether a text is in Katakana alone."""
    return all(map(_KATAKANA.match, text))


Segments = Union[str, Sequence[str]]


@lru_cache(maxsize=512)
def _pattern(segments: Tuple[str, ...], endings: Tuple[str, ...], ignore_case: bool) -> re.Pattern[str]:
    choice = "|".join(map(re.escape, sorted(endings, key=len, reverse=True)))
    # The longest first, so that one that is a part of another does not stand in its way.
    parts = [_part(segment, choice, "i" if ignore_case else "") for segment in sorted(segments, key=len, reverse=True)]
    return re.compile("|".join(parts))


def pattern(segments: Segments, endings: Sequence[str] = (), ignore_case: bool = False) -> re.Pattern[str]:
    """Matches a segment, or one of several, as whole words, its last word with one of the endings or none.

    A part of a number is no whole word: 1,5 does not hold 5.
    """
    several = (segments,) if isinstance(segments, str) else tuple(segments)
    return _pattern(tuple(one.strip() for one in several), tuple(endings), ignore_case)


def _part(segment: str, endings: str, flags: str) -> str:
    first, last = segment[:1], segment[-1:]
    suffix = f"(?:{endings})?" if endings and last.isalpha() and not is_unspaced(last) else ""
    head, tail = _edge(first, "(?<!{})"), _edge(last, "(?!{})")
    head += r"(?<!\d[.,'’])" if first.isdigit() else ""
    tail += r"(?![.,'’]\d)" if last.isdigit() else ""
    tail += f"(?![{MARKS}])" if is_unspaced(last) else ""  # a mark is a part of the character before it
    # The flags are for the words alone: a class of letters has both cases, and takes long to compile without either.
    return f"{head}(?{flags}:" + r"\s+".join(map(re.escape, segment.split())) + f"{suffix}){tail}"


def _edge(character: str, without: str) -> str:
    """What must not stand beside a segment that ends with a character."""
    if _KATAKANA.match(character):
        return without.format(f"[{KATAKANA}]")
    if _UNSPACED.match(character) or not _LETTER.match(character):
        return ""
    return without.format(_SPACED)


def count(text: str, segments: Segments, endings: Sequence[str] = ()) -> int:
    """How often a segment, or one of several, stands in a text."""
    several = (segments,) if isinstance(segments, str) else segments
    filled = tuple(one for one in several if one.strip())
    return sum(1 for _ in pattern(filled, endings).finditer(text)) if filled else 0


def those_with_trigger(sources: Sequence[str], trigger: Segments, endings: Sequence[str] = ()) -> List[int]:
    """Indices of the sources that hold the trigger, as `contains_trigger` finds it; for many sources it is quicker."""
    several = (trigger,) if isinstance(trigger, str) else trigger
    if not several or any(map(leading_tags, several)):  # then each source tells which of them may stand there
        return [index for index, source in enumerate(sources) if contains_trigger(source, several, endings)]
    found = pattern(several, endings, ignore_case=True).search
    return [index for index, source in enumerate(sources) if found(source)]


def contains_trigger(source: str, trigger: Segments, endings: Sequence[str] = ()) -> bool:
    """Whether a source holds the trigger as whole words, in any case, bare or with one of the endings."""
    return next(mentions(source, trigger, endings), None) is not None


def mentions(source: str, trigger: Segments, endings: Sequence[str] = ()) -> Iterator[re.Match[str]]:
    """Where a source holds the trigger; nowhere in a source with other tags than those that the trigger begins with."""
    several = (trigger,) if isinstance(trigger, str) else trigger
    here = tuple(without_tags(one) for one in several if opens_with(source, leading_tags(one)))
    return pattern(here, endings, ignore_case=True).finditer(source) if here else iter(())
