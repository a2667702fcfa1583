"""Random problems for the algebra of edits, and how results are compared."""

from __future__ import annotations

from typing import Tuple

import torch
from hypothesis import settings
from hypothesis import strategies as st
from torch import Tensor

RIDGE = 1e-2

seeds = st.integers(0, 2**31 - 1)
sizes = st.tuples(st.integers(2, 9), st.integers(1, 6))
few = settings(max_examples=20, deadline=None, derandomize=True)


def problem(seed: int, size: Tuple[int, int], count: int) -> Tuple[Tensor, Tensor, Tensor]:
    """Keys (m x f), residuals (m x d) and the moment of correlated background keys (f x f), in float64."""
    f, d = size
    torch.manual_seed(seed)
    background = torch.randn(4 * f, f).double() @ torch.randn(f, f).double()
    moment = background.T @ background / len(background)
    return torch.randn(count, f).double(), torch.randn(count, d).double(), moment


def alike(first: Tensor, second: Tensor, tolerance: float = 1e-6) -> bool:
    return bool((first - second).norm() <= tolerance * (1 + second.norm()))
