"""Text files as checked lines: UTF-8, split at line feeds alone, without control characters."""

from __future__ import annotations

import re
from contextlib import contextmanager
from typing import Dict, Iterator, List, NamedTuple, Optional

from fairseq_rome.errors import EditError

_BYTE_ORDER_MARK = b"\xef\xbb\xbf"
# Control characters other than tab, and halves of surrogate pairs, which JSON can carry but UTF-8 cannot.
_FORBIDDEN = re.compile("[\x00-\x08\x0a-\x1f\x7f-\x9f\ud800-\udfff]")


class Place(NamedTuple):
    """The place that a message names, such as ``fixes.en:3``; without a line it is the whole file."""

    path: str
    line: Optional[int] = None

    def __str__(self) -> str:
        return self.path if self.line is None else f"{self.path}:{self.line}"


class LineError(EditError):
    """What is wrong at one place of a file.

    Args:
        place: the file and the line.
        problem: what is wrong and what was expected.
        column: counted from 1, where only one column can be meant.
    """

    def __init__(self, place: Place, problem: str, column: Optional[int] = None) -> None:
        super().__init__(place, problem, column)
        self.place, self.problem, self.column = place, problem, column

    def __str__(self) -> str:
        at = self.place if self.column is None else f"{self.place}:{self.column}"
        return f"{at}: {self.problem}"


class Faults:
    """What happens to a fault in a file: reading stops with it, or the fault is kept and reading goes on.

    Args:
        stop: raise the first fault. Otherwise all are kept in `found`, in the order in which they are met.
    """

    def __init__(self, stop: bool = True) -> None:
        self.found: List[LineError] = []
        self._stop = stop

    def add(self, fault: LineError) -> None:
        """Raise a fault or keep it.

        Raises:
            LineError: the fault, if reading stops at the first.
        """
        if self._stop:
            raise fault
        self.found.append(fault)

    @contextmanager
    def kept(self) -> Iterator[None]:
        """A context in which a `LineError` is handled as `add` does: unless reading stops, it ends the context alone.

        Raises:
            LineError: the fault, if reading stops at the first.
        """
        try:
            yield
        except LineError as fault:
            self.add(fault)


class Lines(NamedTuple):
    """The lines of a file.

    Attributes:
        texts: by line number, counted from 1; lines with a fault are left out.
        total: how many lines the file has, those with a fault included.
    """

    texts: Dict[int, str]
    total: int


def check_text(text: str, place: Place, name: str = "") -> str:
    """Give `text` back unless it is blank or holds a control character.

    Args:
        text: a sentence or a segment of one.
        place: where it stands.
        name: of the field that holds it, if it has one.

    Raises:
        LineError: the text cannot be a sentence or a segment of one.
    """
    field = f"field {name!r}: " if name else ""
    found = _FORBIDDEN.search(text)
    if found:
        raise LineError(
            place,
            f"{field}character {found.start() + 1} is U+{ord(found.group()):04X}; expected plain text "
            "without control characters",
        )
    if not text.strip():
        raise LineError(place, f"{field}empty; expected text")
    return text


def read_text_lines(path: str) -> List[str]:
    """Read the lines of a UTF-8 file, as `read_lines` does.

    Raises:
        LineError: the file cannot be read, is empty or is not UTF-8.
    """
    return list(read_lines(path, Faults()).texts.values())


def read_lines(path: str, faults: Faults) -> Lines:
    """Read the lines of a UTF-8 file. A byte-order mark and carriage returns before line feeds are dropped.

    Lines end at line feeds alone: a line or paragraph separator (U+2028, U+2029) is a character of its line.

    Args:
        path: of the file.
        faults: takes the lines that are not UTF-8.

    Raises:
        LineError: the file cannot be read or is empty; or the first fault, if `faults` stops there.
    """
    try:
        with open(path, "rb") as file:
            data = file.read()
    except OSError as error:
        raise LineError(Place(path), f"cannot be read ({error.strerror}); expected a text file") from error
    if data.startswith(_BYTE_ORDER_MARK):
        data = data[len(_BYTE_ORDER_MARK) :]
    if not data:
        raise LineError(Place(path, 1), "the file is empty; expected at least one line")
    raw_lines = data.split(b"\n")
    if not raw_lines[-1]:
        raw_lines.pop()
    texts = {}
    for number, line in enumerate(raw_lines, start=1):
        with faults.kept():
            texts[number] = _decode(line, Place(path, number))
    return Lines(texts, len(raw_lines))


def read_sentences(path: str, faults: Faults) -> Lines:
    """Read a file that holds a sentence a line.

    Raises:
        LineError: as `read_lines`; blank lines and control characters are faults too.
    """
    lines = read_lines(path, faults)
    texts = {}
    for number, line in lines.texts.items():
        with faults.kept():
            texts[number] = check_text(line, Place(path, number))
    return Lines(texts, lines.total)


def _decode(line: bytes, place: Place) -> str:
    try:
        text = line.decode("utf-8")
    except UnicodeDecodeError as error:
        raise LineError(
            place, f"byte {error.start + 1} is 0x{line[error.start]:02x}; expected UTF-8 text"
        ) from error
    return text[:-1] if text.endswith("\r") else text
