"""All that is known of one language, from its data file.

Adding a language is adding a file: `data/README.md` describes the fields. A language without a file has the neutral
profile, which knows digits and international units, writes words with blanks between them and has no endings.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from fractions import Fraction
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any, Callable, Dict, FrozenSet, Mapping, Optional, Sequence, Tuple

from fairseq_rome.errors import EditError
from fairseq_rome.text.languages.data_files import DATA, Table, read_data, to_table, to_words
from fairseq_rome.text.languages.shared_tables import decimal_sign, unit_forms, units


def _empty() -> Any:
    return field(default_factory=dict)


@dataclass(frozen=True, eq=False)
class LanguageProfile:
    """What is known of a language.

    A profile equals itself alone, so that it can be the key of a cache.

    Args:
        code: base code, such as `de` for `de_AT`.
        endings: endings with which a term still counts as itself.
        plurals: how the usual plural is made: patterns of a word's end, each with what takes its place; the first that
            is found counts.
        spaced: blanks stand between words.
        sacrebleu_tokenizer: sacrebleu's name of the tokenizer for BLEU; None for sacrebleu's default.
        decimal: `.` or `,`, what stands before decimals; None where it is not known.
        nouns_capitalised: a capital within a sentence marks any noun, not only a name.
        function_words: articles, pronouns, prepositions, auxiliaries and the like.
        grammar_words: the same, from a list that is not long enough to tell by it what is no word of the language.
        title_words: those of them that names and titles have within.
        negations: words that negate, in all their forms.
        numbers: cardinal numbers as single words, without one.
        ones: forms that may mean one or may be an article.
        scales: words that multiply what stands before them.
        ordinals: ordinal numbers, without their endings.
        ordinal_endings: endings that make them words.
        fractions: words for parts, by how many make a whole.
        decades: words for ten years, by the year that they begin with.
        vague: words and phrases that may stand for a number but need not.
        halves: phrases before a scale that halve it.
        join: word that may stand between a hundred and what follows it.
        add_half: phrase that adds a half to the number before it.
        glue: part of a compound number between units and tens; None where words don't compound.
        half_suffix: ending of a number word that adds a half.
        times_suffix: ending of a number word that counts occurrences.
        clock: phrases before an hour, by the minutes that they add to it.
        oclock: words after an hour.
        before_clock: words before an hour whose minutes follow it as a bare number, as in `at nine thirty`.
        day_halves: phrases after an hour, 0 for before noon and 1 for after.
        hours24: hours before a word for the clock run to 24.
        units: canonical unit by form, the international forms included.
    """

    code: str
    endings: Tuple[str, ...] = ()
    plurals: Tuple[Tuple[str, str], ...] = ()
    spaced: bool = True
    sacrebleu_tokenizer: Optional[str] = None
    decimal: Optional[str] = None
    nouns_capitalised: bool = False
    function_words: FrozenSet[str] = frozenset()
    grammar_words: FrozenSet[str] = frozenset()
    title_words: FrozenSet[str] = frozenset()
    negations: FrozenSet[str] = frozenset()
    numbers: Table = _empty()
    ones: FrozenSet[str] = frozenset()
    scales: Table = _empty()
    ordinals: Table = _empty()
    ordinal_endings: Tuple[str, ...] = ("",)
    fractions: Table = _empty()
    decades: Table = _empty()
    vague: Table = _empty()
    halves: FrozenSet[str] = frozenset()
    join: str = ""
    add_half: str = ""
    glue: Optional[str] = None
    half_suffix: str = ""
    times_suffix: str = ""
    clock: Table = _empty()
    oclock: FrozenSet[str] = frozenset()
    before_clock: FrozenSet[str] = frozenset()
    day_halves: Table = _empty()
    hours24: bool = False
    units: Mapping[str, str] = field(default_factory=lambda: units().forms)

    @property
    def spells(self) -> bool:
        """Whether numbers that are written as words can be read."""
        return bool(self.numbers)

    def plural(self, word: str) -> Optional[str]:
        """The usual plural of a word; None where the language has no rule for it."""
        for end, new in self.plurals:
            if re.search(end, word):
                return re.sub(end, new, word, count=1)
        return None

    def is_grammar(self, word: str) -> bool:
        """Whether a word is known to be one of grammar, which no single word of another language stands for."""
        return word.lower() in self.function_words or word.lower() in self.grammar_words

    @cached_property
    def digits_only(self) -> LanguageProfile:
        """How the language writes its digits, and nothing else of it."""
        return LanguageProfile(self.code, decimal=self.decimal)


def profile_of(language: str) -> LanguageProfile:
    """The profile of a language.

    Args:
        language: its code. A region, a script and underscores around do not count: `de_DE`, `zh-CN` and `__de__`
            have the profiles of `de` and `zh`.

    Raises:
        EditError: the data file of the language holds an unknown field or an unknown decimal sign.
    """
    return _read_profile(base_code(language), DATA)


def base_code(language: str) -> str:
    """The code of a language without region, script and underscores around, in small letters."""
    return language.strip("_").replace("-", "_").split("_")[0].lower()


@lru_cache(maxsize=None)
def _read_profile(code: str, folder: Path) -> LanguageProfile:
    path = folder / f"{code}.json"
    # Codes of languages have two or three letters: no code names `common.json` or a file elsewhere.
    has_file = code.isalpha() and len(code) <= 3 and path.is_file()
    data = read_data(path) if has_file else {}
    unknown = [name for name in data if name not in _READERS]
    if unknown:
        raise EditError(f"{path}: unknown field {unknown[0]!r}; known fields: {', '.join(_READERS)}")
    values = {name: _READERS[name](value) for name, value in data.items()}
    values.setdefault("decimal", decimal_sign(code))
    if values["decimal"] not in (".", ",", None):
        raise EditError(f"{path}: 'decimal' is {values['decimal']!r}; expected '.' or ','")
    return LanguageProfile(code, **values)


def _pairs(lists: Sequence[Sequence[str]]) -> Tuple[Tuple[str, str], ...]:
    return tuple((end, new) for end, new in lists)


def _minutes(by_phrase: Mapping[str, int]) -> Table:
    return {phrase: Fraction(minutes) for phrase, minutes in by_phrase.items()}


def _day_halves(phrases: Mapping[str, Sequence[str]]) -> Table:
    return {phrase: Fraction(half == "pm") for half in phrases for phrase in phrases[half]}


def _all_units(forms_by_unit: Mapping[str, Sequence[str]]) -> Mapping[str, str]:
    return {**units().forms, **unit_forms(forms_by_unit)}


_READERS: Dict[str, Callable[[Any], Any]] = {
    "endings": tuple,
    "plurals": _pairs,
    "spaced": bool,
    "sacrebleu_tokenizer": str,
    "decimal": str,
    "nouns_capitalised": bool,
    "function_words": to_words,
    "grammar_words": to_words,
    "title_words": to_words,
    "negations": to_words,
    "numbers": to_table,
    "ones": frozenset,
    "scales": to_table,
    "ordinals": to_table,
    "ordinal_endings": tuple,
    "fractions": to_table,
    "decades": to_table,
    "vague": to_table,
    "halves": frozenset,
    "join": str,
    "add_half": str,
    "glue": str,
    "half_suffix": str,
    "times_suffix": str,
    "clock": _minutes,
    "oclock": frozenset,
    "before_clock": to_words,
    "day_halves": _day_halves,
    "hours24": bool,
    "units": _all_units,
}
"""What makes the value of a profile out of the value of each field of a data file."""
