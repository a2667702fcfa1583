"""The patches between two checkpoints that differ in a few neurons, or by low-rank changes of feed-forward weights."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any, Dict, Iterable, List, Mapping, Optional, Sequence, Tuple, Union

import torch
from torch import Tensor

from fairseq_rome.host.checkpoint import aliases, tensor_fingerprint
from fairseq_rome.host.checkpoint.tensors import is_marker
from fairseq_rome.host.sites import Site
from fairseq_rome.patch.changes import Change, Patch, width_dim
from fairseq_rome.patch.composing import composed, stack_of, widened, width_of
from fairseq_rome.patch.fitting import neuron_places, told
from fairseq_rome.patch.low_rank_change import LowRankChange
from fairseq_rome.patch.neuron_change import NeuronChange
from fairseq_rome.patch.stack import read_stack

# Largest share of a layer's neurons, or of the rank that its weight can have. A patch of more would tell no more than
# the weight itself, and a smaller share would refuse small layers with several edits.
_FEW = 1 / 4
# Factor on the bound of rounding noise (in the spectral norm). Many patches round many times, so noise may exceed the
# bound of one rounding; a larger factor hides small changes.
_SPARE = 2.0
# Largest share of the differing numbers that a low-rank change may leave off. Rounding hides where between two numbers
# a change lay, so some are always off; if most are, the difference has no low rank.
_MOST_OFF = 1 / 2
_COPY = re.compile(r"(.*\.fc[12])_(weight|bias)")
_KINDS = {"embed": "embeddings", "attn": "attention", "layer_norm": "layer norm", "layernorm": "layer norm"}


@dataclass(frozen=True)
class Comparison:
    """What two checkpoints differ in.

    Args:
        patches: they turn the first into the second; empty where both are alike, or differ in another way.
        reasons: the other ways in which they differ, one for each weight.
        off: how many numbers of the second the patches do not give bit for bit.
        ulps: the largest error of these, in units in the last place of the larger of the two checkpoints' numbers.
    """

    patches: Tuple[Patch, ...] = ()
    reasons: Tuple[str, ...] = ()
    off: int = 0
    ulps: float = 0.0


def compare(first: Mapping[str, Any], second: Mapping[str, Any]) -> Comparison:
    """Find the patches that make one checkpoint's weights of another's.

    If the second lists patches that the first lacks, and they give its weights bit for bit, these are the answer. Else
    the weights are compared. A few rows of `fc1` or columns of `fc2` that differ become neuron changes, exactly. Where
    many differ, the difference becomes a low-rank change if its numerical rank is low, up to the rounding of the type.

    Args:
        first: a checkpoint's state.
        second: the other's.
    """
    known = _known(first, second)
    if known:
        return Comparison(known)
    old, new = _compared(first["model"], second["model"])
    reasons = _other_differences(old, new)
    changes: Dict[Site, List[Change]] = {}
    for site, names in _layers(old).items() if not reasons else ():
        found = _layer_changes({name: (old[name], new[name]) for name in names}, reasons)
        if found:
            changes[site] = found
    if reasons or not changes:
        return Comparison(reasons=tuple(reasons))
    patches = tuple(Patch("diff", site, tuple(found)) for site, found in changes.items())
    taken = _taken(patches, read_stack(first).patches)
    return Comparison(reasons=taken) if taken else _verified(old, new, patches)


def _known(first: Mapping[str, Any], second: Mapping[str, Any]) -> Tuple[Patch, ...]:
    """The patches that a checkpoint holds beyond another's, if they make its weights of the other's."""
    after = read_stack(second).patches
    before = {patch.fingerprint for patch in read_stack(first).patches}
    more = tuple(patch for patch in after if patch.fingerprint not in before)
    if not before <= {patch.fingerprint for patch in after}:
        return ()
    old, new = _compared(first["model"], second["model"])
    if set(old) != set(new) or not all(name in old for patch in more for name in patch.names):
        return ()
    made = {**old, **composed(old, more)}
    return more if all(_same(made[name], new[name]) for name in new) else ()


def _compared(
    first: Mapping[str, Tensor], second: Mapping[str, Tensor]
) -> Tuple[Dict[str, Tensor], Dict[str, Tensor]]:
    """The weights of both that count: no markers, and none that only follow another in both."""
    groups = [aliases(weights) for weights in (first, second)]

    def follows(name: str) -> bool:
        match = _COPY.fullmatch(name)
        origins = {group[name][0] for group in groups if name in group} - {name}
        if match:
            origins.add(f"{match.group(1)}.{match.group(2)}")
        return any(
            all(
                name not in weights or _equal(weights.get(origin), weights[name])
                for weights in (first, second)
            )
            for origin in origins
        )

    left_out = {name for name in {**first, **second} if is_marker(name) or follows(name)}
    old, new = ({n: w for n, w in weights.items() if n not in left_out} for weights in (first, second))
    return old, new


def _equal(one: Optional[Tensor], other: Tensor) -> bool:
    return one is not None and _same(one, other)


def _same(one: Tensor, other: Tensor) -> bool:
    return one is other or tensor_fingerprint(one) == tensor_fingerprint(other)


def _layers(names: Iterable[str]) -> Dict[Site, List[str]]:
    """The feed-forward weights of each layer, `fc1` before `fc2`."""
    found: Dict[Site, List[str]] = {}
    for name in sorted(names):
        site = Site.of_weight(name)
        if site is not None:
            found.setdefault(site, []).append(name)
    return found


def _other_differences(old: Mapping[str, Tensor], new: Mapping[str, Tensor]) -> List[str]:
    """Every way in which weights differ that no patch could tell."""
    reasons = [f"{name}: only the first checkpoint has it" for name in old if name not in new]
    reasons += [f"{name}: only the second checkpoint has it" for name in new if name not in old]
    for name in old:
        if name not in new or _same(old[name], new[name]):
            continue
        one, other = old[name], new[name]
        if one.dtype != other.dtype:
            reasons.append(f"{name}: {_told(one.dtype)} became {_told(other.dtype)}")
        elif one.shape != other.shape and not _grew(name, one, other):
            reasons.append(f"{name}: shape {list(one.shape)} became {list(other.shape)}")
        elif not stack_of(name):
            reasons.append(f"{name} ({_kind(name)}): {_extent(one, other)}")
    return reasons


def _grew(name: str, old: Tensor, new: Tensor) -> bool:
    if not stack_of(name) or old.dim() != new.dim():
        return False
    width = width_of(name, new)
    return width > width_of(name, old) and widened(name, old, width).shape == new.shape


def _told(dtype: torch.dtype) -> str:
    return str(dtype).replace("torch.", "")


def _kind(name: str) -> str:
    kinds = [kind for part, kind in _KINDS.items() if part in name]
    return kinds[0] if kinds else "bias" if name.endswith("bias") else "no feed-forward weight"


def _extent(old: Tensor, new: Tensor) -> str:
    moved = old.ne(new)
    text = f"{int(moved.sum())} of {moved.numel()} numbers differ"
    return text + f", in {int(moved.any(1).sum())} of {len(moved)} rows" if moved.dim() == 2 else text


def _layer_changes(parts: Mapping[str, Tuple[Tensor, Tensor]], reasons: List[str]) -> List[Change]:
    """The changes of one layer, low-rank ones first; what is neither is added to the reasons.

    Neurons whose row of `fc1` differs are gates: their column of `fc2` is theirs too, and no part of a low-rank change.
    """
    low_rank: List[Change] = []
    single: List[Change] = []
    taken: List[int] = []
    for name, (old, new) in parts.items():
        dim, width = width_dim(name) or 0, width_of(name, new)
        wide = widened(name, old, width)
        moved = _moved(wide, new, dim)
        added = [index for index in moved if index >= width_of(name, old)]
        if len(moved) > _FEW * width:
            kept = sorted({*added, *(taken if dim else ())})
            found = _low_rank(name, wide, new, dim, kept) if new.dim() == 2 else f"{name}: {_extent(wide, new)}"
            if isinstance(found, str):
                reasons.append(found)
                continue
            low_rank.append(found)
            moved = kept
        elif dim == 0:
            taken += moved
        for index in moved:
            before = old.select(dim, index).clone() if index < width_of(name, old) else None
            single.append(NeuronChange(name, dim, index, new.select(dim, index).clone(), before))
    return low_rank + single


def _moved(old: Tensor, new: Tensor, dim: int) -> List[int]:
    """The neurons whose numbers differ in any bit that counts."""
    differs = old.ne(new) | (old.eq(0) & new.eq(0) & old.signbit().ne(new.signbit()))
    flat = differs if differs.dim() == 1 else differs.any(1 - dim)
    return [int(index) for index in flat.nonzero().flatten()]


def _low_rank(
    name: str, old: Tensor, new: Tensor, dim: int, kept: Sequence[int]
) -> Union[LowRankChange, str]:
    """The change of a weight but for some neurons, counted in `dim`; or in words why it is none of low rank."""
    apart = torch.tensor(kept, dtype=torch.int64)
    difference = (new.double() - old.double()).index_fill(dim, apart, 0.0)
    left, values, right = torch.linalg.svd(difference, full_matrices=False)
    half = _ulp(new, new.dtype) / 2
    noise = _SPARE * (half.norm(dim=0).max() + half.norm(dim=1).max())
    rank = int((values > noise).sum())
    if rank == 0:
        return f"{name}: {_extent(old, new)}, by no more than rounding"
    if rank > _FEW * len(values):
        return f"{name}: full rank or nearly so ({rank} of {len(values)}): no low-rank change, and no few neurons"
    scale = values[:rank].sqrt()
    change = LowRankChange(name, (left[:, :rank] * scale).float(), (right[:rank].T * scale).float())
    made = old.clone()
    change.apply_(made)
    off = made.ne(new)
    if off.sum() - off.index_select(dim, apart).sum() > _MOST_OFF * old.ne(new).sum():
        return f"{name}: {_extent(old, new)}, and a change of rank {rank} gives too few of them"
    return change


def _taken(patches: Sequence[Patch], earlier: Sequence[Patch]) -> Tuple[str, ...]:
    """Every way in which patches would change a neuron that an earlier one has, which no patch may."""
    owners = {place: patch for patch in earlier for place in neuron_places(patch)}
    reasons = [
        f"neuron {place[1]} of {patch.site} is of the edit of {told(owners[place])}, which the second checkpoint lacks "
        "or has otherwise; fairseq-edit-patch revert takes it out of the first"
        for patch in patches
        for place in neuron_places(patch)
        if place in owners
    ]
    return tuple(dict.fromkeys(reasons))


def _ulp(numbers: Tensor, dtype: torch.dtype) -> Tensor:
    """The unit in the last place of each number, in float64."""
    info = torch.finfo(dtype)
    exponent = torch.frexp(numbers.double().abs().clamp_min(info.tiny)).exponent
    return info.eps * torch.exp2((exponent - 1).double())


def _verified(old: Mapping[str, Tensor], new: Mapping[str, Tensor], patches: Tuple[Patch, ...]) -> Comparison:
    """The patches, with how near they come; none where they can't give the second checkpoint's shapes."""
    off, ulps = 0, 0.0
    made = {**old, **composed(old, patches)}
    for name, wanted in new.items():
        found = made[name]
        if found.shape != wanted.shape:
            width, ours = width_of(name, wanted), width_of(name, found)
            return Comparison(reasons=(f"{name}: widened to {width}, expected {ours}, as a patch widens it",))
        if _same(found, wanted):
            continue
        unit = _ulp(
            torch.maximum(wanted.abs(), widened(name, old[name], width_of(name, wanted)).abs()), wanted.dtype
        )
        off += int(found.ne(wanted).sum())
        ulps = max(ulps, float(((found.double() - wanted.double()).abs() / unit).max()))
    return Comparison(patches, off=off, ulps=ulps)
