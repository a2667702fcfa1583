"""Draws what pages of docs/ tell of something else: results of records, methods and settings of the code.

    python scripts/benchmarks/draw_docs.py

writes docs/results.md, docs/which-way.md, and the two tables of docs/methods.md between the comments that mark them
there. Run it after a record, a method or a setting has changed.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import Any, Dict, List, Mapping, Sequence

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent
for folder in (HERE, ROOT):  # so that the script runs from any folder, and before the package is installed
    if str(folder) not in sys.path:
        sys.path.insert(0, str(folder))

import jinja2  # noqa: E402
from result_records import Record, read_records  # noqa: E402
from result_tables import TABLES, Column, Figures  # noqa: E402

from fairseq_rome.editing.edit_settings import all_settings  # noqa: E402
from fairseq_rome.methods.registry import all_methods  # noqa: E402
from fairseq_rome.settings import Setting  # noqa: E402

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

    text = _rendered("results.md.j2", section=section, measured=set(records))
    left = sorted(set(records) - set(drawn))
    if left:
        raise ValueError(f"records/{left[0]}.jsonl: no section in results.md.j2, expected one for each table")
    return text


def which_way_page(records: Mapping[str, Sequence[Record]]) -> str:
    """The page that says which way to correct a model, with figures from the records.

    Args:
        records: by table.

    Raises:
        ValueError: a figure or a row that the page names is not in the records.
    """

    def figure(table: str, heading: str, **named: Any) -> str:
        [row] = matching(table, named)[:1]
        return _column(table, heading).cell(row)

    def rows(table: str, headings: Sequence[str], **named: Any) -> str:
        columns = [_column(table, heading) for heading in headings]
        return _table(headings, [[one.cell(row) for one in columns] for row in matching(table, named)]).rstrip("\n")

    def matching(table: str, named: Mapping[str, Any]) -> List[Figures]:
        found = [row for row in TABLES[table].rows(records[table]) if named.items() <= row.items()]
        if not found:
            raise ValueError(f"records/{table}.jsonl: no row with {dict(named)}, expected one for docs/which-way.md")
        return found

    return _rendered("which-way.md.j2", figure=figure, rows=rows)


def _column(table: str, heading: str) -> Column:
    found = [one for one in TABLES[table].columns if one.heading == heading]
    if not found:
        raise ValueError(f"result_tables.py: {table!r} has no column {heading!r}, which which-way.md.j2 names")
    return found[0]


def _rendered(name: str, **named: Any) -> str:
    template = (HERE / name).read_text(encoding="utf-8")
    page = jinja2.Environment(undefined=jinja2.StrictUndefined, autoescape=False).from_string(template)  # noqa: S701
    return page.render(**named).rstrip("\n") + "\n"


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


def methods_page(page: str) -> str:
    """The page of methods with its tables drawn anew.

    Args:
        page: as it is.

    Raises:
        ValueError: the comments that mark a table are missing.
    """
    for name, table in (("methods", methods_table()), ("settings", settings_table())):
        begin, end = f"<!-- drawn: {name} -->", f"<!-- end of {name} -->"
        if page.count(begin) != 1 or end not in page.split(begin)[1]:
            raise ValueError(f"docs/methods.md: expected a table between {begin} and {end}")
        before, rest = page.split(begin)
        page = f"{before}{begin}\n\n{table}\n{end}{rest.split(end, 1)[1]}"
    return page


def methods_table() -> str:
    """What each method takes at once, and what it is."""
    rows = [
        (f"`{name}`", "all together" if method.together else "one at a time", method.summary)
        for name, method in all_methods().items()
    ]
    return _table(("method", "requests", "what it does"), rows)


def settings_table() -> str:
    """The flag, type, default and meaning of each setting, and the methods that use it."""
    rows = [
        (f"`{one.flag}`", _values(one), _default(one.default), _users(one), _meaning(one))
        for one in all_settings().values()
    ]
    return _table(("flag", "value", "default", "methods", "meaning"), rows)


def pages() -> Dict[Path, str]:
    """What each drawn page should hold."""
    methods, records = DOCS / "methods.md", read_records()
    return {
        DOCS / "results.md": results_page(records),
        DOCS / "which-way.md": which_way_page(records),
        methods: methods_page(methods.read_text(encoding="utf-8")),
    }


def _values(one: Setting) -> str:
    names = {str: "text", int: "whole number", float: "number", bool: "yes or no"}
    return " or ".join(f"`{choice}`" for choice in one.choices) or names[one.type]


def _default(value: Any) -> str:
    return ("yes" if value else "no") if isinstance(value, bool) else f"`{value}`"


def _users(one: Setting) -> str:
    others = [name for name in all_methods() if name not in one.methods]
    if not one.methods or not others:
        return "all"
    told, names = ("all but ", others) if len(others) < len(one.methods) else ("", list(one.methods))
    return told + ", ".join(f"`{name}`" for name in names)


def _meaning(one: Setting) -> str:
    """The help text without the names of methods before it, which have a column of their own."""
    if one.name == "method":
        return "how an edit is computed: see above"
    return re.sub(rf"^({'|'.join(all_methods())})(, \w+)*: ", "", one.help)


def _table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [heads, ["---"] * len(heads), *rows]
    return "".join(f"| {' | '.join(_cell(cell) for cell in line)} |\n" for line in lines)


def _cell(text: str) -> str:
    """A text as a cell: a vertical bar would end it."""
    return re.sub(r"\s+", " ", text).replace("|", "\\|")


if __name__ == "__main__":
    for path, text in pages().items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
        print(path.relative_to(ROOT))
