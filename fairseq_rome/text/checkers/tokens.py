"""A sentence as words, digits and signs, and how digits are read."""

from __future__ import annotations

import re
from dataclasses import dataclass
from fractions import Fraction
from typing import List, Mapping, Optional, Tuple, TypeVar

from fairseq_rome.text.languages.data_files import fold

T = TypeVar("T")

_SPACES = re.compile("[\u00a0\u2007\u2009\u202f]")
_DASHES = re.compile("[\u2010-\u2015\u2212]")
_ABBREVIATED = re.compile(r"\b([ap])\.\s?m\b\.?", re.IGNORECASE)
# First digits with separators, where groups of three may stand apart; then words with apostrophes inside; then signs.
_TOKEN = re.compile(r"\d{1,3}(?: \d{3})+(?!\d)(?:[.,]\d+)?|\d+(?:[.,:'’]\d+)*|[^\W\d_]+(?:['’][^\W\d_]+)*|\S")
_VULGAR = {
    "½": Fraction(1, 2),
    "¼": Fraction(1, 4),
    "¾": Fraction(3, 4),
    "⅓": Fraction(1, 3),
    "⅔": Fraction(2, 3),
}
_ROMAN = {"II": 2, "III": 3, "IV": 4, "VI": 6, "VII": 7, "VIII": 8, "IX": 9, "XI": 11, "XII": 12, "XIV": 14}


@dataclass(frozen=True)
class Token:
    """A word, a number in digits or a sign.

    Args:
        text: as it is written.
        form: as the tables hold it.
        glued: no space stands before it.
        opens: it begins a sentence or a quotation.
    """

    text: str
    form: str
    glued: bool
    opens: bool

    @property
    def digits(self) -> bool:
        """Whether it is a number in digits."""
        return self.text[0].isdigit() and self.text.isascii()


def split(text: str) -> List[Token]:
    """The tokens of a sentence."""
    text = _ABBREVIATED.sub(r"\1m", _DASHES.sub("-", _SPACES.sub(" ", text)))
    found: List[Token] = []
    end = 0
    for match in _TOKEN.finditer(text):
        opens = not found or found[-1].text in '.!?:"„“”»«('
        found.append(Token(match.group(), fold(match.group()), match.start() == end > 0, opens))
        end = match.end()
    return found


def phrase(tokens: List[Token], start: int, table: Mapping[str, T], most: int = 3) -> Optional[Tuple[T, int]]:
    """What the longest form of a table that stands at a position means, and where it ends.

    A hyphen between its words counts as a blank.
    """
    best = None
    form, words = "", 0
    for stop in range(start, len(tokens)):
        token = tokens[stop]
        if words and token.text == "-":
            continue
        form += " " * bool(words and not (token.glued and _sign(form, token))) + token.form
        words += 1
        if form in table:
            best = (table[form], stop + 1)
        if words > most:
            break
    return best


def _sign(form: str, token: Token) -> bool:
    """Whether two neighbours make one form, as in `km/h` or `m²`."""
    return not (form[-1].isalpha() and token.text[0].isalpha())


def read_digits(text: str, decimal: Optional[str]) -> List[Fraction]:
    """The numbers that digits with separators stand for; several in a date, a score or a version.

    One separator is read as the language has it: the decimal sign before decimals, the other sign before a
    group of three digits. So 1,000 is a thousand in English and one in German. A sign that the language does
    not use so, as in `1.5 Millionen`, and every sign of an unknown language, stands before decimals unless
    just three digits follow. Two different signs are groups and decimals in that order in any language.

    Args:
        text: digits with `.`, `,`, `'` or blanks within.
        decimal: the language's decimal sign, if it is known.
    """
    parts = re.split(r"[^\d]", text)
    signs = re.findall(r"[^\d]", text)
    if not signs:
        return [Fraction(text)]
    if len(set(signs)) == 2 and signs[-1] not in signs[:-1] and _grouped(parts[:-1]) and ":" not in signs:
        return [Fraction(f"{''.join(parts[:-1])}.{parts[-1]}")]
    if len(set(signs)) == 1 and ":" not in signs:
        if _grouped(parts) and (len(signs) > 1 or signs[0] != decimal):
            return [Fraction("".join(parts))]
        if len(signs) == 1 and signs[0] in ".,":
            return [Fraction(f"{parts[0]}.{parts[1]}")]
    return [Fraction(part) for part in parts]


def _grouped(parts: List[str]) -> bool:
    """Whether parts of a number are its groups of three digits."""
    first, *rest = parts
    return 0 < len(first) <= 3 and first[0] != "0" and all(len(part) == 3 for part in rest)


def read_clock(text: str) -> Optional[Tuple[int, int]]:
    """Hour and minute of `9:30`, `9.30` or `9`; None for what is no time of day."""
    match = re.fullmatch(r"(\d{1,2})(?:[.:](\d{2}))?", text)
    if not match or int(match.group(1)) > 24 or int(match.group(2) or 0) > 59:
        return None
    return int(match.group(1)), int(match.group(2) or 0)


def read_sign(token: Token) -> Optional[Fraction]:
    """The value of a fraction that is one sign, or of a Roman numeral that is no common word."""
    if token.text in _VULGAR:
        return _VULGAR[token.text]
    return Fraction(_ROMAN[token.text]) if token.text in _ROMAN else None
