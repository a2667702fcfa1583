"""The pages that are drawn hold what the script draws, and every record has the form that its README describes."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Dict

import pytest
from edit_runs import script

pytest.importorskip("jinja2")
draw_docs, result_records, result_tables = map(script, ("draw_docs", "result_records", "result_tables"))

RECORD = {"figures": {"requests": 1}, "command": "run it", "measured_with": "0.1.0", "measured_commit": "abc"}


@pytest.mark.parametrize("path", sorted(draw_docs.pages()), ids=lambda path: path.name)
def test_the_committed_page_is_what_the_script_draws(path: Path) -> None:
    assert path.read_text(encoding="utf-8") == draw_docs.pages()[path], (
        "run python scripts/benchmarks/draw_docs.py"
    )


def test_every_row_has_a_figure_for_each_column() -> None:
    for name, records in result_records.read_records().items():
        table = result_tables.TABLES[name]
        lines = table.drawn(records).splitlines()
        assert len(lines) == 2 + len(table.rows(records)) > 2, name
        assert len({line.count(" | ") for line in lines}) == 1, name


def test_the_later_of_two_records_of_a_row_is_drawn() -> None:
    records = [
        {**RECORD, "figures": {"process": "edit", "seconds": seconds, "changed": 1}} for seconds in (2.0, 1.0)
    ]
    assert result_tables.TABLES["judging"].drawn(records).splitlines()[2:] == ["| edit | 1.0 | 1 |"]


def test_a_record_is_appended_and_read_again(tmp_path: Path) -> None:
    result_records.append_record("cost", RECORD, tmp_path)
    result_records.append_record("cost", {**RECORD, "command": "again"}, tmp_path)
    assert [record["command"] for record in result_records.read_records(tmp_path)["cost"]] == ["run it", "again"]


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"command": ""}, "no text in 'command'"),
        ({"measured_commit": None}, "no text in 'measured_commit'"),
        ({"finding": "and a sentence"}, "one of the two"),
        ({"figures": [1]}, "one of the two"),
        ({"seconds": 3}, "unknown field 'seconds'"),
    ],
)
def test_a_record_of_another_form_is_refused(tmp_path: Path, changes: Dict[str, Any], told: str) -> None:
    with pytest.raises(ValueError, match=told):
        result_records.append_record("cost", {**RECORD, **changes}, tmp_path)
    assert not list(tmp_path.iterdir())


def test_rows_are_recorded_with_the_command_that_measured_them(tmp_path: Path) -> None:
    told = result_records.origin("benchmark.py", ["--data", str(tmp_path / "multi30k"), "--set", "edit_contexts=0"])
    assert told["command"] == "python scripts/benchmarks/benchmark.py --data multi30k --set edit_contexts=0"
    result_records.append_rows("cost", [{"process": "edit"}, {"process": "train"}], told, tmp_path)
    records = result_records.read_records(tmp_path)["cost"]
    assert [record["figures"]["process"] for record in records] == ["edit", "train"]
    assert records[0]["command"] == told["command"] and records[0]["measured_commit"]


def test_a_table_without_a_section_is_told() -> None:
    records = {**result_records.read_records(), "unheard": [RECORD]}
    with pytest.raises(ValueError, match="unheard"):
        draw_docs.results_page(records)


def test_a_figure_that_no_record_has_is_told() -> None:
    records = result_records.read_records()
    kept = [one for one in records["corrections"] if one.get("figures", {}).get("bed") != "ja"]
    with pytest.raises(ValueError, match="corrections.jsonl: no row with .*'ja'.*, expected one for docs/which-way.md"):
        draw_docs.which_way_page({**records, "corrections": kept})


def test_methods_and_settings_are_drawn_as_the_code_declares_them() -> None:
    page = draw_docs.methods_page((draw_docs.DOCS / "methods.md").read_text(encoding="utf-8"))
    assert "\n| `memit` | all together | " in page and "\n| `gated` | one at a time | " in page
    assert "\n| `--edit-mine` | `auto` or `always` or `never` | `auto` | all | " in page
    assert "\n| `--widen` | yes or no | no | `gated` | let the feed-forward layers grow" in page


def test_a_page_of_methods_without_a_place_for_a_table_is_told() -> None:
    with pytest.raises(ValueError, match="drawn: methods"):
        draw_docs.methods_page("# Methods\n")
