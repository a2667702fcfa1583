"""Suggestions as LibreTranslate collects them: records with `q`, the source, and `s`, the wanted translation.

In these `source` and `target` are the codes of the languages, and one file holds suggestions for all of them. Those for
other languages than an edit's are left out.
"""

from __future__ import annotations

from collections import Counter
from typing import Any, Collection, Dict, List, Mapping, Optional, Tuple
from typing import Counter as Counts

from fairseq_rome.text.languages.profile import base_code
from fairseq_rome.text.requests.lines import Faults, LineError, Place, check_text
from fairseq_rome.text.requests.placed import Record
from fairseq_rome.text.requests.records import parse_record

TEXTS = {"q": "source", "s": "target"}
"""The texts of a suggestion, and the names that they have in other records."""

# The codes of NLLB-200, and a few of other models, for the languages of LibreTranslate.
_OTHER_CODES = """
    arb ar azj az bul bg ben bn cat ca ces cs dan da deu de ell el eng en epo eo spa es est et eus eu pes fa fin fi
    fra fr gle ga glg gl heb he hin hi hun hu ind id ita it jpn ja kor ko kir ky lit lt lvs lv zsm ms nob nb no nb
    nld nl pol pl por pt ron ro rus ru slk sk slv sl als sq srp sr swe sv tha th tgl tl tur tr ukr uk urd ur vie vi
    zho zh zt zh
""".split()
_CODES = dict(zip(_OTHER_CODES[::2], _OTHER_CODES[1::2]))


def is_suggestion(names: Collection[str]) -> bool:
    """Whether the names of a record's fields are those of a suggestion."""
    return all(name in names for name in TEXTS)


class Suggestions:
    """Makes requests of records, of suggestions only for one pair of languages, and counts those for others.

    Args:
        languages: codes of source and target. A region or a script does not count: `zh` takes `zh-Hans`, and so does
            `zho_Hans`.
    """

    def __init__(self, languages: Tuple[str, str]) -> None:
        self._wanted = [_code(code) for code in languages]
        self._total = 0
        self._left_out: Counts[str] = Counter()

    def parse(self, fields: Any, number: int, place: Place, faults: Faults) -> Optional[Record]:
        """As `parse_record`, which takes what is no suggestion.

        Returns:
            The request; None if the record has a fault or is a suggestion for other languages.
        """
        if not isinstance(fields, Mapping) or not is_suggestion(fields):
            return parse_record(fields, number, place, faults)
        with faults.kept():
            codes = _languages_of(fields, place)
            self._total += 1
            if [_code(code) for code in codes] == self._wanted:
                return parse_record(_as_request(fields, place), number, place, faults)
            self._left_out["-".join(codes)] += 1
        return None

    def notes(self, path: str) -> Tuple[str, ...]:
        """How many suggestions were left out, as a sentence; nothing where none was."""
        if not self._left_out:
            return ()
        count, pairs = sum(self._left_out.values()), ", ".join(sorted(self._left_out))
        return (f"{path}: {count} of {self._total} suggestions are for other languages ({pairs}) and were left out",)


def _code(language: str) -> str:
    """A language's code as LibreTranslate has it."""
    base = base_code(language)
    return _CODES.get(base, base)


def _languages_of(fields: Mapping[str, Any], place: Place) -> List[str]:
    codes = [fields.get(name) for name in TEXTS.values()]
    named = [code for code in codes if isinstance(code, str) and code]
    if len(named) < len(codes):
        names = " and ".join(map(repr, TEXTS.values()))
        raise LineError(place, f"a suggestion lacks {names}; expected the codes of its languages there")
    return named


def _as_request(fields: Mapping[str, Any], place: Place) -> Dict[str, Any]:
    """The fields by their other names, without the languages."""
    found = {name: value for name, value in fields.items() if name not in (*TEXTS, *TEXTS.values())}
    for name, own in TEXTS.items():
        if not isinstance(fields[name], str):
            raise LineError(place, f"field {name!r} is no text; expected a sentence")
        found[own] = check_text(fields[name], place, name)
    return found
