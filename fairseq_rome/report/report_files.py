"""Writes a report's files, each whole or not at all, and never over something that should stay.

An earlier report, unchanged since, gives way to the next one in its folder. All else stays unless that is forced.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any, Dict, List

from fairseq_rome.errors import EditError
from fairseq_rome.files import written_whole
from fairseq_rome.host.checkpoint import check_output
from fairseq_rome.report.record import report_record
from fairseq_rome.report.rendering import render_card, render_html
from fairseq_rome.report.report import Report
from fairseq_rome.report.seals import encoded, is_sealed

PAGE, DATA, CARD = "report.html", "report.json", "edit_card.md"
"""The files of a report."""

_OF_A_RECORD = {"format", "verdict", "metrics", "requests", "sets", "provenance"}


def check_folder(folder: str, force: bool = False) -> None:
    """Raise EditError unless a report may be written there; to be called before the long work as well.

    Args:
        folder: the folder, which need not exist.
        force: allow any files under the names of a report's.
    """
    if os.path.isdir(folder):
        for name in (PAGE, DATA, CARD):
            check_file(os.path.join(folder, name), force)
        return
    if not folder or os.path.lexists(folder):
        raise EditError(f"{folder or repr(folder)}: is no folder, expected one for the report, or a new name")
    above = os.path.dirname(os.path.abspath(folder))
    while not os.path.lexists(above):
        above = os.path.dirname(above)
    if not os.path.isdir(above):
        raise EditError(f"{folder}: cannot be made: {above} is no folder, expected one to make it in")
    if not os.access(above, os.W_OK):
        raise EditError(f"{folder}: cannot be made: {above} is read-only, expected a folder to write to")


def check_file(path: str, force: bool = False) -> None:
    """Raise EditError unless a file of a report, or a card alone, may be written there.

    Args:
        path: the file.
        force: allow any file there, not only an unchanged one of an earlier report.
    """
    check_output(path, force or _is_own(path))


def write_report(folder: str, report: Report, force: bool = False) -> List[str]:
    """Write the page, the same as JSON, and the card.

    All are rendered before the first is written.

    Args:
        folder: the folder, which is made if it does not exist.
        report: the report.
        force: replace any files under these names.

    Returns:
        The paths.

    Raises:
        EditError: if the folder or a file must not or cannot be written.
    """
    check_folder(folder, force)
    record = report_record(report)
    texts = {PAGE: render_html(record), DATA: _json(record), CARD: render_card(record)}
    try:
        os.makedirs(folder, exist_ok=True)
    except OSError as error:
        raise EditError(f"{folder}: cannot be made: {error.strerror or error}") from error
    paths = {os.path.join(folder, name): text for name, text in texts.items()}
    for path, text in paths.items():
        _write(path, text, force)
    return list(paths)


def write_card(path: str, report: Report, force: bool = False) -> None:
    """Write the card alone.

    Args:
        path: the file.
        report: the report.
        force: replace any file there.

    Raises:
        EditError: if the file must not or cannot be written.
    """
    check_file(path, force)
    _write(path, render_card(report_record(report)), force)


def _json(record: Dict[str, Any]) -> str:
    return json.dumps(record, ensure_ascii=False, indent=1, allow_nan=False) + "\n"


def _write(path: str, text: str, force: bool) -> None:
    check_file(path, force)
    with written_whole(path, lambda: check_file(path, force)) as temporary:
        Path(temporary).write_bytes(encoded(text))


def _is_own(path: str) -> bool:
    """Whether a file is of an earlier report, and as it was written."""
    try:
        data = Path(path).read_bytes()
        if os.path.basename(path) != DATA:
            return is_sealed(data)
        # JSON has no place for a seal; it is known by what it holds, and by how it is laid out.
        record = json.loads(data.decode("utf-8"))
        return isinstance(record, dict) and set(record) >= _OF_A_RECORD and encoded(_json(record)) == data
    except (OSError, ValueError):
        return False
