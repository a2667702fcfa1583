"""Which characters make words, as contents of a class in a regular expression.

These are facts of scripts and not of languages, so that they are in no language profile: one sentence may hold words
of several scripts, whatever its language.
"""

from __future__ import annotations

_MARKS = {
    "accents": r"\u0300-\u036f",
    "Cyrillic": r"\u0483-\u0489",
    "Hebrew": r"\u0591-\u05bd",
    "Arabic": r"\u0610-\u061a\u064b-\u065f\u0670\u06d6-\u06ed",
    "Devanagari to Sinhala": r"\u0900-\u0963\u0966-\u0df3",
    "Thai": r"\u0e31-\u0e3a\u0e47-\u0e4e",
    "Lao": r"\u0eb1-\u0ebc\u0ec8-\u0ecd",
    "Burmese": r"\u102b-\u103e",
    "Khmer": r"\u17b4-\u17d3",
    "joiners": r"\u200c\u200d",
}

MARKS = "".join(_MARKS.values())
"""Marks that are part of a word and belong to the letter before them."""

LETTERS = r"\w" + MARKS
"""Letters, digits, the underscore, and the marks that are part of a word.

Python's `\\w` alone lacks the marks: combining accents, vowel signs, joiners.
"""

UNSPACED = r"\u3005\u3040-\u30fa\u30fc-\u30ff\u3400-\u9fff"
"""Kana and Chinese characters: no blanks stand between words, so that each character counts as a word."""

KATAKANA = r"\u30a1-\u30fa\u30fc"
"""Katakana, which write foreign words: a run of them is one word, although no blank stands around it."""

UNSPACED_ALPHABETS = r"\u0e01-\u0e2e\u0e30-\u0e3a\u0e40-\u0e45\u0e81-\u0ec4\u1000-\u102a\u1780-\u17b3"
"""Thai, Lao, Burmese and Khmer: no blanks stand between words either, and a word has several letters."""

WIDE = UNSPACED + r"\uac00-\ud7af"
"""Characters that say about as much as three letters do: the unspaced ones and Hangul syllables."""
