"""`fairseq-edit-train-editor` end to end, in this process: trained, interrupted, gone on with, and used by an edit."""

from __future__ import annotations

from contextlib import redirect_stderr, redirect_stdout
from io import StringIO
from pathlib import Path
from typing import Any, Callable, List

import pytest
import torch
from edit_runs import DEMO, LANGUAGES, SEARCH, SUBWORDS, Run, run_edit

from fairseq_rome.cli.train_editor import main
from fairseq_rome.methods.fitting.editor_training import Training

QUICK = "--sentences 150 --steps 4 --every 2 --rank 4 --no-progress-bar".split()


def train(data: Path, out: Path, *more: Any) -> Run:
    words = [data, "--path", DEMO / "model.pt", *LANGUAGES, *SUBWORDS, *SEARCH, *QUICK, "--out", out]
    words += ["--edit-cache", data.parent / "cache", *more]
    told, err = StringIO(), StringIO()
    with redirect_stdout(told), redirect_stderr(err):
        status = main([str(word) for word in words])
    return Run(status, told.getvalue(), err.getvalue())


def interrupted_after(steps: int) -> Callable[[Training], None]:
    whole = Training.step_

    def step(training: Training) -> None:
        if training.done == steps:
            raise KeyboardInterrupt
        whole(training)

    return step


def kept_in(folder: Path) -> List[Path]:
    return sorted(folder.glob("*.training"))


def test_an_editor_is_trained_and_used(edit_data: Path, tmp_path: Path) -> None:
    out = tmp_path / "ed.safetensors"
    done = train(edit_data, out)
    assert (done.status, done.err) == (0, "")
    first, *looks, last = done.out.splitlines()
    assert first.endswith("1 to judge by")
    assert [look.split(":")[0] for look in looks] == [f"after {steps} of 4 steps" for steps in (0, 2, 4)]
    assert last.startswith(f"wrote {out}")
    assert not kept_in(tmp_path)
    assert "exists already; --force overwrites it" in train(edit_data, out).err
    edit = ["--method", "mend", "--edit-editor", out, "--keep-going", "--save-to", tmp_path / "new.pt"]
    edited = run_edit(edit_data, DEMO / "term", *edit)
    assert edited.status in (0, 1) and not edited.err
    assert "mend at decoder.2" in edited.out


@pytest.mark.slow
def test_an_interrupted_training_goes_on(edit_data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole, again = tmp_path / "whole.safetensors", tmp_path / "again.safetensors"
    assert train(edit_data, whole).status == 0
    with monkeypatch.context() as patched:
        patched.setattr(Training, "step_", interrupted_after(3))
        stopped = train(edit_data, again)
    [kept] = kept_in(tmp_path)
    assert stopped.status == 2 and not again.exists()
    assert stopped.err.endswith(f"what was done is kept in {kept}: the same command goes on from there\n")
    went_on = train(edit_data, again)
    assert went_on.status == 0
    assert "going on after 2 steps that an interrupted run has done" in went_on.out
    assert again.read_bytes() == whole.read_bytes()
    assert not kept_in(tmp_path)


@pytest.mark.slow
def test_an_editor_of_another_checkpoint_is_refused(edit_data: Path, tmp_path: Path) -> None:
    assert train(edit_data, tmp_path / "ed.safetensors", "--steps", "1").status == 0
    other = torch.load(DEMO / "model.pt", weights_only=False)
    other["model"]["decoder.layers.2.fc2.weight"] += 1e-3
    torch.save(other, tmp_path / "other.pt")
    edit = ["--method", "mend", "--edit-editor", tmp_path / "ed.safetensors", "--save-to", tmp_path / "new.pt"]
    refused = run_edit(edit_data, DEMO / "term", *edit, "--trust-checkpoint", model=tmp_path / "other.pt")
    assert refused.status == 1
    assert "was trained for other weights than those of the checkpoint" in refused.out


@pytest.mark.slow
def test_a_damaged_training_is_told(edit_data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    out = tmp_path / "ed.safetensors"
    with monkeypatch.context() as patched:
        patched.setattr(Training, "step_", interrupted_after(2))
        train(edit_data, out)
    [kept] = kept_in(tmp_path)
    kept.write_bytes(kept.read_bytes()[:-10])
    done = train(edit_data, out)
    assert done.status == 2
    assert f"{kept}: damaged" in done.err and "remove it to begin again" in done.err


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--steps", "0"], "--steps is 0, expected a number of at least 1"),
        (["--rank", "-1"], "--rank is -1, expected a number of at least 1"),
        (["--out", "editor.pt"], "--out editor.pt: expected a name that ends in .safetensors"),
        (["--sentences", "1"], "expected at least 2 (--sentences looks at more)"),
    ],
)
def test_refused(edit_data: Path, tmp_path: Path, words: List[str], message: str) -> None:
    done = train(edit_data, tmp_path / "ed.safetensors", *words)
    assert done.status == 2
    assert done.err.startswith("fairseq-edit-train-editor: ") and message in done.err
    assert len(done.err.splitlines()) == 1
    assert not list(tmp_path.iterdir())
