"""Tables that are no single language's: units, words that two languages share, decimal signs.

The decimal sign of a language that has a file stands there. For some fifty languages nothing else is known; their
signs stand together in one table, because fifty files of one line each would hide the files that say more.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache
from typing import Any, Dict, FrozenSet, Mapping, Optional, Sequence, Tuple

from fairseq_rome.text.languages.data_files import DATA, read_data, to_words


@dataclass(frozen=True)
class Units:
    """What holds of units in every language.

    Args:
        forms: canonical unit by international form, such as `km` and `$`.
        broader: the unit that another may be called by, as a pound is for pound sterling.
        parts: the smallest unit that another is made of, and how many; None for a plain number.
        before: units whose form may stand before the number.
        bare: units that count without a number too.
        omissible: units that a text may leave out.
    """

    forms: Mapping[str, str]
    broader: Mapping[str, str]
    parts: Mapping[str, Tuple[Optional[str], Fraction]]
    before: FrozenSet[str]
    bare: FrozenSet[str]
    omissible: FrozenSet[str]


@lru_cache(maxsize=None)
def units() -> Units:
    """What holds of units in every language."""
    data = _shared()
    return Units(
        forms=unit_forms(data["units"]),
        broader=data["broader"],
        parts={unit: (part, Fraction(number)) for unit, (part, number) in data["parts"].items()},
        before=frozenset(data["before"]),
        bare=frozenset(data["bare"]),
        omissible=frozenset(data["may_be_left_out"]),
    )


def unit_forms(forms_by_unit: Mapping[str, Sequence[str]]) -> Dict[str, str]:
    """The canonical unit of each form."""
    return {form: unit for unit, forms in forms_by_unit.items() for form in forms}


def shared_words(code: str, other: str) -> FrozenSet[str]:
    """Words without a capital that two languages write alike.

    Some have one meaning in both (warm), others have two (bald).

    Args:
        code: base code of one language, as `LanguageProfile` has it.
        other: base code of the other.
    """
    return to_words(_shared()["shared_words"].get(" ".join(sorted((code, other))), []))


def decimal_sign(code: str) -> Optional[str]:
    """The sign before the decimals of a language without a file; None where it is not known."""
    signs = {",": "decimal_comma", ".": "decimal_point"}
    return next((sign for sign, name in signs.items() if code in to_words(_shared()[name])), None)


@lru_cache(maxsize=None)
def _shared() -> Dict[str, Any]:
    return read_data(DATA / "common.json")
