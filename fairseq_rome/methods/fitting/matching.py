"""Additions to a site's value that bring what the model says next to given distributions."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Sequence, Tuple

import torch
from torch import Tensor

from fairseq_rome.algebra import Adam
from fairseq_rome.host.batches import Pair
from fairseq_rome.host.decoding import Translator
from fairseq_rome.host.readings import reading_places
from fairseq_rome.host.sites import Site, add_to_value, computed_once, parameter_names
from fairseq_rome.methods.fitting.values import added, forward, no_gradients, padded

# Of Adam, in units of the site's root mean square value, and weight of an addition's squared length in the same unit.
# A faster rate overshoots; a heavier weight makes additions shorter than it takes.
_LEARNING_RATE, _NORM_WEIGHT = 0.3, 1e-4


@dataclass(frozen=True)
class Aim:
    """What a model is to say next at n places.

    Args:
        pairs: the sentence pairs.
        activations: of each pair, L x G, how far each of G additions is switched on at the positions of the site's
            stack.
        places: the (pair, target position) of each place.
        wanted: n x V, the distribution of the next token there.
        weights: length n, what each place counts.
    """

    pairs: Sequence[Pair]
    activations: Sequence[Tensor]
    places: Sequence[Tuple[int, int]]
    wanted: Tensor
    weights: Tensor


def distributions(
    translator: Translator, site: Site, pairs: Sequence[Pair], places: Sequence[Tuple[int, int]]
) -> Tensor:
    """The model's distributions of the next token (n x V) at n (pair, target position) places."""
    batch = translator.batcher.batch(pairs)
    with torch.no_grad():
        return forward(translator.model, batch, site)(torch.tensor(places)).softmax(-1)


def match(translator: Translator, site: Site, aim: Aim, scale: float, steps: int) -> Tensor:
    """What to add to a site's value, G x d, so that the model comes close to the distributions of an aim.

    Minimises the weighted Kullback-Leibler divergence of the model's distributions from the wanted ones, by Adam.

    Args:
        translator: the model; its parameters get no gradient.
        site: where to add.
        aim: the distributions.
        scale: root mean square of the site's values, the unit of the search.
        steps: gradient steps.
    """
    model = translator.model
    batch = translator.batcher.batch(aim.pairs)
    opened = padded(aim.activations, reading_places(translator, batch, site))
    width = model.get_parameter(parameter_names(model, site)["fc2.bias"]).numel()
    delta = torch.zeros(opened.shape[2], width, device=opened.device, requires_grad=True)
    optimiser = Adam(delta, _LEARNING_RATE)
    run, where = forward(model, batch, site), torch.tensor(aim.places)
    weights = aim.weights.to(aim.wanted) / aim.weights.sum()
    with no_gradients(model), computed_once(model, site), torch.enable_grad():
        for _ in range(steps):
            with add_to_value(model, site, lambda value: added(opened, delta * scale, value)):
                scores = run(where)
            slope = divergence_slope(scores.detach(), aim.wanted, weights)
            # As a sum, since torch imports sympy to check the shape of a given slope.
            (gradient,) = torch.autograd.grad((scores * slope).sum(), delta)
            optimiser.step(gradient + 2 * _NORM_WEIGHT / len(delta) * delta.detach())
    return (delta.detach() * scale).cpu()


def divergence_slope(logits: Tensor, wanted: Tensor, weights: Tensor) -> Tensor:
    """The gradient of the weighted Kullback-Leibler divergences of n wanted distributions at logits, both n x V.

    It is written out: a vocabulary is wide, and autograd would go over it several times.

    Args:
        logits: what is said now.
        wanted: the distributions.
        weights: length n.
    """
    return weights.unsqueeze(1) * (logits.softmax(-1) * wanted.sum(-1, keepdim=True) - wanted)
