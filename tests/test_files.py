from __future__ import annotations

import errno
import os
import resource
import stat
from pathlib import Path
from typing import Any, Callable, Iterator, List

import pytest
import torch
from safetensors.torch import load_file, save_file

from fairseq_rome.errors import EditError
from fairseq_rome.files import written_whole


def write(path: Any, text: str = "new", **options: Any) -> None:
    with written_whole(path, **options) as temporary:
        Path(temporary).write_text(text)


def texts(folder: Path) -> List[str]:
    """The contents of the files in a folder, those of forgotten ones as well."""
    return [path.read_text() for path in sorted(folder.iterdir())]


@pytest.fixture(params=[None, "old"], ids=["new", "replaced"])
def path(request: Any, tmp_path: Path) -> Path:
    path = tmp_path / "out"
    if request.param:
        path.write_text(request.param)
    return path


@pytest.fixture(params=[0o022, 0o077, 0o002], ids=oct)
def umask(request: Any) -> Iterator[int]:
    before = os.umask(request.param)
    yield request.param
    os.umask(before)


def test_the_path_holds_the_old_file_until_the_new_one_is_whole(path: Path) -> None:
    before = texts(path.parent)
    with written_whole(path) as temporary:
        Path(temporary).write_text("new")
        assert sorted(texts(path.parent)) == sorted([*before, "new"])
        assert path.exists() == bool(before)
    assert texts(path.parent) == ["new"]


@pytest.mark.parametrize("name", ["out", "./out"])
def test_a_relative_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.chdir(tmp_path)
    write(name)
    assert texts(tmp_path) == ["new"]


def test_a_change_of_folder_meanwhile(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "other").mkdir()
    monkeypatch.chdir(tmp_path)
    with written_whole("out") as temporary:
        Path(temporary).write_text("new")
        os.chdir("other")
    assert (tmp_path / "out").read_text() == "new"


@pytest.mark.parametrize("there", [True, False])
def test_a_symbolic_link_stays_and_its_target_is_replaced(tmp_path: Path, there: bool) -> None:
    target, link = tmp_path / "disk" / "target", tmp_path / "link"
    target.parent.mkdir()
    if there:
        target.write_text("old")
    link.symlink_to(Path("disk") / "target")
    with written_whole(link) as temporary:
        # On the target's disk, or it could not be renamed to it.
        assert os.path.samefile(os.path.dirname(temporary), target.parent)
        Path(temporary).write_text("new")
    assert link.is_symlink()
    assert texts(target.parent) == ["new"]


@pytest.mark.parametrize("there", [True, False])
def test_permissions_are_those_of_a_new_file(tmp_path: Path, umask: int, there: bool) -> None:
    path = tmp_path / "tensors"
    if there:
        path.touch(0o600)
    with written_whole(path) as temporary:
        save_file({"w": torch.ones(3)}, temporary)
    assert path.stat().st_mode & 0o777 == 0o666 & ~umask
    assert load_file(str(path))["w"].tolist() == [1, 1, 1]
    assert len(list(tmp_path.iterdir())) == 1


@pytest.mark.parametrize("raised", [KeyboardInterrupt, ValueError, SystemExit, MemoryError])
@pytest.mark.parametrize("place", ["context", "check", "fsync", "chmod", "replace"])
def test_whatever_is_raised_leaves_what_was_there(
    path: Path, monkeypatch: pytest.MonkeyPatch, raised: Any, place: str
) -> None:
    before = texts(path.parent)

    def stop(*_: Any) -> None:
        raise raised

    if place in ("fsync", "chmod", "replace"):
        monkeypatch.setattr(os, place, stop)

    def write_half() -> None:
        with written_whole(path, stop if place == "check" else lambda: None) as temporary:
            Path(temporary).write_text("half")
            if place == "context":
                stop()

    with pytest.raises(raised):
        write_half()
    assert texts(path.parent) == before


def test_the_check_comes_last_and_may_refuse(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    steps: List[str] = []

    def noted(name: str) -> Callable[..., Any]:
        original = getattr(os, name)
        return lambda *arguments: (steps.append(name), original(*arguments))[1]

    for name in ("fsync", "replace"):
        monkeypatch.setattr(os, name, noted(name))
    write(path, check=lambda: steps.append("check"))
    assert steps == ["fsync", "check", "replace", "fsync"]

    def refuse() -> None:
        raise EditError("it is mine")

    with pytest.raises(EditError, match="it is mine"):
        write(path, "newer", check=refuse)
    assert texts(path.parent) == ["new"]


PLACES = {
    "no folder": ("none/out", "No such file or directory"),
    "a folder": ("taken", "Is a directory"),
    "below a file": ("file/out", "Not a directory"),
    "a long name": ("x" * 300, "File name too long"),
}


@pytest.mark.parametrize(("name", "reason"), PLACES.values(), ids=PLACES)
def test_places_that_can_not_be_written(tmp_path: Path, name: str, reason: str) -> None:
    (tmp_path / "taken").mkdir()
    (tmp_path / "file").touch()
    with pytest.raises(EditError) as caught:
        write(tmp_path / name)
    assert str(caught.value) == f"{tmp_path / name}: cannot be written: {reason}"
    assert sorted(found.name for found in tmp_path.iterdir()) == ["file", "taken"]


def test_a_full_disk(path: Path) -> None:
    before = texts(path.parent)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (5000, hard))  # writing stops there as it does on a full disk
    try:
        with pytest.raises(EditError, match="out: cannot be written: File too large"):
            write(path, "x" * 10000)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert texts(path.parent) == before


def test_a_folder_that_can_not_be_flushed_is_no_failure(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    flush = os.fsync

    def fail(descriptor: int) -> None:
        if stat.S_ISDIR(os.fstat(descriptor).st_mode):
            raise OSError(errno.EINVAL, "Invalid argument")
        flush(descriptor)

    monkeypatch.setattr(os, "fsync", fail)
    write(path)
    assert texts(path.parent) == ["new"]


def test_an_interrupt_once_the_file_is_in_its_place(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def stop(_: str) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("fairseq_rome.files._flush_folder", stop)
    with pytest.raises(KeyboardInterrupt):
        write(path)
    assert texts(path.parent) == ["new"]
