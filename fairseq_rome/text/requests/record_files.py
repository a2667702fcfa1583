"""Edit files with a record a line: TSV and JSONL."""

from __future__ import annotations

import json
from typing import Any, Dict, Iterable, List, Tuple

from fairseq_rome.text.requests.cells import ends_in_quotes, split_cells
from fairseq_rome.text.requests.lines import Faults, LineError, Place, check_text, read_lines
from fairseq_rome.text.requests.placed import PlacedFile, Record
from fairseq_rome.text.requests.records import ID, REQUIRED, TEXT_FIELDS, check_names
from fairseq_rome.text.requests.suggestions import TEXTS, Suggestions, is_suggestion

_QUOTES = "{path}: {count} cells in quotes were read without them, as spreadsheets write cells"


def read_tsv(path: str, languages: Tuple[str, str], faults: Faults) -> PlacedFile:
    """Read a table: a header line, then a request a row. An empty cell is no value.

    Quotes around cells are read as `split_cells` does; that it took some away is noted.

    Raises:
        LineError: the file cannot be read; or the first fault, if `faults` stops there.
    """
    lines = read_lines(path, faults)
    if 1 not in lines.texts:
        return PlacedFile()
    faults_before = len(faults.found)
    cells = split_cells(lines.texts, REQUIRED)
    names = list(cells.rows[1])
    check_names(names, (*TEXT_FIELDS, ID, *(TEXTS if is_suggestion(names) else ())), Place(path, 1), faults)
    if len(set(names)) < len(names):
        problem = f"a field is given twice; expected each once: {', '.join(names)}"
        faults.add(LineError(Place(path, 1), problem))
    if len(faults.found) > faults_before:
        return PlacedFile()  # nothing can be said of cells whose names are wrong
    records: List[Record] = []
    suggestions = Suggestions(languages)
    for line, row in list(cells.rows.items())[1:]:
        place = Place(path, line)
        with faults.kept():
            _check_row(lines.texts[line], len(row), len(names), place)
            fields = {name: cell or None for name, cell in zip(names, row)}
            record = suggestions.parse(fields, line - 1, place, faults)
            records += [record] if record else []
    quotes = () if not cells.unquoted else (_QUOTES.format(path=path, count=cells.unquoted),)
    return PlacedFile(tuple(records), notes=(*quotes, *suggestions.notes(path)))


def _check_row(text: str, count: int, expected: int, place: Place) -> None:
    """Refuse a row without text, or with more or fewer cells than the header line."""
    check_text(text, place)
    if count == expected:
        return
    if ends_in_quotes(text):
        raise LineError(place, "a cell in quotes goes on in the next line; expected each sentence on one line")
    raise LineError(place, f"{count} cells; expected {expected}, as in the header line")


def read_jsonl(path: str, languages: Tuple[str, str], faults: Faults) -> PlacedFile:
    """Read a JSON object a line.

    Raises:
        LineError: the file cannot be read; or the first fault, if `faults` stops there.
    """
    records: List[Record] = []
    suggestions = Suggestions(languages)
    for number, line in read_lines(path, faults).texts.items():
        place = Place(path, number)
        with faults.kept():
            fields = _parse_json(check_text(line, place), place)
            record = suggestions.parse(fields, number, place, faults)
            records += [record] if record else []
    return PlacedFile(tuple(records), notes=suggestions.notes(path))


def _parse_json(line: str, place: Place) -> Any:
    expected = "expected one JSON object a line"
    try:
        return json.loads(line, object_pairs_hook=_unique_fields)
    except json.JSONDecodeError as error:
        raise LineError(place, f"{error.msg}; {expected}", error.colno) from error
    except ValueError as error:
        raise LineError(place, f"{error}; {expected}") from error


def _unique_fields(pairs: Iterable[Tuple[str, Any]]) -> Dict[str, Any]:
    fields: Dict[str, Any] = {}
    for name, value in pairs:
        if name in fields:
            raise ValueError(f"field {name!r} is given twice")
        fields[name] = value
    return fields
