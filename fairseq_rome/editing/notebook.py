"""What a notebook shows of an edit: sentences before and after, with the changed words marked."""

from __future__ import annotations

from html import escape
from typing import List, Sequence, Tuple

from fairseq_rome.text.marking import Piece, marked

MOST_ROWS = 10
"""How many sentences a table of others shows."""


def compared(before: str, after: str) -> Tuple[str, str]:
    """Two texts as HTML, the words in which they differ in `<mark>`."""
    pieces = marked(before, after)
    return _html(pieces["before"]), _html(pieces["after"])


def card(title: str, rows: Sequence[Tuple[str, str]]) -> str:
    """A title over a table of two columns.

    Args:
        title: plain text.
        rows: a label in plain text, and what it stands for as HTML.
    """
    lines = [
        f'<tr><th style="text-align: left; vertical-align: top">{escape(label)}</th>'
        f'<td style="text-align: left">{told}</td></tr>'
        for label, told in rows
    ]
    table = f"<table>{''.join(lines)}</table>" if lines else ""
    return f"<div><p><b>{escape(title)}</b></p>{table}</div>"


def sentence_rows(sentences: Sequence[Tuple[str, str, str]]) -> List[Tuple[str, str]]:
    """Rows of a card for sentences, each with its source, what was said before, and what is said after."""
    rows: List[Tuple[str, str]] = []
    for source, before, after in sentences[:MOST_ROWS]:
        old, new = compared(before, after)
        rows += [("source", escape(source)), ("before", old), ("after", new)]
    if len(sentences) > MOST_ROWS:
        rows.append(("", f"... and {len(sentences) - MOST_ROWS} more"))
    return rows


def _html(pieces: Sequence[Piece]) -> str:
    parts = [(escape(str(piece["text"])), bool(piece["changed"])) for piece in pieces]
    return "".join(f"<mark>{text}</mark>" if changed else text for text, changed in parts)
