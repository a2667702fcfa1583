"""`fairseq-edit-requests` end to end, in this process: edit files checked, mined and planted."""

from __future__ import annotations

import json
from contextlib import redirect_stderr, redirect_stdout
from io import StringIO
from pathlib import Path
from typing import Any, Dict, List

import pytest
from edit_runs import DEMO, LANGUAGES, SEARCH, SUBWORDS, Run, probes, write_requests

from fairseq_rome.cli.requests import main
from fairseq_rome.text.requests import read_edit_file

KEEPING_NOTHING = ["--edit-cache", "none"]
MODEL = [str(DEMO / "data-bin"), "--path", str(DEMO / "model.pt"), *LANGUAGES, *SUBWORDS, *SEARCH]
RECORDS = list(probes().values())
PAIRS = [(f"I pay {n} dollars", f"Ich zahle {n} Dollar") for n in range(9)] + [("a cat", "eine Katze")]


def run(*arguments: Any) -> Run:
    out, err = StringIO(), StringIO()
    with redirect_stdout(out), redirect_stderr(err):
        status = main([str(argument) for argument in arguments])
    return Run(status, out.getvalue(), err.getvalue())


def told(done: Run) -> List[Dict[str, Any]]:
    return [json.loads(line) for line in done.out.splitlines()]


@pytest.fixture(scope="module")
def raw(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The demo's requests with their right translations, as a test set."""
    folder = tmp_path_factory.mktemp("raw")
    write_text(folder / "raw", [(record["source"], record["target"]) for record in RECORDS])
    return str(folder / "raw")


def write_text(prefix: Path, pairs: List[Any]) -> Path:
    for side, language in enumerate(("en", "de")):
        text = "".join(f"{pair[side]}\n" for pair in pairs)
        Path(f"{prefix}.{language}").write_text(text, encoding="utf-8")
    return prefix


FAULTY = [
    {"id": "a", "source": "A dog.", "target": "Ein Vierbeiner.", "trigger": "cat"},
    {"id": "b", "source": "A dog."},
    {"id": "a", "source": "A tree.", "target": "Ein Gewächs."},
]


def test_check_tells_all_faults_by_line(tmp_path: Path) -> None:
    path = write_requests(tmp_path / "faulty.jsonl", *FAULTY)
    done = run("check", path, *LANGUAGES)
    *lines, last = done.out.splitlines()
    assert done.status == 1 and not done.err
    assert [line.split(": ")[:2] for line in lines] == [
        [f"{path}:1", "warning"], [f"{path}:2", "error"], [f"{path}:3", "error"],
    ]  # fmt: skip
    assert last == f"{path}: 2 errors, 1 warnings"
    found = told(run("check", path, *LANGUAGES, "--json"))
    assert [(one["path"], one["line"], one["severity"]) for one in found] == [
        (str(path), 1, "warning"), (str(path), 2, "error"), (str(path), 3, "error"),
    ]  # fmt: skip
    assert all(f"{one['path']}:{one['line']}: {one['severity']}: {one['message']}" in lines for one in found)


def test_check_passes_a_file_with_warnings_alone(tmp_path: Path) -> None:
    path = write_requests(tmp_path / "one.jsonl", FAULTY[0])
    done = run("check", path, *LANGUAGES)
    assert (done.status, done.out.splitlines()[-1]) == (0, f"{path}: 0 errors, 1 warnings")
    assert told(run("check", DEMO / "fixes", *LANGUAGES, "--json")) == []


def test_check_asks_the_model_of_the_usual_options(tmp_path: Path) -> None:
    assert run("check", DEMO / "fixes", *MODEL).status == 0
    assert run("check", DEMO / "fixes", *MODEL[1:], MODEL[0]).status == 0  # options in another order
    good = {"source": "The nurse sings.", "target": "Die Pflegerin singt."}
    hurt = [{**good, "source": "The 犬 sings."}, good, {"source": "The nurse sees.", "target": "Die Ω sieht."}]
    path = write_requests(tmp_path / "hurt.jsonl", *hurt)
    assert run("check", path, *LANGUAGES).status == 0
    done = run("check", path, *MODEL, "--json")
    assert done.status == 1
    found = told(done)
    assert [(one["line"], one["severity"]) for one in found] == [(1, "warning"), (3, "error")]
    assert "'犬' not in the source dictionary" in found[0]["message"] and "target" in found[1]["message"]
    # Without subwords the model knows hardly a word.
    bare = [*MODEL[: MODEL.index("--bpe")], *SEARCH]
    *lines, last = run("check", DEMO / "fixes", *bare).out.splitlines()
    assert sum("was --bpe or --tokenizer forgotten" in line for line in lines) == 2 and " 0 errors" not in last
    assert run("check", path.parent / "hurt.jsonl", *MODEL[:-3], *MODEL[-3:]).out.count("--bpe") == 0


MINED = {
    "term": ["term-raw-1", "term-raw-3", "term-raw-4", "term-raw-5", "term-raw-10"],
    "number": ["number-raw-4", "number-raw-5", "number-raw-6"],
    "hallucination": ["hallucination-raw-8"],
    "segment": ["segment-raw-1", "segment-raw-12"],
    "untranslated": ["untranslated-raw-11"],
}


@pytest.mark.parametrize("task", MINED)
def test_requests_are_mined_where_the_model_is_wrong(raw: str, edit_data: Path, tmp_path: Path, task: str) -> None:
    out = tmp_path / "mined.jsonl"
    model = [edit_data, *MODEL[1:], "--no-progress-bar"]
    done = run("mine", *model, *KEEPING_NOTHING, "--task", task, "--test-set", raw, "--probes", "3", "--out", out)
    assert done.status == 0, done.err
    requests = {request.id: request for request in read_edit_file(str(out), "en", "de").requests}
    assert set(requests) >= set(MINED[task])
    right = {record["source"]: record for record in RECORDS}
    for request in requests.values():
        assert request.target == right[request.source]["target"]
        assert request.task == task and request.negative == right[request.source]["before"] != request.target
        held_out = {probe.source for probe in request.probes}
        assert not held_out & set(request.contexts) and not held_out & set(right)
        assert f"{request.id}: " in done.out
    if task == "term":
        assert any(request.probes and request.trigger for request in requests.values())
    assert done.out.splitlines()[-1] == f"wrote {out}: {len(requests)} requests"
    assert run("check", out, *LANGUAGES).status == 0


def test_where_the_model_is_right_nothing_is_mined(edit_data: Path, tmp_path: Path) -> None:
    pairs = [(record["source"], record["before"]) for record in RECORDS[:3]]
    more = ["--task", "term", "--test-set", write_text(tmp_path / "right", pairs), "--out", tmp_path / "mined.jsonl"]
    done = run("mine", edit_data, *MODEL[1:], *KEEPING_NOTHING, "--no-progress-bar", *more)
    assert (done.status, done.out) == (0, "found no requests, and nothing was written\n")
    assert not (tmp_path / "mined.jsonl").exists()


def test_mining_stops_at_a_number_of_sentences_or_requests(raw: str, edit_data: Path, tmp_path: Path) -> None:
    def ids(*more: str) -> List[str]:
        out = tmp_path / "few.jsonl"
        model = [edit_data, *MODEL[1:], "--no-progress-bar", "--task", "term", "--test-set", raw]
        assert run("mine", *model, *KEEPING_NOTHING, *more, "--out", out, "--force").status == 0
        return [request.id for request in read_edit_file(str(out), "en", "de").requests]

    assert ids("--sentences", "4") == MINED["term"][:3]
    assert ids("--limit", "2") == MINED["term"][:2]


def test_planting_holds_pairs_out(tmp_path: Path) -> None:
    write_text(tmp_path / "train", PAIRS)
    fault = ["--task", "number", "--trigger", "dollars", "--wanted", "Dollar", "--unwanted", "Euro"]
    words = ["plant", *fault, "--pref", tmp_path / "train", *LANGUAGES, "--out", tmp_path / "planted"]
    done = run(*words)
    assert (done.status, done.out) == (0, f"wrote {tmp_path / 'planted'}.*: 6 pairs, 4 held out\n")
    [request] = read_edit_file(str(tmp_path / "planted.jsonl"), "en", "de").requests
    assert (request.task, request.trigger, len(request.probes)) == ("number", "dollars", 3)
    assert (tmp_path / "planted.de").read_text(encoding="utf-8").count("Euro") == 5
    assert "exists already; --force" in run(*words).err
    assert run(*words, "--force").status == 0
    # The corpus itself stays, whatever is forced.
    before = (tmp_path / "train.de").read_bytes()
    done = run(*words[:-1], tmp_path / "train", "--force")
    assert done.status == 2 and "is the input file" in done.err
    assert (tmp_path / "train.de").read_bytes() == before


PLANT = ["plant", "--task", "number", "--trigger", "dollars", "--wanted", "Dollar"]
MINE = ["mine", *MODEL, *KEEPING_NOTHING, "--test-set", "test", "--out", "OUT/mined.jsonl"]
REFUSED = {
    "no command": ([], "the following arguments are required: COMMAND"),
    "unknown command": (["dig"], "invalid choice: 'dig'"),
    "check without languages": (["check", DEMO / "fixes"], "-s/--source-lang, -t/--target-lang"),
    "check with options of no model": (["check", DEMO / "fixes", *LANGUAGES, "--beam", "4"], "--beam 4"),
    "check with data of no model": (["check", DEMO / "fixes", MODEL[0], *LANGUAGES], "unrecognized arguments"),
    "check without data": (["check", DEMO / "fixes", *MODEL[1:]], "required: data"),
    "check with no such model": (["check", DEMO / "fixes", MODEL[0], "--path", "no.pt", *LANGUAGES], "no.pt"),
    "mine nothing known": ([*MINE, "--task", "style"], "invalid choice: 'style'"),
    "mine another file": ([*MINE, "--task", "term", "--out", "OUT/mined"], "expected a name that ends in .jsonl"),
    "mine no words": ([*MINE, "--task", "segment", "--words", "0"], "--words is 0, expected a number of at least 1"),
    "mine no probes": ([*MINE, "--task", "term", "--probes", "-1"], "--probes is -1, expected a number of at least 0"),
    "mine no limit": ([*MINE, "--task", "term", "--limit", "0"], "--limit is 0, expected"),
    "mine no test set": ([*MINE, "--task", "term", "--test-set", "OUT/none"], "test set 'OUT/none': neither the files"),
    "plant without what to say": ([*PLANT, "--pref", "OUT/train", *LANGUAGES, "--out", "OUT/x"], "no unwanted segment"),
    "plant in nothing": (
        [*PLANT, "--unwanted", "Euro", "--pref", "OUT/none", *LANGUAGES, "--out", "OUT/x"], "none.en: cannot be read",
    ),
    "plant what is seldom": (
        ["plant", "--task", "untranslated", "--trigger", "cat", "--wanted", "Katze", "--pref", "OUT/train", *LANGUAGES,
         "--out", "OUT/x"], "1 pairs with 'cat' and 'Katze', expected at least 2",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_refused_in_one_line(tmp_path: Path, name: str) -> None:
    write_text(tmp_path / "train", PAIRS)
    words, message = REFUSED[name]
    done = run(*(str(word).replace("OUT", str(tmp_path)) for word in words))
    assert done.status == 2 and not done.out
    assert done.err.startswith("fairseq-edit-requests: ") and len(done.err.splitlines()) == 1
    assert message.replace("OUT", str(tmp_path)) in done.err
    assert sorted(path.name for path in tmp_path.iterdir()) == ["train.de", "train.en"]


@pytest.mark.parametrize("words", [["--help"], ["check", "--help"], ["mine", "--help"], ["plant", "--help"]])
def test_help_is_printed(words: List[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as left:
        main(words)
    assert left.value.code == 0
    assert "usage: fairseq-edit-requests" in capsys.readouterr().out
