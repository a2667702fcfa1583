"""Patch files: what they hold comes back, and what does not fit is refused."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any, Callable, Dict

import pytest
import torch
from conftest import Demo
from safetensors.torch import save_file
from torch import nn

from fairseq_rome.errors import EditError
from fairseq_rome.patch import (
    LowRankChange,
    NeuronChange,
    Patch,
    apply_,
    apply_file_,
    load_patches,
    save_patches,
)
from fairseq_rome.sites import Site

FC1, BIAS, FC2 = (f"decoder.layers.2.{name}" for name in ("fc1.weight", "fc1.bias", "fc2.weight"))


@pytest.fixture(scope="module")
def patches(demo: Demo) -> tuple[Patch, ...]:
    d, f = demo.model.get_parameter(FC2).shape
    draw = torch.Generator().manual_seed(1)
    low = LowRankChange(FC2, torch.randn(d, 2, generator=draw), torch.randn(f, 2, generator=draw))
    # A view of a larger tensor, as methods may make them.
    new = torch.randn(4, d, generator=draw)
    gate = (
        NeuronChange(FC1, 0, 7, new[1]),
        NeuronChange(BIAS, 0, 7, torch.tensor(-0.5)),
        NeuronChange(FC2, 1, 7, new[2]),
    )
    site = Site("decoder", 2)
    return (Patch("rome", site, (low,), {"rank": 2.0}), Patch("gated", site, gate, {"gates": 1.0}))


@pytest.fixture
def saved(demo: Demo, patches: Any, tmp_path: Path) -> Path:
    path = tmp_path / "fix.safetensors"
    save_patches(str(path), patches, dict(demo.model.named_parameters()), {"seed": 1, "text": "Grüße"})
    return path


def test_what_was_saved_comes_back(saved: Path, patches: Any) -> None:
    found = load_patches(str(saved))
    assert found.info == {"seed": 1, "text": "Grüße"}
    assert list(found.base) == [FC2, FC1, BIAS]
    assert [(p.method, p.site, p.notes, p.names) for p in found.patches] == [
        (p.method, p.site, p.notes, p.names) for p in patches
    ]
    for mine, theirs in zip(patches, found.patches):
        for one, two in zip(mine.changes, theirs.changes):
            assert all(torch.equal(a, b) for a, b in zip(one.tensors, two.tensors))
    # A row was kept, not the whole tensor that it was a view of.
    assert saved.stat().st_size < 2 * sum(patch.size_bytes for patch in patches) + 4096


def test_applying_the_file_is_applying_the_patches(demo: Demo, saved: Path, patches: Any) -> None:
    models = [copy.deepcopy(demo.model) for _ in range(2)]
    for patch in patches:
        apply_(models[0], patch)
    apply_file_(models[1], load_patches(str(saved)), str(saved))
    for (name, one), two in zip(models[0].named_parameters(), models[1].parameters()):
        assert torch.equal(one, two), name


def test_a_wrong_base_is_refused_and_nothing_changed(demo: Demo, saved: Path) -> None:
    model = copy.deepcopy(demo.model)
    file = load_patches(str(saved))
    apply_file_(model, file, str(saved))
    state = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    with pytest.raises(EditError, match="it was made for another checkpoint, or for one with other patches"):
        apply_file_(model, file, str(saved))
    assert all(torch.equal(tensor, state[name]) for name, tensor in model.state_dict().items() if "_float" not in name)
    with pytest.raises(EditError, match="the model has no weight"):
        apply_file_(nn.Linear(2, 2), file, str(saved))


def test_nothing_is_overwritten_and_nothing_left_behind(demo: Demo, saved: Path, patches: Any) -> None:
    weights = dict(demo.model.named_parameters())
    with pytest.raises(EditError, match="exists already; --force overwrites it"):
        save_patches(str(saved), patches, weights, {})
    save_patches(str(saved), patches[:1], weights, {}, force=True)
    assert len(load_patches(str(saved)).patches) == 1
    assert [path.name for path in saved.parent.iterdir()] == [saved.name]


def rewritten(change: Callable[[Dict[str, str]], Any]) -> Callable[[Path], None]:
    def rewrite(path: Path) -> None:
        from safetensors import safe_open

        with safe_open(str(path), framework="pt") as file:
            metadata = dict(file.metadata())
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118, no mapping
        change(metadata)
        save_file(tensors, str(path), metadata)

    return rewrite


def as_another_kind(metadata: Dict[str, str]) -> None:
    metadata["patches"] = metadata["patches"].replace('"neuron"', '"magic"')


DAMAGED: Dict[str, tuple[Callable[[Path], Any], str]] = {
    "missing": (lambda path: path.unlink(), "no such file, expected a patch file"),
    "text": (lambda path: path.write_text("patch"), "expected a patch file of fairseq-edit --save-patch"),
    "cut off": (lambda path: path.write_bytes(path.read_bytes()[:-100]), "expected a patch file"),
    "tensors alone": (lambda path: save_file({"a": torch.zeros(1)}, str(path)), "format None"),
    "another format": (rewritten(lambda metadata: metadata.update(format="99")), "format '99'"),
    "no patches": (rewritten(lambda metadata: metadata.pop("patches")), "damaged"),
    "no JSON": (rewritten(lambda metadata: metadata.update(base="{")), "damaged"),
    "another kind": (rewritten(as_another_kind), "damaged"),
    "a tensor is missing": (
        rewritten(lambda m: m.update(patches=json.dumps([{**json.loads(m["patches"])[0], "changes": [
            {"kind": "low-rank", "name": FC2, "tensors": "9.9"}]}]))),
        "damaged",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", DAMAGED)
def test_damaged_files_are_refused(saved: Path, name: str) -> None:
    damage, message = DAMAGED[name]
    damage(saved)
    with pytest.raises(EditError, match=message) as refused:
        load_patches(str(saved))
    assert str(saved) in str(refused.value) and len(str(refused.value).splitlines()) == 1
