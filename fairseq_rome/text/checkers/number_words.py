"""Number words: the value of one word, a compound such as `zweiundfünfzigste` included."""

from __future__ import annotations

from fractions import Fraction
from functools import lru_cache
from typing import Optional

from fairseq_rome.text.languages.profile import LanguageProfile

# Letters; what begins with a shorter number word does so by chance.
_SHORTEST = 3


@lru_cache(maxsize=50_000)
def cardinal(form: str, language: LanguageProfile) -> Optional[Fraction]:
    """The value of a cardinal number, or of a word that counts occurrences (`zweimal`); None for other words."""
    if form in language.numbers:
        return language.numbers[form]
    if language.glue is None:
        return None
    for suffix, more in ((language.half_suffix, Fraction(1, 2)), (language.times_suffix, Fraction(0))):
        if form.endswith(suffix) and len(form) > len(suffix):
            value = _compound(form[: -len(suffix)], language)
            return None if value is None else value + more
    return _compound(form, language)


# Without the cache the time doubles with each scale that a word repeats.
@lru_cache(maxsize=50_000)
def _compound(form: str, language: LanguageProfile) -> Optional[Fraction]:
    """A compound of thousands, hundreds, tens and units, or one of its parts."""
    if form in language.numbers:
        return language.numbers[form]
    if form in language.ones:
        return Fraction(1)
    for name, scale in sorted(language.scales.items(), key=lambda item: (-item[1], -len(item[0]))):
        before, found, after = form.partition(name)
        if not found or scale < 100:
            continue
        many = _compound(before, language) if before else Fraction(1)
        rest = _compound(_without_glue(after, language), language) if after else Fraction(0)
        if many is not None and rest is not None and rest < scale:
            return many * scale + rest
    units, found, tens = form.partition(language.glue or "\0")
    few, many = _compound(units, language) if found and units else None, language.numbers.get(tens)
    return few + many if few is not None and many is not None and few < 10 <= many else None


def _without_glue(form: str, language: LanguageProfile) -> str:
    return form[len(language.glue) :] if language.glue and form.startswith(language.glue) else form


@lru_cache(maxsize=50_000)
def ordinal(form: str, language: LanguageProfile) -> Optional[Fraction]:
    """The value of an ordinal number; None for other words."""
    for ending in language.ordinal_endings:
        if not form.endswith(ending):
            continue
        stem = form[: len(form) - len(ending)]
        if stem in language.ordinals:
            return language.ordinals[stem]
        for name, value in language.ordinals.items() if language.glue else ():
            if stem.endswith(name):
                # einundzwanzigst: the cardinal takes the place of its last part.
                found = _compound(stem[: -len(name)] + _name(value, language), language)
                if found is not None:
                    return found
    return None


def _name(value: Fraction, language: LanguageProfile) -> str:
    return next(
        (
            name
            for table in (language.numbers, language.scales)
            for name, other in table.items()
            if other == value
        ),
        "\0",
    )


@lru_cache(maxsize=50_000)
def begins_with(form: str, language: LanguageProfile) -> Optional[Fraction]:
    """The number that a compound begins with, as `Dreirad`; None where words don't compound or it has none."""
    if language.glue is None:
        return None
    for stop in range(len(form) - 1, _SHORTEST - 1, -1):
        value = _compound(form[:stop], language)
        if value is None:
            value = ordinal(form[:stop], language)
        if value is not None:
            return value
    return None
