"""The data files of this folder, and the forms in which they hold tables and lists of words."""

from __future__ import annotations

import json
from fractions import Fraction
from pathlib import Path
from typing import Any, Dict, FrozenSet, List, Mapping, Sequence

DATA = Path(__file__).resolve().parent / "data"
"""The folder with one file a language; `data/README.md` describes their fields."""

Table = Mapping[str, Fraction]
"""Values by written form, lower case, `ss` for `ß`; a form of several words has single spaces."""


def fold(text: str) -> str:
    """A form as the tables hold it."""
    return text.lower().replace("ß", "ss").replace("’", "'")


def read_data(path: Path) -> Dict[str, Any]:
    """What a data file holds, by field."""
    return json.loads(path.read_text(encoding="utf-8"))


def to_table(forms_by_value: Mapping[str, Sequence[str]]) -> Table:
    """A table from the forms of each value; a value is a whole number or a fraction such as `1/2`."""
    return {form: Fraction(value) for value, forms in forms_by_value.items() for form in forms}


def to_words(lines: List[str]) -> FrozenSet[str]:
    """The words of a list of lines."""
    return frozenset(" ".join(lines).split())
