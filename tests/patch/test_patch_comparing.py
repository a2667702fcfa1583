"""Two checkpoints compared: the patch that makes one of the other, or in words why there is none."""

from __future__ import annotations

import copy
import re
from typing import Any, Callable, Dict, List, Tuple

import pytest
import torch
from patch_samples import DECODER, ENCODER, KINDS, SITES, gate, low_rank, names, new_state

from fairseq_rome.patch import (
    LowRankChange,
    NeuronChange,
    Patch,
    compare,
    composed,
    with_patches,
    without_patches,
)
from fairseq_rome.patch.stack import LEDGER

State = Dict[str, Any]
ROW, BIAS, COLUMN = names(DECODER)


def wide_state(dtype: torch.dtype = torch.float32, seed: int = 0) -> State:
    """Layers large enough for a few neurons and a low rank to be few and low."""
    state = new_state(dtype)
    draw = torch.Generator().manual_seed(seed)
    for site in SITES:
        for name, shape in zip(names(site), ((64, 32), (64,), (32, 64))):
            state["model"][name] = torch.randn(*shape, generator=draw).to(dtype)
    return state


def wide_low_rank(rank: int, site: Any = DECODER, scale: float = 0.1) -> Patch:
    draw = torch.Generator().manual_seed(rank)
    left, right = scale * torch.randn(32, rank, generator=draw), torch.randn(64, rank, generator=draw)
    return Patch("rome", site, (LowRankChange(names(site)[2], left, right),))


def wide_gate(neuron: int, site: Any = DECODER) -> Patch:
    draw = torch.Generator().manual_seed(neuron)
    news = (torch.randn(32, generator=draw), torch.tensor(0.5), torch.randn(32, generator=draw))
    changes = (NeuronChange(name, dim, neuron, new) for name, dim, new in zip(names(site), (0, 0, 1), news))
    return Patch("gated", site, tuple(changes))


def forgetful(state: State) -> State:
    """A state that has lost the list of its patches, in memory of its own as a file would have it."""
    new = copy.deepcopy(state)
    new["extra_state"].pop(LEDGER, None)
    return new


def made(base: State, patches: Any) -> Dict[str, torch.Tensor]:
    return {**base["model"], **composed(base["model"], patches)}


@pytest.mark.parametrize("kind", KINDS)
def test_patches_that_are_listed_are_taken_as_they_are(kind: str) -> None:
    base = new_state()
    once = with_patches(base, [gate(1), KINDS[kind]], {})
    twice = with_patches(once, [low_rank(5, ENCODER), gate(30)], {})
    for one, other, count in ((base, once, 2), (once, twice, 2), (base, twice, 4), (once, once, 0)):
        found = compare(one, other)
        assert (len(found.patches), found.reasons, found.off) == (count, (), 0)
    assert compare(base, once).patches[1].fingerprint == KINDS[kind].fingerprint


def test_listed_patches_need_not_be_the_last() -> None:
    base = new_state()
    whole = with_patches(base, [gate(1), gate(2), gate(3)], {})
    less = without_patches(whole, {gate(2).fingerprint}, {"edits": []})
    assert [patch.fingerprint for patch in compare(less, whole).patches] == [gate(2).fingerprint]


EXACT: Dict[str, List[Patch]] = {
    "a gate": [wide_gate(3)],
    "gates of several layers": [wide_gate(3), wide_gate(4), wide_gate(3, ENCODER)],
    "a column alone": [Patch("x", DECODER, (NeuronChange(COLUMN, 1, 2, torch.ones(32)),))],
    "a bias alone": [Patch("x", DECODER, (NeuronChange(BIAS, 0, 2, torch.tensor(-0.0)),))],
    "a widened layer": [wide_gate(64), wide_gate(5)],
    "two widened stacks": [wide_gate(70), wide_gate(66, ENCODER)],
}


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16])
@pytest.mark.parametrize("name", EXACT)
def test_a_few_neurons_are_found_exactly(name: str, dtype: torch.dtype) -> None:
    base = wide_state(dtype)
    state = forgetful(with_patches(base, EXACT[name], {}))
    found = compare(base, state)
    assert (found.reasons, found.off, found.ulps) == ((), 0, 0.0)
    assert {patch.method for patch in found.patches} == {"diff"}
    assert sorted({(str(p.site), n) for p in found.patches for n in p.neurons}) == sorted(
        {(str(p.site), n) for p in EXACT[name] for n in p.neurons}
    )
    weights = made(base, found.patches)
    assert all(torch.equal(weight, weights[name]) for name, weight in state["model"].items())


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16])
@pytest.mark.parametrize("rank", [1, 2, 5])
def test_the_rank_of_a_low_rank_change_is_found(rank: int, dtype: torch.dtype) -> None:
    base = wide_state(dtype)
    state = forgetful(with_patches(base, [wide_low_rank(rank)], {}))
    found = compare(base, state)
    assert found.reasons == ()
    [patch] = found.patches
    [change] = patch.changes
    assert isinstance(change, LowRankChange)
    assert (change.left.shape, change.right.shape) == ((32, rank), (64, rank))
    weights = made(base, found.patches)
    wrong = weights[COLUMN].ne(state["model"][COLUMN])
    assert int(wrong.sum()) == found.off
    assert (found.off > 0) == (found.ulps > 0)
    # Close to zero many units are little.
    size = torch.finfo(dtype).eps * float(state["model"][COLUMN].abs().max())
    assert float((weights[COLUMN] - state["model"][COLUMN]).abs().max()) <= size


def test_gates_beside_a_low_rank_change() -> None:
    base = wide_state()
    patches = [wide_low_rank(2), wide_gate(3), wide_gate(65), wide_low_rank(1, ENCODER)]
    found = compare(base, forgetful(with_patches(base, patches, {})))
    assert found.reasons == () and found.off < 32 * 64 / 2
    by_site = {patch.site: patch for patch in found.patches}
    assert by_site[DECODER].neurons == [3, 65] and by_site[ENCODER].neurons == []
    ranks = {
        s: [c.left.shape[1] for c in p.changes if isinstance(c, LowRankChange)] for s, p in by_site.items()
    }
    assert ranks == {DECODER: [2], ENCODER: [1]}


def plus(name: str, size: float) -> Callable[[State], Any]:
    return lambda state: state["model"][name].add_(size * torch.randn(state["model"][name].shape))


def resized(name: str, *shape: int) -> Callable[[State], Any]:
    return lambda state: state["model"].update({name: torch.zeros(*shape)})


OTHERWISE: Dict[str, Tuple[Callable[[State], Any], str]] = {
    "full rank": (plus(COLUMN, 0.1), f"{COLUMN}: full rank or nearly so"),
    "full rank in fc1": (plus(ROW, 0.1), f"{ROW}: full rank"),
    "every bias": (plus(BIAS, 0.1), f"{BIAS}: 64 of 64 numbers differ"),
    "embeddings": (
        plus("decoder.embed.weight", 0.1),
        r"decoder.embed.weight \(embeddings\): 54 of 54 .* 9 of 9 rows",
    ),
    "another bias": (plus("decoder.layers.0.fc2.bias", 0.1), r"fc2.bias \(bias\): 6 of 6 numbers"),
    "another type": (lambda s: s["model"].update({ROW: s["model"][ROW].half()}), "float32 became float16"),
    "another shape": (resized("decoder.embed.weight", 9, 7), r"shape \[9, 6\] became \[9, 7\]"),
    "narrower": (resized(ROW, 32, 32), r"shape \[64, 32\] became \[32, 32\]"),
    "a weight is gone": (lambda s: s["model"].pop(ROW), "only the first"),
    "a weight is new": (lambda s: s["model"].update(other=torch.zeros(2)), "only the second"),
    "rounding": (
        lambda s: s["model"][COLUMN].mul_(1 + 2**-23),
        "by no more than rounding|gives too few of them",
    ),
}


@pytest.mark.parametrize("name", OTHERWISE)
def test_what_no_patch_can_tell_is_said(name: str) -> None:
    change, message = OTHERWISE[name]
    torch.manual_seed(0)
    base = wide_state()
    state = forgetful(base)
    change(state)
    found = compare(base, state)
    assert found.patches == ()
    assert len(found.reasons) == 1
    assert re.search(message, found.reasons[0])


def test_a_low_rank_change_of_rows_in_a_widened_layer() -> None:
    base = wide_state()
    draw = torch.Generator().manual_seed(1)
    change = LowRankChange(ROW, torch.randn(64, 2, generator=draw), torch.randn(32, 2, generator=draw))
    patches = [Patch("x", DECODER, (change,)), wide_gate(70), wide_gate(3, ENCODER)]
    found = compare(base, forgetful(with_patches(base, patches, {})))
    assert not found.reasons and [list(patch.added_to) for patch in found.patches] == [[ROW], []]
    changes = found.patches[0].changes
    assert [change.left.shape[1] for change in changes if isinstance(change, LowRankChange)] == [2]
    assert {change.index for change in changes if isinstance(change, NeuronChange)} == {70}
    more = forgetful(with_patches(base, patches[1:], {}))
    more["model"][ROW][:64] += torch.randn(64, 32, generator=draw)
    assert "full rank or nearly so" in compare(base, more).reasons[0]


def test_a_width_that_no_patch_gives() -> None:
    base = wide_state()
    state = forgetful(with_patches(base, [wide_gate(64)], {}))
    for name in names(DECODER):
        dim = 1 if name == COLUMN else 0
        state["model"][name] = state["model"][name].narrow(dim, 0, 65)
    found = compare(base, state)
    assert found.patches == () and "widened to 65, expected 72" in found.reasons[0]


def test_shared_weights_and_copies_count_once() -> None:
    base = wide_state()
    for name in names(DECODER):
        base["model"]["shared." + name] = base["model"][name]
        base["model"][name.replace("fc1.", "fc1_").replace("fc2.", "fc2_")] = base["model"][name].clone()
    state = forgetful(with_patches(base, [wide_low_rank(1), wide_gate(3)], {}))
    found = compare(base, state)
    assert found.reasons == ()
    assert [patch.names for patch in found.patches] == [[COLUMN, BIAS, ROW]]


def test_equal_checkpoints() -> None:
    found = compare(wide_state(), wide_state())
    assert (found.patches, found.reasons) == ((), ())
