"""Numbers in digits and in words, as values."""

from __future__ import annotations

import re
from dataclasses import dataclass
from fractions import Fraction
from typing import List, Optional, Tuple

from fairseq_rome.text.checkers.number_words import begins_with, cardinal, ordinal
from fairseq_rome.text.checkers.tokens import Token, phrase, read_digits, read_sign
from fairseq_rome.text.languages.profile import LanguageProfile

_DECADE = ("s", "er", "ern")
_ORDINAL = ("st", "nd", "rd", "th")
# What may begin a year in two pairs of digits, as in `nineteen eighty-four`.
_CENTURIES = range(16, 21)


@dataclass(frozen=True)
class Numeral:
    """A number in a sentence.

    Args:
        values: its value; several where digits stand for several numbers, as in a date.
        stop: the position after its last token.
        sure: it is a number beyond doubt; False for an article, a name, a noun or a part of a compound.
        decade: it names ten years.
    """

    values: Tuple[Fraction, ...]
    stop: int
    sure: bool = True
    decade: bool = False


def read_numeral(tokens: List[Token], start: int, language: LanguageProfile) -> Optional[Numeral]:
    """The number that begins at a position; None where there is none.

    Cardinals and ordinals count alike: `May 3`, `May 3rd` and `3. Mai` hold the same number.
    """
    token = tokens[start]
    if token.digits:
        return _in_digits(tokens, start, language)
    sign = read_sign(token)
    if sign is not None:
        return Numeral((sign,), start + 1, sure=not token.text.isalpha())
    if token.form in language.decades:
        return Numeral((language.decades[token.form],), start + 1, decade=True)
    found = _in_words(tokens, start, language)
    if found is not None:
        return found
    value = begins_with(token.form, language)
    return None if value is None else Numeral((value,), start + 1, sure=False)


def _in_digits(tokens: List[Token], start: int, language: LanguageProfile) -> Numeral:
    # MP3 and 4x4: a part of a name.
    sure = not (tokens[start].glued and tokens[start - 1].text[0].isalpha())
    values = _day_and_month(tokens, start, language) or read_digits(tokens[start].text, language.decimal)
    if len(values) > 1:
        return Numeral(tuple(values), start + 1, sure)
    value, stop = values[0], start + 1
    ending = _glued(tokens, stop)
    # 80s, 80's, 80er and 80-er; 3rd.
    if ending in ("'", "-") and _glued(tokens, stop + 1) in _DECADE:
        return Numeral((value,), stop + 2, sure, decade=True)
    if ending in _DECADE or ending in _ORDINAL:
        return Numeral((value,), stop + 1, sure, decade=ending in _DECADE)
    value, stop = _with_fraction(value, tokens, stop)
    scale = _scale(tokens, stop, language)
    return Numeral((value * scale[0],), scale[1], sure) if scale else Numeral((value,), stop, sure)


def _day_and_month(tokens: List[Token], at: int, language: LanguageProfile) -> List[Fraction]:
    """Day and month of `24.12.`, in a language in which a point does not stand before decimals; else nothing."""
    match = re.fullmatch(r"(\d{1,2})\.(\d{1,2})", tokens[at].text)
    if not match or language.decimal != "," or _glued(tokens, at + 1) != ".":
        return []
    day, month = map(int, match.groups())
    return [Fraction(day), Fraction(month)] if 1 <= day <= 31 and 1 <= month <= 12 else []


def _glued(tokens: List[Token], at: int) -> str:
    return tokens[at].form if at < len(tokens) and tokens[at].glued else ""


def _with_fraction(value: Fraction, tokens: List[Token], stop: int) -> Tuple[Fraction, int]:
    """A number in digits with the fraction behind it, as `2½`; or `1/2` itself."""
    if _glued(tokens, stop) == "/" and _glued(tokens, stop + 1).isdecimal() and int(tokens[stop + 1].form):
        return value / int(tokens[stop + 1].form), stop + 2
    part = None
    if stop < len(tokens) and not tokens[stop].text.isalpha():
        part = read_sign(tokens[stop])
    return (value, stop) if part is None else (value + part, stop + 1)


def _scale(tokens: List[Token], at: int, language: LanguageProfile) -> Optional[Tuple[Fraction, int]]:
    at = _past_hyphen(tokens, at)
    if at < len(tokens) and tokens[at].form in language.scales:
        return language.scales[tokens[at].form], at + 1
    if _glued(tokens, at) == "k":
        return Fraction(1000), at + 1
    return None


def _past_hyphen(tokens: List[Token], at: int) -> int:
    return at + 1 if at + 1 < len(tokens) and tokens[at].text == "-" else at


class _Sum:
    """A number that is read word by word.

    `above` holds what is complete, up to the last scale of a thousand or more; `now` is what is read since; `least` is
    that scale, and all that follows must be smaller.
    """

    def __init__(self) -> None:
        self.above = Fraction(0)
        self.now: Optional[Fraction] = None
        self.least: Optional[Fraction] = None

    @property
    def value(self) -> Fraction:
        return self.above + (self.now or 0)

    @property
    def round(self) -> bool:
        """Whether something below a hundred may follow."""
        return bool(self.above) if self.now is None else self.now >= 100 and self.now % 100 == 0

    def add(self, value: Fraction) -> bool:
        """Take a number in, if it can stand there."""
        now = self.now
        if self.least is not None and value >= self.least:
            return False
        if now is None:
            self.now = value
        elif 0 < value < (100 if self.round else 10) and (self.round or (now % 10 == 0 and now % 100 >= 20)):
            self.now = now + value
        elif now in _CENTURIES and 10 <= value <= 99 and not self.above:
            self.now = now * 100 + value
        else:
            return False
        return True

    def scale(self, by: Fraction) -> bool:
        """Multiply by a hundred, a thousand and so on, if it can stand there."""
        if self.least is not None and by >= self.least or (by < 1000 and (self.now or 0) >= 100):
            return False
        now = Fraction(1) if self.now is None else self.now
        if by < 1000:
            self.now = now * by
        else:
            self.above, self.now, self.least = self.above + now * by, None, by
        return True


def _in_words(tokens: List[Token], start: int, language: LanguageProfile) -> Optional[Numeral]:
    total, stop = _Sum(), start
    halved = phrase(tokens, start, dict.fromkeys(language.halves, Fraction(1, 2)))
    if halved is not None and _scale(tokens, halved[1], language):
        total.now, stop = halved
    elif tokens[start].form in language.ones:
        total.now, stop = Fraction(1), start + 1
    while stop < len(tokens):
        taken = _take(total, tokens, stop, stop > start, language)
        if taken is None:
            break
        stop = taken
    if stop == start:
        return None
    value = total.value
    last = _past_hyphen(tokens, stop)
    if (
        last < len(tokens)
        and tokens[last].form in language.fractions
        and tokens[start].form not in language.ones
    ):
        value, stop = value / language.fractions[tokens[last].form], last + 1
    return Numeral((value,), stop, sure=value != 1 and not _is_noun(tokens, start, stop, language))


def _take(total: _Sum, tokens: List[Token], at: int, begun: bool, language: LanguageProfile) -> Optional[int]:
    """Take the next word of a number in; the position after it, or None where the number ends."""
    if begun:
        half = phrase(tokens, at, {language.add_half: Fraction(1, 2)}) if language.add_half else None
        if half is not None and total.now is not None:
            total.now += half[0]
            return half[1]
        at = _past_hyphen(tokens, at)
        if total.round and tokens[at].form == language.join and at + 1 < len(tokens):
            at += 1
    form = tokens[at].form
    if form in language.scales:
        return at + 1 if total.scale(language.scales[form]) else None
    value = cardinal(form, language)
    if value is None:
        value = ordinal(form, language)
    return at + 1 if value is not None and total.add(value) else None


def _is_noun(tokens: List[Token], start: int, stop: int, language: LanguageProfile) -> bool:
    """Whether a number word is a noun, as `Elf` and `Zwei-Mann-Zelt`; `Million` and its like count all the same."""
    token = tokens[start]
    capital = language.nouns_capitalised and token.text[0].isupper() and not token.opens
    return capital and not any(other.form in language.scales for other in tokens[start:stop])
