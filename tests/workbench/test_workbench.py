"""The Python interface: open, translate, edit, judge, stage, write, without a command line."""

from __future__ import annotations

import logging
import re
import textwrap
from functools import partial
from pathlib import Path
from typing import Any, Dict, List

import pytest
import torch
from edit_runs import DEMO, ROOT, files, open_stock, probes, request

import fairseq_rome
from fairseq_rome import EditError, EditRequest, EditSettings, Outcome, Workbench
from fairseq_rome.editing.outcome import EDITED, Result
from fairseq_rome.host.checkpoint import fingerprint, read_state, tensors
from fairseq_rome.patch import load_patches
from fairseq_rome.workbench import workbench
from fairseq_rome.workbench.staging import StagedCheckpoint

SOURCE = "The shop assistants can read the poem."
BEFORE = "Die Assistenten können das Gedicht lesen."
TARGET = "Die Verkäufer können das Gedicht lesen."
QUICK = EditSettings.of(edit_stats_tokens=6000, edit_contexts=8, edit_references=12, edit_sample=8)


def opened(data: Path, **options: Any) -> Workbench:
    return fairseq_rome.open(
        str(DEMO / "model.pt"), data=str(data), source="en", target="de", bpe="sentencepiece",
        sentencepiece_model=str(DEMO / "spm.model"), **{"beam": 2, "cache": str(data.parent / "cache"), **options},
    )  # fmt: skip


@pytest.fixture(scope="module")
def bench(edit_data: Path) -> Workbench:
    return opened(edit_data)


@pytest.fixture(scope="module")
def outcome(bench: Workbench) -> Outcome:
    before = fingerprint({"model": bench.model.translator.model.state_dict()})
    found = bench.edit([EditRequest(SOURCE, TARGET)], QUICK)
    assert fingerprint({"model": bench.model.translator.model.state_dict()}) == before
    return found


def test_an_edit_is_a_value_that_is_put_on_and_taken_off(bench: Workbench, outcome: Outcome) -> None:
    [result] = outcome.results
    assert (result.status, result.before, result.after) == (EDITED, BEFORE, TARGET)
    assert bench.translate([SOURCE]) == [BEFORE]
    with bench.patched(outcome.patches):
        assert bench.translate([SOURCE]) == [TARGET]
    assert bench.translate([SOURCE]) == [BEFORE]


def test_results_come_one_by_one(bench: Workbench) -> None:
    records = list(probes().values())[:2]
    wanted = [EditRequest(record["source"], record["target"]) for record in records]
    seen: List[Result] = []
    alone = EditSettings.of(edit_contexts=0, edit_stats_tokens=2000, edit_sample=0)
    found = bench.edit(wanted, alone, observe=seen.append)
    assert [result.request.id for result in seen] == ["1", "2"] == [one.request.id for one in found.results]


def test_what_is_written_is_what_the_command_writes(
    bench: Workbench, outcome: Outcome, tmp_path: Path
) -> None:
    bench.write(str(tmp_path / "edited.pt"), outcome, QUICK)
    state = open_stock(tmp_path / "edited.pt")
    [run] = state["extra_state"]["fairseq_rome"]
    assert [edit["source"] for edit in run["edits"]] == [SOURCE]
    assert run["settings"]["edit_contexts"] == 8 and run["base"] == bench.model.fingerprint
    with bench.patched(outcome.patches):
        weights = bench.model.translator.model.state_dict()
        assert all(torch.equal(state["model"][name], weights[name]) for name in state["model"] if "._float" not in name)
    with pytest.raises(EditError, match="exists already"):
        bench.write(str(tmp_path / "edited.pt"), outcome)
    with pytest.raises(EditError, match="never written over"):
        bench.write(str(DEMO / "model.pt"), outcome, force=True)


def test_a_staged_file_has_no_name_until_it_is_committed(
    bench: Workbench, outcome: Outcome, tmp_path: Path
) -> None:
    path = tmp_path / "edited.pt"
    with bench.stage(str(path), outcome) as staged:
        reloaded = staged.reload()
        assert not path.exists() and not staged.in_place
        assert staged.failures(reloaded) == []
        report = bench.evaluate(reloaded, [EditRequest(SOURCE, TARGET)], sample=4, conditions=["efficacy>=1"])
        assert report.passed and report.evaluation.metrics()["efficacy"] == 1.0
    assert list(files(tmp_path)) == []
    with bench.stage(str(path), outcome) as staged:
        staged.commit()
        assert staged.in_place
    assert list(files(tmp_path)) == ["edited.pt"]
    assert read_state(path)


def test_a_file_that_does_not_show_the_edit_is_not_written(
    bench: Workbench, outcome: Outcome, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(StagedCheckpoint, "failures", lambda *_: ["request 1 failed"])
    with pytest.raises(EditError, match="request 1 failed; nothing was written"):
        bench.write(str(tmp_path / "edited.pt"), outcome)
    assert list(files(tmp_path)) == []


def test_edits_are_judged_without_being_written(bench: Workbench, outcome: Outcome) -> None:
    report = bench.evaluate(outcome, sample=4, conditions=["efficacy>=1", "near>=1"])
    assert [one.passed for one in report.conditions] == [True, False]
    assert not report.passed and "nothing to measure near on" in report.reasons[0]
    assert report.evaluation.requests[0].after == TARGET


def test_edits_beside_the_weights_are_judged_and_kept_in_files(
    bench: Workbench, edit_data: Path, tmp_path: Path
) -> None:
    path = str(tmp_path / "fix.tsv")
    outcome = bench.edit([EditRequest(SOURCE, TARGET)], QUICK.changed({"method": "rules"}))
    report = bench.evaluate(outcome, sample=4, conditions=["efficacy>=1", "locality>=1"])
    assert report.passed and report.edits["1"].method == "rules"
    with pytest.raises(EditError, match="a checkpoint can't hold what rules makes"):
        bench.write(str(tmp_path / "edited.pt"), outcome)
    bench.save_patches(path, outcome)
    with bench.patched(load_patches(path).patches):
        assert bench.translate([SOURCE]) == [TARGET]
    assert bench.translate([SOURCE]) == [BEFORE]
    with pytest.raises(EditError, match="a checkpoint can't hold what rules makes"):
        opened(edit_data, patches=[path])


def test_nothing_holds_and_nothing_can_be_staged(bench: Workbench, tmp_path: Path) -> None:
    nothing = bench.edit([EditRequest(SOURCE, BEFORE)], QUICK)
    with pytest.raises(EditError, match="no request holds by an edit"):
        bench.stage(str(tmp_path / "edited.pt"), nothing)


def test_a_behaviour_is_traced(bench: Workbench) -> None:
    trace = bench.locate(EditRequest(SOURCE, TARGET), fairseq_rome.LocateSettings(samples=2))
    assert trace.trigger == "assistants" and trace.clean > trace.corrupted


def test_a_preview_edits_nothing(bench: Workbench) -> None:
    [one] = bench.preview([EditRequest(SOURCE, TARGET)], QUICK)
    assert one.before == BEFORE and one.plan is not None
    assert str(one.plan.sites[0]) == "decoder.2"


def test_patches_of_files_are_there_from_the_start(
    bench: Workbench, outcome: Outcome, edit_data: Path, tmp_path: Path
) -> None:
    path = str(tmp_path / "fix.safetensors")
    bench.save_patches(path, outcome)
    edited = opened(edit_data, patches=[path])
    assert edited.translate([SOURCE]) == [TARGET]
    [one] = edited.preview([EditRequest(SOURCE, "Die Gehilfen können das Gedicht lesen.")], QUICK)
    assert one.plan is not None
    [patch] = outcome.patches
    assert f"is to replace the earlier edit {patch.fingerprint[:12]} of request 1: " in one.plan.case.notes[-1]


CONTRADICTORY = {
    "one source": (
        EditRequest(SOURCE, TARGET), EditRequest(SOURCE, "Die Gehilfen können das Gedicht lesen.", id="other"),
        "request other asks for 'Die Gehilfen können das Gedicht lesen.', and request 1 for "
        f"'{TARGET}' of the same source",
    ),
    "one trigger": (
        EditRequest(SOURCE, TARGET, trigger="shop assistants"),
        EditRequest("The shop assistant is famous.", "Der Gehilfe ist berühmt.", trigger="shop assistant"),
        "request 2 asks for 'Assistent' -> 'Gehilfe' where the source says 'shop assistant', and request 1 for "
        "'Assistenten' -> 'Verkäufer' where the source says 'shop assistants'",
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", CONTRADICTORY)
def test_requests_that_contradict_each_other_are_refused_before_any_is_edited(bench: Workbench, case: str) -> None:
    *requests, told = CONTRADICTORY[case]
    seen: List[Result] = []
    with pytest.raises(EditError, match=re.escape(told)):
        bench.edit(requests, QUICK, observe=seen.append)
    with pytest.raises(EditError, match=re.escape(told)):
        list(bench.preview(requests, QUICK))
    assert not seen


REFUSED: Dict[str, Any] = {
    "an option": ({"bem": 4}, "option 'bem': fairseq-generate has no such option; close to it: beam"),
    "a data directory": ({"data": "nowhere"}, "nowhere: no such directory"),
    "a subword model": ({"bpe": "pieces"}, "invalid choice: 'pieces'"),
    "languages": ({"source": "de", "target": "en"}, "translates en-de, expected a model for -s de -t en"),
    "overrides": ({"model_overrides": "none"}, "expected a Python dictionary"),
    "a checkpoint": ({"path": "nothing.pt"}, "nothing.pt: no such file"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_can_not_be_opened(edit_data: Path, case: str) -> None:
    changes, message = REFUSED[case]
    arguments = {"data": str(edit_data), "source": "en", "target": "de", **changes}
    path = arguments.pop("path", str(DEMO / "model.pt"))
    with pytest.raises(EditError, match=re.escape(message)):
        fairseq_rome.open(path, **arguments)


def test_requests_that_can_not_be(bench: Workbench) -> None:
    with pytest.raises(EditError, match="two requests have this id"):
        bench.edit([EditRequest("a", "b", id="x"), EditRequest("c", "d", id="x")])
    record = request(next(iter(probes().values())))
    with pytest.raises(EditError, match="'settings' is a setting|unknown setting|edit_magic"):
        bench.edit([EditRequest(record["source"], record["target"], settings={"edit_magic": 1})])


def test_logs_and_levels_are_as_before(edit_data: Path) -> None:
    levels = [logging.getLogger(name).level for name in ("fairseq", "hydra")]
    opened(edit_data)
    assert [logging.getLogger(name).level for name in ("fairseq", "hydra")] == levels


# With the usual count of references, which are more than a gate is fitted against at once.
@pytest.mark.parametrize("usual", [
    pytest.param({}, marks=pytest.mark.slow, id="as it stands"),
    pytest.param({"edit_stats_tokens": 6000, "edit_contexts": 8, "edit_sample": 8}, id="small"),
])  # fmt: skip
def test_the_example_of_the_readme(
    usual: Dict[str, int], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    monkeypatch.setattr(workbench, "EditSettings", partial(EditSettings.of, **usual))
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    [example] = [block for block in re.findall(r"(?:^    .*\n|^\n)+", text, re.M) if "fairseq_rome.open(" in block]
    monkeypatch.chdir(ROOT)
    code = textwrap.dedent(example).replace('"edited.pt"', repr(str(tmp_path / "edited.pt")))
    names: Dict[str, Any] = {}
    exec(compile(code, "README.md", "exec"), names)
    assert names["outcome"].results[0].after == TARGET
    assert "1 edited" in capsys.readouterr().out
    assert read_state(tmp_path / "edited.pt")["extra_state"]["fairseq_rome"]


def test_the_base_weights_are_hashed_once_a_run(
    edit_data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Counted at a weight that no edit touches, under all of its names."""
    hashed: List[int] = []
    plain = tensors.tensor_fingerprint
    embedding = read_state(DEMO / "model.pt")["model"]["encoder.embed_tokens.weight"]

    def counted(tensor: torch.Tensor) -> str:
        if tensor.shape == embedding.shape and torch.equal(tensor, embedding):
            hashed.append(1)
        return plain(tensor)

    monkeypatch.setattr(tensors, "tensor_fingerprint", counted)
    bench = opened(edit_data)
    outcome = bench.edit([EditRequest(SOURCE, TARGET)], EditSettings.of(edit_contexts=0, edit_stats_tokens=2000))
    bench.save_patches(str(tmp_path / "fix.safetensors"), outcome)
    with bench.stage(str(tmp_path / "edited.pt"), outcome) as staged:
        staged.commit()
    shared = sum(
        one.shape == embedding.shape and torch.equal(one, embedding) for one in bench.model.state["model"].values()
    )
    assert len(hashed) == shared
