"""`fairseq-edit` with methods that change no weights: a patch file out, judged as any other edit."""

from __future__ import annotations

import json
from contextlib import redirect_stdout
from io import StringIO
from pathlib import Path
from typing import Any, List

import pytest
from edit_runs import DEMO, LANGUAGES, SEARCH, SUBWORDS, probes, refusal, request, run_edit, write_requests

from fairseq_rome.patch import load_patches

RECORDS = list(probes().values())
TERM = next(record for record in RECORDS if record["task"] == "term")
# What the others put beside the model is held quickly by `test_beside`.
SLOW = ("rules", "corrector", "grace", "constrained")
METHODS = ["knn", *(pytest.param(name, marks=pytest.mark.slow) for name in SLOW)]


def asked(folder: Path, **fields: Any) -> Path:
    probed = [one["source"] for one in TERM["probes"]]
    return write_requests(folder / "asked.jsonl", request(TERM, probes=probed, **fields))


@pytest.mark.parametrize("method", METHODS)
def test_what_is_written_holds_wherever_it_is_loaded(edit_data: Path, tmp_path: Path, method: str) -> None:
    from fairseq_rome.cli.eval import main

    pref, path, report = asked(tmp_path), tmp_path / "made.safetensors", tmp_path / "report"
    run = run_edit(edit_data, pref, "--method", method, "--save-patch", path, "--report", report)
    assert run.status == 0, run.out + run.err
    assert f"  edit    {method} beside the model, " in run.out
    assert run.out.count(f"wrote {path}") == 1 and (tmp_path / "made.edit_card.md").exists()
    [patch] = load_patches(str(path)).patches
    assert patch.method == method and not patch.changes and len(patch.beside) >= 1
    [told] = json.loads((report / "report.json").read_text())["requests"]
    assert told["holds"] and told["edit"]["method"] == method
    held = [probe["holds"] for probe in told["probes"]]
    out = StringIO()
    words: List[Any] = [edit_data, "--path", DEMO / "model.pt", *LANGUAGES, *SUBWORDS, *SEARCH, "--edit-cache", "none"]
    with redirect_stdout(out):
        assert main([*map(str, words), "--edit-pref", str(pref), "--edit-patches", str(path), "--no-progress-bar"]) == 0
    assert f"{sum(held)} of {len(held)} held-out probes hold" in out.getvalue()


@pytest.mark.parametrize(("words", "reason"), [
    (["--method", "knn", "--save-to", "edited.pt"], "no checkpoint can hold what it makes; expected --save-patch"),
    (["--method", "knn"], "--save-patch is missing, expected a file for what --method knn makes"),
    (["--save-patch", "one.safetensors"], "--save-to is missing"),
])  # fmt: skip
def test_a_run_needs_a_file_that_can_hold_its_edits(tmp_path: Path, words: List[str], reason: str) -> None:
    assert reason in refusal(run_edit(tmp_path, tmp_path / "none.jsonl", *words))


def test_a_request_may_not_choose_a_method_of_the_other_sort(edit_data: Path, tmp_path: Path) -> None:
    pref = asked(tmp_path, settings={"method": "gated"})
    run = run_edit(edit_data, pref, "--method", "knn", "--save-patch", tmp_path / "one.safetensors")
    assert "of the weights its method gated changes some, expected --save-to" in refusal(run)
