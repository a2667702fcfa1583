"""The folder that `--save-patch DIR/` fills: which names its files have, and what is never written over."""

from __future__ import annotations

from pathlib import Path
from typing import Any, List

import pytest
from patch_samples import gate, low_rank, new_state, same_weights, saved_patches, saved_state

from fairseq_rome.errors import EditError
from fairseq_rome.host.checkpoint import read_state
from fairseq_rome.patch import (
    check_patch_folder,
    file_names,
    is_folder,
    load_patches,
    with_patches,
    write_folder,
)


def test_a_checkpoint_in_the_folder_of_its_patches_stays(tmp_path: Path) -> None:
    there = str(saved_state(tmp_path / "7.safetensors", new_state()))
    write_folder(str(tmp_path), [gate(1, id="7")], new_state(), {"edits": [{}]}, True, [there])
    assert same_weights(read_state(there), new_state())
    assert load_patches(str(tmp_path / "7-1.safetensors")).patches[0].neurons == [1]


def test_folders_of_patches(tmp_path: Path) -> None:
    assert is_folder("new/") and is_folder(str(tmp_path)) and not is_folder("new")
    patches: List[Any] = [
        gate(n, id=name) for n, name in enumerate(["a", "A", "a/b:c", "..", "ü" * 99, "", "3"])
    ]
    assert file_names(patches) == [
        f"{name}.safetensors" for name in ("a", "A-2", "a_b_c", "4", "_", "6", "3")
    ]
    assert file_names(patches[:3], ["A.safetensors", "3.safetensors", "a_b_c.txt"]) == [
        f"{name}.safetensors" for name in ("a-1", "A-2", "a_b_c")
    ]
    ordered = [low_rank(1, id="b"), *[gate(number, id="a") for number in range(9)]]
    assert file_names(ordered)[:2] == ["01-b.safetensors", "02-a.safetensors"]
    (tmp_path / "file").write_text("")
    check_patch_folder(f"{tmp_path}/new/", force=False)
    for path, message in (
        (tmp_path / "file", "is a file"),
        (tmp_path / "no" / "no", "no directory"),
        ("a:b", "several"),
    ):
        with pytest.raises(EditError, match=message):
            check_patch_folder(f"{path}/", force=True)
    saved_patches(tmp_path / "1.safetensors", new_state(), gate(1))
    check_patch_folder(str(tmp_path), force=True)
    with pytest.raises(EditError, match="holds 1.safetensors already; --force"):
        check_patch_folder(str(tmp_path), force=False)


@pytest.mark.parametrize("linked", [False, True])
def test_new_files_go_beside_those_that_were_read(tmp_path: Path, linked: bool) -> None:
    base, folder = new_state(), tmp_path / "fixes"
    write_folder(str(folder), [gate(1, id="7")], base, {"edits": [{}]}, force=False)
    if linked:
        (folder / "7.safetensors").rename(tmp_path / "elsewhere")
        (folder / "7.safetensors").symlink_to(tmp_path / "elsewhere")
    read = (folder / "7.safetensors").read_bytes()
    first = with_patches(base, [gate(1)], {})
    inputs = [str(tmp_path / "model.pt"), str(folder / "7.safetensors")]
    write_folder(f"{folder}/", [gate(2, id="7"), gate(3, id="8")], first, {"edits": [{}, {}]}, True, inputs)
    assert sorted(path.name for path in folder.iterdir()) == [f"{name}.safetensors" for name in ("7-1", "7", "8")]
    assert (folder / "7.safetensors").read_bytes() == read
