"""A small network that scores what may stand in a place of a text, given another text and the words around the place.

Words have learned vectors. A candidate attends to the words of the source (a bilinear product and a softmax), and two
layers make one number of the candidate, what it found there, and the words before and behind the place. A word that
training has not shown has a vector of zeros: it is left out.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, fields, replace
from typing import Dict, List

import torch
from torch import Tensor
from torch.nn.functional import embedding

from fairseq_rome.algebra.adam import Adam

# Width of a word's vector and of the layer between. Twice as much learns the terms of Multi30k no better, and doubles
# the file.
_WIDTH = 32
# Size of a step at first; it falls to nothing in equal steps. And questions that are asked in each.
_RATE, _BATCH = 0.01, 128
# What the square of each number of a word's vector costs, in nats. Without it a network learns by heart which other
# words stand beside a trigger of several words: of the demo's two such terms 28 and 23 of 32 held-out sentences were
# right, and with 0.001 or 0.01 all of them.
_DECAY = 1e-3


@dataclass(frozen=True)
class SlotQuestions:
    """What is to be scored, as numbers of words; 0 is for no word and for one that is not known.

    Args:
        candidates: n x c.
        marks: n x c x 2, whether a candidate is what stands there, and whether the source holds it.
        there: n x c, False for padding.
        source: n x s words of the source; the first one is 0.
        before: n x b words before the place.
        behind: n x b words behind it.
    """

    candidates: Tensor
    marks: Tensor
    there: Tensor
    source: Tensor
    before: Tensor
    behind: Tensor

    def rows(self, numbers: Tensor) -> SlotQuestions:
        """Some of the questions."""
        return SlotQuestions(*(getattr(self, one.name)[numbers] for one in fields(self)))


@dataclass(frozen=True)
class SlotScorer:
    """The network.

    Args:
        vectors: V x d, of the words from number 1 on; in half precision when it is trained.
        attention: d x d.
        hidden: h x (4 d + 2).
        bias: length h.
        output: length h.
    """

    vectors: Tensor
    attention: Tensor
    hidden: Tensor
    bias: Tensor
    output: Tensor

    @property
    def tensors(self) -> Dict[str, Tensor]:
        """All its tensors by field."""
        return {one.name: getattr(self, one.name) for one in fields(self)}

    def scores(self, asked: SlotQuestions) -> Tensor:
        """A score for each candidate: n x c, minus infinity for padding."""
        vectors = self.vectors.float()
        table = torch.cat([vectors.new_zeros(1, vectors.shape[1]), vectors])
        own, source = embedding(asked.candidates, table), embedding(asked.source, table)
        products = own @ self.attention @ source.transpose(1, 2) / math.sqrt(vectors.shape[1])
        unknown = asked.source.eq(0)
        unknown[:, 0] = False  # so that there is always something to attend to
        found = products.masked_fill(unknown[:, None], -math.inf).softmax(-1) @ source
        beside = [embedding(one, table).sum(1, keepdim=True).expand_as(own) for one in (asked.before, asked.behind)]
        seen = torch.cat([own, found, *beside, asked.marks], -1)
        scores = (seen @ self.hidden.T + self.bias).relu() @ self.output
        return scores.masked_fill(~asked.there, -math.inf)


def fit_slot_scorer(asked: SlotQuestions, right: Tensor, known: int, steps: int, seed: int) -> SlotScorer:
    """The network that finds the right candidates, by gradient descent on their cross-entropy and the size of vectors.

    Questions in which what stands there is right weigh as much in all as those in which it is wrong.

    Args:
        asked: the questions.
        right: length n, the number of the right candidate of each.
        known: how many words have a number.
        steps: how many steps are made.
        seed: of the first values and of the order of the questions.
    """
    draw = torch.Generator().manual_seed(seed)
    kept = right.eq(0)
    shares = torch.where(kept, 0.5 / kept.sum().clamp_min(1), 0.5 / (~kept).sum().clamp_min(1))
    scorer = _first(known, draw)
    with torch.enable_grad():
        parts: List[Tensor] = [one.requires_grad_() for one in scorer.tensors.values()]
        adams = [Adam(one, _RATE) for one in parts]
        for step in range(steps):
            numbers = torch.multinomial(shares, _BATCH, replacement=True, generator=draw)
            likely = scorer.scores(asked.rows(numbers)).log_softmax(-1)
            loss = -likely.gather(1, right[numbers, None]).mean() + _DECAY * parts[0].square().sum()
            for adam, gradient in zip(adams, torch.autograd.grad(loss, parts)):
                adam.step(gradient, 1 - step / steps)
    trained = SlotScorer(*(one.detach() for one in parts))
    return replace(trained, vectors=trained.vectors.half())


def _first(known: int, draw: torch.Generator) -> SlotScorer:
    """The network before training, in which words mean nothing yet."""
    width, seen = _WIDTH, 4 * _WIDTH + 2

    def uniform(*shape: int) -> Tensor:
        bound = 1 / math.sqrt(shape[-1])
        return torch.empty(shape).uniform_(-bound, bound, generator=draw)

    return SlotScorer(
        torch.zeros(known, width), torch.eye(width), uniform(width, seen), uniform(width), uniform(width)
    )
