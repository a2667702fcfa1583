"""Word tables of a language: what its numbers, units, times and function words look like.

The tables are data files of this package, one a language. A language without a file has digits and
international symbols alone.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache
from pathlib import Path
from typing import Any, Dict, FrozenSet, List, Mapping, Optional, Tuple

_DATA = Path(__file__).resolve().parent / "data"

Table = Dict[str, Fraction]
"""Values by written form, lower case, `ss` for `ß`; a form of several words has single spaces."""


@dataclass(frozen=True, eq=False)
class Lexicon:
    """The tables of one language.

    Args:
        decimal: `.` or `,`, what stands before decimals; None where it is not known.
        numbers: cardinal numbers as single words, without one.
        ones: forms that may mean one or may be an article.
        scales: words that multiply what stands before them.
        ordinals: ordinal numbers, without their endings.
        ordinal_endings: endings that make them words.
        fractions: words for parts, by how many make a whole.
        decades: words for ten years, by the year that they begin with.
        vague: words and phrases that may stand for a number but need not.
        clock: phrases before an hour, by the minutes that they add to it.
        oclock: words after an hour.
        before_clock: words before an hour whose minutes follow it as a bare number, as in `at nine thirty`.
        day_halves: phrases after an hour, 0 for before noon and 1 for after.
        halves: phrases before a scale that halve it.
        units: canonical unit by form.
        join: word that may stand between a hundred and what follows it.
        add_half: phrase that adds a half to the number before it.
        glue: part of a compound number between units and tens; None where words don't compound.
        half_suffix: ending of a number word that adds a half.
        times_suffix: ending of a number word that counts occurrences.
        hours24: hours before a word for the clock run to 24.
        nouns_capitalised: a capital within a sentence marks any noun, not only a name.
        function_words: articles, pronouns, prepositions, auxiliaries and the like.
        title_words: those of them that names and titles have within.
    """

    decimal: Optional[str]
    numbers: Table
    ones: FrozenSet[str]
    scales: Table
    ordinals: Table
    ordinal_endings: Tuple[str, ...]
    fractions: Table
    decades: Table
    vague: Table
    clock: Table
    oclock: FrozenSet[str]
    before_clock: FrozenSet[str]
    day_halves: Table
    halves: FrozenSet[str]
    units: Dict[str, str]
    join: str
    add_half: str
    glue: Optional[str]
    half_suffix: str
    times_suffix: str
    hours24: bool
    nouns_capitalised: bool
    function_words: FrozenSet[str]
    title_words: FrozenSet[str]

    @property
    def spells(self) -> bool:
        """Whether numbers that are written as words can be read."""
        return bool(self.numbers)


@dataclass(frozen=True)
class Units:
    """What holds of units in every language.

    Args:
        broader: the unit that another may be called by, as a pound is for pound sterling.
        parts: the smallest unit that another is made of, and how many; None for a plain number.
        before: units whose form may stand before the number.
        bare: units that count without a number too.
        omissible: units that a text may leave out.
    """

    broader: Dict[str, str]
    parts: Dict[str, Tuple[Optional[str], Fraction]]
    before: FrozenSet[str]
    bare: FrozenSet[str]
    omissible: FrozenSet[str]


def fold(text: str) -> str:
    """A form as the tables hold it."""
    return text.lower().replace("ß", "ss").replace("’", "'")


@lru_cache(maxsize=None)
def lexicon(language: str) -> Lexicon:
    """The tables of a language, by its code; a region in the code (`de_DE`) does not count."""
    code = _code(language)
    return _lexicon(_read("common"), _read(code) if _file(code).is_file() else {}, code)


@lru_cache(maxsize=None)
def digits_only(language: str) -> Lexicon:
    """How a language writes its digits, and nothing else of it."""
    return _lexicon(_read("common"), {}, _code(language))


@lru_cache(maxsize=None)
def units() -> Units:
    """What holds of units in every language."""
    data = _read("common")
    sets = [frozenset(data[name]) for name in ("before", "bare", "may_be_left_out")]
    parts = {unit: (part, Fraction(number)) for unit, (part, number) in data["parts"].items()}
    return Units(data["broader"], parts, *sets)


def shared_words(source_lang: str, target_lang: str) -> FrozenSet[str]:
    """Words without a capital that two languages write alike, be it with one meaning (warm) or with two (bald)."""
    pair = " ".join(sorted((_code(source_lang), _code(target_lang))))
    return _words(_read("common")["shared_words"], pair)


def _code(language: str) -> str:
    return language.replace("-", "_").split("_")[0].lower()


def _file(name: str) -> Path:
    return _DATA / f"{name}.json"


def _read(name: str) -> Dict[str, Any]:
    return json.loads(_file(name).read_text(encoding="utf-8"))


def _lexicon(common: Mapping[str, Any], data: Mapping[str, Any], code: str) -> Lexicon:
    comma, point = (code in _words(common, f"decimal_{name}") for name in ("comma", "point"))
    halves: Dict[str, List[str]] = data.get("day_halves", {})
    return Lexicon(
        decimal="," if comma else "." if point else None,
        numbers=_table(data.get("numbers", {})),
        ones=frozenset(data.get("ones", ())),
        scales=_table(data.get("scales", {})),
        ordinals=_table(data.get("ordinals", {})),
        ordinal_endings=tuple(data.get("ordinal_endings", ("",))),
        fractions=_table(data.get("fractions", {})),
        decades=_table(data.get("decades", {})),
        vague=_table(data.get("vague", {})),
        clock={form: Fraction(minutes) for form, minutes in data.get("clock", {}).items()},
        oclock=frozenset(data.get("oclock", ())),
        before_clock=_words(data, "before_clock"),
        day_halves={form: Fraction(half == "pm") for half in halves for form in halves[half]},
        halves=frozenset(data.get("half", ())),
        units={
            form: unit
            for table in (common["units"], data.get("units", {}))
            for unit, forms in table.items()
            for form in forms
        },
        join=data.get("join", ""),
        add_half=data.get("add_half", ""),
        glue=data.get("glue"),
        half_suffix=data.get("half_suffix", ""),
        times_suffix=data.get("times_suffix", ""),
        hours24=data.get("hours24", False),
        nouns_capitalised=data.get("nouns_capitalised", False),
        function_words=_words(data, "function_words"),
        title_words=_words(data, "title_words"),
    )


def _table(data: Mapping[str, List[str]]) -> Table:
    return {form: Fraction(value) for value, forms in data.items() for form in forms}


def _words(data: Mapping[str, Any], name: str) -> FrozenSet[str]:
    """The words of a list of lines."""
    return frozenset(" ".join(data.get(name, ())).split())
