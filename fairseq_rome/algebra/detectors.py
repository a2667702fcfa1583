"""Gates in plain torch: a linear response of a layer's input that tells edit positions from all others."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Sequence, Tuple

import torch
from torch import Tensor
from torch.nn.functional import linear, pad

from fairseq_rome.algebra.least_squares import ridged
from fairseq_rome.algebra.logistic import least_logistic

_NEGATIVE_WEIGHT = 0.3
# Rows that are cast at a time: more take more memory.
_AT_A_TIME = 4096


@dataclass(frozen=True)
class Detector:
    """A linear response `inputs @ weight + bias`, above zero where a gate should open.

    Args:
        weight: length d.
        bias: scalar tensor.
    """

    weight: Tensor
    bias: Tensor

    def __call__(self, inputs: Tensor) -> Tensor:
        """Responses of rows of inputs (n x d): length n."""
        return inputs @ self.weight + self.bias

    def rescaled(self, threshold: Tensor, one_at: Tensor) -> Detector:
        """The same direction, with response 0 where this one's is `threshold` and 1 where it is `one_at`."""
        scale = 1.0 / (one_at - threshold).clamp_min(1e-6)
        return Detector(self.weight * scale, (self.bias - threshold) * scale)


@dataclass(frozen=True)
class Whitening:
    """Coordinates in which some inputs have no preferred direction: (x - mean) @ matrix.

    Args:
        mean: length d.
        matrix: d x d.
    """

    mean: Tensor
    matrix: Tensor

    @classmethod
    def of(cls, mean: Tensor, covariance: Tensor, ridge: float) -> Whitening:
        """Those of inputs with a mean (length d) and a covariance (d x d).

        Raises:
            ValueError: if the covariance can't be inverted.
        """
        try:
            factor = torch.linalg.cholesky(ridged(covariance.double(), ridge)).to(mean.dtype)
        except RuntimeError as error:
            raise ValueError(f"the covariance can't be inverted, expected a ridge above {ridge}") from error
        identity = torch.eye(len(factor), dtype=factor.dtype, device=factor.device)
        return cls(mean, torch.linalg.solve_triangular(factor, identity, upper=False).T)

    def __call__(self, inputs: Tensor) -> Tensor:
        """Rows of inputs (n x d) in these coordinates."""
        return (inputs - self.mean) @ self.matrix

    def detector(self, weight: Tensor, bias: Tensor) -> Detector:
        """A response in these coordinates, as one of the inputs themselves."""
        direction = self.matrix @ weight
        return Detector(direction, bias - direction @ self.mean)


def respond(detectors: Sequence[Detector], inputs: Tensor) -> Tensor:
    """Responses of k detectors to rows of inputs (n x d), k x n, in one pass over what may be millions of rows.

    Rows of another type than the detectors are cast to theirs, some at a time.
    """
    weights = torch.stack([detector.weight for detector in detectors])
    biases = torch.stack([detector.bias for detector in detectors])
    if inputs.dtype == weights.dtype:
        return linear(inputs, weights, biases).T.contiguous()
    parts = [linear(part.to(weights.dtype), weights, biases) for part in inputs.split(_AT_A_TIME)]
    return torch.cat(parts).T.contiguous()


@dataclass(frozen=True)
class Negatives:
    """Inputs at which a gate should stay shut: those of a large set that count, and some of the request's own.

    Args:
        inputs: n x d, in single or half precision.
        counted: length n, true where a row counts.
        own: m x d.
    """

    inputs: Tensor
    counted: Tensor
    own: Tensor

    def nearest(self, responses: Tensor, most: int) -> Tensor:
        """The rows of `inputs` of largest response (length n) among those that count, the largest first.

        A gate is fitted and its threshold chosen on these and the own ones alone.
        """
        order = responses.masked_fill(~self.counted, -torch.inf).topk(min(most, int(self.counted.sum()))).indices
        return self.inputs.index_select(0, order).to(responses.dtype)


def discriminant(positives: Tensor, whitening: Whitening) -> Detector:
    """The linear discriminant of some positives against all other inputs.

    Args:
        positives: p x d.
        whitening: of the inputs of the site.
    """
    return whitening.detector(whitening(positives).mean(0), positives.new_zeros(()))


def fit_detector(positives: Tensor, negatives: Tensor, whitening: Whitening, decay: float) -> Detector:
    """Regularised logistic regression in whitened coordinates, started from the linear discriminant.

    On inputs that come out of a layer norm, which lie on an ellipsoid, any single positive is an exposed point and so
    is separable from any finite set of other points.

    Args:
        positives: p x d inputs at which the gate should open.
        negatives: n x d inputs at which it should stay shut; those that respond most to the discriminant will do, the
            far ones have no gradient to speak of.
        whitening: of the inputs of the site.
        decay: weight of the squared norm of the whitened direction.

    Returns:
        The detector in the coordinates of the inputs, threshold not yet chosen.
    """
    hits, misses = whitening(positives), whitening(negatives)
    start = hits.mean(0)
    start = start * (3.0 / start.norm().clamp_min(torch.finfo(start.dtype).tiny))
    return whitening.detector(*_logistic(hits, misses, start, decay))


def _logistic(hits: Tensor, misses: Tensor, start: Tensor, decay: float) -> Tuple[Tensor, Tensor]:
    rows = torch.cat([-pad(hits, (0, 1), value=1.0), pad(misses, (0, 1), value=1.0)])
    shares = torch.full_like(rows[:, 0], _NEGATIVE_WEIGHT / max(len(misses), 1))
    shares[: len(hits)] = 1.0 / len(hits)
    decays = pad(torch.full_like(start, decay), (0, 1))
    found = least_logistic(pad(start, (0, 1), value=-3.0), rows, shares, decays)
    weight, bias = found.split([len(start), 1])
    return weight, bias[0]


def choose_threshold(
    held_out: Tensor, fitted: Tensor, negatives: Tensor, most_open: float, gap: float, recall: float = 0.97
) -> Tensor:
    """A threshold on responses that opens at enough positives and at as few negatives as that allows.

    If enough held-out positives lie above every negative, the threshold lies between the largest negative and
    the weakest positives above it. Otherwise it goes down to let held-out positives through, but no further
    than where a share `most_open` of the negatives opens.

    Args:
        held_out: responses at positives that the fit did not see; at the fitted ones where there are none.
        fitted: responses at the fitted positives.
        negatives: responses at positions that should stay shut.
        most_open: largest share of the negatives that may open.
        gap: where between a negative (0) and the next positive (1) the threshold lies.
        recall: share of the held-out positives that should open.

    Returns:
        A scalar tensor.
    """
    enough = held_out.sort(descending=True).values[max(int(len(held_out) * recall + 0.5) - 1, 0)]
    floor = negatives.topk(min(int(len(negatives) * most_open) + 1, len(negatives))).values[-1]
    nearest = floor if enough <= floor else negatives[negatives < enough].max()
    above = torch.cat([held_out, fitted])
    above = above[above > nearest]
    if not len(above):
        return nearest
    threshold = nearest + gap * (above.quantile(1 - recall) - nearest)
    # Fitted positives respond more than held-out ones, and may be many.
    return nearest + gap * (enough - nearest) if nearest < enough <= threshold else threshold
