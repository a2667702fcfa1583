"""Kinds of input that people bring, through the commands: what is told of each, and where."""

from __future__ import annotations

import json
from contextlib import redirect_stdout
from io import StringIO
from pathlib import Path
from typing import Any, Callable, Dict, List, Sequence

import pytest
from edit_runs import DEMO, LANGUAGES, SEARCH, SUBWORDS, probes, run_edit, write_requests

from fairseq_rome.cli import eval as eval_command
from fairseq_rome.cli import locate as locate_command

TERM = next(record for record in probes().values() if record["task"] == "term")
MODEL = ["--path", DEMO / "model.pt", *LANGUAGES, *SUBWORDS, *SEARCH, "--no-progress-bar"]


def printed(main: Callable[[Sequence[str]], int], *words: Any) -> List[str]:
    """The lines that a command printed."""
    out = StringIO()
    with redirect_stdout(out):
        main([str(word) for word in words])
    return out.getvalue().splitlines()


@pytest.fixture(scope="module")
def suggestions(tmp_path_factory: pytest.TempPathFactory) -> Path:
    ours = {"q": TERM["source"], "s": TERM["target"], "source": "en", "target": "de"}
    path = tmp_path_factory.mktemp("suggestions") / "suggestions.jsonl"
    return write_requests(path, ours, {**ours, "source": "de", "target": "en"})


def left_out(path: Path) -> str:
    return f"{path}: 1 of 2 suggestions are for other languages (de-en) and were left out"


def test_an_edit_tells_what_it_left_out(suggestions: Path, edit_data: Path) -> None:
    run = run_edit(edit_data, suggestions, "--dry-run")
    assert run.status == 0, run.err
    assert f"# {left_out(suggestions)}" in run.out.splitlines()
    assert f"#   source  {TERM['source']}" in run.out.splitlines() and run.out.count("  source  ") == 1


def test_so_do_evaluation_and_its_report(suggestions: Path, edit_data: Path, tmp_path: Path) -> None:
    words = [edit_data, "--edited", DEMO / "model.pt", *MODEL, "--edit-pref", suggestions, "--edit-sample", 2]
    told = printed(eval_command.main, *words, "--report", tmp_path / "report")
    assert told[0] == left_out(suggestions)
    record: Dict[str, Any] = json.loads((tmp_path / "report" / "report.json").read_text(encoding="utf-8"))
    assert left_out(suggestions) in record["notes"]
    assert f"Note: {left_out(suggestions)}" in (tmp_path / "report" / "report.html").read_text(encoding="utf-8")
    assert "- note: " in (tmp_path / "report" / "edit_card.md").read_text(encoding="utf-8")
    assert json.loads(printed(eval_command.main, *words, "--log-format", "json")[0]) == {"note": left_out(suggestions)}


def test_so_does_tracing(suggestions: Path, edit_data: Path, tmp_path: Path) -> None:
    words = [edit_data, *MODEL, "--edit-pref", suggestions, "--save-dir", tmp_path / "traces", "--locate-samples", 1]
    assert printed(locate_command.main, *words)[0] == left_out(suggestions)
