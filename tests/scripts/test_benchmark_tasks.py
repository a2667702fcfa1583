"""The benchmarks of the editing tasks and of rankings of sites: what counts, and what their rows hold."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Dict, List

import pytest
from edit_runs import DEMO, LANGUAGES, SUBWORDS, lines, probes, script, write_requests

tasks, rankings = map(script, ("benchmark_tasks", "benchmark_locate"))


def edit_record(site: str, task: str = "term", **fields: Any) -> Dict[str, Any]:
    good = {"held": True, "probes_held": 3, "identical": 300, "exact": True}
    return {"kind": "edit", "id": f"{task}-1", "task": task, "site": site, **good, **fields}


def test_rankings_are_held_against_what_decoding_shows() -> None:
    results = [
        {"kind": "corpus"},
        edit_record("decoder.1", probes_held=2),
        edit_record("decoder.0"),
        edit_record("encoder.0", held=False),
        edit_record("decoder.1", "segment"),
        edit_record("decoder.0", "segment"),
        edit_record("encoder.0", "segment", identical=299),
        {**edit_record("decoder.1"), "id": "not measured everywhere"},
    ]
    best = rankings.best_sites(results)
    assert best["term", "term-1"] == {"decoder.1": False, "decoder.0": True, "encoder.0": False}
    assert best["segment", "segment-1"] == {"decoder.1": True, "decoder.0": True, "encoder.0": False}
    assert len(best) == 2
    traces: List[Dict[str, Any]] = [
        {"id": f"{task}-1", "task": task, "noise": noise, "carry": [], "noise_seconds": 2.0, "carry_seconds": 1.0}
        for task, noise in (("term", [["encoder.0", 0.5], ["decoder.0", 0.2]]), ("segment", [["decoder.1", 0.1]]))
    ]
    rows = {row["choice"]: row for row in rankings.figures(traces, results, "decoder.1")}
    hits = {name: (row["term_best"], row["term"], row["segment_best"], row["segment"]) for name, row in rows.items()}
    assert hits == {
        "noise, first of all sites": (0, 1, 1, 1),
        "noise, first of the decoder's": (1, 1, 1, 1),
        "carry, first of all sites": (0, 0, 0, 0),
        "carry, first of the decoder's": (0, 0, 0, 0),
        "always decoder.1": (0, 1, 1, 1),
        "a random site": (0.3, 1, 0.7, 1),
        "a random site of the decoder": (0.5, 1, 1.0, 1),
    }
    assert [rows[name]["seconds"] for name in ("noise, first of all sites", "carry, first of all sites")] == [2, 1]


def test_the_table_of_tasks_counts_what_was_wrong() -> None:
    one = {
        "label": "mined", "id": "a", "task": "number", "wrong": True, "fixed": True, "exact": True,
        "fault_before": "x", "fault_after": None, "probes": 4, "probes_held": 3, "probes_clean": 2, "near": 0,
        "near_same": 0, "others": 10, "others_same": 9, "seconds": 1.0,
    }  # fmt: skip
    right = {**one, "id": "b", "wrong": False, "seconds": 3.0}
    row = (
        "| number, mined | 2 | 1 | 1 of 1 (100.0%) | 1, then 0 | 3 of 4 (75.0%) | 2 of 4 (50.0%) |  | 9 of 10 (90.0%) "
        "| 3.0 |"
    )
    assert tasks.table([one, right]).splitlines()[2] == row
    assert tasks.figures([one, right]) == [{
        "task": "number", "origin": "mined", "requests": 1, "fixed": 1, "objections": 1, "objections_after": 0,
        "probes_held": 3, "probes_clean": 2, "probes": 4, "near_same": None, "near": None,
        "others_same": 9, "others": 10, "seconds": 3.0,
    }]  # fmt: skip


def test_a_request_without_an_edit_is_no_success(
    edit_data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    term = next(record for record in probes().values() if record["task"] == "term")
    near = next(record["source"] for record in map(json.loads, lines("near.jsonl")) if record["id"] == term["id"])
    wish = {name: term[name] for name in ("source", "target", "trigger")}
    wish.update(task="term", probes=term["probes"][:2], near=[near])
    pref = write_requests(
        tmp_path / "two.jsonl",
        {**wish, "id": "failed", "settings": {"edit_tries": 0}},
        {**wish, "id": "refused", "settings": {"edit_sample": 3}},
    )
    options = ["--data", str(edit_data), "--path", str(DEMO / "model.pt"), *LANGUAGES, *SUBWORDS, "--beam", "2"]
    options += ["--cache", str(edit_data.parent / "cache"), "--out", str(tmp_path / "out.jsonl")]
    assert tasks.main([*options, "--edit-pref", str(pref)]) == 0
    records = tasks.read_records(tmp_path / "out.jsonl")
    assert [record["id"] for record in records] == ["failed", "refused"]
    assert "a setting of the whole run" in records[1]["unedited"]
    for record in records:
        assert record["wrong"] and not record["fixed"] and record["unedited"]
        assert (record["probes"], record["probes_held"]) == (2, 0)
    row = capsys.readouterr().out.splitlines()[-1]
    assert row.startswith("| term, mined | 2 | 2 | 0 of 2 (0.0%) | 2, then 2 | 0 of 4 (0.0%) | 0 of 4 (0.0%) |  |  | ")
