from __future__ import annotations

import argparse
import errno
import os
import resource
from pathlib import Path
from typing import Any, Callable, Dict

import pytest
import torch

from fairseq_rome.errors import EditError
from fairseq_rome.host.checkpoint import check_output, write_state

STATE: Dict[str, Any] = {"model": {"w": torch.arange(50000.0)}, "args": None}


def content(path: Path) -> torch.Tensor:
    return torch.load(path)["model"]["w"]


def refused(path: Any, expected: str, **options: Any) -> None:
    """Both the early check and the writing refuse, with one line that names the path."""
    for call in (lambda: check_output(path, **options), lambda: write_state(STATE, path, **options)):
        with pytest.raises(EditError) as caught:
            call()
        message = str(caught.value)
        assert expected in message
        assert str(path) in message
        assert "\n" not in message


def test_writes_a_new_file_with_ordinary_permissions(tmp_path: Path) -> None:
    check_output(tmp_path / "new.pt")
    assert not list(tmp_path.iterdir())  # the check leaves no trace
    write_state(STATE, tmp_path / "new.pt")
    assert torch.equal(content(tmp_path / "new.pt"), STATE["model"]["w"])
    (tmp_path / "ordinary").touch()
    assert (tmp_path / "new.pt").stat().st_mode == (tmp_path / "ordinary").stat().st_mode
    assert sorted(path.name for path in tmp_path.iterdir()) == ["new.pt", "ordinary"]


def test_relative_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    write_state(STATE, "new.pt")
    assert (tmp_path / "new.pt").exists()


def test_existing_file_wants_force(tmp_path: Path) -> None:
    path = tmp_path / "model.pt"
    path.write_text("old")
    refused(path, "exists already; --force overwrites it")
    assert path.read_text() == "old"
    write_state(STATE, path, force=True)
    assert torch.equal(content(path), STATE["model"]["w"])


def test_symbolic_link_stays(tmp_path: Path) -> None:
    (tmp_path / "latest.pt").symlink_to(tmp_path / "model.pt")
    refused(tmp_path / "latest.pt", "exists already")  # even where it points nowhere yet
    write_state(STATE, tmp_path / "latest.pt", force=True)
    assert (tmp_path / "latest.pt").is_symlink()
    assert torch.equal(content(tmp_path / "model.pt"), STATE["model"]["w"])


@pytest.mark.parametrize("link", [None, os.link, os.symlink])
def test_input_is_never_written_over(tmp_path: Path, link: Callable[[Path, Path], None]) -> None:
    source = tmp_path / "model.pt"
    source.write_text("old")
    path = source
    if link is not None:
        path = tmp_path / "other.pt"
        link(source, path)
    refused(path, "which is never written over", force=True, inputs=[tmp_path / "absent.pt", source])
    assert source.read_text() == "old"


def test_places_that_are_no_file(tmp_path: Path) -> None:
    refused(tmp_path, "is a directory", force=True)
    refused(f"{tmp_path}/new/", "is a directory")
    refused("", "is a directory")
    refused(tmp_path / "missing" / "new.pt", "is no directory")
    (tmp_path / "file").touch()
    refused(tmp_path / "file" / "new.pt", "is no directory")
    refused(tmp_path / "a:b.pt", "read as several files")


def test_name_too_long(tmp_path: Path) -> None:
    with pytest.raises(EditError, match="cannot be written: File name too long"):
        write_state(STATE, tmp_path / f"{'x' * 300}.pt")
    assert not list(tmp_path.iterdir())


def test_read_only_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        os, "access", lambda path, mode: str(path) != str(tmp_path)
    )  # root may write anywhere
    refused(tmp_path / "new.pt", "is read-only")


@pytest.mark.parametrize("force", [False, True])
def test_full_disk(tmp_path: Path, force: bool) -> None:
    path = tmp_path / "model.pt"
    if force:
        path.write_text("old")
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (50000, hard))  # writing stops there as it does on a full disk
    try:
        with pytest.raises(EditError, match=r"model\.pt: cannot be written: File too large") as caught:
            write_state(STATE, path, force=force)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert "\n" not in str(caught.value)
    assert [each.read_text() for each in tmp_path.iterdir()] == (["old"] if force else [])


@pytest.mark.parametrize("step", ["fsync", "replace"])
def test_interrupt_leaves_what_was_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: str) -> None:
    (tmp_path / "model.pt").write_text("old")

    def interrupt(*arguments: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(os, step, interrupt)
    with pytest.raises(KeyboardInterrupt):
        write_state(STATE, tmp_path / "model.pt", force=True)
    assert [path.read_text() for path in tmp_path.iterdir()] == ["old"]


class Interrupted(argparse.Namespace):
    def __reduce__(self) -> Any:
        raise KeyboardInterrupt


def test_interrupt_within_torch(tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt):
        write_state({**STATE, "args": Interrupted()}, tmp_path / "model.pt")
    assert not list(tmp_path.iterdir())


def test_file_that_appears_meanwhile_stays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path, flush = tmp_path / "model.pt", os.fsync

    def another_process_writes(descriptor: int) -> None:
        path.write_text("theirs")
        flush(descriptor)

    monkeypatch.setattr(os, "fsync", another_process_writes)
    with pytest.raises(EditError, match="exists already"):
        write_state(STATE, path)
    assert [each.read_text() for each in tmp_path.iterdir()] == ["theirs"]


def test_errors_of_the_system_are_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*arguments: Any) -> None:
        raise OSError(errno.EROFS, "Read-only file system")

    monkeypatch.setattr(os, "replace", fail)
    with pytest.raises(EditError, match="cannot be written: Read-only file system"):
        write_state(STATE, tmp_path / "model.pt")
    assert not list(tmp_path.iterdir())


def test_a_pipe_is_no_file_to_write(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(EditError, match="is a device or a pipe, expected a file to write"):
        check_output(tmp_path / "pipe", force=True)
