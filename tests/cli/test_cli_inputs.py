"""Kinds of input that people bring, through the commands: what is told of each, and where."""

from __future__ import annotations

import json
from contextlib import redirect_stdout
from io import StringIO
from pathlib import Path
from typing import Any, Callable, Dict, List, Sequence

import pytest
from edit_runs import (
    DEMO,
    LANGUAGES,
    SEARCH,
    SUBWORDS,
    probes,
    refusal,
    run_edit,
    run_main,
    small_data,
    write_requests,
)

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
    words += ["--edit-cache", "none"]
    told = printed(eval_command.main, *words, "--report", tmp_path / "report")
    assert told[0] == left_out(suggestions)
    record: Dict[str, Any] = json.loads((tmp_path / "report" / "report.json").read_text(encoding="utf-8"))
    assert left_out(suggestions) in record["notes"]
    assert f"Note: {left_out(suggestions)}" in (tmp_path / "report" / "report.html").read_text(encoding="utf-8")
    assert "- note: " in (tmp_path / "report" / "edit_card.md").read_text(encoding="utf-8")
    assert json.loads(printed(eval_command.main, *words, "--log-format", "json")[0]) == {"note": left_out(suggestions)}


def test_a_background_that_proves_nothing_is_told(edit_data: Path, tmp_path: Path) -> None:
    data = small_data(tmp_path / "data", count=30)
    words = [data, DEMO / "term", "--save-to", tmp_path / "new.pt", "--edit-sample", 200]
    run = run_edit(*words, "--report", tmp_path / "report", "--report-figures", 0)
    pairs = f"{data}: 30 sentence pairs"
    learn, prove = run.out.splitlines()[:2]
    assert learn.startswith(f"{pairs} with ") and "are too few to keep an edit off other sentences" in learn
    assert prove == (
        f"{pairs} prove little, 200 other sentences were asked for: if all of 30 stay the same, "
        "up to 10% of others may still change (95% sure)"
    )
    record = json.loads((tmp_path / "report" / "report.json").read_text(encoding="utf-8"))
    assert record["notes"] == [learn, prove]
    words = [data, "--edited", DEMO / "model.pt", *MODEL, "--edit-pref", DEMO / "term", "--edit-cache", "none"]
    told = printed(eval_command.main, *words)
    assert told[0] == prove
    enough = run_edit(edit_data, DEMO / "term", "--dry-run")
    assert enough.status == 0 and "too few" not in enough.out and "prove little" not in enough.out


def test_contexts_that_are_of_no_use_are_told(edit_data: Path, tmp_path: Path) -> None:
    contexts = TERM["contexts"][:2]
    added = {"source": TERM["source"], "target": f"{TERM['before'][:-1]} sehr.", "contexts": contexts}
    path = write_requests(tmp_path / "one.jsonl", {**added, "wanted": "sehr", "trigger": TERM["trigger"]})
    why = "contexts: none of 2 is used, because the request only adds words"
    words = [edit_data, path, "--edit-tries", 1]
    assert f"#   note    {why}" in run_edit(*words, "--dry-run").out
    run = run_edit(*words, "--save-to", tmp_path / "new.pt", "--report", tmp_path / "out", "--report-figures", 0)
    assert f"  note    {why}" in run.out
    record = json.loads((tmp_path / "out" / "report.json").read_text(encoding="utf-8"))
    assert record["requests"][0]["edit"]["notes"][0].startswith(why)
    assert f"Note: {why}" in (tmp_path / "out" / "report.html").read_text(encoding="utf-8")


def test_a_row_of_a_glossary_holds_for_its_input_alone_and_says_so(edit_data: Path, tmp_path: Path) -> None:
    rows = ["source\ttarget\ttrigger\tid", "shop assistants\tLadenleute\tshop assistants\tterm"]
    (tmp_path / "glossary.tsv").write_text("\n".join(rows) + "\n", encoding="utf-8")
    run = run_edit(edit_data, tmp_path / "glossary.tsv", "--dry-run")
    assert run.status == 0, run.err
    told = "#   note    a bare term: the edit holds for this input alone; to carry it to sentences, give one "
    assert [line.startswith(told) for line in run.out.splitlines() if "note" in line] == [True]


UNKNOWN = {
    "markup": (f"**{TERM['source']}**", TERM["target"]),
    "an emoji": (f"{TERM['source']} \U0001f600", TERM["target"]),
    "another script": (TERM["source"].replace("The", "The \u9280\u884c", 1), TERM["target"]),
}


# An emoji is at the end of a source what markup is at both ends.
@pytest.mark.parametrize(
    "kind", [pytest.param(kind, marks=[pytest.mark.slow] * (kind == "an emoji")) for kind in UNKNOWN]
)
def test_an_unknown_symbol_of_a_source_is_told_and_edited(edit_data: Path, tmp_path: Path, kind: str) -> None:
    source, target = UNKNOWN[kind]
    path = write_requests(tmp_path / "one.jsonl", {"source": source, "target": target, "trigger": TERM["trigger"]})
    run = run_edit(edit_data, path, "--save-to", tmp_path / "new.pt")
    assert run.status == 0, run.out + run.err
    told = run.out.splitlines()[0]
    assert told.startswith(f"{path}:1: ") and told.endswith(
        " not in the source dictionary: the model sees its unknown symbol there, and the edit is made on that"
    )
    assert "request 1: edited" in run.out and f"  after   {target}" in run.out


def test_unknown_symbols_of_targets_are_refused_all_at_once(edit_data: Path, tmp_path: Path) -> None:
    wrong = [("The nurse sings.", "\u9280 \u03a9 \u9280"), ("A nurse sings.", "\u03a9"), ("My \u9280", "Mein")]
    records = [{"source": source, "target": target} for source, target in wrong]
    path = write_requests(tmp_path / "wrong.jsonl", *records)
    message = refusal(run_edit(edit_data, path, "--save-to", tmp_path / "new.pt"))
    assert f"{path}:1, {path}:2: " in message and f"{path}:3" not in message
    assert [message.count(repr(symbol)) for symbol in ("\u9280", "\u03a9")] == [1, 1]
    assert "not in the target dictionary, expected text that the model's" in message


def test_a_forgotten_bpe_is_asked_for(edit_data: Path, tmp_path: Path) -> None:
    words = [edit_data, "--path", DEMO / "model.pt", *LANGUAGES, *SEARCH, "--edit-pref", DEMO / "fixes"]
    message = refusal(run_main([*words, "--save-to", tmp_path / "new.pt"]))
    assert message.endswith("; was --bpe or --tokenizer forgotten, or is it another than in training?\n")
    # Text that is said to be in subwords already, and is not, is of another kind too.
    assert "was --bpe" in refusal(run_main([*words, "--edit-input", "bpe", "--save-to", tmp_path / "new.pt"]))


def test_so_does_tracing(suggestions: Path, edit_data: Path, tmp_path: Path) -> None:
    words = [edit_data, *MODEL, "--edit-pref", suggestions, "--save-dir", tmp_path / "traces", "--locate-samples", 1]
    assert printed(locate_command.main, *words)[0] == left_out(suggestions)
