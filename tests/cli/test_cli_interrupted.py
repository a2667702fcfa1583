"""`fairseq-edit` cut short: by Ctrl-C, by the disk, or by a file that does not do what it should."""

from __future__ import annotations

import errno
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any, Callable

import pytest
import torch
from demo_edits import assert_same_bits
from edit_runs import DEMO, LANGUAGES, QUICK, ROOT, SEARCH, SUBWORDS, Run, files, refusal, run_edit

from fairseq_rome.editing.journal import Journal
from fairseq_rome.editing.outcome import EDITED, Outcome, Result, Unchanged
from fairseq_rome.host import user_dir
from fairseq_rome.host.checkpoint import fingerprint, read_state
from fairseq_rome.host.sites import Site
from fairseq_rome.patch import LowRankChange, Patch, read_stack
from fairseq_rome.text.requests import EditRequest
from fairseq_rome.workbench import journals, opening
from fairseq_rome.workbench.staging import StagedCheckpoint
from fairseq_rome.workbench.workbench import Workbench

MODEL = DEMO / "model.pt"
NOBODY = Unchanged((), (), ())


@pytest.fixture
def no_edit(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is to be written is there without the work: a weight that differs, and a request that asks for nothing."""

    def moved(bench: Workbench, *_: Any, **__: Any) -> Outcome:
        name = "decoder.layers.2.fc2.weight"
        d, f = bench.model.translator.model.get_parameter(name).shape
        change = LowRankChange(name, torch.full((d, 1), 1e-3), torch.ones(f, 1))
        patch = Patch("test", Site("decoder", 2), (change,))
        return Outcome((Result(EditRequest("a", "b"), EDITED, "c", "b", patch=patch),), NOBODY, NOBODY)

    monkeypatch.setattr(Workbench, "edit", moved)


def interrupt(*_: Any, **__: Any) -> None:
    raise KeyboardInterrupt


def then_interrupt(work: Callable[..., Any]) -> Callable[..., None]:
    def done(*arguments: Any, **options: Any) -> None:
        work(*arguments, **options)
        raise KeyboardInterrupt

    return done


STAGES = {
    "imports": (user_dir, "share_user_dir"),
    "reading": (opening, "read_state"),
    "building": (opening, "load_model"),
    "data": (Workbench, "background"),
    "writing": (torch, "save"),
    "reloading": (StagedCheckpoint, "reload"),
    "decoding": (StagedCheckpoint, "failures"),
    "flushing": (os, "fsync"),
    "renaming": (os, "replace"),
}


@pytest.mark.parametrize("stage", STAGES)
@pytest.mark.usefixtures("no_edit")
def test_interrupt(edit_data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, stage: str) -> None:
    monkeypatch.setattr(*STAGES[stage], interrupt)
    run = run_edit(edit_data, DEMO / "term", "--save-to", tmp_path / "new.pt")
    assert refusal(run) == "fairseq-edit: interrupted; nothing was written\n"
    assert list(files(tmp_path)) == []


AFTER = {
    "in the middle of taking the name": (os, "replace", then_interrupt(os.replace)),
    "when the name is taken": (StagedCheckpoint, "commit", then_interrupt(StagedCheckpoint.commit)),
    "before the patch": (Workbench, "save_patches", interrupt),
    "when the journal goes": (Journal, "remove", interrupt),
    "when all is said": (Journal, "done", property(interrupt)),
}


@pytest.mark.parametrize("moment", AFTER)
@pytest.mark.usefixtures("no_edit")
def test_interrupt_when_the_checkpoint_is_in_its_place(
    edit_data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, moment: str
) -> None:
    """Whenever it comes after that, nobody is told that nothing was written."""
    monkeypatch.setattr(journals, "SOON_DONE_AGAIN", 0)  # so that there is one
    owner, name, instead = AFTER[moment]
    path = tmp_path / "new.pt"
    if moment == "when all is said":
        commit = StagedCheckpoint.commit

        def commit_first(staged: StagedCheckpoint) -> None:
            commit(staged)
            monkeypatch.setattr(owner, name, instead)

        monkeypatch.setattr(StagedCheckpoint, "commit", commit_first)
    else:
        monkeypatch.setattr(owner, name, instead)
    options = ["--save-to", path, "--save-patch", tmp_path / "fix.safetensors"]
    run = run_edit(edit_data, DEMO / "term", *options)
    assert refusal(run) == f"fairseq-edit: interrupted; {path} was already written whole\n"
    assert read_state(path)
    assert set(files(tmp_path)) <= {"new.pt", "fix.safetensors"}


def started(data: Path, save_to: Path, *more: str) -> subprocess.Popen[str]:
    """`fairseq-edit` for all of the demo's requests, in a process of its own."""
    options = [*LANGUAGES, *SUBWORDS, *SEARCH, *QUICK, "--edit-cache", "none", "--save-to", str(save_to), *more]
    command = [str(data), "--path", str(MODEL), "--edit-pref", str(DEMO / "all"), *options]
    return subprocess.Popen(
        [sys.executable, "-m", "fairseq_rome.cli.edit", *command], stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        encoding="utf-8", env={**os.environ, "OMP_NUM_THREADS": "1"}, cwd=ROOT,
    )  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize("patience", [0.7, 5.0], ids=["while importing", "at work"])
def test_real_interrupt(edit_data: Path, tmp_path: Path, patience: float) -> None:
    process = started(edit_data, tmp_path / "new.pt")
    with pytest.raises(subprocess.TimeoutExpired):
        process.wait(timeout=patience)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=60)
    assert refusal(Run(process.returncode, out, err)) == "fairseq-edit: interrupted; nothing was written\n"
    assert list(files(tmp_path)) == []


def kept_in(folder: Path) -> int:
    return len(list(folder.glob("new.pt.*.journal/*.safetensors")))


@pytest.mark.slow
def test_killed_at_any_moment_and_resumed(edit_data: Path, tmp_path: Path) -> None:
    """What is then written has the bits of a run that nothing stopped."""
    (tmp_path / "whole").mkdir()
    whole = started(edit_data, tmp_path / "whole" / "new.pt", "--keep-going")
    killed = 0
    for least in (1, 3, 6, 9):
        process = started(edit_data, tmp_path / "new.pt", "--keep-going")
        while kept_in(tmp_path) < least and process.poll() is None:
            time.sleep(0.01)
        time.sleep(random.uniform(0, 0.3))
        killed += process.poll() is None
        process.kill()
        process.communicate()
    assert killed >= 3 and not (tmp_path / "new.pt").exists()
    done = kept_in(tmp_path)
    out, err = started(edit_data, tmp_path / "new.pt", "--keep-going").communicate(timeout=300)
    assert f"going on after {done} requests that an interrupted run has done\n" in out, out + err
    whole.communicate(timeout=300)
    states = [read_state(folder / "new.pt") for folder in (tmp_path, tmp_path / "whole")]
    assert fingerprint(states[0]) == fingerprint(states[1])
    assert_same_bits(*(read_stack(state).patches for state in states))
    assert [name for name in files(tmp_path) if not name.startswith("whole")] == ["new.pt"]


@pytest.mark.usefixtures("no_edit")
def test_edit_that_does_not_survive_the_file(
    edit_data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(StagedCheckpoint, "failures", lambda *_: ["request 1 failed"])
    run = run_edit(edit_data, DEMO / "term", "--save-to", tmp_path / "new.pt")
    assert (run.status, run.err) == (1, "")
    assert run.out.endswith("request 1 failed; nothing was written\n")
    assert list(files(tmp_path)) == []


DISKS = {"full": "size=100k", "read-only": "ro"}


@pytest.mark.parametrize("kind", DISKS)
@pytest.mark.usefixtures("no_edit")
def test_real_disk(edit_data: Path, tmp_path: Path, kind: str) -> None:
    disk = tmp_path / "disk"
    disk.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", DISKS[kind], "tmpfs", str(disk)]
    if not shutil.which("mount") or subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("a disk of its own can't be mounted here")
    try:
        run = run_edit(edit_data, DEMO / "term", "--save-to", disk / "new.pt")
        assert f"{disk / 'new.pt'}: cannot be written: " in refusal(run)
        assert list(files(tmp_path)) == ["disk"]
    finally:
        subprocess.run(["umount", str(disk)], check=True)


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EROFS])
@pytest.mark.usefixtures("no_edit")
def test_disk_that_fails(edit_data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: int) -> None:
    def fail(*_: Any) -> None:
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(os, "fsync", fail)
    run = run_edit(edit_data, DEMO / "term", "--save-to", tmp_path / "new.pt")
    assert f"cannot be written: {os.strerror(code)}" in refusal(run)
    assert list(files(tmp_path)) == []
