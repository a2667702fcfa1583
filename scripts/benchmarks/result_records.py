"""The records of measurements: JSON lines that say what was measured, by which command, with which version.

Every line of `records/*.jsonl` is one record. Its table is the name of its file. `README.md` describes the fields.
"""

from __future__ import annotations

import json
import os
import shlex
import subprocess
from pathlib import Path
from typing import Any, Dict, Iterable, List, Mapping, Sequence

from fairseq_rome.version import __version__

FOLDER = Path(__file__).resolve().parent / "records"
ORIGIN = ("command", "measured_with", "measured_commit")
"""Fields of every record, all of them text."""
KINDS = {"figures": dict, "finding": str}
"""What a record tells, one of these: a row of the table, or a sentence about what was measured."""

Record = Dict[str, Any]


def read_records(folder: Path = FOLDER) -> Dict[str, List[Record]]:
    """All records by table, each in the order of its file.

    Raises:
        ValueError: a line is no record; the message names file and line.
    """
    tables: Dict[str, List[Record]] = {}
    for path in sorted(folder.glob("*.jsonl")):
        lines = path.read_text(encoding="utf-8").splitlines()
        tables[path.stem] = [_read(line, f"{path.name}:{number}") for number, line in enumerate(lines, start=1)]
    return tables


def append_record(table: str, record: Mapping[str, Any], folder: Path = FOLDER) -> None:
    """Add a record to its table.

    Args:
        table: name of the file without its ending.
        record: the record.
        folder: where the files are.

    Raises:
        ValueError: a field is missing or of another type.
    """
    line = json.dumps(record, ensure_ascii=False)
    _read(line, table)
    with (folder / f"{table}.jsonl").open("a", encoding="utf-8") as file:
        file.write(line + "\n")


def origin(script: str, words: Sequence[str]) -> Dict[str, str]:
    """The fields of `ORIGIN` of a script that runs now.

    Args:
        script: name of its file.
        words: its command line; of an absolute path the last part is told.
    """
    told = [Path(word).name if os.path.isabs(word) else word for word in words]
    git = ["git", "-C", str(FOLDER), "describe", "--always", "--dirty", "--exclude", "*"]
    commit = subprocess.run(git, capture_output=True, text=True, check=False).stdout.strip()
    return {
        "command": shlex.join(["python", f"scripts/benchmarks/{script}", *told]),
        "measured_with": __version__,
        "measured_commit": commit or "unknown",
    }


def append_rows(
    table: str, rows: Iterable[Mapping[str, Any]], told: Mapping[str, str], folder: Path = FOLDER
) -> None:
    """Add a record for each row of figures.

    Args:
        table: as for `append_record`.
        rows: the figures.
        told: from `origin`.
        folder: as for `append_record`.
    """
    for figures in rows:
        append_record(table, {"figures": dict(figures), **told}, folder)


def _read(line: str, place: str) -> Record:
    try:
        record = json.loads(line)
    except json.JSONDecodeError as error:
        raise ValueError(f"{place}: {error}; expected one JSON object a line") from error
    if not isinstance(record, dict):
        raise ValueError(f"{place}: {type(record).__name__}; expected a JSON object")
    missing = [name for name in ORIGIN if not isinstance(record.get(name), str) or not record[name]]
    if missing:
        raise ValueError(f"{place}: no text in {missing[0]!r}; expected it in every record")
    told = [name for name in KINDS if name in record]
    if len(told) != 1 or not isinstance(record[told[0]], KINDS[told[0]]):
        raise ValueError(f"{place}: expected 'figures' (an object) or 'finding' (text), one of the two")
    unknown = sorted(set(record) - {*ORIGIN, *KINDS})
    if unknown:
        raise ValueError(f"{place}: unknown field {unknown[0]!r}; expected {', '.join((*ORIGIN, *KINDS))}")
    return dict(record)
