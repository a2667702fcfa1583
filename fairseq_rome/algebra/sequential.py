"""Changes of a weight that leave alone what earlier edits and the background hold: AlphaEdit and NSE."""

from __future__ import annotations

from typing import Tuple

import torch
from torch import Tensor

from fairseq_rome.algebra.least_squares import batch_update


def null_space(eigen: Tuple[Tensor, Tensor], energy: float) -> Tensor:
    """The directions in which background keys have next to no energy (AlphaEdit, arXiv 2410.02355).

    The paper takes eigenvectors whose eigenvalue lies below an absolute threshold; here they are counted by energy,
    so that the scale of the keys makes no difference.

    Args:
        eigen: eigenvalues (length f, ascending) and eigenvectors (f x f, columns) of the second moment C of the
            background keys, as `torch.linalg.eigh` gives them.
        energy: share of the trace of C that must lie outside, from 0 to 1.

    Returns:
        f x r orthonormal basis: as many eigenvectors of C, from the smallest eigenvalue up,
        as together hold at most 1 - energy of the trace.
    """
    values, vectors = eigen
    inside = values.clamp_min(0).cumsum(0)
    return vectors[:, inside <= (1 - energy) * inside[-1]]


def alphaedit_update(
    keys: Tensor, residuals: Tensor, basis: Tensor, past_keys: Tensor, ridge: float
) -> Tuple[Tensor, Tensor]:
    """Least-squares change of W inside a null space: AlphaEdit (Fang et al. 2025, arXiv 2410.02355).

    dW = R^T K P (Kp^T Kp P + K^T K P + ridge I)^-1 with the projection P = basis @ basis.T, solved in the
    coordinates of the basis.

    Args:
        keys: m x f.
        residuals: m x d.
        basis: f x r, orthonormal columns.
        past_keys: n x f keys Kp of earlier edits, which should keep their values; n may be 0.
        ridge: on the scale of squared lengths of keys.

    Returns:
        left (d x m) and right (f x m), in the dtype of `keys`; dW k is zero for each k orthogonal to the basis.

    Raises:
        ValueError: if no key has a part in the null space, or the ridge is too small to invert.
    """
    inside, past = keys.double() @ basis.double(), past_keys.double() @ basis.double()
    if not bool(inside.any()):
        raise ValueError("the keys have no part in the null space, expected less energy outside it")
    identity = torch.eye(basis.shape[1], dtype=inside.dtype, device=inside.device)
    left, within = batch_update(inside, residuals.double(), past.T @ past + ridge * identity)
    return left.to(keys.dtype), (basis.double() @ within).to(keys.dtype)


def nse_neurons(keys: Tensor, share: float) -> Tensor:
    """The fewest neurons that together hold a share of the keys' energy (NSE, Jiang et al. 2024, arXiv 2410.04045).

    Args:
        keys: m x f.
        share: from 0 to 1.

    Returns:
        Ascending indices, at least one.
    """
    ranked = keys.double().square().sum(0).sort(descending=True)
    below = ranked.values.cumsum(0) < share * ranked.values.sum() * (1 - 1e-12)
    return ranked.indices[: int(below.sum()) + 1].sort().values


def nse_update(keys: Tensor, residuals: Tensor, cover: Tensor, neurons: Tensor) -> Tuple[Tensor, Tensor]:
    """`batch_update` of the columns of W that belong to some neurons; the others stay (NSE, arXiv 2410.04045).

    Args:
        keys: m x f.
        residuals: m x d.
        cover: f x f, see `batch_update`.
        neurons: indices of the columns that may change.

    Returns:
        left (d x m) and right (f x m), zero in rows of other neurons, in the dtype of `keys`.

    Raises:
        ValueError: as for `batch_update`.
    """
    left, part = batch_update(keys[:, neurons], residuals, cover[neurons][:, neurons])
    right = torch.zeros_like(keys.T)
    right[neurons] = part
    return left, right
