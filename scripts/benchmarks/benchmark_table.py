"""The results of `benchmark.py` as a Markdown table, from its JSON lines alone."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from statistics import median
from typing import Any, Dict, List, Sequence, Tuple

Record = Dict[str, Any]

_HEADER = (
    "task", "method", "site", "requests", "efficacy", "exact", "generalisation", "unrelated identical",
    "s an edit", "CPU s an edit", "code",
)  # fmt: skip


def read_records(path: Path) -> List[Record]:
    """The results in a file, none if there is no file."""
    if not path.exists():
        return []
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def row_of(record: Record) -> Tuple[str, ...]:
    """What tells one row of the table from another."""
    settings = json.dumps(record.get("settings", {}), sort_keys=True)
    return (record.get("task", ""), record.get("method", ""), record.get("site", ""), settings, record["code"])


def key_of(record: Record) -> Tuple[str, ...]:
    """What tells one result from another."""
    return (record["kind"], *row_of(record), record.get("id", ""))


def table(records: Sequence[Record]) -> str:
    """The table, then what each row hides: failures, sites, the cost that comes once."""
    edits = [record for record in records if record["kind"] == "edit"]
    if not edits:
        return "no results yet"
    groups = _groups(edits)
    lines = [_line(_HEADER), _line(["---"] * len(_HEADER))]
    lines += [_line(_cells(row, group)) for row, group in groups.items()]
    lines += ["", *(_notes(row, group) for row, group in groups.items()), "", _one_off(records)]
    return "\n".join(lines)


def _groups(edits: Sequence[Record]) -> Dict[Tuple[str, ...], List[Record]]:
    groups: Dict[Tuple[str, ...], List[Record]] = {}
    for record in edits:
        groups.setdefault(row_of(record), []).append(record)
    return groups


def _line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _cells(row: Tuple[str, ...], group: Sequence[Record]) -> List[str]:
    task, method, site, settings, code = row
    probes = sum(record["probes"] for record in group)
    return [
        task,
        method if settings == "{}" else f"{method} {settings}",
        site,
        str(len(group)),
        f"{_share(group, 'held'):.3f}",
        f"{_share(group, 'exact'):.3f}",
        f"{sum(record['probes_held'] for record in group) / probes:.3f} of {probes}" if probes else "",
        f"{sum(record['identical'] for record in group) / sum(record['unrelated'] for record in group):.5f}",
        f"{median(record['seconds'] for record in group):.1f}",
        f"{median(record['cpu_seconds'] for record in group):.1f}",
        code,
    ]


def _share(group: Sequence[Record], name: str) -> float:
    return sum(bool(record[name]) for record in group) / len(group)


def _notes(row: Tuple[str, ...], group: Sequence[Record]) -> str:
    failed = [record["id"] for record in group if not record["held"]]
    claimed = [record["id"] for record in group if record["claimed"] and not record["held"]]
    places = Counter(record["at"] or "none" for record in group)
    text = f"{' '.join(row[:3])}: edited at " + ", ".join(f"{site} {n}" for site, n in places.most_common())
    text += f"; {sum(record['tries'] for record in group) / len(group):.1f} tries a request"
    text += f"; slowest {max(record['seconds'] for record in group):.1f} s"
    text += f"; worst {min(record['identical'] for record in group)} of {group[0]['unrelated']} identical"
    text += f"; failed: {', '.join(failed)}" if failed else "; none failed"
    return text + (f"; claimed to hold but does not: {', '.join(claimed)}" if claimed else "")


def _one_off(records: Sequence[Record]) -> str:
    costs = [record["seconds"] for record in records if record["kind"] == "warm-up"]
    if not costs:
        return "Reading the corpus and measuring the statistics is not in the seconds."
    return f"Not in the seconds: a first edit that reads the corpus and measures the statistics, {median(costs):.1f} s."
