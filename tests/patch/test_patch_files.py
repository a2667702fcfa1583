"""Patch files: what they hold comes back, and what does not fit is refused."""

from __future__ import annotations

import hashlib
import json
import os
import stat
from pathlib import Path
from typing import Any, Callable, Dict, Tuple

import pytest
import torch
from patch_samples import DECODER, KINDS, gate, low_rank, names, new_state, saved_patches
from safetensors.torch import save_file

from fairseq_rome.errors import EditError
from fairseq_rome.patch import (
    Lineage,
    Mark,
    Patch,
    load_patches,
    patch_file,
    read_stack,
    save_patches,
    with_patches,
)

ROW, BIAS, COLUMN = names(DECODER)
PATCHES = (low_rank(1, rank=2, id="1", text="Grüße", size=0.5), gate(7, id="2"), *KINDS.values())


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    return saved_patches(tmp_path / "fix.safetensors", new_state(), *PATCHES)


def test_what_was_saved_comes_back(saved: Path) -> None:
    found = load_patches(str(saved))
    assert found.info == {"fairseq_rome": "0", "torch": "0"}
    assert (found.before, found.after) == ({}, {})
    assert found.base == {name: Mark.of(new_state()["model"][name]) for name in found.names}
    assert len(found.patches) == len(PATCHES)
    for mine, theirs in zip(PATCHES, found.patches):
        assert (mine.method, mine.site, mine.notes, mine.names, mine.about) == (
            theirs.method, theirs.site, theirs.notes, theirs.names, theirs.about,
        )  # fmt: skip
        assert mine.fingerprint == theirs.fingerprint
        assert mine.keys.keys() == theirs.keys.keys()
        assert all(torch.equal(keys, theirs.keys[name]) for name, keys in mine.keys.items())


def test_what_stood_there_comes_back(tmp_path: Path) -> None:
    state = with_patches(new_state(torch.float16), [gate(3), gate(9)], {})
    stood = [change.old for patch in read_stack(state).patches for change in patch.changes]
    assert [old is None for old in stood] == [False] * 3 + [True] * 3
    path = tmp_path / "a.safetensors"
    save_patches(str(path), patch_file([low_rank(1)], state, {}))
    found = load_patches(str(path))
    assert found.base[COLUMN] == Mark.of(new_state(torch.float16)["model"][COLUMN])
    assert found.before == {COLUMN: Mark.of(state["model"][COLUMN])}
    assert found.after == {COLUMN: Lineage().then(gate(3)).then(gate(9))}


def test_a_part_of_a_tensor_is_saved_alone(tmp_path: Path) -> None:
    large = torch.randn(1000, 6)
    changes = tuple(type(change)(change.name, change.dim, 1, large[5] if change.new.dim() else large[5, 5])
                    for change in gate(1).changes)  # fmt: skip
    path = saved_patches(tmp_path / "a.safetensors", new_state(), Patch("gated", DECODER, changes))
    assert path.stat().st_size < 4096


def test_equal_patches_are_equal_files(saved: Path, tmp_path: Path) -> None:
    again = [saved_patches(tmp_path / f"{number}", new_state(), *PATCHES).read_bytes() for number in range(8)]
    assert set(again) == {saved.read_bytes()}


def test_nothing_is_overwritten_and_nothing_left_behind(saved: Path) -> None:
    file = patch_file(PATCHES[:1], new_state(), {})
    with pytest.raises(EditError, match="exists already; --force overwrites it"):
        save_patches(str(saved), file)
    assert len(load_patches(str(saved)).patches) == len(PATCHES)
    save_patches(str(saved), file, force=True)
    assert len(load_patches(str(saved)).patches) == 1
    with pytest.raises(EditError, match="no directory"):
        save_patches(str(saved.parent / "no" / "a.safetensors"), file)
    assert [path.name for path in saved.parent.iterdir()] == [saved.name]


def test_others_may_read_a_patch(saved: Path) -> None:
    mask = os.umask(0)
    os.umask(mask)
    assert stat.S_IMODE(saved.stat().st_mode) == 0o666 & ~mask


@pytest.mark.parametrize("place", [0.0, 0.3, 0.6, 1.0])
def test_a_bit_that_flips_is_noticed(saved: Path, place: float) -> None:
    data = bytearray(saved.read_bytes())
    start = 8 + int.from_bytes(data[:8], "little")
    data[start + int(place * (len(data) - start - 1))] ^= 1
    saved.write_bytes(data)
    with pytest.raises(EditError, match=r"damaged \(ValueError: patch \d+ is not what was written\)"):
        load_patches(str(saved))


def rewritten(change: Callable[[Dict[str, Any]], Any], signed: bool = True) -> Callable[[Path], None]:
    """Changes what a file tells; with a hash of it that fits, if signed."""

    def rewrite(path: Path) -> None:
        from safetensors import safe_open

        with safe_open(str(path), framework="pt") as file:
            form, digest, text = file.metadata()["fairseq_rome"].split(" ", 2)
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118, no mapping
        told = json.loads(text)
        change(told)
        text = json.dumps(told)
        digest = hashlib.sha256(text.encode()).hexdigest() if signed else digest
        save_file(tensors, str(path), {"fairseq_rome": f"{form} {digest} {text}"})

    return rewrite


def of_format(text: str) -> Callable[[Path], None]:
    return lambda path: save_file({"a": torch.zeros(1)}, str(path), {"fairseq_rome": text})


def as_another_kind(told: Dict[str, Any]) -> None:
    told["patches"][1]["changes"][0]["kind"] = "magic"


def in_other_words(told: Dict[str, Any]) -> None:
    told["patches"][0]["about"]["text"] = "Gruss"


DAMAGED: Dict[str, Tuple[Callable[[Path], Any], str]] = {
    "missing": (lambda path: path.unlink(), "no such file, expected a patch file"),
    "text": (lambda path: path.write_text("patch"), "expected a patch file of fairseq-edit --save-patch"),
    "cut off": (lambda path: path.write_bytes(path.read_bytes()[:-100]), "is damaged, or no patch file"),
    "a checkpoint": (lambda path: torch.save({}, path), "is a checkpoint .*, expected a patch file"),
    "tensors alone": (lambda path: save_file({"a": torch.zeros(1)}, str(path)), "format ''"),
    "an earlier format in one text": (of_format("3 a {}"), "format '3'"),
    "an earlier format": (lambda path: save_file({"a": torch.zeros(1)}, str(path), {"format": "2"}), "format '2'"),
    "another format": (of_format("99 a {}"), "format '99'"),
    "nothing told": (of_format("4"), "damaged"),
    "no patches": (rewritten(lambda told: told.pop("patches")), "damaged"),
    "no marks": (rewritten(lambda told: told.update(base={})), "no mark of"),
    "marks of another form": (rewritten(lambda told: told.update(before={"a": [1]})), "damaged"),
    "no list": (rewritten(lambda told: told.update(patches=3)), "damaged"),
    "an empty list": (rewritten(lambda told: told.update(patches=[])), "no patches"),
    "another kind": (rewritten(as_another_kind), "damaged"),
    "another text": (rewritten(in_other_words), "patch 1 is not what was written"),
    "earlier patches without a mark": (rewritten(lambda told: told.update(after={ROW: [1, ""]})), "no mark"),
    "another mark": (rewritten(lambda told: told.update(after={"a": [1, ""]}), signed=False), ": not what was written"),
    "a tensor is missing": (rewritten(lambda told: told["patches"][0]["changes"][0].update(tensors="99.9")), "damaged"),
}


@pytest.mark.parametrize("name", DAMAGED)
def test_damaged_files_are_refused(saved: Path, name: str) -> None:
    damage, message = DAMAGED[name]
    damage(saved)
    with pytest.raises(EditError, match=message) as refused:
        load_patches(str(saved))
    assert str(saved) in str(refused.value) and len(str(refused.value).splitlines()) == 1
