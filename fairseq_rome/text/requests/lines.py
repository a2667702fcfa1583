"""Text files as checked lines: UTF-8, split at line feeds alone, without control characters."""

from __future__ import annotations

import re
from typing import List

from fairseq_rome.errors import EditError

_BYTE_ORDER_MARK = b"\xef\xbb\xbf"
# Control characters other than tab, and halves of surrogate pairs, which JSON can carry but UTF-8 cannot.
_FORBIDDEN = re.compile("[\x00-\x08\x0a-\x1f\x7f-\x9f\ud800-\udfff]")


def at(path: str, number: int) -> str:
    """The place that a message names, such as ``fixes.en:3``."""
    return f"{path}:{number}"


def check_text(text: str, place: str) -> str:
    """Give `text` back unless it is blank or holds a control character.

    Raises:
        EditError: The text cannot be a sentence or a segment of one; the message begins with `place`.
    """
    found = _FORBIDDEN.search(text)
    if found:
        raise EditError(
            f"{place}: character {found.start() + 1} is U+{ord(found.group()):04X}; expected plain text "
            "without control characters"
        )
    if not text.strip():
        raise EditError(f"{place}: empty; expected text")
    return text


def read_text_lines(path: str) -> List[str]:
    """Read the lines of a UTF-8 file. A byte-order mark and carriage returns before line feeds are dropped.

    Lines end at line feeds alone: a line or paragraph separator (U+2028, U+2029) is a character of its line.

    Raises:
        EditError: The file cannot be read, is empty or is not UTF-8.
    """
    try:
        with open(path, "rb") as file:
            data = file.read()
    except OSError as error:
        raise EditError(f"{path}: cannot be read ({error.strerror}); expected a text file") from error
    if data.startswith(_BYTE_ORDER_MARK):
        data = data[len(_BYTE_ORDER_MARK) :]
    if not data:
        raise EditError(f"{at(path, 1)}: the file is empty; expected at least one line")
    raw_lines = data.split(b"\n")
    if not raw_lines[-1]:
        raw_lines.pop()
    return [_decode(line, at(path, number)) for number, line in enumerate(raw_lines, start=1)]


def _decode(line: bytes, place: str) -> str:
    try:
        text = line.decode("utf-8")
    except UnicodeDecodeError as error:
        raise EditError(
            f"{place}: byte {error.start + 1} is 0x{line[error.start]:02x}; expected UTF-8 text"
        ) from error
    return text[:-1] if text.endswith("\r") else text
