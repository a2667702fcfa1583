"""Whether a sentence changed in just the way that an edit is meant to change it."""

from __future__ import annotations

from dataclasses import dataclass
from difflib import SequenceMatcher
from typing import List, Sequence, Tuple

from fairseq_rome.text.segments import Difference, Endings, correct, holds
from fairseq_rome.text.words import count, mentions, pattern, words

# Words that may differ besides the segment, such as an article that has to agree with it. More would take damage for
# agreement; none would take every agreement for damage.
_OTHER_WORDS = 1


@dataclass(frozen=True)
class Replacement:
    """What an edit is to replace, and where.

    Args:
        trigger: the source segment that it hangs on.
        difference: the segment that should go, and the one that should come in its place.
    """

    trigger: str
    difference: Difference


def changed_as_wanted(
    source: str, before: str, after: str, replacements: Sequence[Replacement], endings: Endings
) -> bool:
    """Whether an output changed by replacements alone, each where the source holds its trigger.

    A trigger may have been guessed wrongly, so it excuses nothing by itself: the output has to be the old one with the
    segments replaced, and at most one other word may differ. Endings of the wanted segment count as no difference.

    Args:
        source: the sentence.
        before: the output of the model without the edits.
        after: the output of the model with them.
        replacements: what the edits are to replace.
        endings: endings with which triggers and segments still count.
    """
    expected = before
    done: List[str] = []
    for one in replacements:
        if _may_replace(source, expected, one, endings):
            corrected = correct(expected, one.difference, endings.target) or ""
            if holds(after, corrected, one.difference, endings.target):
                expected = corrected
                done.append(one.difference.wanted)
    if not done or before == after:
        return False
    plain = [_without_endings(text, done, endings.target) for text in (expected, after)]
    return _other_words(words(plain[0]), words(plain[1])) <= _OTHER_WORDS


def _may_replace(source: str, before: str, one: Replacement, endings: Endings) -> bool:
    """Whether the source asks for the replacement, and leaves a part of the output as it is."""
    unwanted = one.difference.unwanted
    asked = len(list(mentions(source, one.trigger, endings.source)))
    # Where the unwanted segment stands more often than the trigger, another source word may rightly give it.
    if not 0 < count(before, unwanted, endings.target) <= asked:
        return False
    # An output that is replaced whole, such as a memorised sentence, is another sentence and no replacement in it.
    return bool(words(pattern(unwanted, endings.target).sub(" ", before).strip(" .!?")))


def _without_endings(text: str, segments: Sequence[str], endings: Tuple[str, ...]) -> str:
    for segment in filter(None, segments):
        text = pattern(segment, endings).sub(lambda found, bare=segment: bare, text)  # type: ignore[misc]
    return text


def _other_words(expected: List[str], found: List[str]) -> int:
    """How many words differ, where one word for another counts once."""
    codes = SequenceMatcher(None, expected, found, autojunk=False).get_opcodes()
    return sum(max(i2 - i1, j2 - j1) for kind, i1, i2, j1, j2 in codes if kind != "equal")
