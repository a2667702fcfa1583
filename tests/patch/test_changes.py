"""Kinds of change: what is written of them stays as it is, and nothing outside their files asks for a kind."""

from __future__ import annotations

import ast
from pathlib import Path
from typing import Any, Dict, List, Tuple

import pytest
import torch

from fairseq_rome.host.sites import Site
from fairseq_rome.patch import (
    Change,
    DenseChange,
    HandedOver,
    LowRankChange,
    NeuronChange,
    Patch,
    packed,
    unpacked,
)
from fairseq_rome.patch.piece import kind_of

PACKAGE = Path(__file__).resolve().parents[2] / "fairseq_rome"
SITE, COLUMN = Site("decoder", 1), "a.fc2.weight"

# Of each kind: a patch, its fingerprint, and the hash that is packed with it, as they have been since format 4.
WRITTEN: Dict[str, Tuple[Patch, str, str]] = {
    "low-rank": (
        Patch(
            "rome", SITE, (LowRankChange(COLUMN, torch.arange(6.0).reshape(3, 2), torch.ones(4, 2)),), {"r": 1.0},
            {COLUMN: torch.ones(1, 4)}, {"id": "7"},
        ),
        "82f714b791ccf0c0d7c81806e995b2c6e85777bf3e0f379453223595e38c080f",
        "2b3515d07e7f0bdd5c725bd5fef8341a9e5ae9e76a4a259edfb404899826ec01",
    ),
    "neuron": (
        Patch("gated", SITE, (
            NeuronChange("a.fc1.weight", 0, 3, torch.arange(3.0)),
            NeuronChange("a.fc1.bias", 0, 3, torch.tensor(2.0), torch.tensor(1.0)),
        )),
        "7161c43cbb15878a5aa7bc8fd727588afe5351145d6e5b930364368e3a7f0ec6",
        "e37156be07e4cd7a05cf8289612e58d580f91778861203698d4277f79c3805ba",
    ),
    "dense": (
        Patch("finetune", SITE, (DenseChange(COLUMN, torch.arange(12.0).reshape(3, 4)),)),
        "57041934caf90fc9101401443e0bc586086af9c7810ca12c9ed3690e9114d414",
        "54ff831f52e2769e94624e09d642e59d7e6b522a5bd4bdeba135669e66fb26b6",
    ),
    "handed-over": (
        Patch("gated", SITE, (HandedOver(COLUMN, 2, torch.arange(3.0)),)),
        "3fe51085c2f061dcf04aa6164ca58da2d9b63224bea0a5817fbe754b93a15b91",
        "83a99e60fa6a1e4d078d20fd4ce989e707bbcdced8900ca94e0d7b09ab77eb73",
    ),
}  # fmt: skip


@pytest.mark.parametrize("kind", WRITTEN)
def test_what_is_written_of_a_kind_stays_as_it_is(kind: str) -> None:
    patch, fingerprint, packed_hash = WRITTEN[kind]
    records, tensors = packed([patch])
    assert (patch.fingerprint, records[0]["sha256"]) == (fingerprint, packed_hash)
    [back] = unpacked(records, tensors)
    assert back.fingerprint == patch.fingerprint
    assert [one.record() for one in back.changes] == [one.record() for one in patch.changes]
    assert [list(one.tensors) for one in back.changes] == [list(one.tensors) for one in patch.changes]


def kinds_asked_for(tree: ast.AST) -> List[int]:
    """The lines that ask `isinstance` of a kind of change."""
    kinds = {type(change).__name__ for patch, *_ in WRITTEN.values() for change in patch.changes}
    calls = [node for node in ast.walk(tree) if isinstance(node, ast.Call)]
    return [
        call.lineno
        for call in calls
        if isinstance(call.func, ast.Name)
        and call.func.id == "isinstance"
        and kinds & {node.id for node in ast.walk(call) if isinstance(node, ast.Name)}
    ]


def test_nothing_asks_for_a_kind() -> None:
    assert kinds_asked_for(ast.parse("x = 1\nisinstance(x, (int, NeuronChange))")) == [2]
    trees = {path: ast.parse(path.read_text(encoding="utf-8")) for path in PACKAGE.rglob("*.py")}
    assert {path.name: found for path, tree in trees.items() for found in [kinds_asked_for(tree)] if found} == {}


def test_a_kind_has_one_name() -> None:
    with pytest.raises(ValueError, match="two kinds of change are called 'neuron'"):

        class Other(Change, kind="neuron"):
            pass

    assert kind_of({"kind": "neuron"}) is NeuronChange
    with pytest.raises(ValueError, match="change of kind 'magic', expected one of .*dense, .*low-rank, .*neuron"):
        kind_of({"kind": "magic"})


def test_what_was_added_can_not_be_computed_back() -> None:
    weight: Any = torch.ones(3, 4)
    for kind in ("low-rank", "dense"):
        [change] = WRITTEN[kind][0].changes
        with pytest.raises(ValueError, match=f"a {kind} change of a.fc2.weight can't be computed back"):
            change.undo_(weight)


def test_a_patch_in_a_few_words() -> None:
    low_rank, neuron, _, handed_over = (patch for patch, *_ in WRITTEN.values())
    assert low_rank.describe() == "rank 2 in a.fc2.weight"
    assert neuron.describe() == "neuron 3"
    assert neuron.changes[1].describe() == "neuron 3 of a.fc1.bias"
    both = Patch("x", SITE, (*low_rank.changes, *neuron.changes, NeuronChange("a.fc1.bias", 0, 5, torch.tensor(1.0))))
    assert handed_over.describe() == "neuron 2 of a.fc2.weight writes for a merged one"
    assert (handed_over.taken, handed_over.hosts) == ({}, {SITE: {2}})
    assert both.describe() == "neurons 3, 5, rank 2 in a.fc2.weight"
    assert (both.added_to, both.ranks) == ({COLUMN: "low-rank"}, {COLUMN: 2})


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        (HandedOver(COLUMN, 1, torch.ones(3)), ""),
        (HandedOver(COLUMN, 4, torch.ones(3)), "is of neuron 4, which has no column there"),
        (HandedOver("a.fc1.weight", 1, torch.ones(3)), "is of neuron 1, which has no column there"),
        (HandedOver(COLUMN, 1, torch.ones(4)), "has shape [4], expected [3]"),
        (HandedOver(COLUMN, 1, torch.full((3,), float("nan"))), "holds NaN, infinity or integers"),
    ],
)
def test_what_can_be_handed_over(change: HandedOver, fault: str) -> None:
    weight = torch.arange(12.0).reshape(3, 4)
    assert change.fault(weight) == fault
    if not fault:
        change.apply_(weight)
        assert weight[:, 1].tolist() == [2.0, 6.0, 10.0] and weight[:, 2].tolist() == [2.0, 6.0, 10.0]
