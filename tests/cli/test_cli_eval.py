"""`fairseq-edit-eval`, and the report and the gates of `fairseq-edit`, from end to end on the demo model."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from contextlib import redirect_stderr, redirect_stdout
from io import StringIO
from pathlib import Path
from typing import Any, Dict, List, Tuple

import pytest
from edit_runs import (
    DEMO,
    LANGUAGES,
    SEARCH,
    SUBWORDS,
    Edited,
    Run,
    digest,
    hypotheses,
    lines,
    needs_halves,
    probes,
    request,
    run_edit,
    small_data,
    write_requests,
)
from report_samples import FEW, SAME, SIGNATURE, TEST_SET, report

from fairseq_rome.cli.eval import main
from fairseq_rome.report import report_record, verdict_lines

TERM = next(record for record in probes().values() if record["task"] == "term")


def run_eval(data: Path, edited: Any, *more: Any, model: Path = DEMO / "model.pt") -> Run:
    given = [] if edited is None else ["--edited", edited]
    command = [data, "--path", model, *given, *LANGUAGES, *SUBWORDS, *SEARCH, "--no-progress-bar"]
    command += ["--edit-cache", data.parent / "cache"]
    out, err = StringIO(), StringIO()
    with redirect_stdout(out), redirect_stderr(err):
        status = main([str(argument) for argument in (*command, *more)])
    return Run(status, out.getvalue(), err.getvalue())


def with_probes(path: Path, count: int = 3, **fields: Any) -> Path:
    near = [record["source"] for record in map(json.loads, lines("near.jsonl")) if record["id"] == TERM["id"]][:2]
    segments = {"wanted": TERM["wanted"], "unwanted": TERM["unwanted"]}
    judging = {"task": "term", "probes": TERM["probes"][:count], "near": near}
    return write_requests(path, request(TERM, **segments, **judging, **fields))


def json_lines(run: Run) -> Tuple[Dict[str, Any], List[Dict[str, Any]]]:
    """The verdict's line, and all lines."""
    records = [json.loads(line) for line in run.out.splitlines()]
    return next(record for record in records if "verdict" in record), records


@pytest.fixture(scope="module")
def reported(edit_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with what an edit with a report leaves: out/new.pt with its card, and report/."""
    folder = tmp_path_factory.mktemp("reported")
    (folder / "out").mkdir()
    run = run_edit(
        edit_data, with_probes(folder / "one.jsonl"), "--save-to", folder / "out" / "new.pt",
        "--report", folder / "report", "--gate", "locality>=0.9", "--save-patch", folder / "fix.safetensors",
    )  # fmt: skip
    assert run.status == 0, run.out + run.err
    return folder


def test_patches_give_the_edited_model(reported: Path, edit_data: Path) -> None:
    options = ("--edit-pref", reported / "one.jsonl", "--edit-sample", 8, "--log-format", "json")
    whole = run_eval(edit_data, reported / "out" / "new.pt", *options)
    alone = run_eval(edit_data, None, "--edit-patches", reported / "fix.safetensors", *options)
    assert (whole.status, alone.status) == (0, 0), alone.out + alone.err
    assert json_lines(whole)[1] == json_lines(alone)[1]
    twice = f"{reported / 'fix.safetensors'}:{reported / 'fix.safetensors'}"
    again = run_eval(edit_data, None, "--edit-patches", twice, *options)
    assert again.status == 2 and "its edit of request term-shop-assistant is there already" in again.err


@pytest.mark.slow
@needs_halves
def test_both_models_are_rounded_to_half_precision(reported: Path, edit_data: Path) -> None:
    options = ("--fp16", "--log-format", "json")
    half = run_eval(
        edit_data, None, "--edit-patches", reported / "fix.safetensors", "--edit-pref", reported / "one.jsonl",
        "--edit-sample", 8, *options,
    )  # fmt: skip
    assert half.status == 0, half.out + half.err
    same = run_eval(edit_data, DEMO / "model.pt", "--test-set", "valid", *options)
    # Rounding alone changes nothing.
    assert next(one["set"] for one in json_lines(same)[1] if "set" in one)["changed"] == 0


def read_report(folder: Path) -> Dict[str, Any]:
    return json.loads((folder / "report" / "report.json").read_text(encoding="utf-8"))


def test_an_edit_reports_and_leaves_a_card(reported: Path, edit_data: Path) -> None:
    assert sorted(path.name for path in (reported / "out").iterdir()) == ["new.edit_card.md", "new.pt"]
    record = read_report(reported)
    details = record["requests"][0]["edit"]
    assert details["status"] == "edited" and details["site"] == "decoder.2" and details["gates"] >= 1
    assert details["patch_bytes"] > 0 and record["cost"]["seconds_an_edit"] > 0
    assert record["cost"]["peak_memory_bytes"] > 1e7
    assert record["counts"]["probes"] == 3
    card = (reported / "report" / "edit_card.md").read_bytes()
    assert (reported / "out" / "new.edit_card.md").read_bytes() == card


def test_a_second_edit_reports_into_the_same_folder(reported: Path, edit_data: Path, tmp_path: Path) -> None:
    shutil.copytree(reported, tmp_path / "again")
    (tmp_path / "again" / "report" / "mine.txt").write_text("mine\n", encoding="utf-8")
    words = [
        edit_data, tmp_path / "again" / "one.jsonl", "--report", tmp_path / "again" / "report", "--report-figures", 0
    ]
    run = run_edit(*words, "--save-to", tmp_path / "again" / "out" / "two.pt")
    assert run.status == 0, run.out + run.err
    paths = [path for path in tmp_path.rglob("*.*") if path.is_file()]
    told = {str(path.relative_to(tmp_path / "again")): path.read_bytes() for path in paths}
    assert told["out/new.edit_card.md"] == (reported / "out" / "new.edit_card.md").read_bytes()
    assert told["out/two.edit_card.md"] == told["report/edit_card.md"] != told["out/new.edit_card.md"]
    assert told["report/mine.txt"] == b"mine\n"
    # What somebody wrote into the card is not lost: the run is refused before any work.
    (tmp_path / "again" / "out" / "three.edit_card.md").write_bytes(told["out/two.edit_card.md"] + b"mine\n")
    run = run_edit(*words, "--save-to", tmp_path / "again" / "out" / "three.pt")
    assert run.status == 2 and "three.edit_card.md: exists already; --force overwrites it" in run.err


def test_an_edit_is_proven(reported: Path, edit_data: Path, tmp_path: Path) -> None:
    run = run_eval(
        edit_data, reported / "out" / "new.pt", "--edit-pref", reported / "one.jsonl", "--edit-sample", 12,
        "--report", tmp_path / "report", "--gate", "efficacy>=1,generalisation>=0.6", "--gate", "locality>=0.9",
    )  # fmt: skip
    assert run.status == 0, run.out + run.err
    assert "request term-shop-assistant: holds" in run.out
    assert "of 3 probes hold, " in run.out and "of 2 near misses identical" in run.out
    assert "other sentences: 0 of 12 changed" in run.out
    assert "search: beam 2, lenpen 1.0" in run.out
    assert "condition efficacy>=1: met, efficacy is 1" in run.out
    assert "\nPASSED: 1 of 1 requests hold; " in run.out
    written = sorted(path.name for path in (tmp_path / "report").iterdir())
    assert written == ["edit_card.md", "report.html", "report.json"]
    record = read_report(tmp_path)
    assert record["verdict"]["passed"]
    assert record["provenance"]["base"]["fingerprint"] != record["provenance"]["edited"]["fingerprint"]
    assert record["requests"][0]["source"] in (tmp_path / "report" / "report.html").read_text(encoding="utf-8")


def test_the_unedited_model_fails_its_requests(edit_data: Path, tmp_path: Path) -> None:
    run = run_eval(
        edit_data, DEMO / "model.pt", "--edit-pref", with_probes(tmp_path / "one.jsonl"), "--log-format", "json",
        "--edit-sample", 3, "--gate", "efficacy>=0.5", "--gate", "keep>=1",
    )  # fmt: skip
    assert run.status == 1
    verdict, records = json_lines(run)
    assert not verdict["verdict"]["passed"]
    assert verdict["metrics"]["efficacy"] == 0.0 and verdict["metrics"]["locality"] == 1.0
    assert [record["gate"]["value"] for record in records if "gate" in record] == [0.0, None]
    told = next(record["request"] for record in records if "request" in record)
    assert told["before"] == told["after"] and told["fault_before"] == told["fault_after"] is not None
    assert "1 of 1 requests do not hold: term-shop-assistant" in verdict["verdict"]["reasons"]


@pytest.mark.slow
def test_test_sets_are_decoded_as_fairseq_generate_decodes_them(edited: Edited, tmp_path: Path) -> None:
    """The hypotheses of a subset, from the command in this process, are those of fairseq's own command."""
    data = small_data(tmp_path / "data", ("train", "valid", "test"))
    run = run_eval(data, edited.path, "--test-set", "valid", "--log-format", "json")
    _, records = json_lines(run)
    told = next(record["set"] for record in records if "set" in record)
    assert told["name"] == "valid" and told["changed"] and len(told["scores"]) == 3
    script = (
        "import sys; from fairseq_cli.generate import cli_main; sys.argv[0] = 'fairseq-generate'; cli_main()"
    )
    texts = []
    for model in (DEMO / "model.pt", edited.path):
        command = [
            sys.executable, "-c", script, str(data), "--path", str(model), *LANGUAGES, *SUBWORDS, *SEARCH,
            "--gen-subset", "valid", "--required-batch-size-multiple", "1", "--user-dir", "fairseq_rome",
        ]  # fmt: skip
        done = subprocess.run(command, capture_output=True, text=True, check=True, cwd=DEMO.parents[1])
        texts.append(hypotheses(done.stdout))
    changed = {(old, new) for old, new in zip(*texts) if old != new}
    assert {(change["before"], change["after"]) for change in told["changes"]} == changed
    assert told["sentences"] == len(texts[0])


REFUSED: Dict[str, Tuple[List[str], str]] = {
    "two edited models": (
        ["--test-set", "valid", "--edit-patches", "x"],
        "expected the edited model: either --edited or --edit-patches",
    ),
    "nothing to judge": ([], "nothing to judge: expected --edit-pref, --test-set or both"),
    "no such set": (["--test-set", "dev"], "test set 'dev': neither the files dev.en and dev.de nor a subset of"),
    "no such figure": (["--test-set", "valid", "--gate", "bleu>1"], "condition 'bleu>1': no figure 'bleu'"),
    "negative": (["--test-set", "valid", "--edit-sample", "-1"], "--edit-sample is -1, expected"),
    "sampling": (["--test-set", "valid", "--sampling"], "--sampling is not taken here, expected plain beam search"),
    "prefixes": (["--test-set", "valid", "--prefix-size", "2"], "--prefix-size is not taken here"),
    "twice": (["--test-set", "valid", "--test-set", "x/valid"], "test set 'x/valid': neither"),
    "no edit file": (["--edit-pref", "missing"], "missing.en: no such file"),
    "unknown option": (["--test-set", "valid", "--gates", "x"], "unrecognized arguments: --gates x (fairseq-edit-eval"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_refused(edit_data: Path, name: str) -> None:
    more, message = REFUSED[name]
    run = run_eval(edit_data, DEMO / "model.pt", *more)
    assert run.status == 2, run.out
    assert run.err.startswith("fairseq-edit-eval: ") and message in run.err
    assert len(run.err.splitlines()) == 1


def test_a_missing_checkpoint_and_a_full_folder_are_refused(edit_data: Path, tmp_path: Path) -> None:
    run = run_eval(edit_data, tmp_path / "no.pt", "--test-set", "valid")
    assert run.status == 2 and "no.pt" in run.err
    (tmp_path / "report.html").write_text("mine")
    run = run_eval(edit_data, DEMO / "model.pt", "--test-set", "valid", "--report", tmp_path)
    assert run.status == 2 and "report.html" in run.err
    assert (tmp_path / "report.html").read_text() == "mine"


def test_scores_without_a_test_say_why() -> None:
    told = list(verdict_lines(report_record(report(sets=(TEST_SET, SAME, FEW)))))
    assert [line for line in told if SIGNATURE in line] == [
        f"  BLEU  38.71 ± 1.41 -> 38.69 ± 1.43, p = 0.2218 ({SIGNATURE})",
        f"  BLEU  31.20, identical outputs ({SIGNATURE})",
        f"  BLEU  31.20 -> 29.80, too few sentences for a test ({SIGNATURE})",
    ]


def test_help_teaches(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["--help"])
    out = capsys.readouterr().out
    for word in ("--edited", "--gate", "locality", "--test-set", "exit status", "probes", "--report"):
        assert word in out


def test_requests_that_need_no_edit_are_judged_too(edit_data: Path, tmp_path: Path) -> None:
    record = json.loads(lines("unrelated.jsonl")[0])
    pref = write_requests(tmp_path / "right.jsonl", {"source": record["source"], "target": record["before"]})
    for bound, status in ((0, 0), (2, 1)):
        options = ["--save-to", tmp_path / "new.pt", "--gate", f"locality>={bound}", "--edit-sample", 3]
        run = run_edit(edit_data, pref, *options)
        assert run.status == status, run.out
        assert "was right before, not counted" in run.out and not (tmp_path / "new.pt").exists()


def test_a_failed_request_is_not_written_for_a_gate_that_passes(edit_data: Path, tmp_path: Path) -> None:
    """The report goes where the checkpoint would be: the only card there is its own."""
    good = {"source": lines("term.en")[0], "target": lines("term.de")[0], "id": "good"}
    record = json.loads(lines("unrelated.jsonl")[0])
    bad = {"source": record["source"], "target": record["before"] + " Bank", "id": "bad", "settings": {"edit_tries": 0}}
    options = ["--save-to", tmp_path / "new.pt", "--gate", "efficacy>=0", "--edit-sample", 3]
    options += ["--report", tmp_path, "--report-figures", 0]
    run = run_edit(edit_data, write_requests(tmp_path / "two.jsonl", good, bad), *options)
    assert run.status == 1 and not (tmp_path / "new.pt").exists(), run.out
    run = run_edit(edit_data, write_requests(tmp_path / "one.jsonl", good), *options, "--force")
    assert run.status == 0 and (tmp_path / "new.pt").exists(), run.out + run.err


@pytest.mark.slow
def test_a_damaging_edit_fails_its_gates(edit_data: Path, tmp_path: Path) -> None:
    """Ten times the value: the request may hold, the rest does not; nothing is written but the report."""
    base = digest(DEMO / "model.pt")
    run = run_edit(
        edit_data, DEMO / "term", "--save-to", tmp_path / "new.pt", "--report", tmp_path / "report",
        "--method", "rome", "--edit-scale", "10", "--edit-sample", 30, "--test-set", "valid",
        "--gate", "locality>=0.98", "--gate", "bleu_delta>=-0.2",
    )  # fmt: skip
    assert run.status == 1, run.out
    assert sorted(path.name for path in tmp_path.iterdir()) == ["report"]
    record = read_report(tmp_path)
    assert not record["verdict"]["passed"]
    assert {gate["gate"]: gate["passed"] for gate in record["gates"]}["locality>=0.98"] is False
    broken = [change for one in record["sets"] for change in one["changes"] if not change["related"]]
    page = (tmp_path / "report" / "report.html").read_text(encoding="utf-8")
    assert broken and all(change["source"].split()[0] in page for change in broken)
    assert digest(DEMO / "model.pt") == base
