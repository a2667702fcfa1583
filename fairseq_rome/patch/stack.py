"""The patches of a checkpoint, kept in it with what it takes to take each of them out again.

Beside its edited weights a checkpoint holds its patches in order. It also holds marks of every weight that they change,
as it was before all of them and as it is with them. Of a weight that a change was added to it keeps the unedited copy,
because what rounding lost can't be computed back. A neuron's old row and column stand in its patch.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field, replace
from typing import Any, Collection, Dict, Iterable, List, Mapping, Optional, Sequence, Tuple

import torch
from torch import Tensor

from fairseq_rome.errors import EditError
from fairseq_rome.host.checkpoint import PROVENANCE, State, aliases, edited_state, fingerprint
from fairseq_rome.patch.changes import Patch, width_dim
from fairseq_rome.patch.composing import composed, narrowed, stack_of, width_of
from fairseq_rome.patch.marks import Mark
from fairseq_rome.patch.packing import joined, packed, parted, unpacked

LEDGER = "fairseq_rome_patches"
"""The key in ``extra_state`` under which a checkpoint keeps its patches."""

_FIRST, _SECOND = ".fc1.weight", ".fc2.weight"


@dataclass(frozen=True)
class Stack:
    """The patches of a checkpoint.

    Args:
        patches: in the order in which they were made.
        base: weights as they were before all patches, for those that a low-rank or dense change adds to.
        marks: of every weight that patches change or widen, as it was before all of them.
        now: of the same weights, with all patches.
        origin: fingerprint of all weights before all patches; empty where there are none, or no file was read.
    """

    patches: Tuple[Patch, ...] = ()
    base: Mapping[str, Tensor] = field(default_factory=dict)
    marks: Mapping[str, Mark] = field(default_factory=dict)
    now: Mapping[str, Mark] = field(default_factory=dict)
    origin: str = ""


def read_stack(state: Mapping[str, Any]) -> Stack:
    """The patches that a checkpoint's state holds.

    Raises:
        EditError: if what it holds is damaged.
    """
    kept = (state.get("extra_state") or {}).get(LEDGER)
    if kept is None:
        return Stack()
    try:
        marks, now = (
            {name: Mark.from_plain(values) for name, values in kept[when].items()}
            for when in ("marks", "now")
        )
        records = json.loads(kept["patches"])
        patches = unpacked(records, parted(kept["tensors"], json.loads(kept["places"])))
        found = Stack(patches, dict(kept["base"]), marks, now, str(kept["origin"]))
        _check_whole(found)
        return found
    except (AttributeError, KeyError, RuntimeError, TypeError, ValueError) as error:
        raise EditError(
            f"the checkpoint's list of patches is damaged ({type(error).__name__}: {error})"
        ) from error


def _check_whole(stack: Stack) -> None:
    """Raise ValueError where parts of a list of patches are missing."""
    named = {name for patch in stack.patches for name in patch.names}
    added_to = {name for patch in stack.patches for name in patch.added_to}
    if set(stack.now) != set(stack.marks) or not named <= set(stack.marks) or set(stack.base) != added_to:
        raise ValueError("it does not tell of each weight that its patches change")


def base_weights(state: Mapping[str, Any], stack: Stack) -> Dict[str, Tensor]:
    """The weights that patches changed or widened, as they were before all of them.

    Args:
        state: of the edited checkpoint.
        stack: its patches.

    Raises:
        EditError: if the unedited weights can't be brought back bit for bit, because something else has changed one of
            them since, be it one that no patch touches.
    """
    weights = state["model"]
    for name, mark in stack.now.items():
        if name not in weights:
            raise EditError(f"the checkpoint has patches of {name}, but no such weight")
        _check(name, weights[name], mark)
    undone = _undone({name: weights[name] for name in stack.marks if name not in stack.base}, stack)
    found = {**undone, **stack.base}
    for name, mark in stack.marks.items():
        _check(f"{name} without its patches", found[name], mark)
    whole = fingerprint(edited_state(state, found, {}, resize=True)) if stack.patches else stack.origin
    if whole != stack.origin:
        raise EditError(
            f"without patches the weights are {whole[:12]}..., expected {stack.origin[:12]}...: one that no patch "
            "touches was changed by something else since"
        )
    return found


def with_patches(
    state: Mapping[str, Any],
    patches: Sequence[Patch],
    provenance: Mapping[str, Any],
    *,
    built: Optional[Mapping[str, Tensor]] = None,
    optimizer: bool = True,
    known: str = "",
) -> State:
    """The state of a checkpoint with more patches; the given state stays as it is.

    Args:
        state: from `read_state`, edited before or not.
        patches: to be made in this order after those that it has.
        provenance: what was done, in plain types.
        built: as for `edited_state`.
        optimizer: keep the optimizer state.
        known: fingerprint of the state's weights; empty if it is still to be computed.

    Raises:
        EditError: as for `edited_state` and `base_weights`; if a patch has something beside the weights; or if without
            `built` it can't be told whether a weight is shared.
    """
    _check_weights_alone(patches)
    stack = read_stack(state)
    weights = state["model"]
    before = {**weights, **base_weights(state, stack)}
    changed = composed(weights, patches, built)
    if built is None:
        _check_alone(weights, changed)
    origin = stack.origin or known or fingerprint(weights)
    marks = {name: Mark.of(weights[name]) for name in changed if name not in stack.marks}
    added_to = {name: before[name] for patch in patches for name in patch.added_to}
    rooted = [_rooted(patch, before) for patch in patches]
    whole = Stack(
        (*stack.patches, *rooted), {**stack.base, **added_to}, {**stack.marks, **marks}, origin=origin
    )
    return _state(state, changed, whole, provenance, built, optimizer)


def without_patches(
    state: Mapping[str, Any], taken_out: Collection[str], provenance: Mapping[str, Any]
) -> State:
    """The state of a checkpoint as the remaining patches, in their order, make it of its base.

    Args:
        state: from `read_state`.
        taken_out: fingerprints of the patches to take out.
        provenance: what was done, in plain types; told only where a patch remains.

    Raises:
        EditError: if the checkpoint has no such patch, and as for `base_weights`.
    """
    stack = read_stack(state)
    missing = set(taken_out) - {patch.fingerprint for patch in stack.patches}
    if missing:
        raise EditError(
            f"the checkpoint has no patch {min(missing)[:12]}..., expected one that was applied to it"
        )
    rest = tuple(patch for patch in stack.patches if patch.fingerprint not in taken_out)
    before = base_weights(state, stack)
    changed = {**before, **composed({**state["model"], **before}, rest)}
    added_to = {name for patch in rest for name in patch.added_to}
    named = {name for patch in rest for name in patch.names}
    wide = {stack_of(name) for name in changed if changed[name].shape != before[name].shape}
    kept = {
        name: mark for name, mark in stack.marks.items() if name in named or stack_of(name) in wide - {""}
    }
    base = {name: weight for name, weight in stack.base.items() if name in added_to}
    new = _state(state, changed, Stack(rest, base, kept, origin=stack.origin), provenance, None, True)
    _forget(new, set(taken_out), not rest)
    return new


def _check_weights_alone(patches: Sequence[Patch]) -> None:
    for patch in patches:
        if patch.beside:
            raise EditError(
                f"a checkpoint can't hold what {patch.method} makes ({patch.describe()}), expected it in a patch file "
                "that is put beside the model by --edit-patches"
            )


def _check(name: str, weight: Tensor, expected: Mark) -> None:
    found = Mark.of(weight)
    if found != expected:
        raise EditError(
            f"{name} {found.told_against(expected)}: it was changed by something else since its edits"
        )


def _check_alone(weights: Mapping[str, Tensor], names: Iterable[str]) -> None:
    """Refuse to change one of two equal layers: averaging checkpoints stores a shared layer once for each name."""
    layers = {name[: -len(_FIRST)]: name for name in weights if stack_of(name) and name.endswith(_FIRST)}
    stored = aliases(weights)
    for layer in {name.rsplit(".", 2)[0] for name in names if stack_of(name)}:
        for other, first in layers.items():
            if f"{layer}{_FIRST}" not in stored[first] and _same_layers(weights, layer, other):
                raise EditError(
                    f"{layer} and {other} hold the same numbers, and may be one layer of the model or two: expected "
                    "fairseq-edit --edit-patches, or patches at load time, which look at the model itself"
                )


def _same_layers(weights: Mapping[str, Tensor], layer: str, other: str) -> bool:
    pairs = [(weights.get(f"{layer}{part}"), weights.get(f"{other}{part}")) for part in (_FIRST, _SECOND)]
    return all(
        one is not None and two is not None and one.shape == two.shape and torch.equal(one, two)
        for one, two in pairs
    )


def _rooted(patch: Patch, base: Mapping[str, Tensor]) -> Patch:
    """A patch whose changes know what stood at their places before all patches.

    It may have been made on top of other patches that these weights don't have, or will lose.
    """
    return replace(patch, changes=tuple(change.rooted(base[change.name]) for change in patch.changes))


def _undone(weights: Mapping[str, Tensor], stack: Stack) -> Dict[str, Tensor]:
    """Weights that no change has added to, as they were before all patches."""
    new = {name: weight.clone() for name, weight in weights.items()}
    for patch in reversed(stack.patches):
        for change in reversed(patch.changes):
            if change.name in new:
                change.undo_(new[change.name])
    for name, mark in stack.marks.items():
        if name in new and new[name].shape != mark.shape:
            new[name] = narrowed(name, new[name], mark.shape[width_dim(name) or 0])
    return new


def _state(
    state: Mapping[str, Any],
    changed: Mapping[str, Tensor],
    stack: Stack,
    provenance: Mapping[str, Any],
    built: Optional[Mapping[str, Tensor]],
    optimizer: bool,
) -> State:
    widths = {
        f"{stack_of(name)}_ffn_embed_dim": width_of(name, weight)
        for name, weight in changed.items()
        if stack_of(name) and weight.shape != state["model"][name].shape
    }
    new = edited_state(
        state, changed, provenance, built=built, model_cfg=widths, resize=bool(widths), optimizer=optimizer
    )
    records, tensors = packed(stack.patches)
    flat, places = joined(tensors)
    new["extra_state"][LEDGER] = {
        # These are texts because torch reads containers slowly.
        "patches": json.dumps(records, ensure_ascii=False),
        "places": json.dumps(places),
        "tensors": flat,
        "base": dict(stack.base),
        "marks": {name: mark.as_plain() for name, mark in stack.marks.items()},
        "now": {name: Mark.of(new["model"][name]).as_plain() for name in stack.marks},
        "origin": stack.origin,
    }
    return new


def _forget(state: State, taken_out: Collection[str], all_gone: bool) -> None:
    """Remove patches from the history of a state.

    If no patch remains, the runs that made them and the run that took them out are removed as well.
    """
    extra = state["extra_state"]
    history: List[Dict[str, Any]] = extra[PROVENANCE]
    for run in history:
        run["edits"] = [edit for edit in run.get("edits", []) if edit.get("patch") not in taken_out]
    if not all_gone:
        return
    del extra[LEDGER], extra[PROVENANCE]
    rest = [run for run in history if run["edits"]]
    if rest:
        extra[PROVENANCE] = rest
