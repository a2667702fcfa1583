"""A trained editor: a small network that turns the gradient of one correction into the change of several matrices.

The gradient of a linear map's weight is a sum over tokens of products of rank one: what the map reads, x, and the
gradient at what it writes, delta. The network maps each normalised pair (x, delta) to another pair, and the sum of
their products, times a learned step size, is the change (MEND: Mitchell et al. 2022, arXiv 2110.11309, equations 3 and
4). Maps of one shape share a network, in which each has a scale and a shift of its own.
"""

from __future__ import annotations

from functools import partial
from typing import Any, Dict, List, Mapping, Sequence, Tuple

import torch
from torch import Tensor, nn

from fairseq_rome.algebra import Running
from fairseq_rome.host.batches import decoded
from fairseq_rome.host.decoding import Translator
from fairseq_rome.host.examples import Example
from fairseq_rome.host.sites import add_to_maps, find_sites, parameter_names, passing
from fairseq_rome.methods.fitting.tuning import changed_tokens
from fairseq_rome.methods.fitting.values import no_gradients

Factors = Mapping[str, Tuple[Tensor, Tensor]]
"""By name of a weight the n x columns inputs x and the n x rows gradients delta of its n tokens."""

# What one token's untransformed pair changes at first, as a share of the norm of the matrix. Smaller begins nearer to
# the unedited model, and takes more steps to learn how far to go. From 0.03 an editor of a Multi30k model began with
# 0.13 nats a token of what should stay, from 0.01 with 0.02, and from 0.003 with 0.001.
_FIRST_STEP = 0.003
# How many times as large as an editor makes it a change may become. More lets harder requests hold, and breaks more.
_FURTHER = (1.0, 2.0, 4.0, 8.0, 16.0)


class Editor(nn.Module):
    """The networks and step sizes of some matrices.

    Args:
        shapes: rows and columns of each matrix, by name of the weight.
        rank: of the two layers of each network.
        seed: of the first values.
    """

    def __init__(self, shapes: Mapping[str, Tuple[int, int]], rank: int, seed: int = 1) -> None:
        super().__init__()
        self.names = tuple(shapes)
        self.shapes, self.rank = dict(shapes), rank
        self.alike = [[name for name in shapes if shapes[name] == shape] for shape in dict.fromkeys(shapes.values())]
        draw = torch.Generator().manual_seed(seed)
        self.networks = nn.ModuleList(_Network(sum(shapes[one[0]]), rank, len(one), draw) for one in self.alike)
        self.rates = nn.Parameter(torch.ones(len(shapes)))
        self.register_buffer("units", torch.zeros(len(shapes)))
        for number, name in enumerate(self.names):
            self.register_buffer(f"statistics_{number}", torch.zeros(3, sum(shapes[name]), dtype=torch.double))

    def begin_(self, weights: Mapping[str, Tensor], factors: Sequence[Factors]) -> None:
        """Set what is not learnt: the unit of each step size, and the statistics that pairs are normalised by.

        Args:
            weights: the matrices by name.
            factors: of some corrections.
        """
        for number, name in enumerate(self.names):
            pairs = torch.cat([torch.cat(one[name], 1) for one in factors if name in one])
            getattr(self, f"statistics_{number}").copy_(Running.of(pairs).rows)
            rows, columns = self.shapes[name]
            # A normalised pair has about unit numbers, and so its product the norm of so many of them.
            norm = float(weights[name].detach().float().norm())
            self.get_buffer("units")[number] = _FIRST_STEP * norm / (rows * columns) ** 0.5

    def forward(self, factors: Factors) -> Dict[str, Tuple[Tensor, Tensor]]:
        """The change of each matrix as left (rows x n) and right (columns x n), left @ right.T; with gradients."""
        found = {}
        for names, network in zip(self.alike, self.networks):
            for place, name in enumerate(names):
                number = self.names.index(name)
                inputs, errors = factors[name]
                width = self.shapes[name][1]
                known = Running(self.get_buffer(f"statistics_{number}")).parts(width)
                pairs = network(torch.cat([known[0].normalised(inputs), known[1].normalised(errors)], 1), place)
                step = self.rates[number] * self.get_buffer("units")[number]
                found[name] = (-step * pairs[:, width:].T, pairs[:, :width].T)
        return {name: found[name] for name in self.names}


class _Network(nn.Module):
    """Two layers, of matrices of one shape."""

    def __init__(self, width: int, rank: int, matrices: int, draw: torch.Generator) -> None:
        super().__init__()
        self.first = _Residual(width, rank, matrices, draw)
        self.second = _Residual(width, rank, matrices, draw)

    def forward(self, pairs: Tensor, matrix: int) -> Tensor:
        """Of n x width pairs of one of the matrices."""
        return self.second(self.first(pairs, matrix), matrix)


class _Residual(nn.Module):
    """z + max(0, s (U V z + b) + o), the identity at first; s and o are each matrix's own.

    `clamp_min` has a gradient at zero, where all begins, and `relu` has none.
    """

    def __init__(self, width: int, rank: int, matrices: int, draw: torch.Generator) -> None:
        super().__init__()
        self.down = nn.Parameter(torch.randn(rank, width, generator=draw) / width**0.5)
        self.up = nn.Parameter(torch.zeros(width, rank))
        self.bias = nn.Parameter(torch.zeros(width))
        self.scale = nn.Parameter(torch.ones(matrices, width))
        self.shift = nn.Parameter(torch.zeros(matrices, width))

    def forward(self, pairs: Tensor, matrix: int) -> Tensor:
        """Of n x width pairs of one of the matrices."""
        inner = pairs @ self.down.T @ self.up.T + self.bias
        return pairs + (self.scale[matrix] * inner + self.shift[matrix]).clamp_min(0)


def edited_shapes(model: nn.Module, layers: int) -> Dict[str, Tuple[int, int]]:
    """Rows and columns of `fc1` and `fc2` of the last layers of the encoder and of the decoder, by name of the weight.

    Args:
        model: the model.
        layers: how many of each stack, as far as there are so many.
    """
    sites = list(find_sites(model))
    found: Dict[str, Tuple[int, int]] = {}
    for stack in dict.fromkeys(site.stack for site in sites):
        last = [site for site in sites if site.stack == stack and not site.part][-layers:]
        for site in last:
            names = parameter_names(model, site)
            for name in (names["fc1.weight"], names["fc2.weight"]):
                rows, columns = model.get_parameter(name).shape
                found[name] = (rows, columns)
    return found


def edit_factors(translator: Translator, names: Sequence[str], example: Example) -> Factors:
    """The factors of the gradient of the loss of an example's changed tokens, at the tokens that have one.

    Args:
        translator: the model; its parameters get no gradient.
        names: of the weights.
        example: the correction.
    """
    model: Any = translator.model
    batch = translator.batcher.batch([example.pair])
    changed = changed_tokens(batch, [example])
    with no_gradients(model), torch.enable_grad(), passing(model, names) as passed:
        features = decoded(model, batch, features_only=True)[changed]
        scores = model.decoder.output_layer(features).float()
        loss = nn.functional.cross_entropy(scores, batch.target[changed])
        errors = torch.autograd.grad(loss, [passed[name].shift for name in names])
    found: Dict[str, Tuple[Tensor, Tensor]] = {}
    for name, error in zip(names, errors):
        rows: List[Tensor] = [part.flatten(0, 1).float() for part in (passed[name].inputs, error)]
        learns = rows[1].ne(0).any(1)
        found[name] = (rows[0][learns], rows[1][learns])
    return found


def added(change: Tuple[Tensor, Tensor], further: float, inputs: Tensor) -> Tensor:
    """What a change, so many times as large, adds to what its map writes, from what it reads."""
    left, right = change
    return inputs.float() @ right @ (further * left).T


def far_enough(translator: Translator, example: Example, changes: Mapping[str, Tuple[Tensor, Tensor]]) -> float:
    """How many times as large the changes must be for the model to hold an example's changed tokens most probable.

    An editor learns how far to go from corrections of all kinds, of which most need little: a word that the model
    hardly ever says needs more.

    Returns:
        The least of 1, 2, 4 and so on with which it does; the one with which it comes nearest where none will do.
    """
    model: Any = translator.model
    batch = translator.batcher.batch([example.pair])
    changed = changed_tokens(batch, [example])
    missing: Dict[float, float] = {}
    for further in _FURTHER:
        addends = {name: partial(added, change, further) for name, change in changes.items()}
        with torch.no_grad(), add_to_maps(model, addends):
            scores = model.decoder.output_layer(decoded(model, batch, features_only=True)[changed]).float()
        if bool(scores.argmax(-1).eq(batch.target[changed]).all()):
            return further
        missing[further] = float(nn.functional.cross_entropy(scores, batch.target[changed]))
    return min(missing, key=lambda further: missing[further])
