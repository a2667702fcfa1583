"""Additions to a site's value that bring what the model says next to given distributions."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Sequence, Tuple

import torch
from torch import Tensor

from fairseq_rome.algebra import Adam
from fairseq_rome.host.batches import Pair, by_size
from fairseq_rome.host.decoding import Translator
from fairseq_rome.host.readings import reading_places
from fairseq_rome.host.sites import Site, add_to_value, computed_once, parameter_names
from fairseq_rome.methods.fitting.values import added, forward, no_gradients, padded

# Of Adam, in units of the site's root mean square value, and weight of an addition's squared length in the same unit.
# A faster rate overshoots; a heavier weight makes additions shorter than it takes.
_LEARNING_RATE, _NORM_WEIGHT = 0.3, 1e-4
# How fast Adam forgets. The first step goes most of the way, and a search that remembers it for long runs past the
# goal: with the usual 0.9 and 0.999 a term of Multi30k came to 0.094 nats in one step and to 0.29 in ten.
_DECAYS = (0.5, 0.9)
# The rate is halved where a step brings the divergence (nats) up. The search ends where so many steps together bring it
# down by less than this.
_SETTLED, _LEAST_FALL = 4, 1e-2
# Most tokens of a batch, of either side.
_BATCH_TOKENS = 1000


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
    parts, order = [], []
    for indices in by_size(pairs, _BATCH_TOKENS):
        rows = {index: row for row, index in enumerate(indices)}
        chosen = [number for number, (index, _) in enumerate(places) if index in rows]
        if not chosen:
            continue
        run = forward(translator.model, translator.batcher.batch([pairs[index] for index in indices]), site)
        with torch.no_grad():
            where = torch.tensor([(rows[places[number][0]], places[number][1]) for number in chosen])
            parts.append(run(where).softmax(-1))
        order += chosen
    return torch.cat(parts)[torch.tensor(order).argsort()]


def match(translator: Translator, site: Site, aim: Aim, scale: float, steps: int) -> Tensor:
    """What to add to a site's value, G x d, so that the model comes close to the distributions of an aim.

    Minimises the weighted Kullback-Leibler divergence of the model's distributions from the wanted ones, by Adam.

    Args:
        translator: the model; its parameters get no gradient.
        site: where to add.
        aim: the distributions.
        scale: root mean square of the site's values, the unit of the search.
        steps: gradient steps at most; fewer where they bring it no further.
    """
    model = translator.model
    batch = translator.batcher.batch(aim.pairs)
    opened = padded(aim.activations, reading_places(translator, batch, site))
    width = model.get_parameter(parameter_names(model, site)["fc2.bias"]).numel()
    delta = torch.zeros(opened.shape[2], width, device=opened.device, requires_grad=True)
    optimiser = Adam(delta, _LEARNING_RATE, _DECAYS)
    share, losses = 1.0, [math.inf] * _SETTLED
    run, where = forward(model, batch, site), torch.tensor(aim.places)
    weights = aim.weights.to(aim.wanted) / aim.weights.sum()
    with no_gradients(model), computed_once(model, site), torch.enable_grad():
        for _ in range(steps):
            with add_to_value(model, site, lambda value: added(opened, delta * scale, value)):
                scores = run(where)
            losses.append(divergence(scores.detach(), aim.wanted, weights))
            if losses[-1] > losses[-2]:
                share /= 2
            if losses[-1] > min(losses[:-_SETTLED]) - _LEAST_FALL:
                break
            slope = divergence_slope(scores.detach(), aim.wanted, weights)
            # As a sum, since torch imports sympy to check the shape of a given slope.
            (gradient,) = torch.autograd.grad((scores * slope).sum(), delta)
            optimiser.step(gradient + 2 * _NORM_WEIGHT / len(delta) * delta.detach(), share)
    return (delta.detach() * scale).cpu()


def divergence(logits: Tensor, wanted: Tensor, weights: Tensor) -> float:
    """The weighted Kullback-Leibler divergence, in nats, of logits from n wanted distributions, both n x V.

    Args:
        logits: what is said now.
        wanted: the distributions.
        weights: length n.
    """
    missing = torch.special.xlogy(wanted, wanted).sum(-1) - (wanted * logits).sum(-1)
    return float(weights @ (missing + wanted.sum(-1) * logits.logsumexp(-1)))


def divergence_slope(logits: Tensor, wanted: Tensor, weights: Tensor) -> Tensor:
    """The gradient of the weighted Kullback-Leibler divergences of n wanted distributions at logits, both n x V.

    It is written out: a vocabulary is wide, and autograd would go over it several times.

    Args:
        logits: what is said now.
        wanted: the distributions.
        weights: length n.
    """
    return weights.unsqueeze(1) * (logits.softmax(-1) * wanted.sum(-1, keepdim=True) - wanted)
