"""The algebra of edits, in plain torch: factors in, factors out, no model.

Shapes: a key k has length f, a value v length d, a feed-forward weight W is d x f. Vectors of a set are rows.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Tuple

import torch
from torch import Tensor
from torch.nn.functional import softplus

_NEGATIVE_WEIGHT = 0.3
_HARD_NEGATIVES = 6000
_WORST_CONDITION = 1e12


def ridged(moment: Tensor, ridge: float) -> Tensor:
    """A second moment with `ridge` times its mean diagonal on top of its diagonal, to be inverted."""
    scale = moment.diagonal().mean().clamp_min(torch.finfo(moment.dtype).tiny)
    return moment + ridge * scale * torch.eye(len(moment), dtype=moment.dtype, device=moment.device)


def insert_keys(keys: Tensor, residuals: Tensor, moment: Tensor, ridge: float) -> Tuple[Tensor, Tensor]:
    """Smallest change of W, measured on the background, that adds given residuals at given keys.

    For one key this is ROME's rank-one update (Meng et al. 2022, arXiv 2202.05262, equation 2)
    dW = r (C^-1 k)^T / ((C^-1 k)^T k), with one k everywhere (R-ROME, arXiv 2403.07175). Several keys, one
    for each time step of a segment, are solved together, dW = R (K C^-1 K^T)^-1 K C^-1, so that a later step
    does not undo an earlier one; the rank is the number of keys.

    Args:
        keys: m x f.
        residuals: m x d, what (W + dW) k - W k is to be for each key.
        moment: f x f second moment C of the keys over a background corpus.
        ridge: see `ridged`.

    Returns:
        left (d x m) and right (f x m), dW = left @ right.T, in the dtype of `keys`.

    Raises:
        ValueError: if the keys are linearly dependent to working precision, or one is zero, so that no such
            change exists; if the moment can't be inverted.
    """
    k, r = keys.double(), residuals.double()
    try:
        directions = torch.linalg.solve(ridged(moment.double(), ridge), k.T)
    except RuntimeError as error:
        raise ValueError(f"the second moment can't be inverted, expected a ridge above {ridge}") from error
    # In units of each key's own norm, so that a key's scale says nothing about dependence.
    norms = (k * directions.T).sum(1).clamp_min(0).sqrt()
    gram = (k / norms.unsqueeze(1)) @ (directions / norms)
    if not bool(gram.isfinite().all()) or not float(torch.linalg.cond(gram)) <= _WORST_CONDITION:
        raise ValueError("the keys of the time steps are linearly dependent, expected distinct keys")
    left = (torch.linalg.solve(gram, r / norms.unsqueeze(1)) / norms.unsqueeze(1)).T
    return left.to(keys.dtype), directions.to(keys.dtype)


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


def fit_detector(positives: Tensor, negatives: Tensor, ridge: float, decay: float) -> Detector:
    """Regularised logistic regression in whitened coordinates, started from the linear discriminant.

    Only the hardest negatives enter the regression, those of the largest response to the discriminant: the
    far ones have no gradient to speak of. On inputs that come out of a layer norm, which lie on an ellipsoid,
    any single positive is an exposed point and so is separable from any finite set of other points.

    Args:
        positives: p x d inputs at which the gate should open.
        negatives: n x d inputs at which it should stay shut.
        ridge: see `ridged`; of the covariance of the negatives.
        decay: weight of the squared norm of the whitened direction.

    Returns:
        The detector in the coordinates of the inputs, threshold not yet chosen.

    Raises:
        ValueError: if the covariance of the negatives can't be inverted.
    """
    mean = negatives.mean(0)
    centred = negatives - mean
    covariance = centred.T @ centred / max(len(negatives), 1)
    try:
        factor = torch.linalg.cholesky(ridged(covariance.double(), ridge)).to(positives.dtype)
    except RuntimeError as error:
        raise ValueError(f"the covariance can't be inverted, expected a ridge above {ridge}") from error
    identity = torch.eye(len(factor), dtype=factor.dtype, device=factor.device)
    whiten = torch.linalg.solve_triangular(factor, identity, upper=False).T
    hits = (positives - mean) @ whiten
    discriminant = hits.mean(0)
    order = (centred @ (whiten @ discriminant)).topk(min(_HARD_NEGATIVES, len(negatives))).indices
    misses = centred[order] @ whiten
    start = discriminant * (3.0 / discriminant.norm().clamp_min(torch.finfo(discriminant.dtype).tiny))
    weight, bias = _logistic(hits, misses, start, decay)
    weight = whiten @ weight
    return Detector(weight, bias - weight @ mean)


def _logistic(hits: Tensor, misses: Tensor, start: Tensor, decay: float) -> Tuple[Tensor, Tensor]:
    weight = start.clone().requires_grad_()
    bias = torch.full((), -3.0, dtype=start.dtype, device=start.device, requires_grad=True)
    optimiser = torch.optim.LBFGS([weight, bias], max_iter=60, line_search_fn="strong_wolfe")

    def closure() -> Tensor:
        optimiser.zero_grad()
        missed = softplus(-(hits @ weight + bias)).mean()
        opened = softplus(misses @ weight + bias).mean()
        loss = missed + _NEGATIVE_WEIGHT * opened + decay * weight.square().sum()
        loss.backward()
        return loss

    with torch.enable_grad():
        optimiser.step(closure)
    return weight.detach(), bias.detach()


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
    ranked = negatives.sort(descending=True).values
    enough = held_out.sort(descending=True).values[max(int(len(held_out) * recall + 0.5) - 1, 0)]
    floor = ranked[min(int(len(ranked) * most_open), len(ranked) - 1)]
    nearest = floor if enough <= floor else ranked[ranked < enough][0]
    above = torch.cat([held_out, fitted])
    above = above[above > nearest]
    if not len(above):
        return nearest
    threshold = nearest + gap * (above.quantile(1 - recall) - nearest)
    # Fitted positives respond more than held-out ones, and may be many.
    return nearest + gap * (enough - nearest) if nearest < enough <= threshold else threshold
