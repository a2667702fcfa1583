"""Edits beside a model instead of in its weights: a memory that hooks consult, and that most tokens pass untouched.

The counterpart at run time of patches, after CoachHooK (arXiv 2403.05330): at the edited site a token is changed only
where its response to the memory stands out against what background tokens give; every other token passes bit for bit.
No neuron of the model is overwritten, and nothing is widened.
"""

from __future__ import annotations

from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any, Callable, Dict, Iterator, List, Mapping, Sequence, Tuple, Union

import torch
from torch import Tensor, nn

from fairseq_rome.errors import EditError
from fairseq_rome.host.sites import Site, add_at_tokens, find_sites, layer_at, parameter_names, prepared
from fairseq_rome.patch.changes import Patch

STANDS_OUT = 10.0
"""Default of how many standard deviations above the background's mean a response stands out."""
_OWN_SHARE = 0.7
# Of responses, where a remembered key's own is 1: neurons that the background never uses give it none at all.
_LEAST_DEVIATION = 1e-6

_PARTS = ("fc1.weight", "fc1.bias", "fc2.weight")


@dataclass(frozen=True)
class Gates:
    """Gated neurons beside a layer.

    Args:
        site: the layer.
        detectors: g x d, on the site's input.
        biases: length g; a gate is open where its response, this included, is above zero.
        values: g x d, what each adds at response 1.
    """

    site: Site
    detectors: Tensor
    biases: Tensor
    values: Tensor

    def __call__(
        self, activation: Callable[[Tensor], Tensor], inputs: Tensor, _: Tensor
    ) -> Tuple[Tensor, Tensor]:
        """The positions with an open gate (T x B), and what is added there (n x d)."""
        detectors, biases, values = (
            part.to(inputs.device) for part in (self.detectors, self.biases, self.values)
        )
        response = inputs.to(detectors.dtype) @ detectors.T + biases
        chosen = response.gt(0).any(-1)
        opened = response[chosen]
        return chosen, torch.where(opened > 0, activation(opened), torch.zeros_like(opened)) @ values


@dataclass(frozen=True)
class Keys:
    """A low-rank change beside a layer, made only where a token's key stands out.

    The response of a token to a remembered key is taken along the directions of the change, and is 1 at that key.

    Args:
        site: the layer.
        left: d x r.
        right: f x r; what is added to the value of a key k is left @ right.T @ k.
        directions: m x f, one for each remembered key; the response to it is their product with k.
        mean: length m, of the responses on the background.
        deviation: length m, their standard deviation.
        bars: length m, by how many deviations a response must lie above the mean to open the memory.
    """

    site: Site
    left: Tensor
    right: Tensor
    directions: Tensor
    mean: Tensor
    deviation: Tensor
    bars: Tensor

    @classmethod
    def of(
        cls, site: Site, change: Any, remembered: Tensor, background: Tensor, stands_out: float
    ) -> Keys:
        """The memory of a change.

        Args:
            site: the layer.
            change: of its `fc2.weight`.
            remembered: m x f keys that the change was made for.
            background: n x f keys of background tokens.
            stands_out: the bar of every key; lower for one that would itself hardly stand out, so that it always does.
        """
        own = remembered @ change.right
        directions = (own / own.square().sum(1, keepdim=True)) @ change.right.T
        responses = background @ directions.T
        mean, deviation = responses.mean(0), responses.std(0, unbiased=False).clamp_min(_LEAST_DEVIATION)
        bars = (_OWN_SHARE * (1 - mean) / deviation).clamp_max(stands_out)
        return cls(site, change.left, change.right, directions, mean, deviation, bars)

    def stand_out(self, keys: Tensor) -> Tensor:
        """Which tokens of keys (... x f) respond to any remembered key beyond its bar."""
        directions, mean, deviation, bars = (
            part.to(keys.device) for part in (self.directions, self.mean, self.deviation, self.bars)
        )
        return ((keys.to(directions.dtype) @ directions.T - mean) / deviation).gt(bars).any(-1)

    def __call__(self, _: Any, __: Tensor, keys: Tensor) -> Tuple[Tensor, Tensor]:
        """The positions that stand out (T x B), and what is added there (n x d)."""
        left, right = self.left.to(keys.device), self.right.to(keys.device)
        chosen = self.stand_out(keys)
        return chosen, keys[chosen].to(right.dtype) @ right @ left.T


@dataclass(frozen=True)
class Memory:
    """Edits that are kept beside a model.

    Args:
        entries: what is consulted at each site; several may have the same site.
    """

    entries: Tuple[Union[Gates, Keys], ...]


def memory_of(
    model: nn.Module,
    patches: Sequence[Patch],
    background: Mapping[Site, Tensor],
    stands_out: float = STANDS_OUT,
) -> Memory:
    """The memory that does beside a model what patches do in its weights.

    Args:
        model: names the sites; it stays as it is.
        patches: gated ones, and those of low rank that tell the keys that they were made for.
        background: n x f keys of background tokens, by site; only low-rank changes need them.
        stands_out: deviations from the background's mean, see `Keys`.

    Raises:
        EditError: if a patch changes anything else, or a site's background is missing.
    """
    names = {
        name: (site, part)
        for site in find_sites(model)
        for part, name in parameter_names(model, site).items()
    }
    # By patch as well: beside the model two edits may have been given one neuron.
    neurons: Dict[Tuple[Site, int, int], Dict[str, Tensor]] = {}
    entries: List[Union[Gates, Keys]] = []
    for number, patch in enumerate(patches):
        for change in patch.changes:
            site, part = names.get(change.name, (patch.site, ""))
            if change.gate_part is not None and change.neuron is not None and part in _PARTS:
                neurons.setdefault((site, number, change.neuron), {})[part] = change.gate_part.float()
            elif change.factors is not None and change.name in patch.keys and site in background:
                keys = patch.keys[change.name]
                entries.append(Keys.of(site, change, keys, background[site], stands_out))
            else:
                raise EditError(
                    f"the change of {change.name} can't be kept beside the model: expected gates, or a low-rank change "
                    "with its keys and its site's background"
                )
    return Memory((*_gates(neurons), *entries))


def _gates(neurons: Mapping[Tuple[Site, int, int], Mapping[str, Tensor]]) -> Iterator[Gates]:
    """One entry for all gates of a site."""
    for site in dict.fromkeys(site for site, _, _ in neurons):
        parts = [neuron for (where, _, _), neuron in neurons.items() if where == site]
        if not all(set(part) == set(_PARTS) for part in parts):
            raise EditError(f"a neuron of {site} is changed in part, expected {', '.join(_PARTS)}")
        yield Gates(site, *(torch.stack([part[name] for part in parts]) for name in _PARTS))


@contextmanager
def remembering(model: nn.Module, memory: Memory) -> Iterator[None]:
    """Consult a memory in every forward pass inside the context; the weights stay as they are.

    The model is in eval mode inside, and as before after it.

    Raises:
        EditError: if the model lacks a site of the memory.
    """
    with ExitStack() as stack:
        stack.enter_context(prepared(model))
        for entry in memory.entries:
            layer: Any = layer_at(model, entry.site)
            stack.enter_context(add_at_tokens(model, entry.site, partial(entry, layer.activation_fn)))
        yield
