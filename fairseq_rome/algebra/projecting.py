"""Projections off the span of given directions, kept as an orthonormal basis of it."""

from __future__ import annotations

import torch
from torch import Tensor

# Directions whose squared singular value is below this share of the largest are rounding, and no part of the span.
# Smaller lets noise of single precision in; larger leaves weak directions out.
_SMALLEST = 1e-10


def orthonormal_rows(rows: Tensor) -> Tensor:
    """An orthonormal basis of the span of some rows, however they depend on one another.

    By the eigenvectors of their Gram matrix, so that the work is with n x n numbers where rows are long.

    Args:
        rows: n x p.

    Returns:
        r x p in the type of `rows`, r the rank of the rows; 0 x p where all are zero.
    """
    gram = rows.double() @ rows.double().T
    values, vectors = torch.linalg.eigh(gram)
    kept = values > _SMALLEST * values[-1:].clamp_min(torch.finfo(rows.dtype).tiny)
    return ((vectors[:, kept] / values[kept].sqrt()).T @ rows.double()).to(rows.dtype)


def off_span(tensor: Tensor, basis: Tensor) -> Tensor:
    """The part of a tensor that is orthogonal to a basis.

    Args:
        tensor: with p numbers, in any shape.
        basis: r x p, orthonormal rows.

    Returns:
        Of the shape of `tensor`: the nearest tensor whose inner product with each row of the basis is zero.
    """
    flat = tensor.reshape(-1)
    return (flat - (basis @ flat) @ basis).view_as(tensor)
