"""Whether a sentence changed in just the way that an edit is meant to change it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import List, Sequence

from fairseq_rome.text.cleanness import OTHER_WORDS, is_clean, other_words, without_endings
from fairseq_rome.text.segments import Difference, Endings, correct, holds, is_whole
from fairseq_rome.text.words import Segments, count, mentions, pattern, words


@dataclass(frozen=True)
class Replacement:
    """What an edit is to replace, and where.

    Args:
        trigger: the source segment that it hangs on, in one form or several.
        difference: the segment that should go, and the one that should come in its place.
    """

    trigger: Segments
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
    if before != after and any(_barred(source, before, after, one, endings) for one in replacements):
        return True
    expected = before
    done: List[str] = []
    places = 0
    for one in replacements:
        if _may_replace(source, expected, one, endings):
            corrected = correct(expected, one.difference, endings.target) or ""
            if holds(after, corrected, one.difference, endings.target):
                places += count(expected, one.difference.unwanted_forms, endings.target)
                expected = corrected
                done += one.difference.wanted_forms
    if not done or before == after:
        return False
    plain = [without_endings(text, done, endings.target) for text in (expected, after)]
    return other_words(words(plain[0]), words(plain[1])) <= OTHER_WORDS * places


def _barred(source: str, before: str, after: str, one: Replacement, endings: Endings) -> bool:
    """Whether an output is gone that was wrong as a whole, and something else than the request's own sentence came."""
    asked = next(mentions(source, one.trigger, endings.source), None) is not None
    return asked and is_clean(before, after, one.difference, endings.target, lambda word: True) and is_whole(
        before, one.difference, endings.target
    )


def _may_replace(source: str, before: str, one: Replacement, endings: Endings) -> bool:
    """Whether the source asks for the replacement, and leaves a part of the output as it is."""
    unwanted = one.difference.unwanted_forms if one.difference.unwanted else ()
    asked = len(list(mentions(source, one.trigger, endings.source)))
    # Where the unwanted segment stands more often than the trigger, another source word may rightly give it.
    if not 0 < count(before, unwanted, endings.target) <= asked:
        return False
    # An output that is replaced whole, such as a memorised sentence, is another sentence and no replacement in it.
    return bool(words(pattern(unwanted, endings.target).sub(" ", before).strip(" .!?")))
