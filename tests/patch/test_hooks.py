"""Edits beside the model: what patches do in its weights, and every other token bit for bit as it was."""

from __future__ import annotations

import copy
from dataclasses import replace
from typing import Any, Dict, List, Sequence, Tuple

import pytest
import torch
from conftest import Demo
from edit_runs import Edited, lines

from fairseq_rome.errors import EditError
from fairseq_rome.host.batches import Batch, Pair, decoded
from fairseq_rome.host.checkpoint import read_state
from fairseq_rome.host.sites import Activations, Site, record
from fairseq_rome.patch import (
    DenseChange,
    HandedOver,
    HookedPatches,
    LowRankChange,
    Patch,
    applied,
    read_stack,
)
from fairseq_rome.patch.hooks import Gates, KeyedChange

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
    draw = torch.Generator().manual_seed(1)
    left = torch.randn(model.get_parameter(NAME).shape[0], len(keys), generator=draw)
    right = torch.linalg.pinv(keys)  # response 1 to its own key, 0 to the others
    return Patch("rome", SITE, (LowRankChange(NAME, left, right),), keys={NAME: keys})


def dense(model: Any, keys: torch.Tensor) -> Patch:
    """The same change as one matrix."""
    patch = low_rank(model, keys)
    left, right = patch.changes[0].factors  # type: ignore[misc]
    return replace(patch, method="finetune", changes=(DenseChange(NAME, left @ right.T),))


ADDING = {"low-rank": low_rank, "dense": dense}


def test_requests_hold_and_the_weights_stay(demo: Demo, edits: Sequence[Patch]) -> None:
    before = {name: weight.clone() for name, weight in demo.model.state_dict().items()}
    said = [one.text for one in demo.translator.translate(lines("fixes.en"))]
    hooked = HookedPatches.of(demo.model, edits)
    with hooked.on(demo.model):
        assert [one.text for one in demo.translator.translate(lines("fixes.en"))] == lines("fixes.de")
        assert all(torch.equal(weight, before[name]) for name, weight in demo.model.state_dict().items())
    assert [one.text for one in demo.translator.translate(lines("fixes.en"))] == said != lines("fixes.de")


def test_gates_do_what_neurons_of_their_own_do(demo: Demo, edits: Sequence[Patch]) -> None:
    width = demo.model.get_parameter("decoder.layers.0.fc1.weight").shape[0]
    patches, batch = past_the_end(edits, width), batch_of(demo)
    hooked = HookedPatches.of(demo.model, patches)
    assert len(hooked.entries) == len({site for patch in patches for site in patch.taken})
    with applied(demo.model, *patches):
        wanted = passed(demo.model, batch, hooked.entries[0].site)
    with hooked.on(demo.model):
        found = passed(demo.model, batch, hooked.entries[0].site)
    torch.testing.assert_close(found.values, wanted.values, rtol=1e-4, atol=1e-4)


def test_edits_with_one_neuron_are_both_kept(demo: Demo, edits: Sequence[Patch]) -> None:
    apart = [replace(patch, changes=tuple(replace(change, index=5, old=None) for change in patch.changes[:3]))
             for patch in edits]  # fmt: skip
    hooked = HookedPatches.of(demo.model, apart)
    assert sum(len(entry.biases) for entry in hooked.entries if isinstance(entry, Gates)) == len(edits)


def test_hooks_leave_every_neuron_in_its_place_and_need_no_room(demo: Demo, edits: Sequence[Patch]) -> None:
    merged = [
        replace(patch, changes=(HandedOver(NAME, 3, torch.ones(len(demo.model.get_parameter(NAME)))), *patch.changes))
        for patch in edits
    ]
    without, hooked = HookedPatches.of(demo.model, edits), HookedPatches.of(demo.model, merged)
    assert [one.site for one in without.entries] == [one.site for one in hooked.entries]
    for one, other in zip(without.entries, hooked.entries):
        assert isinstance(one, Gates) and isinstance(other, Gates)
        assert torch.equal(one.values, other.values) and torch.equal(one.detectors, other.detectors)


@pytest.mark.parametrize("half", [False, True], ids=["float32", "half"])
def test_other_tokens_pass_bit_for_bit(demo: Demo, edits: Sequence[Patch], half: bool) -> None:
    model = copy.deepcopy(demo.model).half() if half else demo.model
    batch, entry = batch_of(demo), HookedPatches.of(model, edits).entries[0]
    assert isinstance(entry, Gates)
    before = passed(model, batch, entry.site)
    with HookedPatches(tuple(edits), (entry,)).on(model):
        after = passed(model, batch, entry.site)
    chosen, _ = entry(torch.relu, before.inputs, before.keys)
    assert 0 < int(chosen.sum()) < chosen.numel()
    assert after.values.dtype == before.values.dtype
    assert torch.equal(after.values[~chosen], before.values[~chosen])
    assert bool((after.values[chosen] != before.values[chosen]).any(-1).all())


@pytest.mark.parametrize("kind", ADDING)
def test_a_key_stands_out_against_the_background(demo: Demo, kind: str) -> None:
    batch = batch_of(demo)
    before = passed(demo.model, batch, SITE)
    own = before.keys[2:4, 0]
    patch = ADDING[kind](demo.model, own)
    everywhere = before.keys[batch.target_mask.T]
    hooked = HookedPatches.of(demo.model, [patch], {SITE: everywhere}, stands_out=3.0)
    (entry,) = hooked.entries
    assert isinstance(entry, KeyedChange)
    torch.testing.assert_close((own @ entry.directions.T).diagonal(), torch.ones(2), rtol=1e-4, atol=1e-4)
    responses = everywhere @ entry.directions.T
    scores = (responses - responses.mean(0)) / responses.std(0, unbiased=False)
    # A key of the patch passes its bar, even where it stands out by less than was asked for.
    own_scores = (1 - responses.mean(0)) / responses.std(0, unbiased=False)
    assert bool((entry.bars < own_scores).all()) and bool((entry.bars <= 3.0).all())
    assert torch.equal(entry.stand_out(everywhere), scores.gt(entry.bars).any(-1))
    with hooked.on(demo.model):
        after = passed(demo.model, batch, SITE)
    chosen = entry.stand_out(before.keys)
    assert bool(chosen[2:4, 0].all()) and int(chosen.sum()) < chosen.numel()
    assert torch.equal(after.values[~chosen], before.values[~chosen])
    (change,) = patch.changes
    with applied(demo.model, patch):
        wanted = passed(demo.model, batch, SITE).values
    torch.testing.assert_close(after.values[chosen], wanted[chosen], rtol=1e-4, atol=1e-4)
    assert bool((wanted[~chosen] != before.values[~chosen]).any())  # as in the weights, at every token


def test_a_key_of_neurons_that_the_background_never_uses(demo: Demo) -> None:
    background = torch.rand(50, demo.model.get_parameter(NAME).shape[1])
    background[:, 7] = 0
    own = torch.zeros(1, background.shape[1])
    own[0, 7] = 2.0
    for seen in (background, background[:1]):
        (entry,) = HookedPatches.of(demo.model, [low_rank(demo.model, own)], {SITE: seen}).entries
        assert isinstance(entry, KeyedChange)
        assert bool(entry.stand_out(own).all()) and not bool(entry.stand_out(background).any())


@pytest.mark.parametrize("kind", ADDING)
@pytest.mark.parametrize("more", [-8, 8], ids=["has lost neurons", "was widened"])
def test_a_layer_of_another_width(demo: Demo, kind: str, more: int) -> None:
    batch = batch_of(demo)
    before = passed(demo.model, batch, SITE)
    keys = before.keys[2:3, 0]
    background = {SITE: before.keys[batch.target_mask.T]}
    # The patch was made for a layer with fewer or more neurons than the model's has.
    of_then = keys[:, :-8] if more > 0 else torch.cat([keys, torch.ones(1, 8)], 1)
    (entry,) = HookedPatches.of(demo.model, [ADDING[kind](demo.model, of_then)], background).entries
    assert isinstance(entry, KeyedChange) and len(entry.right) == keys.shape[1]
    assert bool(entry.stand_out(keys).all())
    chosen, added = entry(torch.relu, before.inputs, before.keys)
    left, right = ADDING[kind](demo.model, of_then).changes[0].factors  # type: ignore[misc]
    known = min(of_then.shape[1], keys.shape[1])
    wanted = before.keys[chosen][:, :known] @ right[:known] @ left.T
    torch.testing.assert_close(added, wanted, rtol=1e-4, atol=1e-4)


def test_what_hooks_can_not_hold(demo: Demo, edits: Sequence[Patch]) -> None:
    keys = torch.ones(1, demo.model.get_parameter(NAME).shape[1])
    change, whole = low_rank(demo.model, keys), dense(demo.model, keys)
    rows = DenseChange("decoder.layers.1.fc1.weight", torch.ones(keys.shape[1], 96))
    unfit: List[Tuple[str, Patch, Dict[Site, torch.Tensor]]] = [
        (f"rank 1 in {NAME} without background keys of decoder.1$", change, {}),
        (f"dense .* in {NAME} without background keys of decoder.1$", whole, {}),
        ("without the keys that it was made for$", replace(change, keys={}), {SITE: keys}),
        ("without background keys of decoder.1 and the keys that", replace(whole, keys={}), {}),
        ("changed in part", replace(edits[0], changes=edits[0].changes[:1]), {}),
        ("hooks can't hold the change of decoder.layers.1.fc1.weight", replace(whole, changes=(rows,)), {SITE: keys}),
    ]
    for reason, patch, background in unfit:
        with pytest.raises(EditError, match=reason):
            HookedPatches.of(demo.model, [patch], background)
    hooked = HookedPatches.of(demo.model, edits)
    elsewhere = replace(hooked, entries=(replace(hooked.entries[0], site=Site("decoder", 9)),))
    with pytest.raises(EditError, match="no site decoder.9"), elsewhere.on(demo.model):
        pass
    assert not any(module._forward_hooks for module in demo.model.modules())
