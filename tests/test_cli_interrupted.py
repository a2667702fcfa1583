"""`fairseq-edit` cut short: by Ctrl-C, by the disk, or by a file that does not do what it should."""

from __future__ import annotations

import errno
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any, Callable

import pytest
from edit_runs import DEMO, LANGUAGES, QUICK, ROOT, SEARCH, SUBWORDS, Run, files, refusal, run_edit

from fairseq_rome.checkpoint import read_state
from fairseq_rome.editing import Outcome, Unchanged

MODEL = DEMO / "model.pt"
NOBODY = Unchanged((), (), ())


@pytest.fixture
def no_edit(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is to be written is there without the work: a weight that differs, and no request."""

    def moved(translator: Any, *_: Any) -> Outcome:
        name = "decoder.layers.2.fc2.bias"
        return Outcome((), {name: translator.model.get_parameter(name).detach() + 1e-3}, NOBODY, NOBODY)

    monkeypatch.setattr("fairseq_rome.editing.edit", moved)


STAGES = {
    "fairseq_rome.user_dir.share_user_dir": "imports",
    "fairseq_rome.cli.session.read_state": "reading",
    "fairseq_rome.cli.session.load_model": "building",
    "fairseq_rome.corpus.load_corpus": "data",
    "fairseq_rome.checkpoint.writing.torch.save": "writing",
    "fairseq_rome.checkpoint.writing.os.fsync": "flushing",
    "fairseq_rome.cli.saving.load_again": "reloading",
    "fairseq_rome.checkpoint.writing.os.replace": "renaming",
}


@pytest.mark.parametrize("stage", STAGES, ids=STAGES.values())
@pytest.mark.usefixtures("no_edit")
def test_interrupt(edit_data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, stage: str) -> None:
    def interrupt(*_: Any, **__: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(stage, interrupt)
    run = run_edit(edit_data, DEMO / "term", "--save-to", tmp_path / "new.pt")
    assert refusal(run) == "fairseq-edit: interrupted; nothing was written\n"
    assert list(files(tmp_path)) == []


@pytest.mark.usefixtures("no_edit")
def test_interrupt_when_the_file_is_in_its_place(
    edit_data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupt(_: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("fairseq_rome.checkpoint.writing._flush_directory", interrupt)
    run = run_edit(edit_data, DEMO / "term", "--save-to", tmp_path / "new.pt")
    assert "interrupted; " in refusal(run)
    assert "was already written whole" in run.err
    assert read_state(tmp_path / "new.pt")


@pytest.mark.slow
@pytest.mark.parametrize("patience", [0.7, 5.0], ids=["while importing", "at work"])
def test_real_interrupt(edit_data: Path, tmp_path: Path, patience: float) -> None:
    more = [
        *LANGUAGES,
        *SUBWORDS,
        *SEARCH,
        *QUICK,
        "--edit-cache",
        "none",
        "--save-to",
        str(tmp_path / "new.pt"),
    ]
    command = [str(edit_data), "--path", str(MODEL), "--edit-pref", str(DEMO / "all"), *more]
    process = subprocess.Popen(
        [sys.executable, "-m", "fairseq_rome.cli.edit", *command], stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        encoding="utf-8", env={**os.environ, "OMP_NUM_THREADS": "1"}, cwd=ROOT,
    )  # fmt: skip
    with pytest.raises(subprocess.TimeoutExpired):
        process.wait(timeout=patience)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=60)
    assert refusal(Run(process.returncode, out, err)) == "fairseq-edit: interrupted; nothing was written\n"
    assert list(files(tmp_path)) == []


@pytest.mark.usefixtures("no_edit")
def test_edit_that_does_not_survive_the_file(
    edit_data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from fairseq_rome.cli import saving

    def doubtful(*_: Any) -> Callable[[str], None]:
        def verify(_: str) -> None:
            raise saving.NotHeldError("request 1 failed")

        return verify

    monkeypatch.setattr(saving, "_verifier", doubtful)
    run = run_edit(edit_data, DEMO / "term", "--save-to", tmp_path / "new.pt")
    assert (run.status, run.err) == (1, "")
    assert run.out.endswith("request 1 failed\n")
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

    monkeypatch.setattr("fairseq_rome.checkpoint.writing.os.fsync", fail)
    run = run_edit(edit_data, DEMO / "term", "--save-to", tmp_path / "new.pt")
    assert f"cannot be written: {os.strerror(code)}" in refusal(run)
    assert list(files(tmp_path)) == []
