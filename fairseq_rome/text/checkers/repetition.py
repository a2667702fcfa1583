"""Repetition in a text, beyond what another text repeats."""

from __future__ import annotations

import re
from collections import Counter
from typing import List, Match, Optional, Sequence, Tuple

from fairseq_rome.text.characters import UNSPACED

_WORD = re.compile(rf"[{UNSPACED}]|[^\W_]+")
# Hahaha, lalala: a repetition within a word.
_WITHIN = re.compile(r"([^\W\d_]{2,}?)\1{2,}")
# A long word twice, with no comma between.
_TWICE = re.compile(r"\b([^\W\d_]{5,})\s+\1\b")
# (words, times, words in the source): a passage of that many words is a repetition if the output has it at least that
# many times, and more often than the source has any passage of the last number of words.
_PASSAGES = ((3, 3, 2), (6, 2, 3))


def words(text: str) -> List[str]:
    """The words of a text without case and punctuation."""
    return _WORD.findall(text.lower())


def oscillation(source: str, output: str) -> Optional[str]:
    """What the output repeats beyond the source; None for nothing.

    One word counts if it stands three times in a row; several words, or one long word, count if they stand twice in a
    row. The source must have nothing as often in a row. A long passage also counts if it comes again elsewhere, unless
    the source has a passage as often.
    """
    theirs, ours = _pieces(source), _pieces(output)
    allowed = max([times for _, times in _loops(theirs)], default=1)
    twice = _TWICE.search(output.lower())
    if twice and allowed < 2:
        return twice.group()
    for passage, times in _loops(ours):
        if times > allowed and times >= (3 if len(passage) == 1 else 2):
            return " ".join(passage)
    for length, least, length_there in _PASSAGES:
        passage, times = _most_frequent(ours, length)
        if times >= least and times > _most_frequent(theirs, length_there)[1]:
            return " ".join(passage)
    return None


def _pieces(text: str) -> List[str]:
    """The words, with a repetition within a word taken apart."""

    def apart(match: Match[str]) -> str:
        return f" {match.group(1)}" * (len(match.group()) // len(match.group(1))) + " "

    return words(_WITHIN.sub(apart, text.lower()))


def _loops(text: Sequence[str]) -> List[Tuple[Tuple[str, ...], int]]:
    """For each length the passage that is repeated most often in a row, and how often it stands there."""
    found = []
    for length in range(1, len(text) // 2 + 1):
        run, longest, end = 0, 0, 0
        for at in range(length, len(text)):
            run = run + 1 if text[at] == text[at - length] else 0
            if run > longest:
                longest, end = run, at + 1
        if longest >= length:
            found.append((tuple(text[end - length : end]), longest // length + 1))
    return found


def _most_frequent(text: Sequence[str], length: int) -> Tuple[Tuple[str, ...], int]:
    passages = Counter(tuple(text[at : at + length]) for at in range(len(text) - length + 1))
    return passages.most_common(1)[0] if passages else ((), 0)
