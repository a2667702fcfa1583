"""Which patch files apply to which weights and after one another, and how the others are refused."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any, Callable, Dict, List, Sequence, Tuple

import pytest
import torch
from patch_samples import (
    DECODER,
    ENCODER,
    SITES,
    dense,
    gate,
    low_rank,
    low_rank_rows,
    names,
    new_state,
    same_weights,
    saved_patches,
)

from fairseq_rome.errors import EditError
from fairseq_rome.patch import (
    Patch,
    PatchFile,
    Stack,
    fitting,
    load_patches,
    merged,
    patch_file,
    patch_files,
    read_stack,
    with_patches,
)

State = Dict[str, Any]
COLUMN = names(DECODER)[2]


def state_with(*patches: Patch, dtype: torch.dtype = torch.float32) -> State:
    state = new_state(dtype)
    return with_patches(state, patches, {}) if patches else state


def made_for(state: State, *patches: Patch) -> PatchFile:
    return patch_file(patches, state, {})


def fit(state: State, *files: PatchFile) -> List[Patch]:
    named = [(f"{number}.safetensors", file) for number, file in enumerate(files, start=1)]
    return fitting(named, state["model"], read_stack(state))


# How a file was made, on what, and where it is then wanted; all of them fit.
FIT: Dict[str, Tuple[Sequence[Patch], Patch, Sequence[Patch]]] = {
    "on the base": ((), low_rank(1), ()),
    "a gate on a gate": ((), gate(1), (gate(2),)),
    "a gate under a gate that it was made on": ((gate(2),), gate(1), ()),
    "a gate without the low-rank change that it was made on": ((low_rank(1),), gate(1), ()),
    "a gate on a low-rank change": ((), gate(1), (low_rank(1),)),
    "a low-rank change where it was made": ((gate(1), low_rank(1)), low_rank(2), (gate(1), low_rank(1))),
    "a low-rank change beside another weight's": ((), low_rank(1), (low_rank(1, ENCODER), gate(1, ENCODER))),
    "a low-rank change of a layer that was widened since": ((), low_rank(1), (gate(9, SITES[2]),)),
    "a low-rank change of rows that were widened since": ((), low_rank_rows(1), (gate(9, SITES[2]),)),
    "a widening gate on a low-rank change of rows": ((low_rank_rows(1),), gate(17), ()),
    "a gate of a layer that was widened since": ((), gate(1), (gate(30),)),
    "a widening gate": ((gate(30),), gate(9), ()),
    "dense on the base": ((), dense(1), ()),
    "dense where it was made": ((gate(1), low_rank(1)), dense(2), (gate(1), low_rank(1))),
    "a gate on a dense change": ((), gate(1), (dense(1),)),
    "dense in a layer that was widened since": ((), dense(1), (gate(9, SITES[2]),)),
}  # fmt: skip


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16])
@pytest.mark.parametrize("name", FIT)
def test_files_that_fit(name: str, dtype: torch.dtype) -> None:
    on, patch, where = FIT[name]
    file = made_for(state_with(*on, dtype=dtype), patch)
    assert fit(state_with(*where, dtype=dtype), file) == [patch]
    base = new_state(dtype)
    before = [made_for(state_with(*where[:number], dtype=dtype), one) for number, one in enumerate(where)]
    assert [p.fingerprint for p in fit(base, *before, file)] == [p.fingerprint for p in (*where, patch)]


TWICE, TAKEN, ORDER = "is there already, expected each patch once", "is taken by the edit of", "out of order"
REFUSED: Dict[str, Tuple[Sequence[Patch], Patch, Sequence[Patch], str]] = {
    "the same again": ((), gate(1), (gate(1),), TWICE),
    "a low-rank change without what it was made on": ((low_rank(1),), low_rank(2), (), "on top of 1 other .* found 0"),
    "a low-rank change on more": ((), low_rank(2), (low_rank(1),), "on top of 0 other .* found 1"),
    "a low-rank change on a gate more": ((), low_rank(2), (gate(1),), ORDER),
    "a low-rank change on others": ((low_rank(3),), low_rank(2), (low_rank(1),), ORDER),
    "dense without what it was made on": ((dense(1),), dense(2), (), "its dense change .* of 1 other .* found 0"),
    "dense on more": ((), dense(2), (low_rank(1),), "its dense change .* on top of 0 other .* found 1"),
    "low rank on a dense change": ((), low_rank(2), (dense(1),), "its low-rank change .* found 1"),
    "two in another order": ((gate(1), low_rank(3)), low_rank(2), (low_rank(3), gate(1)), ORDER),
}  # fmt: skip


@pytest.mark.parametrize("name", REFUSED)
def test_files_that_do_not_fit(name: str) -> None:
    on, patch, where, message = REFUSED[name]
    file = made_for(state_with(*on), patch)
    before = [made_for(state_with(*where[:number]), one) for number, one in enumerate(where)]
    for work in (lambda: fit(state_with(*where), file), lambda: fit(new_state(), *before, file)):
        with pytest.raises(EditError, match=message) as refused:
            work()
        told = str(refused.value)
        assert told.startswith(("1.safetensors: ", f"{len(before) + 1}.safetensors: "))
        assert len(told.splitlines()) == 1


def test_a_neuron_is_taken_once() -> None:
    other = Patch("gated", DECODER, gate(1).changes[:2], about={"id": "9"})
    file = made_for(new_state(), gate(1, id="7"))
    with pytest.raises(
        EditError, match="1.safetensors: neuron 1 of decoder.1 is taken by the edit of request 9"
    ):
        fit(state_with(other), file)


@pytest.mark.parametrize(("patches", "message"), [
    ((gate(1, id="7"), gate(1, id="7")), "its edit of request 7 is there already"),
    ((gate(1, id="7"), replace(gate(1), method="other")), "neuron 1 of decoder.1 is taken by the edit of request 7"),
])  # fmt: skip
def test_a_neuron_is_taken_once_within_a_file(patches: Sequence[Patch], message: str) -> None:
    file = made_for(new_state(), *patches)
    for work in (lambda: fit(new_state(), file), lambda: merged([("1.safetensors", file)])):
        with pytest.raises(EditError, match=f"1.safetensors: {message}"):
            work()


def test_a_neuron_is_taken_once_within_a_patch() -> None:
    twice = Patch("gated", DECODER, gate(1).changes * 2, about={"id": "7"})
    with pytest.raises(EditError, match="neuron 1 of decoder.1 is taken by the edit of request 7"):
        fit(new_state(), made_for(new_state(), twice))


def test_a_layer_that_only_grew_is_known_again() -> None:
    """Patches of one layer widen the others of its stack too, which no patch then names."""
    wide = state_with(gate(30))
    file = made_for(wide, gate(1, SITES[2]))
    assert set(file.before) == set(names(SITES[2])) and not file.after
    assert fitting([("1.safetensors", file)], wide["model"], Stack()) == list(file.patches)


def test_a_mark_of_what_came_before_is_needed() -> None:
    file = replace(made_for(state_with(low_rank(1)), low_rank(2)), before={})
    with pytest.raises(EditError, match="out of order"):
        fit(new_state(), file)


def changed(patch: Patch, **parts: Any) -> Patch:
    first, *rest = patch.changes
    return replace(patch, changes=(replace(first, **parts), *rest))


MISSHAPED: Dict[str, Tuple[Patch, str]] = {
    "a short row": (gate(1, width=5), r"has shape \[5\], expected \[6\]"),
    "a row of one": (gate(1, width=1), r"has shape \[1\], expected \[6\]"),
    "another neuron's old row": (changed(gate(1), old=torch.ones(5)), r"has shape \[5\], expected \[6\]"),
    "no such dimension": (changed(gate(1), dim=2), "index 1 in dimension 2"),
    "a column of fc1": (changed(gate(1), dim=1, new=torch.ones(8)), "index 1 in dimension 1"),
    "a neuron before the first": (changed(gate(1), index=-1), "index -1 in dimension 0"),
    "an embedding": (changed(gate(1), name="decoder.embed.weight"), "index 1 in dimension 0"),
    "integers": (changed(gate(1), new=torch.ones(6, dtype=torch.int64)), "NaN, infinity or integers"),
    "too few rows": (low_rank(1, width=5), r"expected a product of shape \[6, 8\]"),
    "two ranks": (changed(low_rank(1), right=torch.ones(8, 2)), "one rank"),
    "a dense one with too few rows": (dense(1, width=5), r"has shape \[5, 8\], expected \[6, 8\]"),
    "a dense row": (changed(dense(1), delta=torch.ones(8)), r"has shape \[8\], expected \[6, 8\]"),
    "an embedding of another size": (
        changed(dense(1), name="decoder.embed.weight", delta=torch.ones(8, 6)), r"has shape \[8, 6\], expected \[9, 6\]"
    ),
    "dense integers": (changed(dense(1), delta=torch.ones(6, 8, dtype=torch.int64)), "NaN, infinity or integers"),
    "dense NaN": (changed(dense(1), delta=torch.full((6, 8), float("nan"))), "NaN, infinity or integers"),
    "a factor of one dimension": (changed(low_rank(1), left=torch.ones(6)), "expected two matrices"),
    "NaN in a gate": (changed(gate(1), new=torch.full((6,), float("nan"))), "NaN, infinity or integers"),
    "infinity in a factor": (changed(low_rank(1), left=torch.full((6, 1), float("inf"))), "NaN, infinity or integers"),
}


@pytest.mark.parametrize("name", MISSHAPED)
def test_what_can_not_be_made_in_the_weights_is_refused(name: str) -> None:
    patch, message = MISSHAPED[name]
    with pytest.raises(EditError, match=f"1.safetensors: the change of {patch.changes[0].name} .*{message}"):
        fit(new_state(), made_for(new_state(), patch))


BASES: Dict[str, Tuple[Callable[[], State], str]] = {
    "other weights": (lambda: new_state(seed=1), "made for another checkpoint"),
    "another type": (lambda: new_state(torch.float16), "is float16, expected float32"),
    "another width": (lambda: cut(new_state()), r"has shape \[6, 6\], expected \["),
    "no such layer": (lambda: without(new_state(), COLUMN), f"the model has no weight {COLUMN}"),
}


def cut(state: State) -> State:
    row, bias, column = names(DECODER)
    weights = state["model"]
    weights.update({row: weights[row][:6], bias: weights[bias][:6], column: weights[column][:, :6]})
    return state


def without(state: State, name: str) -> State:
    del state["model"][name]
    return state


@pytest.mark.parametrize(
    "patch", [gate(1), low_rank(1), gate(30), dense(1)], ids=["gate", "low-rank", "widening", "dense"]
)
@pytest.mark.parametrize("name", BASES)
def test_another_base_is_refused(name: str, patch: Patch) -> None:
    other, message = BASES[name]
    with pytest.raises(EditError, match=message):
        fit(other(), made_for(new_state(), patch))


def test_weights_that_have_lost_their_list_are_known_again() -> None:
    first = state_with(gate(1), low_rank(1))
    second = with_patches(first, [low_rank(2)], {})
    files = [made_for(first, low_rank(2)), made_for(second, low_rank(3)), made_for(second, gate(4))]
    weights = first["model"]
    named = [(str(number), file) for number, file in enumerate(files)]
    assert len(fitting(named, weights, Stack())) == 3
    with pytest.raises(EditError, match="made for another checkpoint"):
        fitting(named[1:], weights, Stack())


def test_gates_in_another_order_are_the_same_weights() -> None:
    patch = low_rank(1)
    assert fit(state_with(gate(2), gate(1)), made_for(state_with(gate(1), gate(2)), patch)) == [patch]


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16])
def test_one_file_for_each_patch(dtype: torch.dtype) -> None:
    base = new_state(dtype)
    start = with_patches(base, [low_rank(8), gate(5)], {})
    patches = [low_rank(1), gate(11), gate(2), dense(3), low_rank(2), gate(3, ENCODER), low_rank(3, ENCODER)]
    files = list(patch_files(patches, start, {"seed": 1}))
    assert [file.patches for file in files] == [(patch,) for patch in patches]
    whole = with_patches(start, patches, {})
    assert same_weights(with_patches(start, fit(start, *files), {}), whole)
    for number, file in enumerate(files):
        state = with_patches(start, patches[:number], {}) if number else start
        assert made_for(state, patches[number]) == PatchFile(*[*vars(file).values()][:4], {})
    first = made_for(base, low_rank(8), gate(5))
    assert same_weights(with_patches(base, fit(base, first, *files), {}), whole)
    with pytest.raises(EditError, match="out of order"):
        fit(start, files[1], files[0])


def test_merged_files_are_one(tmp_path: Path) -> None:
    base = state_with(low_rank(8))
    patches = [low_rank(1), gate(11), low_rank(2, rank=2), dense(1), gate(3, ENCODER)]
    files = list(patch_files(patches, base, {"torch": "2", "seed": 1, "edits": [{}]}))
    one = merged([(str(number), file) for number, file in enumerate(files)])
    assert one.patches == tuple(patches)
    assert one.info == {"torch": "2", "seed": 1, "edits": [{}] * 5}
    expected = made_for(base, *patches)
    assert (one.base, one.before, one.after) == (expected.base, expected.before, expected.after)
    assert same_weights(with_patches(base, fit(base, one), {}), with_patches(base, patches, {}))
    path = saved_patches(tmp_path / "a.safetensors", base, *patches)
    assert load_patches(str(path)).after == one.after


@pytest.mark.parametrize(("order", "message"), [
    ((0, 0), TWICE), ((1, 0), ORDER), ((0, 2), ORDER), ((0, 1, 3), "another checkpoint"), ((3, 0), "for another"),
])  # fmt: skip
def test_files_that_can_not_be_merged(order: Sequence[int], message: str) -> None:
    files = list(patch_files([low_rank(1), gate(1), low_rank(2)], new_state(), {}))
    files.append(made_for(new_state(seed=1), gate(2)))
    with pytest.raises(EditError, match=message):
        merged([(f"{number}.safetensors", files[number]) for number in order])
