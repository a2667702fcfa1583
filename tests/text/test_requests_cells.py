"""Tables as spreadsheets write them, and tables whose quotes are text."""

from __future__ import annotations

import csv
import io
from pathlib import Path
from typing import List

import pytest

from fairseq_rome.errors import EditError
from fairseq_rome.text.requests import EditFile, read_edit_file
from fairseq_rome.text.requests.checking import check_edit_file

HEADER = "source\ttarget\n"
TABLES = {
    "a comma": (HEADER + '"A man, a dog."\t"Ein Mann, ein Hund."\n', [["A man, a dog.", "Ein Mann, ein Hund."]]),
    "a comma on one side": (HEADER + '"A man, a dog."\tMann und Hund.\n', [["A man, a dog.", "Mann und Hund."]]),
    "carriage returns": ('source\ttarget\r\n"A man, a dog."\t"B, C."\r\n', [["A man, a dog.", "B, C."]]),
    "doubled quotes": (HEADER + '"So: ""Stop!"""\t"Also: ""Halt!"""\n', [['So: "Stop!"', 'Also: "Halt!"']]),
    "nothing but a quotation": (HEADER + '"""Stop!"""\t"""Halt!"""\n', [['"Stop!"', '"Halt!"']]),
    "a quoted tab": (HEADER + '"A\tman"\tEin Mann\n', [["A\tman", "Ein Mann"]]),
    "every cell": ('"source"\t"target"\t"id"\n"A man."\t"Ein Mann."\t"m"\n', [["A man.", "Ein Mann."]]),
    "every text": ('source\ttarget\tid\n"A man."\t"Ein Mann."\tm\n', [["A man.", "Ein Mann."]]),
    "some rows": (HEADER + 'A man.\tEin Mann.\n"A ""dog"""\tHund\n', [["A man.", "Ein Mann."], ['A "dog"', "Hund"]]),
    "byte-order mark": ("\ufeff" + HEADER + '"A, b"\tc\n', [["A, b", "c"]]),
    "literal quotes": (HEADER + 'An "exit".\tEin "Ausgang".\n', [['An "exit".', 'Ein "Ausgang".']]),
    "literal quotes at both ends": (HEADER + '"Stop", he said, "now"\tHalt\n', [['"Stop", he said, "now"', "Halt"]]),
    "a literal quotation on one side": (HEADER + '"Stop!"\t\u201eHalt!\u201c\n', [['"Stop!"', "\u201eHalt!\u201c"]]),
    "a literal quotation over two cells": (HEADER + '"Stop\tHalt"\n', [['"Stop', 'Halt"']]),
    "quotes of both kinds": (HEADER + '"A, b"\tc\nan "exit"\td\n', [['"A, b"', "c"], ['an "exit"', "d"]]),
    "inches": (HEADER + 'A 5" nail\tEin Nagel\n', [['A 5" nail', "Ein Nagel"]]),
}  # fmt: skip
QUOTED = list(TABLES)[: list(TABLES).index("literal quotes")]


def read(folder: Path, text: str) -> EditFile:
    (folder / "p.tsv").write_bytes(text.encode("utf-8"))
    return read_edit_file(str(folder / "p.tsv"), "en", "de")


@pytest.mark.parametrize("name", TABLES)
def test_quotes_are_those_of_a_spreadsheet_or_text(tmp_path: Path, name: str) -> None:
    text, expected = TABLES[name]
    found = read(tmp_path, text)
    assert [[one.source, one.target] for one in found.requests] == expected
    notes = [note for note in found.notes if "in quotes were read without them" in note]
    assert len(notes) == len(found.notes) == (name in QUOTED)
    told = [str(one) for one in check_edit_file(str(tmp_path / "p.tsv"), "en", "de") if "in quotes" in one.message]
    assert told == [note.replace(": ", ": warning: ", 1) for note in notes]


SENTENCES = ['"', '""', 'a "b"', '"a" b', "a, b", "a\tb", " a ", '"a\tb"', "#1", '5"', "plain"]


@pytest.mark.parametrize("quoting", [csv.QUOTE_MINIMAL, csv.QUOTE_ALL, csv.QUOTE_NONNUMERIC])
def test_what_is_written_as_a_table_is_what_is_read(tmp_path: Path, quoting: int) -> None:
    pairs = [(source, target) for source in SENTENCES for target in SENTENCES[:3]]
    rows: List[List[str]] = [[f"{source}{number}", target, ""] for number, (source, target) in enumerate(pairs)]
    text = io.StringIO()
    csv.writer(text, dialect="excel-tab", quoting=quoting).writerows([["source", "target", "trigger"], *rows])
    found = read(tmp_path, text.getvalue())
    assert [[one.source, one.target] for one in found.requests] == [row[:2] for row in rows]
    assert {one.trigger for one in found.requests} == {None}


def test_a_cell_of_several_lines_is_refused_by_name(tmp_path: Path) -> None:
    with pytest.raises(EditError, match=r"p\.tsv:2: a cell in quotes goes on in the next line; expected each"):
        read(tmp_path, HEADER + '"A man\nis tired."\t"Ein Mann\nist müde."\n')
