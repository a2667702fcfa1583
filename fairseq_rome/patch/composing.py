"""The weights that patches make of other weights: pure functions of tensors by name.

Changes are made one after the other, and each is rounded to the weight's own type. So a stack of patches gives the same
bits whether it was made in one run, in several, at load time, or again without one of them.
"""

from __future__ import annotations

import re
from typing import Dict, Iterable, Mapping, Optional, Sequence

import torch
from torch import Tensor

from fairseq_rome.host.checkpoint import aliases
from fairseq_rome.patch.changes import Patch, width_dim

_PART = re.compile(r"(?:.*\.)?(encoder|decoder)\.[^.]*layers\.\d+\.(fc[13]\.weight|fc[13]\.bias|fc[24]\.weight)")
# Neurons; layers grow to a multiple of it. Matrix products of other sizes are slower, a larger step wastes memory.
_STEP = 8


def composed(
    weights: Mapping[str, Tensor], patches: Sequence[Patch], built: Optional[Mapping[str, Tensor]] = None
) -> Dict[str, Tensor]:
    """New tensors for the weights that patches change, in the types of the old ones.

    Where a patch has neurons past the end of a layer, all feed-forward layers of that stack grow to one width, because
    a fairseq checkpoint tells one width for a stack. The width is a multiple of eight, and what no patch fills is zero.
    A weight with several names is given under the name that patches use, or else the first.

    Args:
        weights: all weights of the model by name; they stay as they are.
        patches: in the order in which they are made.
        built: the built model's ``state_dict()``, where averaging may have stored shared weights apart.
    """
    grown = grown_widths(weights, patches)
    names = dict.fromkeys(name for patch in patches for name in patch.names)
    stored, shared = aliases(weights), aliases(built or {})
    for name in weights:
        if stack_of(name) in grown and not names.keys() & {*stored[name], *shared.get(name, ())}:
            names[name] = None
    new = {name: widened(name, weights[name], grown.get(stack_of(name), 0)) for name in names}
    with torch.no_grad():
        for patch in patches:
            for change in patch.changes:
                change.apply_(new[change.name])
    return new


def grown_widths(weights: Mapping[str, Tensor], patches: Iterable[Patch]) -> Dict[str, int]:
    """The new width of each stack (`encoder`, `decoder`) that patches widen; nothing for others."""
    widths: Dict[str, int] = {}
    for patch in patches:
        for change in patch.changes:
            width = change.needed_width(weights[change.name])
            if width:
                stack = stack_of(change.name)
                widths[stack] = max(widths.get(stack, 0), -(-width // _STEP) * _STEP)
    return widths


def stack_of(name: str) -> str:
    """`encoder` or `decoder` for a weight that grows with the feed-forward width; empty for others."""
    match = _PART.fullmatch(name)
    return match.group(1) if match else ""


def width_of(name: str, weight: Tensor) -> int:
    """The feed-forward width that a weight tells."""
    return weight.shape[_dim(name)]


def widened(name: str, weight: Tensor, width: int) -> Tensor:
    """A copy of a feed-forward weight of at least some width; what is added is zero."""
    shape = list(weight.shape)
    if width > 0:
        shape[_dim(name)] = max(width, shape[_dim(name)])
    new = weight.new_zeros(shape)
    with torch.no_grad():
        new[tuple(slice(size) for size in weight.shape)] = weight
    return new


def narrowed(name: str, weight: Tensor, width: int) -> Tensor:
    """A copy of the first `width` neurons of a feed-forward weight."""
    return weight.narrow(_dim(name), 0, width).clone()


def _dim(name: str) -> int:
    dim = width_dim(name)
    if dim is None:
        raise ValueError(f"{name} does not tell a feed-forward width")
    return dim
