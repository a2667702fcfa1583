"""A second model beside the one that is open, in little more memory than one of them takes."""

from __future__ import annotations

from typing import Callable, Dict, Mapping, Optional

import torch
from torch import Tensor, nn

from fairseq_rome.host.checkpoint import parts_of, same_bits


def built_beside(model: nn.Module, stored: Mapping[str, Tensor], build: Callable[[], nn.Module]) -> nn.Module:
    """Build a second model; meanwhile the first has no weights but those that its checkpoint does not hold.

    Afterwards the first has its weights again, bit for bit, and shares with the second the memory of those that are
    equal. So what changes a weight of either puts a new tensor in its place (see `apply_` and `restore_`).

    Args:
        model: a model that is open; weights on another device than the CPU stay where they are.
        stored: the weights of its checkpoint, by name.
        build: makes the second model, on the CPU.
    """
    aside: Dict[str, Tensor] = {}
    second: Optional[nn.Module] = None
    for name, parameter in model.named_parameters():
        if parameter.device.type == "cpu" and _cast_is(stored.get(name), parameter):
            aside[name] = stored[name]
    try:
        for name in aside:
            parameter = model.get_parameter(name)
            parameter.data = parameter.new_empty(0)
        second = build()
    finally:
        others = {} if second is None else dict(second.named_parameters())
        for name, weight in aside.items():
            parameter, other = model.get_parameter(name), others.get(name)
            if other is not None and _cast_is(weight, other):
                parameter.data = other.data
            else:
                parameter.data = weight.to(parameter.dtype, copy=True)
    return second


def _cast_is(stored: Optional[Tensor], weight: Tensor) -> bool:
    """Whether a stored weight, in the type of a weight, is the same bit for bit."""
    if stored is None or stored.shape != weight.shape:
        return False
    with torch.no_grad():
        parts = zip(parts_of(stored), parts_of(weight.detach()))
        return all(same_bits(one.to(two.dtype), two) for one, two in parts)
