"""Patches in a checkpoint: put in, taken out again from anywhere, and nothing else changed."""

from __future__ import annotations

import copy
from typing import Any, Callable, Dict, List, Sequence, Tuple

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from patch_samples import (
    DECODER,
    INNER,
    KINDS,
    SITES,
    dense,
    gate,
    low_rank,
    names,
    new_state,
    same_weights,
    twin_state,
    unchanged,
    widths,
)

from fairseq_rome.errors import EditError
from fairseq_rome.host.checkpoint import PROVENANCE
from fairseq_rome.patch import NeuronChange, Patch, composed, read_stack, with_patches, without_patches
from fairseq_rome.patch.stack import LEDGER

State = Dict[str, Any]


def edited(state: State, *patches: Patch) -> State:
    edits = [{"patch": patch.fingerprint} for patch in patches]
    return with_patches(state, patches, {"edits": edits, "base": "b"})


def without(state: State, *patches: Patch) -> State:
    return without_patches(state, {patch.fingerprint for patch in patches}, {"edits": []})


def fingerprints(state: State) -> List[str]:
    return [patch.fingerprint for patch in read_stack(state).patches]


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16])
@pytest.mark.parametrize("kind", KINDS)
def test_put_in_and_taken_out(kind: str, dtype: torch.dtype) -> None:
    base, patch = new_state(dtype), KINDS[kind]
    state = edited(base, patch)
    assert unchanged(base, new_state(dtype))
    assert not same_weights(state, base)
    assert {weight.dtype for weight in state["model"].values()} == {dtype}
    assert fingerprints(state) == [patch.fingerprint]
    named = {
        name
        for name in base["model"]
        if not torch.equal(*(s["model"][name].flatten()[:1] for s in (state, base)))
    }
    assert named <= set(patch.names)
    assert unchanged(without(state, patch), base)


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_put_in_is_what_the_patch_makes(kind: str) -> None:
    base, patch = new_state(), KINDS[kind]
    state = edited(base, patch)
    expected = {**base["model"], **composed(base["model"], [patch])}
    assert all(torch.equal(weight, expected[name]) for name, weight in state["model"].items())
    wide = {"widened": [8, 24], "widened in the encoder": [16, 8]}
    assert widths(state) == wide.get(kind, [8, 8])
    assert widths(base) == [8, 8]


def many(count: int) -> List[Patch]:
    """Gates at neurons that are there and that are not, with what adds to weights between them, at all sites."""
    found = []
    for number in range(count):
        site = SITES[number % len(SITES)]
        adding = dense(number, site) if number % 2 else low_rank(number, site, 2)
        found.append(adding if number % 3 == 2 else gate(number // 3, site))
    return found


@pytest.mark.parametrize("taken", [35, 36, 38], ids=["dense", "a gate", "low-rank"])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float16])
def test_one_of_a_hundred(dtype: torch.dtype, taken: int) -> None:
    base, patches = new_state(dtype), many(100)
    state = base
    for start in range(0, 100, 10):
        state = edited(state, *patches[start : start + 10])
    assert same_weights(state, edited(base, *patches))
    rest = patches[:taken] + patches[taken + 1 :]
    state = without(state, patches[taken])
    other = edited(base, *rest)
    assert same_weights(state, other)
    assert fingerprints(state) == [patch.fingerprint for patch in rest]
    assert read_stack(state).marks == read_stack(other).marks
    assert unchanged(without(state, *rest), base)


@settings(max_examples=30, deadline=None)
@given(st.lists(st.tuples(st.booleans(), st.integers(0, 11)), max_size=12))
def test_any_order_of_putting_in_and_taking_out(steps: Sequence[Tuple[bool, int]]) -> None:
    base, patches = new_state(torch.float16), many(12)
    state: State = base
    present: List[Patch] = []
    for put_in, number in steps:
        patch = patches[number]
        if put_in and patch not in present:
            state, present = edited(state, patch), [*present, patch]
        elif not put_in and patch in present:
            state, present = without(state, patch), [one for one in present if one is not patch]
    assert same_weights(state, edited(base, *present) if present else base)
    assert unchanged(without(state, *present) if present else state, base)


def test_a_gate_on_top_of_a_low_rank_change_outlives_it() -> None:
    base, under = new_state(), low_rank(1)
    below = edited(base, under)
    row, bias, column = (below["model"][name] for name in names(DECODER))
    stood = (row[3], bias[3], column[:, 3])
    made = gate(3)
    on_top = Patch("gated", DECODER, tuple(
        type(change)(change.name, change.dim, change.index, change.new, old.clone())
        for change, old in zip(made.changes, stood)
    ))  # fmt: skip
    state = without(edited(below, on_top), under)
    assert same_weights(state, edited(base, made))
    assert unchanged(without(state, on_top), base)


@pytest.mark.parametrize("part", [0, 1, 2], ids=["fc1.weight", "fc1.bias", "fc2.weight"])
def test_a_dense_change_acts_on_the_neurons_that_it_knows(part: int) -> None:
    base, wide = new_state(torch.float16), gate(8)
    patch, name = dense(1, part=part), names(DECODER)[part]
    state = edited(edited(base, wide), patch)
    [change] = patch.changes
    before, after = (one["model"][name] for one in (edited(base, wide), state))
    known = tuple(map(slice, change.delta.shape))
    assert torch.equal(after[known], (before[known].double() + change.delta.double()).half())
    beyond = torch.ones(before.shape, dtype=torch.bool)
    beyond[known] = False
    assert beyond.any() and torch.equal(after[beyond], before[beyond])
    assert same_weights(without(state, wide), edited(base, patch))
    assert same_weights(without(state, patch), edited(base, wide))
    # It was made for the wide layer, which is narrow again.
    larger = dense(1, part=part, inner=INNER + 8)
    state = without(edited(edited(base, wide), larger), wide)
    [cut] = larger.changes
    made = base["model"][name].double() + cut.delta[tuple(map(slice, base["model"][name].shape))].double()
    assert torch.equal(state["model"][name], made.half())


def test_a_low_rank_change_of_a_widened_layer_outlives_the_widening() -> None:
    base, wide = new_state(), gate(8)
    change = low_rank(1, SITES[2]).changes[0]
    larger = type(change)(change.name, change.left, torch.cat([change.right, torch.ones(8, 1)]))
    patch = Patch("rome", SITES[2], (larger,))
    state = without(edited(edited(base, wide), patch), wide)
    assert same_weights(state, edited(base, low_rank(1, SITES[2])))


def test_weights_under_two_names_and_copies_stay_in_step() -> None:
    base = new_state()
    weights = base["model"]
    for name in names(DECODER):
        weights["shared." + name] = weights[name]
        weights[name.replace("fc1.", "fc1_").replace("fc2.", "fc2_")] = weights[name].clone()
    before = copy.deepcopy(base)
    state = edited(base, gate(9), low_rank(1))
    for name in names(DECODER):
        for other in ("shared." + name, name.replace("fc1.", "fc1_").replace("fc2.", "fc2_")):
            assert torch.equal(state["model"][other], state["model"][name])
    assert unchanged(without(state, gate(9), low_rank(1)), before)


def test_the_history_tells_of_what_is_there() -> None:
    base = new_state()
    base["extra_state"][PROVENANCE] = [{"edits": [{"site": "decoder.0"}]}]
    state = without(edited(edited(base, gate(1), gate(2)), gate(3)), gate(1))
    runs = [[edit.get("patch") for edit in run["edits"]] for run in state["extra_state"][PROVENANCE]]
    assert runs == [[None], [gate(2).fingerprint], [gate(3).fingerprint], []]
    assert unchanged(without(state, gate(2), gate(3)), base)


def touched(name: str) -> Callable[[State], Any]:
    return lambda state: state["model"].update({name: state["model"][name] * 1.5})


TIMES, PARTS = ("marks", "now"), "does not tell of each weight that its patches change"
CHANGED: Dict[str, Tuple[Callable[[State], Any], str]] = {
    "a weight with a low-rank change": (touched(names(DECODER)[2]), "changed by something else since"),
    "a weight with a gate": (touched(names(DECODER)[0]), "changed by something else since"),
    "another type": (lambda s: s["model"].update({n: w.half() for n, w in s["model"].items()}), "is float16"),
    "a weight is gone": (lambda s: s["model"].pop(names(DECODER)[0]), "no such weight"),
    "its base": (
        lambda s: s["extra_state"][LEDGER]["base"][names(DECODER)[2]].add_(1),
        "without its patches is",
    ),
    "no list": (lambda s: s["extra_state"].update({LEDGER: 3}), "damaged"),
    "no marks": (lambda s: s["extra_state"][LEDGER].pop("marks"), "damaged"),
    "numbers are missing": (
        lambda s: s["extra_state"][LEDGER]["tensors"].update(float32=torch.zeros(3)),
        "damaged",
    ),
    "other numbers": (
        lambda s: s["extra_state"][LEDGER]["tensors"]["float32"][3:].zero_(),
        "patch 1 is not what was written",
    ),
    "a weight without marks": (
        lambda s: [s["extra_state"][LEDGER][when].pop(names(DECODER)[0]) for when in TIMES],
        PARTS,
    ),
    "one mark of two": (lambda s: s["extra_state"][LEDGER]["now"].pop(names(DECODER)[0]), PARTS),
    "no weight before": (lambda s: s["extra_state"][LEDGER]["base"].clear(), PARTS),
    "another weight": (
        lambda s: s["model"]["decoder.embed.weight"].add_(1),
        "one that no patch touches was changed by something else since",
    ),
    "a tensor is missing": (lambda s: s["extra_state"][LEDGER]["tensors"].clear(), "damaged"),
}


@pytest.mark.parametrize("name", CHANGED)
def test_what_something_else_has_changed_is_refused(name: str) -> None:
    change, message = CHANGED[name]
    state = copy.deepcopy(edited(new_state(), low_rank(1), gate(3)))
    change(state)
    for work in (lambda: without(state, gate(3)), lambda: edited(state, gate(4))):
        with pytest.raises(EditError, match=message) as refused:
            work()
        assert len(str(refused.value).splitlines()) == 1


@pytest.mark.parametrize("stale", [False, True], ids=["in step", "stale"])
@pytest.mark.parametrize("kind", KINDS)
def test_copies_of_weights_come_back(kind: str, stale: bool) -> None:
    """fairseq 0.12.2 writes copies, which training leaves behind and loading makes anew."""
    base = new_state()
    weights = base["model"]
    copies = {name: f"{name[:-7]}_weight" for name in weights if ".fc" in name and name.endswith("weight")}
    for name, second in copies.items():
        weights[second] = torch.zeros(weights[name].shape) if stale else weights[name].clone()
    state = edited(base, KINDS[kind])
    for name, second in copies.items():
        assert state["model"][second].shape == state["model"][name].shape
        assert torch.equal(state["model"][second], state["model"][name]) != stale
    assert same_weights(without(state, KINDS[kind]), base)


BIAS = NeuronChange(names(DECODER)[1], 0, 2, torch.tensor(5.0))


@pytest.mark.parametrize(
    "patch", [gate(3), low_rank(1), dense(1), Patch("bias", DECODER, (BIAS,))], ids=lambda one: one.method
)
def test_a_layer_that_is_stored_twice(patch: Patch) -> None:
    state = twin_state()
    with pytest.raises(EditError, match="decoder.layers.1 and decoder.layers.0 hold the same numbers"):
        edited(state, patch)
    pairs = list(zip(*map(names, SITES[2:])))
    shared = {name: one for pair, one in zip(pairs, torch.zeros(3, 1).unbind()) for name in pair}
    new = with_patches(state, [patch], {}, built=shared)
    assert all(new["model"][one] is new["model"][other] for one, other in pairs if other in patch.names)
    apart = with_patches(state, [patch], {}, built={name: torch.zeros(1) for name in shared})
    assert all(torch.equal(apart["model"][one], state["model"][one]) for one, _ in pairs)
    for changed in (new, apart):
        assert not same_weights(changed, state)
        assert same_weights(without(changed, patch), state)


def test_a_patch_that_is_not_there() -> None:
    with pytest.raises(
        EditError, match=f"no patch {gate(4).fingerprint[:12]}..., expected one that was applied"
    ):
        without(edited(new_state(), gate(3)), gate(4))
