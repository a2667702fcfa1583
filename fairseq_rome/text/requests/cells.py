"""The cells of a table in tab-separated text, with quotes as spreadsheets write them or as plain characters.

Nothing in a file says which of the two it is. A spreadsheet puts each cell that holds a quote into quotes and doubles
the quotes in it (RFC 4180), so one cell with a quote in any other place shows that the quotes of its file are text.
"""

from __future__ import annotations

import re
from typing import Iterator, List, Mapping, NamedTuple, Sequence

# A cell in quotes, up to the tab or the end of the row behind it. Within, a quote is doubled and a tab is text.
_IN_QUOTES = re.compile(r'"([^"]*(?:""[^"]*)*)"(?=\t|\Z)')
# What makes a spreadsheet put a cell into quotes. It does so without need only where it does so with every text.
_NEEDS_QUOTES = re.compile(r'["\t,;\n]')


class _Cell(NamedTuple):
    """A cell: what it says, and whether it stood in quotes."""

    text: str
    quoted: bool


class Cells(NamedTuple):
    """The cells of a table.

    Attributes:
        rows: by line number, in the order of the file.
        unquoted: how many cells stood in quotes and were read without them; 0 where quotes are text.
    """

    rows: Mapping[int, Sequence[str]]
    unquoted: int


def split_cells(rows: Mapping[int, str], sentences: Sequence[str]) -> Cells:
    """Split the rows of a table into cells.

    Args:
        rows: each line of the file by its number, the header line first.
        sentences: names of the columns that hold a text in every row.
    """
    parsed = {line: list(_parsed(row)) for line, row in rows.items()}
    header = [cell.text for cell in next(iter(parsed.values()))]
    texts = [header.index(name) for name in sentences if name in header]
    unquoted = sum(cell.quoted for cells in parsed.values() for cell in cells)
    if unquoted and all(_by_spreadsheet(rows[line], cells, len(header), texts) for line, cells in parsed.items()):
        return Cells({line: [cell.text for cell in cells] for line, cells in parsed.items()}, unquoted)
    return Cells({line: row.split("\t") for line, row in rows.items()}, 0)


def ends_in_quotes(row: str) -> bool:
    """Whether a row ends within a cell in quotes, which then goes on in the next line."""
    last = list(_parsed(row))[-1].text
    return last.startswith('"') and last.count('"') % 2 == 1


def _parsed(row: str) -> Iterator[_Cell]:
    """The cells of a row; those that are no whole cells in quotes as they stand."""
    start = 0
    while start <= len(row):
        found = _IN_QUOTES.match(row, start)
        if found:
            yield _Cell(found.group(1).replace('""', '"'), True)
            end = found.end()
        else:
            end = row.find("\t", start)
            end = len(row) if end < 0 else end
            yield _Cell(row[start:end], False)
        start = end + 1


def _by_spreadsheet(row: str, cells: List[_Cell], columns: int, texts: Sequence[int]) -> bool:
    """Whether a spreadsheet can have written a row: each quote is where it puts one, and it had a reason to."""
    if any('"' in cell.text for cell in cells if not cell.quoted):
        return False
    if len(cells) != columns == row.count("\t") + 1:
        return False  # two quotes that have nothing to do with one another
    needed = all(_NEEDS_QUOTES.search(cell.text) for cell in cells if cell.quoted)
    return needed or all(index < len(cells) and cells[index].quoted for index in texts)
