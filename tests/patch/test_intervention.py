"""Interventions: whatever holds the patches, they go on a model and off again by the same calls."""

from __future__ import annotations

from pathlib import Path
from typing import Callable, Dict, List, Sequence

import pytest
import torch
from conftest import Demo
from edit_runs import Edited, lines
from loading_samples import State, assert_same, dense, weights_of

from fairseq_rome.errors import EditError
from fairseq_rome.host.checkpoint import portable_cfg, read_state
from fairseq_rome.patch import (
    HookedPatches,
    Intervention,
    Patch,
    WeightPatches,
    load_patches,
    patch_file,
    read_stack,
    save_patches,
)
from fairseq_rome.patch.loading import FilePatches
from fairseq_rome.patch.patch_files import PatchFile


@pytest.fixture(scope="module")
def base(demo: Demo) -> State:
    return portable_cfg(demo.state)


@pytest.fixture(scope="module")
def edits(edited: Edited) -> Sequence[Patch]:
    return read_stack(read_state(edited.path)).patches


def of_file(demo: Demo, base: State, edits: Sequence[Patch], folder: Path) -> Intervention:
    save_patches(str(folder / "0.safetensors"), patch_file(edits, base, {}))
    return FilePatches.of([str(folder / "0.safetensors")])


WAYS: Dict[str, Callable[[Demo, State, Sequence[Patch], Path], Intervention]] = {
    "in the weights": lambda _, __, edits, ___: WeightPatches(tuple(edits)),
    "0.safetensors in the weights": of_file,
    "held by hooks beside the model": lambda demo, _, edits, __: HookedPatches.of(demo.model, edits),
}


def said(demo: Demo) -> List[str]:
    return [one.text for one in demo.translator.translate(lines("fixes.en"))]


def standing_hooks(demo: Demo) -> int:
    return sum(len(module._forward_hooks) + len(module._forward_pre_hooks) for module in demo.model.modules())


@pytest.mark.parametrize("way", WAYS)
def test_on_and_off_again(demo: Demo, base: State, edits: Sequence[Patch], tmp_path: Path, way: str) -> None:
    intervention = WAYS[way](demo, base, edits, tmp_path)
    before, weights, hooks = said(demo), weights_of(demo.model), standing_hooks(demo)
    with intervention.on(demo.model):
        assert said(demo) == lines("fixes.de") != before
    assert_same(weights_of(demo.model), weights)
    intervention.enter(demo.model)
    assert said(demo) == lines("fixes.de")
    with pytest.raises(ValueError, match="on this model already"):
        intervention.enter(demo.model)
    intervention.leave(demo.model)
    with pytest.raises(ValueError, match="not on this model"):
        intervention.leave(demo.model)
    with pytest.raises(KeyError), intervention.on(demo.model):
        raise KeyError
    assert_same(weights_of(demo.model), weights)
    assert standing_hooks(demo) == hooks and said(demo) == before


@pytest.mark.parametrize("way", WAYS)
def test_saved_and_told(demo: Demo, base: State, edits: Sequence[Patch], tmp_path: Path, way: str) -> None:
    intervention = WAYS[way](demo, base, edits, tmp_path)
    intervention.save(str(tmp_path / "saved"), base, {"torch": "2"})
    file = load_patches(str(tmp_path / "saved"))
    assert isinstance(file, PatchFile) and file.info == {"torch": "2"}
    assert [patch.fingerprint for patch in file.patches] == [patch.fingerprint for patch in edits]
    with pytest.raises(EditError, match="exists already"):
        intervention.save(str(tmp_path / "saved"), base)
    text = intervention.describe()
    assert text.endswith(way) and text.startswith(f"{len(edits)} patches (request ")
    assert all(patch.describe() in text for patch in edits) and "\n" not in text


def test_an_error_on_entering_leaves_nothing(demo: Demo, base: State) -> None:
    patch = dense(base)
    [change] = patch.changes
    unfit = Patch("x", patch.site, (change, type(change)(change.name, torch.ones(3, 3))))  # type: ignore[call-arg]
    intervention, weights = WeightPatches((unfit,)), weights_of(demo.model)
    with pytest.raises(RuntimeError):
        intervention.enter(demo.model)
    assert_same(weights_of(demo.model), weights)
    with pytest.raises(ValueError, match="not on this model"):
        intervention.leave(demo.model)
