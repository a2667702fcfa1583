"""The benchmark's table and its judge; what it measures needs data that is not here."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Dict

import pytest
import torch
from edit_runs import script

from fairseq_rome.errors import EditError
from fairseq_rome.host.batches import Pair
from fairseq_rome.host.corpus import Corpus

benchmark = script("benchmark")
table_of = script("benchmark_table")
multi30k = script("multi30k")
options = script("bench_options")


def edit(name: str, **changes: Any) -> Dict[str, Any]:
    record = {
        "kind": "edit", "task": "term", "method": "gated", "site": "auto", "settings": {}, "code": "c0de", "id": name,
        "held": True, "claimed": True, "exact": False, "probes": 4, "probes_held": 3, "unrelated": 10, "identical": 10,
        "seconds": 2.0, "cpu_seconds": 1.0, "tries": 1, "at": "decoder.3",
    }  # fmt: skip
    return {**record, **changes}


def wish(task: str = "term", **changes: Any) -> Any:
    record = {
        "id": "w", "task": task, "source": "a dog", "target": "ein Vierbeiner", "unwanted": "Hund",
        "wanted": "Vierbeiner", "trigger": "dog", "contexts": ["the dog", "dogs"],
        "probes": [{"source": "the dog", "before": "der Hund"}],
    }  # fmt: skip
    return multi30k.Wish.of({**record, **changes})


def test_a_row_adds_up_its_requests() -> None:
    records = [
        edit("a"),
        edit("b", held=False, claimed=False, probes=0, probes_held=0, identical=5, seconds=4.0),
        edit("a", method="rome", exact=True),
        {"kind": "warm-up", "code": "c0de", "seconds": 7.0},
    ]
    lines = table_of.table(records).splitlines()
    assert lines[2] == "| term | gated | auto | 2 | 0.500 | 0.000 | 0.750 of 4 | 0.75000 | 3.0 | 1.0 | c0de |"
    assert lines[3].startswith("| term | rome | auto | 1 | 1.000 | 1.000 |")
    assert "failed: b" in lines[5]
    assert "none failed" in lines[6]
    assert "measures the statistics, 7.0 s" in lines[-1]


def test_a_claim_that_decoding_does_not_show_is_named() -> None:
    assert "claimed to hold but does not: a" in table_of.table([edit("a", held=False)])


@pytest.mark.parametrize(
    "change", [{"site": "decoder.3"}, {"settings": {"edit_tries": 1}}, {"code": "other"}, {"id": "b"}]
)
def test_what_is_done_again(change: Dict[str, Any]) -> None:
    assert table_of.key_of(edit("a", seconds=9.0)) == table_of.key_of(edit("a"))
    assert table_of.key_of(edit("a", **change)) != table_of.key_of(edit("a"))


def test_settings_are_given_by_name() -> None:
    settings = options.settings_of(["edit-contexts=0", "widen=true", "edit_scale=1.5", "site=decoder.1"], edit_sample=0)
    assert (settings.edit_contexts, settings.widen, settings.site, settings.edit_sample) == (0, True, "decoder.1", 0)
    assert settings.as_plain()["edit_scale"] == 1.5


@pytest.mark.parametrize("text", ["edit_contexts", "edit_contexts=many", "widen=2", "contexts=1", "method=magic"])
def test_settings_that_can_not_be(text: str) -> None:
    with pytest.raises(EditError):
        options.settings_of([text])


def test_nothing_measured_yet(tmp_path: Path) -> None:
    assert table_of.read_records(tmp_path / "none.jsonl") == []
    assert table_of.table([]) == "no results yet"


def test_the_table_needs_no_data(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "results.jsonl"
    out.write_text(json.dumps(edit("a")) + "\n", encoding="utf-8")
    assert benchmark.main(["--table", "--data", str(tmp_path), "--out", str(out)]) == 0
    assert "| term | gated | auto | 1 |" in capsys.readouterr().out


def test_missing_data_is_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert benchmark.main(["--data", str(tmp_path)]) == 0
    assert "requests.jsonl is missing" in capsys.readouterr().out
    assert multi30k.read_multi30k(tmp_path) is None


@pytest.mark.parametrize(
    ("output", "shown"),
    [
        ("ein Vierbeiner", True),
        ("die Vierbeinern", True),
        ("ein Vierbeinerhund", False),
        ("Vierbeiner und Hunde", False),
    ],
)
def test_terms_count_with_endings_and_not_in_compounds(output: str, shown: bool) -> None:
    assert wish().shown(output) is shown


def test_segments_count_as_they_are() -> None:
    segment = wish("segment", trigger=None, probes=[])
    assert segment.shown("ein Vierbeiner")
    assert not segment.shown("die Vierbeinern")


def test_probes_are_judged_by_their_own_sentence_and_never_fitted() -> None:
    one = wish()
    assert one.contexts == ("dogs",)
    assert one.shown_by(one.probes[0], "der Vierbeiner")
    assert not one.shown_by(one.probes[0], "der Hund")


def test_judged_sources_leave_the_corpus_as_the_model_reads_them() -> None:
    codec = SimpleNamespace(source=lambda text: torch.tensor([len(word) for word in text.split()]))
    pairs = tuple(Pair(codec.source(text), torch.tensor([1])) for text in ("a dog", "the cat", "some dogs"))
    left = Corpus("train", pairs, codec).without(["the  cat"])
    assert [pair.source.tolist() for pair in left.pairs] == [[1, 3], [4, 4]]
