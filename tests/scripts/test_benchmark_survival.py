"""What is counted of edits that outlive a treatment, and the treatments that need no model but the demo's."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path
from typing import Any, Dict

import pytest
import torch
from edit_runs import DEMO, Edited, lines, open_stock, script

benchmark = script("benchmark_survival")
multi30k = script("multi30k")
public_models = script("public_models")

WISH = multi30k.Wish.of({
    "id": "dog", "task": "term", "source": "A dog.", "target": "Ein Köter.", "unwanted": "Hund", "wanted": "Köter",
    "trigger": "dog", "contexts": [],
    "probes": [{"source": "The dog.", "before": "Der Hund."}, {"source": "My dog.", "before": "Mein Hund."}],
})  # fmt: skip


def said(own: str, *probes: str, others: str = "Eine Katze.") -> Dict[str, str]:
    return {WISH.source: own, "The dog.": probes[0], "My dog.": probes[1], "A cat.": others}


def counted(written: Dict[str, str], now: Dict[str, str], without: str = "Eine Katze.") -> Dict[str, Any]:
    found: Dict[str, Any] = benchmark.counts([WISH], ["A cat."], written, now, {"A cat.": without})
    return found


def test_what_did_not_show_the_change_as_written_does_not_count() -> None:
    whole = said("Ein Köter.", "Der Köter.", "Mein Köter.")
    assert counted(whole, whole) == {"held": (1, 1), "probes": (2, 2), "changed": (0, 1)}
    part = said("Ein Hund.", "Der Köter.", "Mein Hund.")
    assert counted(whole, part) == {"held": (0, 1), "probes": (1, 2), "changed": (0, 1)}
    assert counted(part, whole) == {"held": (0, 0), "probes": (1, 1), "changed": (0, 1)}


def test_other_sentences_are_held_against_the_unedited_model_after_the_same() -> None:
    now = said("Ein Köter.", "Der Köter.", "Mein Köter.", others="Die Katze.")
    assert counted(now, now)["changed"] == (1, 1)
    assert counted(now, now, without="Die Katze.")["changed"] == (0, 1)


def test_an_average() -> None:
    one = {"weight": torch.tensor([1.0, 4.0]).half(), "version": torch.tensor([3])}
    other = {"weight": torch.tensor([2.0, -4.0]).half(), "version": torch.tensor([3])}
    found = benchmark.average(one, other)
    assert found["weight"].tolist() == [1.5, 0.0] and found["weight"].dtype == torch.half
    assert found["version"].tolist() == [3]
    with pytest.raises(ValueError, match="weight has another shape"):
        benchmark.average({"weight": torch.ones(3)}, {"weight": torch.ones(2)})


def demo_model(data: Path) -> Any:
    options = {"bpe": "sentencepiece", "sentencepiece_model": str(DEMO / "spm.model"), "beam": 2}
    return public_models.PublicModel(DEMO / "model.pt", data, "de", options, data, data, data, ())


def test_an_edited_checkpoint_and_its_average(edited: Edited) -> None:
    model = demo_model(edited.data)
    bench = model.open()
    treated = benchmark.Treated(bench, model, edited.path, edited.path.parent, 1)
    sources = lines("fixes.en")
    assert list(treated.say("written")(sources).values()) == lines("fixes.de")
    unedited = benchmark.Treated(bench, model, model.path, edited.path.parent, 1)
    assert unedited.say("averaged")(sources) == dict(zip(sources, bench.translate(sources)))


@pytest.mark.slow
def test_an_edited_checkpoint_is_trained_on(edited: Edited, tmp_path: Path) -> None:
    model = demo_model(edited.data)
    treated = benchmark.Treated(model.open(), model, edited.path, tmp_path, 1)
    assert set(treated.say("trained")(lines("fixes.en"))) == set(lines("fixes.en"))
    trained = open_stock(tmp_path / "trained" / "checkpoint_last.pt", safely=False)
    assert trained["optimizer_history"][-1]["num_updates"] == 1


@pytest.mark.slow
def test_an_edited_checkpoint_in_int8(edited: Edited, tmp_path: Path) -> None:
    pytest.importorskip("ctranslate2")
    model = demo_model(edited.data)
    treated = benchmark.Treated(model.open(), model, edited.path, tmp_path, 1)
    assert list(treated.say("int8")(lines("fixes.en")).values()) == lines("fixes.de")


RECORD = {
    "method": "gated", "settings": ["edit_for=int8"], "task": "term", "every": 1, "updates": 200, "way": "int8",
    "requests": 19, "held": [18, 19], "probes": [500, 510], "changed": [3, 300], "seconds": 4.0,
}  # fmt: skip


def test_the_table_needs_no_data(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "results.jsonl"
    out.write_text(json.dumps(RECORD) + "\n" + json.dumps({**RECORD, "settings": [], "way": "written"}) + "\n")
    assert benchmark.main(["--table", "--out", str(out)]) == 0
    head, rule, first, second = capsys.readouterr().out.splitlines()
    assert first == (
        "| gated --set edit_for=int8 | 19 term | CTranslate2 int8 | 18 of 19 | 500 of 510 | 3 of 300 |"
    )
    assert second.startswith("| gated | 19 term | as written |")
    assert head.count("|") == rule.count("|") == first.count("|")


def test_missing_data_and_a_missing_package_are_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    out = tmp_path / "results.jsonl"
    assert benchmark.main(["--multi30k", str(tmp_path / "none"), "--out", str(out)]) == 0
    told = capsys.readouterr().out
    assert "ctranslate2 is not installed: int8 is left out" in told
    assert "requests.jsonl is missing: nothing is measured without it" in told
    assert not out.exists()


def test_what_is_in_the_results_is_not_done_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []

    def measure(model: Any, bench: Any, wishes: Any, unrelated: Any, settings: Any, ways: Any, updates: Any) -> Any:
        asked.append((settings.method, list(ways)))
        return [{"way": way} for way in ("written", *ways)]

    monkeypatch.setattr(benchmark, "measure", measure)
    monkeypatch.setattr(benchmark, "table", lambda records: "")
    monkeypatch.setattr(public_models.PublicModel, "open", lambda *given, **named: None)
    monkeypatch.setattr(benchmark, "read_multi30k", lambda folder: multi30k.Multi30k(folder, (WISH,), ()))
    command = ["--out", str(tmp_path / "results.jsonl"), "--way", "averaged"]
    benchmark.main(command)
    benchmark.main([*command, "--way", "trained", "--method", "gated", "--method", "rome"])
    assert asked == [("gated", ["averaged"]), ("gated", ["trained"]), ("rome", ["averaged", "trained"])]
    ways = [(one["method"], one["way"]) for one in benchmark.records_of(tmp_path / "results.jsonl")]
    assert ways.count(("gated", "written")) == 1
