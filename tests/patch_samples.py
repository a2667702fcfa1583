"""Checkpoints small enough to look through, patches of every kind for them, and runs of `fairseq-edit-patch`."""

from __future__ import annotations

import argparse
import copy
from contextlib import redirect_stderr, redirect_stdout
from io import StringIO
from pathlib import Path
from typing import Any, Dict, List, Sequence

import torch
from edit_runs import Run

from fairseq_rome.host.sites import Site
from fairseq_rome.patch import DenseChange, LowRankChange, NeuronChange, Patch, patch_file, save_patches

WIDTH, INNER, LAYERS = 6, 8, 2
SITES = [Site(stack, layer) for stack in ("encoder", "decoder") for layer in range(LAYERS)]
ENCODER, DECODER = SITES[1], SITES[3]


def names(site: Site) -> List[str]:
    """The rows, the entries and the columns of a site's neurons."""
    layer = f"{site.stack}.layers.{site.layer}"
    return [f"{layer}.fc1.weight", f"{layer}.fc1.bias", f"{layer}.fc2.weight"]


def new_state(dtype: torch.dtype = torch.float32, seed: int = 0) -> Dict[str, Any]:
    """The state of a checkpoint as fairseq-train leaves it, with little in it but feed-forward layers."""
    draw = torch.Generator().manual_seed(seed)
    shapes: Dict[str, Sequence[int]] = {
        f"{stack}.embed.weight": (9, WIDTH) for stack in ("encoder", "decoder")
    }
    for site in SITES:
        row, bias, column = names(site)
        shapes.update({row: (INNER, WIDTH), bias: (INNER,), column: (WIDTH, INNER)})
        shapes[column.replace("weight", "bias")] = (WIDTH,)
    settings = {f"{stack}_ffn_embed_dim": INNER for stack in ("encoder", "decoder")}
    return {
        "cfg": {"model": argparse.Namespace(arch="tiny", **settings), "task": {"_name": "translation"}},
        "model": {name: torch.randn(*shape, generator=draw).to(dtype) for name, shape in shapes.items()},
        "optimizer_history": [{"num_updates": 1}],
        "extra_state": {"train_iterator": {"epoch": 1}},
    }


def twin_state() -> Dict[str, Any]:
    """A state whose decoder layers are equal, and stored apart."""
    state = new_state()
    for one, other in zip(*map(names, SITES[2:])):
        state["model"][one] = state["model"][other].clone()
    return state


def widths(state: Dict[str, Any]) -> List[int]:
    return [getattr(state["cfg"]["model"], f"{stack}_ffn_embed_dim") for stack in ("encoder", "decoder")]


def gate(neuron: int, site: Site = DECODER, width: int = WIDTH, **about: Any) -> Patch:
    """Takes a neuron over; one past the end of the layer widens it."""
    draw = torch.Generator().manual_seed(1000 + neuron)
    sizes = ([width], [], [width])
    changes = [
        NeuronChange(name, dim, neuron, torch.randn(size, generator=draw))
        for name, dim, size in zip(names(site), (0, 0, 1), sizes)
    ]
    return Patch("gated", site, tuple(changes), {"gates": 1.0}, about=about)


def low_rank(
    seed: int, site: Site = DECODER, rank: int = 1, width: int = WIDTH, inner: int = INNER, **about: Any
) -> Patch:
    draw = torch.Generator().manual_seed(seed)
    left, right = (0.1 * torch.randn(size, rank, generator=draw) for size in (width, inner))
    change = LowRankChange(names(site)[2], left, right)
    keys = {change.name: torch.randn(rank, inner, generator=draw)}
    return Patch("rome", site, (change,), {"rank": float(rank)}, keys, about)


def low_rank_rows(seed: int, site: Site = DECODER) -> Patch:
    """A low-rank change of the rows of neurons, such as two checkpoints may differ in."""
    [change] = low_rank(seed, site).changes
    return Patch("diff", site, (LowRankChange(names(site)[0], change.right, change.left),))  # type: ignore[union-attr]


def dense(
    seed: int, site: Site = DECODER, part: int = 2, width: int = WIDTH, inner: int = INNER, **about: Any
) -> Patch:
    """Adds to a whole weight of a site, by its place in `names`."""
    shape = ([inner, width], [inner], [width, inner])[part]
    delta = 0.1 * torch.randn(shape, generator=torch.Generator().manual_seed(2000 + seed))
    return Patch("finetune", site, (DenseChange(names(site)[part], delta),), {"steps": 3.0}, about=about)


KINDS: Dict[str, Patch] = {
    "neuron": gate(3),
    "low-rank": low_rank(1, rank=2),
    "low-rank in rows": low_rank_rows(1),
    "widened": gate(17),
    "neuron in the encoder": gate(3, ENCODER),
    "low-rank in the encoder": low_rank(1, ENCODER),
    "widened in the encoder": gate(8, ENCODER),
    "dense": dense(1),
    "dense in rows": dense(1, part=0),
    "dense in a bias": dense(1, part=1),
    "dense in the encoder": dense(1, ENCODER),
}


def same_weights(one: Dict[str, Any], other: Dict[str, Any]) -> bool:
    """Whether two states have the same weights, bit for bit, in the same order."""
    first, second = one["model"], other["model"]
    return list(first) == list(second) and all(
        weight.dtype == second[name].dtype and torch.equal(weight, second[name])
        for name, weight in first.items()
    )


def unchanged(state: Dict[str, Any], before: Dict[str, Any]) -> bool:
    """Whether a state is another in all but the optimizer's, histories and settings included."""
    parts = [part for part in before if part not in ("model", "cfg")]
    settings = vars(state["cfg"]["model"]) == vars(before["cfg"]["model"])
    return settings and same_weights(state, before) and all(state[part] == before[part] for part in parts)


def saved_state(path: Path, state: Dict[str, Any]) -> Path:
    torch.save(copy.deepcopy(state), path)
    return path


def saved_patches(path: Path, state: Dict[str, Any], *patches: Patch) -> Path:
    """A patch file made for a state."""
    save_patches(str(path), patch_file(patches, state, {"fairseq_rome": "0", "torch": "0"}))
    return path


def refused(run: Run) -> str:
    """The one line of a run that was refused."""
    assert (run.status, run.out) == (2, ""), run.out
    assert run.err.startswith("fairseq-edit-patch: "), run.err
    assert len(run.err.splitlines()) == 1, run.err
    return run.err


def run_patch(*arguments: Any) -> Run:
    """`fairseq-edit-patch` in this process."""
    from fairseq_rome.cli.patch import main

    out, err = StringIO(), StringIO()
    with redirect_stdout(out), redirect_stderr(err):
        status = main([str(argument) for argument in arguments])
    return Run(status, out.getvalue(), err.getvalue())
