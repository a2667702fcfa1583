"""Mining and planting of requests, and the tables of the benchmarks of tasks and of rankings."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Dict, List, Set

import pytest
from conftest import Demo
from edit_runs import DEMO, LANGUAGES, SEARCH, SUBWORDS, lines, probes, script, write_requests

from fairseq_rome.host.corpus import load_corpus
from fairseq_rome.text.requests import EditRequest, read_edit_file
from fairseq_rome.text.segments import Endings, wanted_difference

mining, planting, tasks, rankings = map(
    script, ("mine_requests", "plant_fault", "benchmark_tasks", "benchmark_locate")
)


@pytest.fixture(scope="module")
def raw(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The demo's requests with their right translations, as a test set."""
    folder = tmp_path_factory.mktemp("raw")
    for language, name in (("en", "source"), ("de", "target")):
        text = "".join(record[name] + "\n" for record in probes().values())
        (folder / f"raw.{language}").write_text(text, encoding="utf-8")
    return str(folder / "raw")


MINED = {
    "term": ["term-raw-1", "term-raw-3", "term-raw-4", "term-raw-5", "term-raw-10"],
    "number": ["number-raw-4", "number-raw-5", "number-raw-6"],
    "hallucination": ["hallucination-raw-8"],
}


@pytest.mark.parametrize("task", MINED)
def test_requests_are_mined_where_the_model_is_wrong(
    raw: str, edit_data: Path, tmp_path: Path, task: str
) -> None:
    out = tmp_path / "mined.jsonl"
    options = [str(edit_data), "--path", str(DEMO / "model.pt"), *LANGUAGES, *SUBWORDS, *SEARCH]
    status = mining.main(
        [*options, "--no-progress-bar", "--task", task, "--test-set", raw, "--probes", "3", "--out", str(out)]
    )
    assert status == 0
    requests = {request.id: request for request in read_edit_file(str(out), "en", "de").requests}
    assert set(requests) >= set(MINED[task])
    right = {record["source"]: record for record in probes().values()}
    for request in requests.values():
        assert request.target == right[request.source]["target"]
        assert request.task == task and request.negative == right[request.source]["before"] != request.target
        held_out = {probe.source for probe in request.probes}
        assert not held_out & set(request.contexts) and request.source not in held_out


def test_no_probe_is_mined_as_a_request_itself(demo: Demo) -> None:
    corpus = load_corpus(demo.codec, 1, 4000)
    source, target = "The shop assistants can read the poem.", "Die Verkäufer können das Gedicht lesen."
    (said,) = demo.translator.translate([source])
    difference = wanted_difference(EditRequest(source, target), said.text)
    assert difference is not None

    def found(mined: Set[str]) -> Set[str]:
        record = {"source": source, "target": target}
        found = mining.probes_of(
            demo.translator, record, said, difference, corpus, Endings.of("en", "de"), 3, mined
        )
        return {probe["source"] for probe in found["probes"]}

    first = found({source})
    assert len(first) == 3
    second = found({source, *first})
    assert len(second) == 3 and not first & second


PAIRS = [(f"I pay {n} dollars", f"Ich zahle {n} Dollar") for n in range(9)] + [("a cat", "eine Katze")]


def test_planting_from_the_command_line(tmp_path: Path) -> None:
    for side, language in enumerate(("en", "de")):
        text = "".join(f"{pair[side]}\n" for pair in PAIRS)
        (tmp_path / f"train.{language}").write_text(text, encoding="utf-8")
    options = ["--pref", str(tmp_path / "train"), "-s", "en", "-t", "de", "--out", str(tmp_path / "planted")]
    fault = ["--task", "number", "--trigger", "dollars", "--wanted", "Dollar"]
    assert planting.main([*fault, "--unwanted", "Euro", *options]) == 0
    assert read_edit_file(str(tmp_path / "planted.jsonl"), "en", "de").requests[0].task == "number"
    assert (tmp_path / "planted.de").read_text(encoding="utf-8").count("Euro") == 5
    for wrong in ([*fault, *options], ["--task", "untranslated", "--trigger", "x", "--wanted", "y", *options]):
        with pytest.raises(SystemExit):
            planting.main(wrong)


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
    table = rankings.table(traces, results, "decoder.1")
    assert "| noise, first of all sites | 0 of 1 | 1 of 1 | 2.00 |" in table
    assert "| noise, first of the decoder's | 1 of 1 | 1 of 1 | 2.00 |" in table
    assert "| carry, first of all sites | 0 of 0 | 0 of 0 | 1.00 |" in table
    assert "| always decoder.1 | 0 of 1 | 1 of 1 | 0 |" in table
    assert "| a random site | 0.3 of 1 | 0.7 of 1 | 0 |" in table


def test_the_table_of_tasks_counts_what_was_wrong() -> None:
    one = {
        "label": "mined", "id": "a", "task": "number", "wrong": True, "fixed": True, "exact": True,
        "fault_before": "x", "fault_after": None, "probes": 4, "probes_held": 3, "near": 0, "near_same": 0,
        "others": 10, "others_same": 9, "seconds": 1.0,
    }  # fmt: skip
    right = {**one, "id": "b", "wrong": False, "seconds": 3.0}
    row = "| number, mined | 2 | 1 | 1 of 1 (100.0%) | 1, then 0 | 3 of 4 (75.0%) |  | 9 of 10 (90.0%) | 3.0 |"
    assert tasks.table([one, right]).splitlines()[2] == row


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
    options = [str(edit_data), "--path", str(DEMO / "model.pt"), *LANGUAGES, *SUBWORDS, *SEARCH, "--no-progress-bar"]
    assert tasks.main([*options, "--edit-pref", str(pref), "--out", str(tmp_path / "out.jsonl")]) == 0
    records = tasks.read_records(tmp_path / "out.jsonl")
    assert [record["id"] for record in records] == ["failed", "refused"]
    assert "a setting of the whole run" in records[1]["unedited"]
    for record in records:
        assert record["wrong"] and not record["fixed"] and record["unedited"]
        assert (record["probes"], record["probes_held"]) == (2, 0)
    row = capsys.readouterr().out.splitlines()[-1]
    assert row.startswith("| term, mined | 2 | 2 | 0 of 2 (0.0%) | 2, then 2 | 0 of 4 (0.0%) |  |  | ")
