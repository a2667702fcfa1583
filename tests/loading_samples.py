"""Checkpoints, patch files for them, and the checkpoints that have those patches in their weights."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Callable, Dict, List, Sequence, Tuple

import torch

from fairseq_rome.host.checkpoint import write_state
from fairseq_rome.host.sites import Site
from fairseq_rome.patch import (
    DenseChange,
    LowRankChange,
    Patch,
    PatchFile,
    patch_file,
    save_patches,
    with_patches,
)

State = Dict[str, Any]


@dataclass(frozen=True)
class Loading:
    """A checkpoint, patch files for it, and the checkpoint that has those patches in its weights."""

    base: State
    files: Tuple[PatchFile, ...]
    baked: State


def weights_of(model: Any) -> Dict[str, torch.Tensor]:
    return {name: weight.clone() for name, weight in model.named_parameters()}


def assert_same(found: Dict[str, torch.Tensor], wanted: Dict[str, torch.Tensor]) -> None:
    assert list(found) == list(wanted)
    different = [
        name
        for name, weight in wanted.items()
        if found[name].dtype != weight.dtype or not torch.equal(found[name], weight)
    ]
    assert not different


def past_the_end(patch: Patch) -> Patch:
    """A patch with its neurons where the layer has none."""
    moved = [replace(one, index=one.index + 256, old=None) for one in patch.changes]  # type: ignore[type-var]
    return replace(patch, changes=tuple(moved))


def low_rank(base: State, name: str = "decoder.layers.0.fc2.weight") -> Patch:
    draw = torch.Generator().manual_seed(1)
    left, right = (torch.randn(side, 2, generator=draw) / 20 for side in base["model"][name].shape)
    return Patch(
        "rome", Site("decoder", 0), (LowRankChange(name, left, right),), keys={name: right.T.contiguous()}
    )


def dense(base: State, name: str = "decoder.layers.0.fc2.weight") -> Patch:
    delta = torch.randn(base["model"][name].shape, generator=torch.Generator().manual_seed(2)) / 200
    return Patch("finetune", Site("decoder", 0), (DenseChange(name, delta),))


def halved(state: State) -> State:
    return {**state, "model": {name: weight.half() for name, weight in state["model"].items()}}


def one_after_the_other(base: State, groups: Sequence[Sequence[Patch]]) -> Loading:
    """Each file made for the checkpoint that has those before it."""
    files, state = [], base
    for group in groups:
        files.append(patch_file(group, state, {}))
        state = with_patches(state, group, {})
    return Loading(base, tuple(files), state)


def side_by_side(base: State, groups: Sequence[Sequence[Patch]]) -> Loading:
    """Each file made for the unedited checkpoint."""
    flat = [patch for group in groups for patch in group]
    files = tuple(patch_file(group, base, {}) for group in groups)
    return Loading(base, files, with_patches(base, flat, {}))


def on_an_edited_one(base: State, patches: Sequence[Patch]) -> Loading:
    return one_after_the_other(with_patches(base, patches[:2], {}), [patches[2:]])


LOADINGS: Dict[str, Callable[[State, Sequence[Patch]], Loading]] = {
    "several files": lambda base, edits: side_by_side(base, [edits[:2], edits[2:]]),
    "each on top of the one before": lambda base, edits: one_after_the_other(base, [edits[:1], edits[1:]]),
    "widened": lambda base, edits: side_by_side(base, [edits[:1], [past_the_end(one) for one in edits[1:]]]),
    "on an edited checkpoint": on_an_edited_one,
    "low rank": lambda base, edits: one_after_the_other(base, [[low_rank(base)], edits]),
    "dense": lambda base, edits: one_after_the_other(base, [[dense(base), low_rank(base)], edits]),
    "half": lambda base, edits: side_by_side(halved(base), [edits]),
    "half, widened, low rank": lambda base, edits: one_after_the_other(
        halved(base), [[low_rank(base)], [past_the_end(one) for one in edits]]
    ),
    "half, widened, dense": lambda base, edits: one_after_the_other(
        halved(base), [[past_the_end(one) for one in edits], [dense(base)]]
    ),
}


def written(loading: Loading, folder: Path) -> Tuple[Path, List[Path], Path]:
    paths = [folder / f"{number}.safetensors" for number in range(len(loading.files))]
    for path, file in zip(paths, loading.files):
        save_patches(str(path), file)
    for name in ("base", "baked"):
        write_state(getattr(loading, name), str(folder / f"{name}.pt"))
    return folder / "base.pt", paths, folder / "baked.pt"
