"""Draws the pages of docs/ that are made of something else: results from records, methods and settings from the code.

    python scripts/benchmarks/draw_docs.py

writes docs/results.md and docs/_generated/methods.md. Run it after a record, a method or a setting has changed.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import Dict, List, Mapping, Sequence

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent
for folder in (HERE, ROOT):  # so that the script runs from any folder, and before the package is installed
    if str(folder) not in sys.path:
        sys.path.insert(0, str(folder))

import jinja2  # noqa: E402
from result_records import Record, read_records  # noqa: E402
from result_tables import TABLES  # noqa: E402

from fairseq_rome.editing.edit_settings import all_settings  # noqa: E402

DOCS = ROOT / "docs"


def results_page(records: Mapping[str, Sequence[Record]]) -> str:
    """The page of results.

    Args:
        records: by table.

    Raises:
        ValueError: there are records of a table that is not on the page, or none of one that is.
    """
    drawn: List[str] = []

    def section(table: str) -> str:
        drawn.append(table)
        if not records.get(table):
            raise ValueError(f"records/{table}.jsonl: missing or empty, expected the records of a table on the page")
        return table_section(table, records[table])

    template = (HERE / "results.md.j2").read_text(encoding="utf-8")
    page = jinja2.Environment(undefined=jinja2.StrictUndefined, autoescape=False).from_string(template)  # noqa: S701
    text = page.render(section=section)
    left = sorted(set(records) - set(drawn))
    if left:
        raise ValueError(f"records/{left[0]}.jsonl: no section in results.md.j2, expected one for each table")
    return text.rstrip("\n") + "\n"


def table_section(table: str, records: Sequence[Record]) -> str:
    """A table with what was found, its commands and the versions that they measured.

    Raises:
        ValueError: the columns of the table are not defined in `result_tables.TABLES`.
    """
    if table not in TABLES:
        raise ValueError(f"records/{table}.jsonl: no columns in result_tables.py, expected them under {table!r}")
    parts = [TABLES[table].drawn(records)]
    findings = [f"- {record['finding']}" for record in records if "finding" in record]
    parts += ["\n".join(findings)] if findings else []
    commands = list(dict.fromkeys(record["command"] for record in records))
    parts.append("```sh\n" + "\n".join(commands) + "\n```")
    versions = dict.fromkeys((record["measured_with"], record["measured_commit"]) for record in records)
    told = ", ".join(f"fairseq_rome {version} (commit {commit})" for version, commit in versions)
    parts.append(f"Measured with {told}.")
    return "\n\n".join(parts)


def settings_page() -> str:
    """The settings as a table: flag, type, default and meaning."""
    lines = ["| flag | type | default | meaning |", "| --- | --- | --- | --- |"]
    lines += [
        f"| `{one.flag}` | {one.type.__name__} | `{one.default}` | {_cell(one.help)} |"
        for one in all_settings().values()
    ]
    return "\n".join(lines) + "\n"


def pages() -> Dict[Path, str]:
    """What each drawn file should hold."""
    return {
        DOCS / "results.md": results_page(read_records()),
        DOCS / "_generated" / "methods.md": settings_page(),
    }


def _cell(text: str) -> str:
    """A help text as a cell: a vertical bar would end it, and a default of argparse's is a sign of its own."""
    return re.sub(r"\s+", " ", text).replace("|", "\\|").replace("%%", "%")


if __name__ == "__main__":
    for path, text in pages().items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
        print(path.relative_to(ROOT))
