"""Changes of a weight that add given residuals at given keys, one edit or a batch of them, as left and right factors.

A change is dW = left @ right.T with left d x m and right f x m for m keys.
"""

from __future__ import annotations

from typing import Tuple

import torch
from torch import Tensor

_WORST_CONDITION = 1e12
# Less, and keys that are nearly the same ask for changes without bound.
_SLACK = 1e-2


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


def batch_update(keys: Tensor, residuals: Tensor, cover: Tensor) -> Tuple[Tensor, Tensor]:
    """Least-squares change of W for many keys at once: MEMIT (Meng et al. 2023, arXiv 2210.07229, equation 14).

    dW = R^T K (C0 + K^T K)^-1, which weighs what the keys lack of their residuals against what happens to the cover.

    Args:
        keys: m x f.
        residuals: m x d, what (W + dW) k - W k should be for each key.
        cover: f x f moment C0 of the keys that should keep their values, on the scale of a sum over keys.

    Returns:
        left (d x m) and right (f x m), in the dtype of `keys`.

    Raises:
        ValueError: if the cover and the keys leave a direction out, or hold numbers that are not finite.
    """
    k = keys.double()
    right = _solve_positive(cover.double() + k.T @ k, k.T)
    return residuals.T.clone(), right.to(keys.dtype)


def equality_update(
    keys: Tensor, residuals: Tensor, cover: Tensor, slack: float = _SLACK
) -> Tuple[Tensor, Tensor]:
    """The change of W that costs the cover least among those that meet all residuals: EMMET (arXiv 2403.14236).

    dW = R^T (K C0^-1 K^T)^-1 K C0^-1 (Gupta et al. 2024), for more keys than `insert_keys` can tell
    apart: where they depend on one another the answer is the least-squares one.

    Args:
        keys: m x f.
        residuals: m x d.
        cover: f x f moment C0 of the keys that should keep their values; its scale makes no difference.
        slack: ridge on the Gram matrix of the keys, each in units of its own norm under C0^-1.

    Returns:
        left (d x m) and right (f x m), in the dtype of `keys`.

    Raises:
        ValueError: if the cover can't be inverted, or a number is not finite.
    """
    k = keys.double()
    directions = _solve_positive(cover.double(), k.T)
    norms = (k * directions.T).sum(1).clamp_min(0).sqrt().unsqueeze(1)
    # A key of zero asks for what no change of W can give.
    norms[norms == 0] = 1.0
    gram = (k / norms) @ (directions / norms.T)
    gram = gram + slack * torch.eye(len(k), dtype=k.dtype, device=k.device)
    left = _solve_positive(gram, residuals.double() / norms) / norms
    return left.T.to(keys.dtype), directions.to(keys.dtype)


def _solve_positive(matrix: Tensor, columns: Tensor) -> Tensor:
    """Solve for a symmetric positive matrix."""
    factor, failed = torch.linalg.cholesky_ex(matrix)
    if int(failed) or not bool(factor.isfinite().all()):
        raise ValueError("a moment of the keys can't be inverted, expected a larger ridge or cover")
    return torch.cholesky_solve(columns, factor)


def compact(left: Tensor, right: Tensor) -> Tuple[Tensor, Tensor]:
    """The same product left @ right.T in factors of rank at most min(d, f).

    Args:
        left: d x m.
        right: f x m.
    """
    (d, rank), f = left.shape, len(right)
    if rank <= min(d, f):
        return left, right
    if d <= f:
        return torch.eye(d, dtype=left.dtype, device=left.device), right @ left.T
    return left @ right.T, torch.eye(f, dtype=right.dtype, device=right.device)
