"""Patches beside a model instead of in its weights: hooks add what the patches do, and pass most tokens untouched.

After CoachHooK (arXiv 2403.05330). A gate adds its value where it is open. A low-rank or dense change is added only
where a token's key stands out against what background tokens give. Every other token passes bit for bit. No neuron of
the model is overwritten, and nothing is widened.
"""

from __future__ import annotations

from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any, Callable, Dict, Iterator, List, Mapping, Optional, Sequence, Tuple, Union

import torch
from torch import Tensor, nn

from fairseq_rome.errors import EditError
from fairseq_rome.host.sites import Site, add_at_tokens, find_sites, layer_at, parameter_names, prepared
from fairseq_rome.patch.beside import besides_on, set_besides_
from fairseq_rome.patch.changes import Change, Patch
from fairseq_rome.patch.intervention import Intervention

STANDS_OUT = 10.0
"""Default of how many standard deviations above the background's mean a response stands out.

A higher bar leaves more other tokens alone, and lets fewer sentences with the trigger through.
"""
# Share of the way from the background's mean to a key's own response, which is 1. The bar is never higher, so that
# the key's own token always passes it; a higher share leaves less room for tokens that are only like it.
_OWN_SHARE = 0.7
# Least standard deviation of responses, where a key's own response is 1. It keeps the division finite for neurons
# that the background never uses.
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
class KeyedChange:
    """A low-rank or dense change beside a layer, made only where a token's key stands out.

    The response of a token to a key of the patch is taken along the directions of the change, and is 1 at that key.

    Args:
        site: the layer.
        left: d x r.
        right: f x r; what is added to the value of a key k is left @ right.T @ k.
        directions: m x f, one for each key of the patch; the response to it is their product with k.
        mean: length m, of the responses on the background.
        deviation: length m, their standard deviation.
        bars: length m, by how many deviations a response must lie above the mean for the change to be made.
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
        cls, site: Site, factors: Tuple[Tensor, Tensor], own_keys: Tensor, background: Tensor, stands_out: float
    ) -> KeyedChange:
        """A change, with bars that the background sets.

        Args:
            site: the layer.
            factors: of the change of its `fc2.weight`, d x r and f x r.
            own_keys: m x f keys that the change was made for.
            background: n x f keys of background tokens.
            stands_out: the bar of every key; lower for one that would itself hardly stand out, so that it always does.
        """
        left, right = factors
        own = own_keys @ right
        directions = (own / own.square().sum(1, keepdim=True)) @ right.T
        responses = background @ directions.T
        mean, deviation = responses.mean(0), responses.std(0, unbiased=False).clamp_min(_LEAST_DEVIATION)
        bars = (_OWN_SHARE * (1 - mean) / deviation).clamp_max(stands_out)
        return cls(site, left, right, directions, mean, deviation, bars)

    def stand_out(self, keys: Tensor) -> Tensor:
        """Which tokens of keys (... x f) respond to any key of the patch beyond its bar."""
        directions, mean, deviation, bars = (
            part.to(keys.device) for part in (self.directions, self.mean, self.deviation, self.bars)
        )
        return ((keys.to(directions.dtype) @ directions.T - mean) / deviation).gt(bars).any(-1)

    def __call__(self, _: Any, __: Tensor, keys: Tensor) -> Tuple[Tensor, Tensor]:
        """The positions that stand out (T x B), and what is added there (n x d)."""
        left, right = self.left.to(keys.device), self.right.to(keys.device)
        chosen = self.stand_out(keys)
        return chosen, keys[chosen].to(right.dtype) @ right @ left.T


@dataclass(frozen=True, eq=False)
class HookedPatches(Intervention):
    """Patches that hooks hold beside a model.

    Args:
        patches: the patches; what they have beside the weights is put there too.
        entries: what hooks add at each site; several may have the same site.
    """

    entries: Tuple[Union[Gates, KeyedChange], ...] = ()

    @classmethod
    def of(
        cls,
        model: nn.Module,
        patches: Sequence[Patch],
        background: Optional[Mapping[Site, Tensor]] = None,
        stands_out: float = STANDS_OUT,
    ) -> HookedPatches:
        """What does beside a model what patches do in its weights.

        Args:
            model: names the sites; it stays as it is.
            patches: of gates, which need nothing else; or with low-rank and dense changes of `fc2`, and the keys that
                they were made for.
            background: n x f keys of background tokens, by site; low-rank and dense changes need them.
            stands_out: deviations from the background's mean, see `KeyedChange`.

        Raises:
            EditError: if a patch changes anything else, or keys are missing.
        """
        names = {
            name: (site, part)
            for site in find_sites(model)
            for part, name in parameter_names(model, site).items()
        }
        # By patch as well: beside the model two edits may have been given one neuron.
        neurons: Dict[Tuple[Site, int, int], Dict[str, Tensor]] = {}
        entries: List[Union[Gates, KeyedChange]] = []
        for number, patch in enumerate(patches):
            for change in patch.changes:
                site, part = names.get(change.name, (patch.site, ""))
                if change.host is not None:
                    continue
                if change.gate_part is not None and change.neuron is not None and part in _PARTS:
                    neurons.setdefault((site, number, change.neuron), {})[part] = change.gate_part.float()
                elif part == "fc2.weight" and change.factors is not None:
                    width = model.get_parameter(change.name).shape[1]
                    entries.append(_keyed(site, patch, change, width, background or {}, stands_out))
                elif change.name not in model.state_dict():
                    raise EditError(
                        f"the model has no weight {change.name}; expected the model and the direction that the patch "
                        "was made for"
                    )
                else:
                    raise EditError(
                        f"hooks can't hold the change of {change.name}, expected gates, or changes of an fc2.weight"
                    )
        return cls(tuple(patches), (*_gates(neurons), *entries))

    @contextmanager
    def on(self, model: Any) -> Iterator[None]:
        """Add to every forward pass inside the context what the patches do; the weights stay as they are.

        The model is in eval mode inside, and as before after it.

        Raises:
            EditError: if the model lacks a site of the patches.
        """
        with ExitStack() as stack:
            stack.enter_context(prepared(model))
            for entry in self.entries:
                layer: Any = layer_at(model, entry.site)
                stack.enter_context(add_at_tokens(model, entry.site, partial(entry, layer.activation_fn)))
            stack.callback(set_besides_, model, besides_on(model))
            set_besides_(model, (*besides_on(model), *(one for patch in self.patches for one in patch.beside)))
            yield

    def describe(self) -> str:
        """The patches, which hooks hold."""
        return f"{self._listed()} held by hooks beside the model"


def _gates(neurons: Mapping[Tuple[Site, int, int], Mapping[str, Tensor]]) -> Iterator[Gates]:
    """One entry for all gates of a site."""
    for site in dict.fromkeys(site for site, _, _ in neurons):
        parts = [neuron for (where, _, _), neuron in neurons.items() if where == site]
        if not all(set(part) == set(_PARTS) for part in parts):
            raise EditError(f"a neuron of {site} is changed in part, expected {', '.join(_PARTS)}")
        yield Gates(site, *(torch.stack([part[name] for part in parts]) for name in _PARTS))


def _keyed(
    site: Site,
    patch: Patch,
    change: Change,
    width: int,
    background: Mapping[Site, Tensor],
    stands_out: float,
) -> KeyedChange:
    """The entry of a change that adds to a layer's `fc2`, for a layer of some width."""
    missing = [f"background keys of {site}"] if site not in background else []
    if change.name not in patch.keys:
        missing.append("the keys that it was made for")
    if missing or change.factors is None:
        raise EditError(f"hooks can't hold the change of {change.describe()} without {' and '.join(missing)}")
    left, right = change.factors
    factors = left, _of_width(right, width)
    return KeyedChange.of(
        site, factors, _of_width(patch.keys[change.name].T, width).T, background[site], stands_out
    )


def _of_width(rows: Tensor, width: int) -> Tensor:
    """Rows of neurons cut to a layer's width, or with zeros for neurons that the layer has gained since."""
    return torch.cat([rows[:width], rows.new_zeros(max(0, width - len(rows)), rows.shape[1])])
