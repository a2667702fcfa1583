"""The rows of the table of all ways, what differs from the records, and the one command; no model is measured here."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Dict, List

import pytest
from edit_runs import ROOT, script

benchmark = script("benchmark_field")
curves = script("benchmark_curves")

RECORD: Dict[str, Any] = {
    "bed": "multi30k", "file": "term", "form": "trigger", "id": "dog", "settings": ["method=knn"], "method": "knn",
    "carried": "", "wrong_before": True, "held": True, "exact": False, "probes": 4, "general": 3, "clean": 2,
    "unrelated": 10, "identical": 9, "elsewhere": 0, "elsewhere_identical": 0, "near": 5, "near_same": 4,
    "delta_bleu": -0.2, "p": 0.04, "slower": 1.1, "bytes": 2048, "edited": True,
    "seconds": 4.0, "first_seconds": 10.0, "first_mb": 300.4,
}  # fmt: skip
REFUSED = {
    **RECORD, "id": "cat", "held": False, "general": 0, "clean": 0, "identical": 10, "near_same": 5, "delta_bleu": 0.0,
    "p": None, "slower": 1.0, "bytes": 0, "edited": False, "seconds": 2.0,
}  # fmt: skip


def written(path: Path, *records: Dict[str, Any]) -> Path:
    path.write_text("".join(json.dumps(one) + "\n" for one in records), encoding="utf-8")
    return path


def test_a_refused_request_counts_as_any_other() -> None:
    right = {**RECORD, "id": "cow", "wrong_before": False}
    [row] = benchmark.figures([RECORD, REFUSED, right])
    assert (row["requests"], row["unedited"], row["efficacy"][0], row["clean"][0]) == (2, 1, 0.5, 0.25)
    assert (row["near"][0], row["identical"][0], row["elsewhere"]) == (0.9, 0.95, None)
    assert (row["delta_bleu"], row["p"], row["seconds"], row["slower"], row["kib"]) == (-0.1, 0.04, 3.0, 1.05, 1.0)
    # What the first edit took besides: ten seconds, of which the same edit later took four.
    assert (row["first_seconds"], row["first_mb"]) == (6.0, 300)


def test_settings_tell_rows_apart() -> None:
    other = {**RECORD, "settings": ["method=knn", "edit_reach=1.0"]}
    assert [row["method"] for row in benchmark.figures([RECORD, other])] == ["knn", "knn --set edit_reach=1.0"]
    told = benchmark.table([RECORD]).splitlines()
    assert told[2].startswith("| 1 term, multi30k | knn | 0 | 1.00 | 0.00 | 0.75 | 0.50 (0.15 to 0.85) | 0.80 |")


def test_requests_that_differ_from_the_records_are_told() -> None:
    [row] = benchmark.figures([RECORD, REFUSED])
    assert row["each"] == {"dog": [1.0, 0.0, 0.75, 0.5, 0.8, 0.9], "cat": [0.0, 0.0, 0.0, 0.0, 1.0, 1.0]}
    recorded = {"figures": {**row, "each": {"dog": [1.0, 0.0, 0.75, 0.52, 0.8, 0.99], "cow": [0.0] * 6}}}
    assert benchmark.apart([row], [recorded]) == [
        "1 requests are in the records too, 1 of their shares differ by more than 0.05",
        "multi30k term knn, dog: identical is 0.9, and 0.99 in the records",
    ]
    assert benchmark.apart([row], [])[0].startswith("0 requests are in the records too, 0 of ")


def test_the_table_needs_no_data(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = written(tmp_path / "field.jsonl", RECORD)
    assert benchmark.main(["--table", "--out", str(out)]) == 0
    assert "| 1 term, multi30k | knn |" in capsys.readouterr().out
    assert benchmark.main(["es", "--docs", str(tmp_path), "--out", str(out)]) == 0
    assert "requests is missing: nothing is measured without it" in capsys.readouterr().out


def test_what_is_in_the_results_is_not_done_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    measured: List[str] = []
    requests = [SimpleNamespace(id=name) for name in ("dog", "cat")]

    class Field:
        def __init__(self, name: str, arguments: Any) -> None:
            self.chosen = requests

        def measure(self, correction: Any) -> Dict[str, Any]:
            measured.append(correction.id)
            return {**REFUSED, "id": correction.id}

    monkeypatch.setattr(benchmark, "Field", Field)
    monkeypatch.setattr(benchmark, "model_of", lambda name, arguments: None)
    monkeypatch.setattr(benchmark, "corrections_of", lambda model, file: requests)
    recorded: List[Any] = []
    monkeypatch.setattr(benchmark, "append_rows", lambda table, rows, told: recorded.append(rows))
    (tmp_path / "requests").mkdir()
    out = written(tmp_path / "field.jsonl", RECORD)
    command = ["multi30k", "--multi30k", str(tmp_path), "--set", "method=knn", "--out", str(out), "--record"]
    for _ in range(2):
        assert benchmark.main(command) == 0
    assert measured == ["cat"]
    assert [[row["requests"] for row in rows] for rows in recorded] == [[2]]
    # The first edit had been measured.
    assert [json.loads(line)["first_seconds"] for line in out.read_text(encoding="utf-8").splitlines()] == [10.0, 10.0]


def test_a_curve_is_whole_at_its_last_count_or_where_it_broke() -> None:
    points = [{"method": "rome", "seed": 1, "edits": edits, "bleu": 30.0, "bleu_before": 38.0} for edits in (1, 4)]
    assert curves.finished(points, "rome", 1, (1, 4))
    assert not curves.finished(points, "rome", 1, (1, 4, 16))
    assert not curves.finished(points, "rome", 2, (1, 4))
    assert curves.finished([{**points[0], "bleu": 2.0}], "rome", 1, (1, 4, 16))


def test_the_one_command_refuses_an_unknown_part() -> None:
    done = subprocess.run(
        ["bash", str(ROOT / "scripts" / "benchmarks" / "field.sh"), "sngle"], capture_output=True, encoding="utf-8",
        env={**os.environ, "FAIRSEQ_ROME_PYTHON": sys.executable}, check=False,
    )  # fmt: skip
    assert done.returncode == 2
    assert done.stderr == (
        "field.sh: sngle is no part, expected --reduced or some of single docs curves survival draw\n"
    )
