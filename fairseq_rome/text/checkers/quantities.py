"""The quantities of a sentence: its numbers with their units, its amounts of money, its times of day."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import List, Optional, Tuple

from fairseq_rome.text.checkers.numerals import read_numeral
from fairseq_rome.text.checkers.tokens import Token, phrase, read_clock, split
from fairseq_rome.text.languages.profile import LanguageProfile
from fairseq_rome.text.languages.shared_tables import units

CLOCK = "o'clock"
"""The unit of a time of day, whose value is in minutes since midnight."""
DECADE = "decade"

_NOON = 12 * 60
_Found = Tuple[List["Quantity"], int]


@dataclass(frozen=True)
class Quantity:
    """A number with its unit.

    Args:
        value: of the number.
        unit: its canonical unit, if it has one.
        sure: it has to be translated; False for what may be an article, a name or a part of a compound.
        half_known: it is known whether a time of day is before or after noon.
    """

    value: Fraction
    unit: Optional[str] = None
    sure: bool = True
    half_known: bool = False

    def __str__(self) -> str:
        if self.unit == CLOCK:
            hours, minutes = divmod(int(self.value), 60)
            return f"{hours}:{minutes:02d}"
        whole = self.value.denominator == 1
        number = str(self.value.numerator) if whole else f"{float(self.value):.10g}"
        return f"{number} {self.unit}" if self.unit else number

    def agrees(self, other: Quantity, any_unit: bool = False) -> bool:
        """Whether two quantities may be translations of one another.

        Args:
            other: a quantity of the other language.
            any_unit: a number with a unit agrees with the same number without one, whatever the unit.
        """
        if CLOCK in (self.unit, other.unit):
            return _same_time(self, other)
        if DECADE in (self.unit, other.unit) and min(self.value, other.value) < 100:
            return self.value % 100 == other.value % 100
        return self._in_parts() == other._in_parts() or (
            self.value == other.value and self._same_unit(other, any_unit)
        )

    def _in_parts(self) -> Tuple[Fraction, Optional[str]]:
        """The same in the smallest unit: half an hour is 30 minutes, a quarter is 25 percent."""
        unit, number = units().parts.get(self.unit or "", (self.unit, Fraction(1)))
        return self.value * number, unit

    def _same_unit(self, other: Quantity, any_unit: bool) -> bool:
        ours, theirs = self.unit, other.unit
        if ours is not None and theirs is not None:
            broader = units().broader
            return broader.get(ours) == theirs or broader.get(theirs) == ours
        bare = self if ours is None else other
        return any_unit or not bare.sure or (ours or theirs) in units().omissible


def _same_time(one: Quantity, other: Quantity) -> bool:
    if one.unit == other.unit:
        apart = abs(one.value - other.value)
        return apart == 0 or (apart == _NOON and not (one.half_known and other.half_known))
    time, bare = (one, other) if one.unit == CLOCK else (other, one)
    hours, minutes = divmod(int(time.value), 60)
    # A time of day can be a number alone, as in `at nine` and `at 9.30`.
    return bare.unit is None and bare.value - Fraction(minutes, 100) in (hours, hours % 12, hours % 12 + 12)


def read_quantities(text: str, language: LanguageProfile) -> List[Quantity]:
    """The quantities of a sentence in order.

    Args:
        text: a sentence.
        language: what is known of its language.
    """
    tokens = split(text)
    found: List[Quantity] = []
    at = 0
    while at < len(tokens):
        reading = _time(tokens, at, language) or _amount(tokens, at, language) or _bare(tokens, at, language)
        quantities, at = reading or ([], at + 1)
        found += quantities
    return found


def _time(tokens: List[Token], at: int, language: LanguageProfile) -> Optional[_Found]:
    """A time of day: an hour with a phrase before it, a word for the clock or a half of the day behind it."""
    lead = phrase(tokens, at, language.clock)
    minutes, at = lead or (Fraction(0), at)
    read = _hour(tokens, at, language) if at < len(tokens) else None
    if read is None or (lead and (tokens[at].form in language.ones or not 1 <= read[0] <= 12)):
        return None
    hour, minute, stop = read
    told = stop < len(tokens) and tokens[stop].form in language.oclock
    stop += told
    if told and language.hours24 and stop < len(tokens) and tokens[stop].text.isdecimal():
        later = read_clock(f"{hour}:{tokens[stop].text}")
        (hour, minute), stop = (later, stop + 1) if later else ((hour, minute), stop)
    named = language.hours24 if told else not lead and at > 0 and tokens[at - 1].form in language.before_clock
    spelt = _spelt_minutes(tokens, at, stop, language) if named else None
    minute, stop = spelt or (minute, stop)
    half = phrase(tokens, stop, language.day_halves)
    if not (lead or told or spelt or half or ":" in tokens[at].text):
        return None
    known = bool(half) or hour > 12 or (told and language.hours24 and not lead)
    if half:
        hour, stop = hour % 12 + 12 * int(half[0]), half[1]
    value = (hour * 60 + minute + minutes) % (2 * _NOON)
    return [Quantity(value, CLOCK, half_known=known)], stop


def _spelt_minutes(
    tokens: List[Token], at: int, stop: int, language: LanguageProfile
) -> Optional[Tuple[int, int]]:
    """The minutes of `at nine thirty` and `zehn Uhr dreißig`, all in words, and where they end."""
    if tokens[at].digits or stop >= len(tokens) or tokens[stop].digits:
        return None
    minutes = read_numeral(tokens, stop, language)
    if minutes is None or not minutes.sure or minutes.values[0] not in range(10, 60):
        return None
    return int(minutes.values[0]), minutes.stop


def _hour(tokens: List[Token], at: int, language: LanguageProfile) -> Optional[Tuple[int, int, int]]:
    """Hour and minute of a number that may tell the time, and where it ends."""
    numeral = read_numeral(tokens, at, language)
    if numeral is None:
        return None
    clock = read_clock(tokens[at].text) if tokens[at].digits and numeral.stop == at + 1 else None
    if clock is None and len(numeral.values) == 1 and numeral.values[0] in range(25):
        clock = (int(numeral.values[0]), 0)
    return None if clock is None else (*clock, numeral.stop)


def _amount(tokens: List[Token], at: int, language: LanguageProfile) -> Optional[_Found]:
    """A number with a unit before or behind it, or a phrase that may stand for a number."""
    start, unit = at, None
    before = phrase(tokens, at, language.units, most=1)
    if before and before[0] in units().before and before[1] < len(tokens):
        unit, start = before
    negative = _is_minus(tokens, start)
    start += negative
    numeral = read_numeral(tokens, start, language)
    vague = phrase(tokens, at, language.vague)
    if vague and (numeral is None or numeral.stop <= vague[1]):
        part = phrase(tokens, vague[1], language.units)
        unit, stop = part or (None, vague[1])
        return [Quantity(vague[0], unit, sure=False)], stop
    if numeral is None:
        return None
    stop = numeral.stop
    behind = phrase(tokens, _past_hyphen(tokens, stop), language.units) if unit is None else None
    if behind:
        unit, stop = behind
    unit = DECADE if numeral.decade else unit
    *values, last = numeral.values
    quantities = [Quantity(value, None, numeral.sure) for value in values]
    return [*quantities, Quantity(-last if negative else last, unit, numeral.sure)], stop


def _is_minus(tokens: List[Token], at: int) -> bool:
    if at + 1 >= len(tokens):
        return False
    apart = at == 0 or not tokens[at].glued
    return tokens[at].form == "minus" or (tokens[at].text == "-" and apart and tokens[at + 1].glued)


def _past_hyphen(tokens: List[Token], at: int) -> int:
    return at + 1 if at < len(tokens) and tokens[at].text == "-" else at


def _bare(tokens: List[Token], at: int, language: LanguageProfile) -> Optional[_Found]:
    """A currency without a number."""
    unit = phrase(tokens, at, language.units)
    if unit is None or unit[0] not in units().bare:
        return None
    return [Quantity(Fraction(1), unit[0], sure=False)], unit[1]
