"""An affine map of low rank from one set of vectors to another, by least squares with a ridge."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class AffineMap:
    """The map x -> shift + ((x - mean) @ readouts.T) @ values.

    Args:
        mean: length d.
        shift: length e, what it gives at the mean.
        readouts: r x d; over the inputs that it was fitted on each reads numbers of mean square 1.
        values: r x e, what it adds for each of these.
    """

    mean: Tensor
    shift: Tensor
    readouts: Tensor
    values: Tensor

    def __call__(self, inputs: Tensor) -> Tensor:
        """Of rows of inputs (n x d): n x e."""
        return self.shift + (inputs - self.mean) @ self.readouts.T @ self.values


def reduced_rank(inputs: Tensor, targets: Tensor, ridge: float, rank: int) -> AffineMap:
    """The affine map of at most a rank that is nearest to some targets.

    Of all matrices W of that rank it has the one with the smallest ||Y - X W||^2 + l ||W||^2, where X and Y are the
    centred inputs and targets and l is `ridge` times the mean squared length of a row of X (reduced rank ridge
    regression; Mukherjee and Zhu 2011, Statistical Analysis and Data Mining 4, equation 4).

    Args:
        inputs: n x d.
        targets: n x e.
        ridge: larger trusts differences between the inputs less.
        rank: at most.
    """
    x, y = inputs.double(), targets.double()
    mean, shift = x.mean(0), y.mean(0)
    left, spread, right = torch.linalg.svd(x - mean, full_matrices=False)
    weight = ridge * spread.square().sum() / len(x)
    damped = (spread.square() + weight).clamp_min(torch.finfo(x.dtype).tiny)
    seen = left.T @ (y - shift)
    # The fit of rank r lies along the first r right singular vectors of what the fit without a bound explains.
    directions = torch.linalg.svd((spread / damped.sqrt()).unsqueeze(1) * seen, full_matrices=False).Vh[:rank]
    readouts = directions @ seen.T @ ((spread / damped).unsqueeze(1) * right)
    scale = ((x - mean) @ readouts.T).square().mean(0).sqrt()
    # What reads next to nothing would be divided by next to nothing.
    read = scale > 1e-9 * scale.norm()
    readouts, values = readouts[read] / scale[read].unsqueeze(1), directions[read] * scale[read].unsqueeze(1)
    return AffineMap(*(part.to(inputs.dtype) for part in (mean, shift, readouts, values)))
