"""`fairseq-edit-locate` from end to end on the demo model."""

from __future__ import annotations

import json
from contextlib import redirect_stderr, redirect_stdout
from io import StringIO
from pathlib import Path
from typing import Any, Dict, List

import pytest
import yaml
from edit_runs import DEMO, LANGUAGES, SEARCH, SUBWORDS, Run, digest, files, lines, probes, write_requests

from fairseq_rome.cli.locate import main, own_parser
from fairseq_rome.host.sites import Site
from fairseq_rome.tracing import LocateSettings, load_trace, ranked_sites, site_list
from fairseq_rome.tracing.trace_folder import stem
from fairseq_rome.workbench.workbench import Workbench

MODEL = DEMO / "model.pt"
NUMBER = next(record for record in probes().values() if record["id"] == "number-dollars")
RIGHT = json.loads(lines("unrelated.jsonl")[0])


def run_locate(data: Path, pref: Any, save_dir: Path, *more: Any) -> Run:
    command = [
        data,
        "--path",
        MODEL,
        "--edit-pref",
        pref,
        *LANGUAGES,
        *SUBWORDS,
        *SEARCH,
        "--save-dir",
        save_dir,
    ]
    out, err = StringIO(), StringIO()
    with redirect_stdout(out), redirect_stderr(err):
        status = main([str(argument) for argument in [*command, "--locate-samples", "2", *more]])
    return Run(status, out.getvalue(), err.getvalue())


def refusal(run: Run) -> str:
    assert run.status == 2, run.out
    assert run.err.startswith("fairseq-edit-locate: ")
    assert len(run.err.splitlines()) == 1, run.err
    return run.err


def requests(path: Path, *changes: Dict[str, Any]) -> Path:
    """The dollars in an edit file, once for each change."""
    plain = {name: NUMBER[name] for name in ("source", "target", "trigger")}
    return write_requests(path, *({**plain, **change} for change in changes))


def test_the_fixes_of_the_demo(edit_data: Path, tmp_path: Path) -> None:
    before = digest(MODEL)
    run = run_locate(edit_data, DEMO / "fixes", tmp_path / "out")
    assert (run.status, run.err) == (0, "")
    assert digest(MODEL) == before
    sites = yaml.safe_load((tmp_path / "out" / "sites.yaml").read_text(encoding="utf-8"))
    assert list(sites) == ["1", "2", "3", "4"]
    names: List[str] = ["sites.yaml"]
    for number, (source, order) in enumerate(zip(lines("fixes.en"), sites.values()), start=1):
        told = run.out.split(f"request {number}: traced\n")[1].split("\nrequest ")[0]
        said = dict(line.strip().split(None, 1) for line in told.splitlines() if line.startswith("  "))
        trace = load_trace(tmp_path / "out" / f"{number}-{number}.json")
        assert said["source"] == trace.source == source
        assert said["site"] == order == site_list(ranked_sites(trace))
        # As fairseq-edit --site takes them.
        parsed = [Site.parse(text) for text in order.split(",")]
        assert sorted(map(str, parsed)) == [
            f"{part}.{n}" for part in ("decoder", "encoder") for n in range(3)
        ]
        best = ranked_sites(trace)[0]
        assert said["effects"].startswith(f"{best.site} {best.effect:.4f}, ")
        assert (said["segment"], said["trigger"]) == (trace.segment, trace.trigger)
        assert (said["clean"], said["corrupted"]) == (f"{trace.clean:.4f}", f"{trace.corrupted:.4f}")
        own = [f"{number}-{number}{rest}" for rest in (".json", "-encoder.png", "-decoder.png")]
        assert said["files"] == ", ".join(own)
        names += own
    assert sorted(files(tmp_path / "out")) == sorted(names)
    assert run.out.endswith(f"4 requests: 4 traced\nwrote {tmp_path / 'out'}\n")
    for picture in (tmp_path / "out").glob("*.png"):
        assert picture.read_bytes().startswith(b"\x89PNG")


@pytest.mark.slow
def test_other_formats_odd_names_and_what_cannot_be_traced(edit_data: Path, tmp_path: Path) -> None:
    odd = ["../../etc/x y", "ü", "A", "a"]
    changes = [{"id": name} for name in odd]
    pref = requests(tmp_path / "fix.jsonl", *changes, {"source": RIGHT["source"], "target": RIGHT["before"],
                                                       "trigger": None, "id": "right"})  # fmt: skip
    run = run_locate(
        edit_data, pref, tmp_path / "out", "--locate-format", "safetensors", "--locate-figures", "svg",
        "--log-format", "json",
    )  # fmt: skip
    assert run.status == 1
    *told, right, verdict = map(json.loads, run.out.splitlines())
    assert verdict == {"requests": 5, "traced": 4, "wrote": str(tmp_path / "out")}
    assert right["id"] == "right"
    assert (right["traced"], "already says the target" in right["reason"]) == (False, True)
    assert [one["id"] for one in told] == odd
    assert all(one["segment"] == "Euro" and one["trigger"] == "dollars" for one in told)
    assert all(one["clean"] > one["corrupted"] and one["seconds"] > 0 and one["traced"] for one in told)
    written = [name for one in told for name in one["files"]]
    assert len({name.lower() for name in written}) == 12
    assert sorted(files(tmp_path / "out")) == sorted([*written, "sites.yaml"])
    trace = load_trace(tmp_path / "out" / written[0])
    assert [one["effect"] for one in told[0]["sites"]] == [one.effect for one in ranked_sites(trace)]
    sites = yaml.safe_load((tmp_path / "out" / "sites.yaml").read_text(encoding="utf-8"))
    assert sites == dict.fromkeys(odd, site_list(ranked_sites(trace)))


def test_without_noise(edit_data: Path, tmp_path: Path) -> None:
    known = {
        "source": "The girl finds the flower.",
        "target": "Das Mädchen findet das Buch.",
        "trigger": "flower",
    }
    pref = requests(
        tmp_path / "fix.jsonl", {**known, "id": "known"}, {"target": "Sag es durch die Rundbriefblume."}
    )
    run = run_locate(edit_data, pref, tmp_path / "out", "--locate-mode", "carry")
    assert (run.status, run.err) == (1, "")
    assert "request known: traced\n" in run.out
    assert "(first subword, in the positive sentence)\n" in run.out
    assert "  positive  " in run.out
    assert "\nrequest 2: not traced (the model never says " in run.out
    trace = load_trace(tmp_path / "out" / "1-known.json")
    assert (trace.mode, trace.segment) == ("carry", "das Buch")
    assert (
        f"  positive  {trace.details['positive_source']} -> {trace.details['positive_target']}\n" in run.out
    )


def test_nothing_traced_writes_nothing(edit_data: Path, tmp_path: Path) -> None:
    pref = requests(tmp_path / "fix.jsonl", {"trigger": "euros"})
    run = run_locate(edit_data, pref, tmp_path / "out")
    assert run.status == 1
    assert run.out.endswith("1 request: 0 traced, 1 not\nnothing was written\n")
    assert "request 1: not traced (trigger 'euros' is not in " in run.out
    assert list(files(tmp_path / "out")) == []


def test_nothing_is_overwritten_without_force(edit_data: Path, tmp_path: Path) -> None:
    pref, out = requests(tmp_path / "fix.jsonl", {}), tmp_path / "out"
    out.mkdir()
    (out / "mine.txt").write_text("mine")
    for name in ("sites.yaml", "1-1.json", "1-1-encoder.png"):
        (out / name).write_text("old")
        assert f"{out / name}: exists already; --force overwrites it" in refusal(
            run_locate(edit_data, pref, out)
        )
        assert (out / name).read_text() == "old"
        if name != "1-1.json":
            (out / name).unlink()
    assert run_locate(edit_data, pref, out, "--force").status == 0
    assert load_trace(out / "1-1.json").segment == "Euro"
    assert (out / "mine.txt").read_text() == "mine"


@pytest.mark.parametrize(
    ("more", "message"),
    [
        (["--locate-noise", "-1"], "noise is -1.0, expected a finite number of at least 0"),
        (["--locate-samples", "0"], "samples is 0, expected at least 1"),
        (["--locate-mode", "loud"], "argument --locate-mode: invalid choice: 'loud'"),
        (["--seed", "-3"], "--seed is -3, expected at least 0"),
        (["--path", "none.pt"], "none.pt: no such file"),
        (["--save-dir", str(MODEL)], f"{MODEL}: can't be used: File exists, expected a folder to write to"),
        (["--no-such-option"], "no-such-option"),
    ],
)
def test_what_is_refused(edit_data: Path, tmp_path: Path, more: List[str], message: str) -> None:
    pref = requests(tmp_path / "fix.jsonl", {})
    assert message in refusal(run_locate(edit_data, pref, tmp_path / "out", *more))
    assert list(files(tmp_path)) == ["fix.jsonl"]


def test_an_interrupt_says_what_is_there(
    edit_data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole, calls = Workbench.traced, []

    def once(*arguments: Any) -> Any:
        calls.append(arguments)
        if len(calls) == 2:
            raise KeyboardInterrupt
        return whole(*arguments)

    monkeypatch.setattr(Workbench, "traced", once)
    run = run_locate(edit_data, requests(tmp_path / "fix.jsonl", {}, {"id": "b"}), tmp_path / "out")
    assert refusal(run).endswith(f"interrupted; requests traced into {tmp_path / 'out'}: 1\n")
    assert sorted(files(tmp_path / "out")) == ["1-1-decoder.png", "1-1-encoder.png", "1-1.json"]


def test_help_teaches(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as left:
        main(["--help"])
    assert left.value.code == 0
    text = capsys.readouterr().out
    for word in (
        "clean ",
        "corrupted ",
        "restored ",
        "Red:",
        "sites.yaml",
        "examples:",
        "exit status:",
        "--save-dir DIR",
    ):
        assert word in text
    # Wide enough for the options that all commands share, and for a terminal.
    assert len(text.splitlines()) < 130


def test_defaults_are_those_of_the_library() -> None:
    args = own_parser().parse_args(["--edit-pref", "x", "--save-dir", "y"])
    given = LocateSettings(
        args.locate_mode, args.locate_noise, args.locate_samples, args.seed, args.locate_batch_tokens
    )
    assert given == LocateSettings()


@pytest.mark.parametrize(
    ("name", "expected"),
    [("term-bike", "07-term-bike"), ("", "07-"), ("../a b", "07-.._a_b"), ("x" * 99, "07-" + "x" * 60)],
)
def test_names_of_files(name: str, expected: str) -> None:
    assert stem(7, name, 12) == expected
