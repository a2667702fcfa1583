"""How each table of results is drawn: its columns, and what tells one row from another."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Callable, Dict, List, Mapping, Sequence, Tuple

from result_records import Record

Figures = Mapping[str, Any]


@dataclass(frozen=True)
class Column:
    """One column of a table.

    Args:
        heading: what stands above it.
        cell: the text of a row's cell, from its figures.
    """

    heading: str
    cell: Callable[[Figures], str]


@dataclass(frozen=True)
class Table:
    """One table of results.

    Args:
        key: names of the figures that tell a row from another. Of two records with the same key the later counts.
        columns: from left to right.
    """

    key: Tuple[str, ...]
    columns: Tuple[Column, ...]

    def rows(self, records: Sequence[Record]) -> List[Figures]:
        """The figures of each row, in the order in which the rows were first measured."""
        found: Dict[Tuple[Any, ...], Figures] = {}
        for record in records:
            if "figures" in record:
                found[tuple(record["figures"].get(name) for name in self.key)] = record["figures"]
        return list(found.values())

    def drawn(self, records: Sequence[Record]) -> str:
        """The table in Markdown, without columns that have nothing in any row."""
        rows = self.rows(records)
        columns = [column for column in self.columns if not rows or any(map(column.cell, rows))]
        lines = [[column.heading for column in columns], ["---"] * len(columns)]
        lines += [[column.cell(figures) for column in columns] for figures in rows]
        return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _number(name: str, form: str = "{}") -> Callable[[Figures], str]:
    return lambda figures: "" if figures.get(name) is None else form.format(figures[name])


def _spread(name: str, form: str = "{:.3f}") -> Callable[[Figures], str]:
    """A mean, with the distance of the farthest order where the orders differ."""

    def cell(figures: Figures) -> str:
        around = figures.get(f"{name}_spread")
        return _number(name, form)(figures) + (f" ± {form.format(around)}" if around is not None else "")

    return cell


def _of(part: str, whole: str) -> Callable[[Figures], str]:
    return lambda figures: (
        "" if None in (figures.get(part), figures.get(whole)) else f"{figures[part]:,g} of {figures[whole]:,}"
    )


def _pair(name: str) -> Callable[[Figures], str]:
    """How many of how many, where one figure holds both; empty where nothing was counted."""
    return lambda figures: f"{figures[name][0]:,} of {figures[name][1]:,}" if figures[name][1] else ""


def _both(name: str) -> Callable[[Figures], str]:
    """Two counts; empty where they were not taken."""
    return lambda figures: ", ".join(map(str, figures.get(name) or ()))


def _with_interval(figures: Figures) -> str:
    return f"{figures['share']:.3f} ({figures['low']:.3f} to {figures['high']:.3f})"


def _share(name: str, form: str, interval: bool = False) -> Callable[[Figures], str]:
    """A share that is recorded with its interval; empty where nothing was counted."""

    def cell(figures: Figures) -> str:
        if figures[name] is None:
            return ""
        share, low, high = map(form.format, figures[name])
        return f"{share} ({low} to {high})" if interval else share

    return cell


def _others(figures: Figures) -> str:
    share = figures["others_same"] / figures["others"]
    return f"{figures['others_same']:,} of {figures['others']:,} ({share:.1%})"


def _orders(figures: Figures) -> str:
    done, asked = figures["orders"], figures["orders_asked"]
    return str(done) if done == asked else f"{done} of {asked}"


def _patches(figures: Figures) -> str:
    size = figures["patches_kib"]
    return "the model" if size is None else f"{size:,} KiB"


TABLES: Dict[str, Table] = {
    "tasks": Table(
        ("task", "origin"),
        (
            Column("task", lambda figures: f"{figures['task']}, {figures['origin']}"),
            Column("requests, all wrong before", _number("requests")),
            Column("fixed", _number("fixed")),
            Column("checker", lambda figures: f"{figures['objections']}, then {figures['objections_after']}"),
            Column("probes hold", _of("probes_held", "probes")),
            Column("and cleanly", _of("probes_clean", "probes")),
            Column("near misses same", _of("near_same", "near")),
            Column("others same", _others),
            Column("s an edit", _number("seconds", "{:.1f}")),
        ),
    ),
    "corrections": Table(
        ("bed", "file", "form"),
        (
            Column("requests", lambda figures: f"{figures['requests']} {figures['file']}, {figures['bed']}"),
            Column("given", _number("form")),
            Column("carried rightly, wrongly", _both("carried")),
            Column("efficacy", _share("efficacy", "{:.2f}")),
            Column("exact match", _share("exact", "{:.2f}")),
            Column("generalisation", _share("generalisation", "{:.3f}", interval=True)),
            Column("clean", _share("clean", "{:.3f}", interval=True)),
            Column("identical", _share("identical", "{:.4f}")),
            Column("other directions", _share("elsewhere", "{:.4f}")),
            Column("s an edit", _number("seconds")),
        ),
    ),
    "field": Table(
        ("bed", "file", "method"),
        (
            Column("requests", lambda figures: f"{figures['requests']} {figures['file']}, {figures['bed']}"),
            Column("method", _number("method")),
            Column("no edit", _number("unedited")),
            Column("efficacy", _share("efficacy", "{:.2f}")),
            Column("exact", _share("exact", "{:.2f}")),
            Column("generalisation", _share("generalisation", "{:.2f}")),
            Column("clean", _share("clean", "{:.2f}", interval=True)),
            Column("near misses same", _share("near", "{:.2f}")),
            Column("identical", _share("identical", "{:.3f}")),
            Column("other directions", _share("elsewhere", "{:.3f}")),
            Column("ΔBLEU", _number("delta_bleu", "{:+.2f}")),
            Column("p", _number("p", "{:.3f}")),
            Column("s an edit", _number("seconds", "{:.0f}")),
            Column("before the first", lambda row: f"{row['first_seconds']:.0f} s, {row['first_mb']:,} MB"),
            Column("× decoding", _number("slower", "{:.2f}")),
            Column("KiB", _number("kib", "{:,.1f}")),
        ),
    ),
    "controls": Table(
        ("figure",),
        (
            Column("figure", _number("figure")),
            Column("edits", _number("edits")),
            Column("sentences", _of("part", "sentences")),
            Column("share", _with_interval),
            Column("target", _number("target")),
        ),
    ),
    "survival": Table(
        ("method", "task", "way"),
        (
            Column("method", _number("method")),
            Column("requests", lambda row: f"{row['requests']} {row['task']}s"),
            Column("what became of it", _number("way")),
            Column("edits still hold", _pair("held")),
            Column("probes still show it", _pair("probes")),
            Column("other sentences changed", _pair("changed")),
        ),
    ),
    "locating": Table(
        ("choice",),
        (
            Column("first choice", _number("choice")),
            Column("term", _of("term_best", "term")),
            Column("segment", _of("segment_best", "segment")),
            Column("s a request", _number("seconds")),
        ),
    ),
    "judging": Table(
        ("process",),
        (
            Column("process", _number("process")),
            Column("seconds", _number("seconds")),
            Column("changed outputs", _number("changed")),
        ),
    ),
    "curves": Table(
        ("method", "edits"),
        (
            Column("method", _number("method")),
            Column("edits", _number("edits", "{:,}")),
            Column("orders", _orders),
            Column("hold", _spread("hold")),
            Column("probes", _spread("probes")),
            Column("identical", _spread("identical")),
            Column("BLEU", _spread("bleu", "{:.2f}")),
            Column("p", _number("p", "{:.3f}")),
            Column("loss", _number("loss", "{:.3f}")),
            Column("CPU s an edit", _number("cpu_seconds", "{:.2f}")),
            Column("patches", _patches),
        ),
    ),
    "many": Table(
        ("edits", "cores"),
        (
            Column("edits in one run", _number("edits", "{:,}")),
            Column("cores", _number("cores")),
            Column("s an edit", _number("seconds", "{:.2f}")),
            Column("CPU s an edit", _number("cpu_seconds", "{:.2f}")),
            Column("hold", _of("held", "edits")),
            Column("identical", _of("identical", "unrelated")),
            Column("BLEU", lambda figures: f"{figures['bleu_before']:.2f}, then {figures['bleu']:.2f}"),
            Column("peak memory, MB", _number("peak_mb", "{:,}")),
        ),
    ),
    "patches": Table(
        ("model", "change"),
        (
            Column("model", _number("model")),
            Column("weights, MB", _number("weights_mb")),
            Column("one edit", _number("change")),
            Column("file, KB", _number("file_kb")),
        ),
    ),
    "loading": Table(
        ("patches", "gates"),
        (
            Column("patches", _number("patches", "{:,}")),
            Column("gates each", _number("gates")),
            Column("files, MB", _number("files_mb")),
            Column("CPU s more at the start", _number("cpu_seconds")),
        ),
    ),
    "serving": Table(
        ("fixes",),
        (
            Column("fixes held by hooks", _number("fixes", "{:,}")),
            Column("translations a second", _number("rate", "{:.1f}")),
        ),
    ),
    "certificate": Table(
        ("edits", "sentences"),
        (
            Column("edits", _number("edits")),
            Column("sentences each", _number("sentences", "{:,}")),
            Column("same by certificate", _of("proven", "looked_at")),
            Column("changed, by decoding all", _number("changed", "{:,}")),
            Column("of these certified", _number("proven_and_changed")),
            Column("s by certificate", _number("certificate_seconds", "{:.2f}")),
            Column("s by decoding", _number("decoding_seconds", "{:.1f}")),
            Column("s of the first", _number("first_seconds", "{:.1f}")),
        ),
    ),
    "processes": Table(
        ("model", "cores", "process"),
        (
            Column("model", _number("model")),
            Column("cores", _number("cores")),
            Column("process", _number("process")),
            Column("s", _number("seconds", "{:.1f}")),
            Column("CPU s", _number("cpu_seconds", "{:.2f}")),
            Column("times loading", _number("times", "{:.2f}")),
            Column("CPU s before", _number("cpu_seconds_before", "{:.2f}")),
            Column("times loading before", _number("times_before", "{:.2f}")),
        ),
    ),
    "stages": Table(
        ("model", "stage"),
        (
            Column("model", _number("model")),
            Column("stage", _number("stage")),
            Column("first time, CPU s before", _number("first_before", "{:.2f}")),
            Column("first time, CPU s", _number("first", "{:.2f}")),
            Column("again, CPU s before", _number("again_before", "{:.2f}")),
            Column("again, CPU s", _number("again", "{:.2f}")),
        ),
    ),
    "cost": Table(
        ("process",),
        (
            Column("process", _number("process")),
            Column("seconds", _number("seconds", "{:.1f}")),
            Column("probes", _of("probes_held", "probes")),
            Column("unrelated identical", _of("identical", "unrelated")),
        ),
    ),
}
