"""Edits beside the model: what patches do in its weights, and every other token bit for bit as it was."""

from __future__ import annotations

import copy
from dataclasses import replace
from typing import Any, Dict, List, Sequence

import pytest
import torch
from conftest import Demo
from edit_runs import Edited, lines

from fairseq_rome.errors import EditError
from fairseq_rome.host.batches import Batch, Pair, decoded
from fairseq_rome.host.checkpoint import read_state
from fairseq_rome.host.sites import Activations, Site, record
from fairseq_rome.patch import LowRankChange, Patch, applied, read_stack
from fairseq_rome.patch.hooks import Gates, Keys, Memory, memory_of, remembering

SITE = Site("decoder", 1)
NAME = "decoder.layers.1.fc2.weight"


@pytest.fixture(scope="module")
def edits(edited: Edited) -> Sequence[Patch]:
    return read_stack(read_state(edited.path)).patches


def batch_of(demo: Demo) -> Batch:
    sides = zip(lines("fixes.en"), lines("fixes.de"))
    return demo.translator.batcher.batch(
        [Pair(demo.codec.source(source), demo.codec.target(target)) for source, target in sides]
    )


def passed(model: Any, batch: Batch, site: Site) -> Activations:
    """What passes a site, as hooks that are there already leave it."""
    with torch.no_grad(), record(model, [site]) as seen:
        decoded(model, batch)
    return seen[site]


def past_the_end(patches: Sequence[Patch], width: int) -> List[Patch]:
    """Gated patches that overwrite no neuron."""
    return [
        replace(
            patch,
            changes=tuple(
                replace(change, index=change.index + width, old=None)  # type: ignore[type-var]
                for change in patch.changes
            ),
        )
        for patch in patches
    ]


def low_rank(model: Any, keys: torch.Tensor) -> Patch:
    name = NAME
    draw = torch.Generator().manual_seed(1)
    left = torch.randn(model.get_parameter(name).shape[0], len(keys), generator=draw)
    right = torch.linalg.pinv(keys)  # response 1 to its own key, 0 to the others
    return Patch("rome", SITE, (LowRankChange(name, left, right),), keys={name: keys})


def test_requests_hold_and_the_weights_stay(demo: Demo, edits: Sequence[Patch]) -> None:
    before = {name: weight.clone() for name, weight in demo.model.state_dict().items()}
    said = [one.text for one in demo.translator.translate(lines("fixes.en"))]
    with remembering(demo.model, memory_of(demo.model, edits, {})):
        assert [one.text for one in demo.translator.translate(lines("fixes.en"))] == lines("fixes.de")
        assert all(torch.equal(weight, before[name]) for name, weight in demo.model.state_dict().items())
    assert [one.text for one in demo.translator.translate(lines("fixes.en"))] == said != lines("fixes.de")


def test_gates_do_what_neurons_of_their_own_do(demo: Demo, edits: Sequence[Patch]) -> None:
    width = demo.model.get_parameter("decoder.layers.0.fc1.weight").shape[0]
    patches, batch = past_the_end(edits, width), batch_of(demo)
    memory = memory_of(demo.model, patches, {})
    assert len(memory.entries) == len({patch.site for patch in patches})
    with applied(demo.model, *patches):
        wanted = passed(demo.model, batch, memory.entries[0].site)
    with remembering(demo.model, memory):
        found = passed(demo.model, batch, memory.entries[0].site)
    torch.testing.assert_close(found.values, wanted.values, rtol=1e-4, atol=1e-4)


def test_edits_with_one_neuron_are_both_kept(demo: Demo, edits: Sequence[Patch]) -> None:
    apart = [replace(patch, changes=tuple(replace(change, index=5, old=None) for change in patch.changes[:3]))
             for patch in edits]  # fmt: skip
    memory = memory_of(demo.model, apart, {})
    assert sum(len(entry.biases) for entry in memory.entries if isinstance(entry, Gates)) == len(edits)


@pytest.mark.parametrize("half", [False, True], ids=["float32", "half"])
def test_other_tokens_pass_bit_for_bit(demo: Demo, edits: Sequence[Patch], half: bool) -> None:
    model = copy.deepcopy(demo.model).half() if half else demo.model
    memory, batch = memory_of(model, edits, {}), batch_of(demo)
    entry = memory.entries[0]
    assert isinstance(entry, Gates)
    before = passed(model, batch, entry.site)
    with remembering(model, Memory((entry,))):
        after = passed(model, batch, entry.site)
    chosen, _ = entry(torch.relu, before.inputs, before.keys)
    assert 0 < int(chosen.sum()) < chosen.numel()
    assert after.values.dtype == before.values.dtype
    assert torch.equal(after.values[~chosen], before.values[~chosen])
    assert bool((after.values[chosen] != before.values[chosen]).any(-1).all())


def test_a_key_stands_out_against_the_background(demo: Demo) -> None:
    batch = batch_of(demo)
    before = passed(demo.model, batch, SITE)
    own = before.keys[2:4, 0]
    patch = low_rank(demo.model, own)
    everywhere = before.keys[batch.target_mask.T]
    memory = memory_of(demo.model, [patch], {SITE: everywhere}, stands_out=3.0)
    (entry,) = memory.entries
    assert isinstance(entry, Keys)
    torch.testing.assert_close((own @ entry.directions.T).diagonal(), torch.ones(2))
    responses = everywhere @ entry.directions.T
    scores = (responses - responses.mean(0)) / responses.std(0, unbiased=False)
    # A remembered key opens the memory, even where it stands out by less than was asked for.
    own_scores = (1 - responses.mean(0)) / responses.std(0, unbiased=False)
    assert bool((entry.bars < own_scores).all()) and bool((entry.bars <= 3.0).all())
    assert torch.equal(entry.stand_out(everywhere), scores.gt(entry.bars).any(-1))
    with remembering(demo.model, memory):
        after = passed(demo.model, batch, SITE)
    chosen = entry.stand_out(before.keys)
    assert bool(chosen[2:4, 0].all()) and int(chosen.sum()) < chosen.numel()
    assert torch.equal(after.values[~chosen], before.values[~chosen])
    (change,) = patch.changes
    with applied(demo.model, patch):
        wanted = passed(demo.model, batch, SITE).values
    torch.testing.assert_close(after.values[chosen], wanted[chosen], rtol=1e-4, atol=1e-4)
    assert bool((wanted[~chosen] != before.values[~chosen]).any())  # as in the weights, without a memory


def test_a_key_of_neurons_that_the_background_never_uses(demo: Demo) -> None:
    background = torch.rand(50, demo.model.get_parameter(NAME).shape[1])
    background[:, 7] = 0
    own = torch.zeros(1, background.shape[1])
    own[0, 7] = 2.0
    for seen in (background, background[:1]):
        (entry,) = memory_of(demo.model, [low_rank(demo.model, own)], {SITE: seen}).entries
        assert isinstance(entry, Keys)
        assert bool(entry.stand_out(own).all()) and not bool(entry.stand_out(background).any())


def test_what_can_not_be_remembered(demo: Demo, edits: Sequence[Patch]) -> None:
    keys = torch.ones(1, demo.model.get_parameter("decoder.layers.1.fc2.weight").shape[1])
    change = low_rank(demo.model, keys)
    unfit: Dict[str, Patch] = {
        "can't be kept beside the model": change,
        "its keys": replace(change, keys={}),
        "changed in part": replace(edits[0], changes=edits[0].changes[:1]),
    }
    for reason, patch in unfit.items():
        background = {SITE: keys} if not patch.keys else {}
        with pytest.raises(EditError, match=reason):
            memory_of(demo.model, [patch], background)
    entry = memory_of(demo.model, edits, {}).entries[0]
    with pytest.raises(EditError, match="no site decoder.9"), remembering(
        demo.model, Memory((replace(entry, site=Site("decoder", 9)),))
    ):
        pass
    assert not any(module._forward_hooks for module in demo.model.modules())
