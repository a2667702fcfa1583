"""The journal of a run: what is kept of each request, and an interrupted run that goes on as if nothing had been."""

from __future__ import annotations

import json
from functools import lru_cache
from pathlib import Path
from typing import Any, Callable, Dict, List

import pytest
import torch
from conftest import Demo
from demo_edits import assert_same_bits, of_demo, run
from edit_runs import DEMO, edits_in, files, refusal, run_edit
from patch_samples import KINDS
from safetensors.torch import save_file

from fairseq_rome.editing.journal import Journal
from fairseq_rome.editing.model_under_edit import ModelUnderEdit
from fairseq_rome.editing.outcome import EDITED, FAILED, NOTHING, Outcome, Result
from fairseq_rome.errors import EditError
from fairseq_rome.host.checkpoint import read_state
from fairseq_rome.host.codec import TextCodec
from fairseq_rome.text.requests import EditFile, EditRequest
from fairseq_rome.text.segments import Difference
from fairseq_rome.workbench import journals
from fairseq_rome.workbench.workbench import Workbench

REQUEST = EditRequest("a dog", "ein Vierbeiner", id="dog", settings={"edit_steps": 3})
RUN = {"settings": {"seed": 1}, "requests": ["ä"]}


def journal(folder: Path, **changes: Any) -> Journal:
    return Journal(str(folder / "new.pt"), {**RUN, **changes})


@pytest.mark.parametrize("kind", KINDS)
def test_a_result_comes_back_as_it_was(tmp_path: Path, kind: str) -> None:
    result = Result(
        REQUEST, EDITED, "der Hund", "der Vierbeiner", Difference("Hund", "Vierbeiner", True), "dog", 3, 2, 0.5,
        KINDS[kind], 0.25, 2, 1.5, "because",
    )  # fmt: skip
    journal(tmp_path).keep(0, result)
    found = journal(tmp_path).recall(0, REQUEST)
    assert found is not None and found.patch is not None
    assert_same_bits([found.patch], [KINDS[kind]])
    assert {**vars(found), "patch": None} == {**vars(result), "patch": None}


@pytest.mark.parametrize("result", [
    Result(REQUEST, NOTHING, "a", "a"), Result(REQUEST, FAILED, "a", "b", Difference("", "b"), reason="too far"),
])  # fmt: skip
def test_a_request_without_an_edit_is_done_too(tmp_path: Path, result: Result) -> None:
    journal(tmp_path).keep(0, result)
    assert journal(tmp_path).recall(0, REQUEST) == result


def test_how_many_are_done(tmp_path: Path) -> None:
    one = journal(tmp_path)
    assert (one.done, one.recall(0, REQUEST), list(files(tmp_path))) == (0, None, [])
    for number in range(3):
        one.keep(number, Result(REQUEST, NOTHING, "a", "a"))
        assert journal(tmp_path).done == number + 1
    assert one.recall(3, REQUEST) is None
    one.remove()
    one.remove()
    assert (one.done, list(files(tmp_path))) == (0, [])


def test_another_run_has_another_journal(tmp_path: Path) -> None:
    folders = {
        journal(tmp_path).folder,
        journal(tmp_path, settings={"seed": 2}).folder,
        journal(tmp_path, requests=[]).folder,
        Journal(str(tmp_path / "other.pt"), RUN).folder,
    }
    assert len(folders) == 4
    assert Journal(str(tmp_path / "new.pt"), dict(reversed(list(RUN.items())))).folder in folders


def _cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-5])


def _rewritten(**metadata: str) -> Callable[[Path], None]:
    return lambda path: save_file({"none": torch.zeros(1)}, str(path), metadata)


DAMAGES: Dict[str, Callable[[Path], Any]] = {
    "cut off": _cut,
    "empty": lambda path: path.write_bytes(b""),
    "text": lambda path: path.write_text("not a tensor in it"),
    "no metadata": _rewritten(),
    "no JSON": _rewritten(result="{", patches="[]"),
    "another kind of JSON": _rewritten(result="[]", patches="[]"),
    "lacks a field": _rewritten(result='{"difference": null}', patches="[]"),
    "patch without its tensors": _rewritten(
        result=json.dumps({"difference": None, "status": EDITED, "before": "", "after": ""}),
        patches=json.dumps([
            {"method": "rome", "site": "decoder.0", "notes": {}, "about": {}, "keys": {},
             "changes": [{"kind": "low-rank", "name": "w", "tensors": "0.0"}]}
        ]),
    ),
}  # fmt: skip


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_journal_is_told(tmp_path: Path, damage: str) -> None:
    one = journal(tmp_path)
    one.keep(0, Result(REQUEST, EDITED, "a", "b", patch=KINDS["neuron"]))
    [path] = Path(one.folder).iterdir()
    DAMAGES[damage](path)
    with pytest.raises(EditError) as caught:
        one.recall(0, REQUEST)
    text = str(caught.value)
    assert text.startswith(f"{path}: damaged (") and text.endswith(f"); remove {one.folder} to begin again")


def test_a_journal_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    one = journal(tmp_path)
    Path(one.folder).write_text("a file")
    with pytest.raises(EditError, match="cannot be made: File exists"):
        one.keep(0, Result(REQUEST, NOTHING, "a", "a"))


@pytest.fixture(scope="module")
def whole_run(demo: Demo) -> Callable[[str], Outcome]:
    """A run of a method that nothing interrupts, made once."""
    return lru_cache(None)(lambda method: run(demo, [of_demo(number) for number in range(3)], {"method": method}))


@pytest.mark.parametrize(("method", "done"), [("gated", 2), ("gated", 3), ("alphaedit", 1)])
def test_an_interrupted_run_goes_on_bit_for_bit(
    demo: Demo, whole_run: Callable[[str], Outcome], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, method: str,
    done: int,
) -> None:  # fmt: skip
    requests = [of_demo(number) for number in range(3)]
    whole = whole_run(method)
    assert len(whole.patches) == 3
    seen: List[Result] = []

    def interrupt(result: Result) -> None:
        seen.append(result)
        if len(seen) == done:
            raise KeyboardInterrupt

    before = {name: tensor.clone() for name, tensor in demo.model.state_dict().items()}
    with pytest.raises(KeyboardInterrupt):
        run(demo, requests, {"method": method}, journal=journal(tmp_path), observe=interrupt)
    assert all(torch.equal(before[name], tensor) for name, tensor in demo.model.state_dict().items())
    assert journal(tmp_path).done == done
    fitted = []
    work_on = ModelUnderEdit.work_on

    def counted(self: ModelUnderEdit, request: EditRequest, settings: Any) -> Result:
        fitted.append(request.id)
        return work_on(self, request, settings)

    monkeypatch.setattr(ModelUnderEdit, "work_on", counted)
    resumed = run(demo, requests, {"method": method}, journal=journal(tmp_path))
    assert fitted == [request.id for request in requests[done:]]
    assert_same_bits(resumed.patches, whole.patches)
    assert [result.after for result in resumed.results] == [result.after for result in whole.results]
    assert resumed.room == whole.room


def interrupted(monkeypatch: pytest.MonkeyPatch, after: int) -> None:
    """Ctrl-C as soon as so many requests are in the journal."""
    keep = Journal.keep

    def stop(self: Journal, number: int, result: Result) -> None:
        keep(self, number, result)
        if number + 1 == after:
            raise KeyboardInterrupt

    monkeypatch.setattr(Journal, "keep", stop)


FAST = "--edit-contexts 0 --edit-tries 1 --edit-stats-tokens 2000".split()


def test_the_command_goes_on_and_leaves_no_journal(
    edit_data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(journals, "SOON_DONE_AGAIN", 3)
    command = [DEMO / "fixes", "--save-to", tmp_path / "new.pt", *FAST]
    with monkeypatch.context() as patch:
        interrupted(patch, 3)
        cut = refusal(run_edit(edit_data, *command))
    assert (
        "interrupted; 3 requests are done, and kept in " in cut
        and "the same command goes on from there" in cut
    )
    assert len(list(files(tmp_path))) == 4
    [folder] = tmp_path.iterdir()
    assert str(folder) in cut
    done = run_edit(edit_data, *command)
    assert "going on after 3 requests that an interrupted run has done\n" in done.out, done.out + done.err
    assert f"wrote {tmp_path / 'new.pt'}: " in done.out
    assert list(files(tmp_path)) == ["new.pt"]
    assert [one["id"] for one in edits_in(tmp_path / "new.pt")] == ["1", "2", "3", "4"]


OTHERS: Dict[str, List[Any]] = {
    "a setting": ["--edit-scale", "1.5"],
    "search": ["--beam", "3"],
    "requests": ["--edit-pref", DEMO / "probes.jsonl"],
    "checkpoint": ["--path", "half.pt"],
}


@pytest.mark.slow
def test_another_command_begins_again(
    edit_data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def one_done(_: Any, edit_file: EditFile, *__: Any, journal: Journal, **___: Any) -> Outcome:
        journal.keep(0, Result(edit_file.requests[0], NOTHING, "a", "a"))
        raise KeyboardInterrupt

    state = read_state(DEMO / "model.pt")
    state["model"]["decoder.layers.0.fc2.bias"] += 1
    torch.save(state, tmp_path / "half.pt")
    monkeypatch.setattr(Workbench, "edit", one_done)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "out").mkdir()
    begun = [DEMO / "all", "--save-to", tmp_path / "out" / "new.pt"]
    assert run_edit(edit_data, *begun).out == ""
    assert "going on after 1 request that an interrupted run has done\n" in run_edit(edit_data, *begun).out
    for name, more in OTHERS.items():
        assert run_edit(edit_data, *begun, *more).out == "", name
    # Another subword model makes other tokens of the same text.
    plain = TextCodec.source
    monkeypatch.setattr(TextCodec, "source", lambda self, text: plain(self, text).flip(0))
    assert run_edit(edit_data, *begun).out == ""
    assert len(list((tmp_path / "out").iterdir())) == 2 + len(OTHERS)
