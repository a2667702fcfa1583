"""Statistics of one site: its inputs on background text, how busy each neuron is, the second moment of the keys."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Optional, Sequence, Tuple

import torch
from torch import Tensor

# Bytes of a site's inputs in single precision above which they are kept in half: 50,000 positions of more than 671
# numbers. Half takes half the memory, and rounds by one part in 2,000; below, edits keep their bits.
_MOST_SINGLE = 128 * 2**20
# Positions that are made single again at a time.
_AT_A_TIME = 4096
OF_OTHERS = -1
"""The index that stands for the sentence of every position of another direction."""


@dataclass(frozen=True)
class Background:
    """Statistics of one site over n background positions.

    Args:
        inputs: n x d inputs of `fc1`; in half precision where they are large.
        sentence: length n, index of each position's sentence in the corpus; `OF_OTHERS` in other directions.
        symbol: length n, at a decoder site the token to be predicted there, at an encoder site the token
            itself.
        usage: length f, mean square of each neuron's activation, in the direction where it is largest.
        moment: f x f, second moment of the keys, E[k k^T]; None where it was not measured. It takes the longest.
    """

    inputs: Tensor
    sentence: Tensor
    symbol: Tensor
    usage: Tensor
    moment: Optional[Tensor] = None

    @property
    def second_moment(self) -> Tensor:
        """The second moment of the keys (f x f).

        Raises:
            ValueError: if it was not measured.
        """
        if self.moment is None:
            raise ValueError("the second moment of the keys was not measured, expected statistics with it")
        return self.moment

    @cached_property
    def eigen(self) -> Tuple[Tensor, Tensor]:
        """Eigenvalues (length f, ascending) and eigenvectors (f x f, columns) of the moment, each computed once."""
        values, vectors = torch.linalg.eigh(self.second_moment.double())
        return values.float(), vectors.float()

    @cached_property
    def spread(self) -> Tuple[Tensor, Tensor]:
        """Mean (length d) and covariance (d x d) of the inputs."""
        if self.inputs.dtype == torch.float32:
            mean = self.inputs.mean(0)
            centred = self.inputs - mean
            return mean, centred.T @ centred / len(centred)
        parts = self.inputs.split(_AT_A_TIME)
        total = torch.stack([part.double().sum(0) for part in parts]).sum(0)
        mean = (total / len(self.inputs)).float()
        product = torch.zeros(len(mean), len(mean))
        for part in parts:
            centred = part.float() - mean
            product += centred.T @ centred
        return mean, product / len(self.inputs)

    @property
    def no_inputs(self) -> Tensor:
        """None of the inputs (0 x d), in single precision."""
        return self.inputs[:0].float()


def unmeasured() -> Background:
    """Statistics of no position at all, for what needs none."""
    none, nothing = torch.zeros(0), torch.zeros(0, dtype=torch.long)
    return Background(torch.zeros(0, 0), nothing, nothing, none)


def as_kept(parts: Sequence[Tensor]) -> Tensor:
    """Rows of inputs as they are kept: in half precision where they are large, and none is beyond its range."""
    size = sum(part.numel() * part.element_size() for part in parts)
    half = size > _MOST_SINGLE and all(bool(part.half().isfinite().all()) for part in parts)
    kept = torch.empty(sum(map(len, parts)), parts[0].shape[1], dtype=torch.float16 if half else torch.float32)
    start = 0
    for part in parts:
        kept[start : start + len(part)] = part
        start += len(part)
    return kept
