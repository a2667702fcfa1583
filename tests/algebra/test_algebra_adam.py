from __future__ import annotations

from typing import Tuple

import torch
from algebra_problems import few, seeds
from hypothesis import given
from hypothesis import strategies as st

from fairseq_rome.algebra import Adam


@few
@given(seeds, st.integers(1, 30), st.floats(1e-3, 1.0), st.sampled_from([(0.9, 0.999), (0.5, 0.9)]))
def test_steps_are_those_of_torch(seed: int, steps: int, rate: float, decays: Tuple[float, float]) -> None:
    torch.manual_seed(seed)
    wanted, begin = torch.randn(3, 5), torch.randn(3, 5)
    ours, theirs = begin.clone(), begin.clone().requires_grad_()
    adam, reference = Adam(ours, rate, decays), torch.optim.Adam([theirs], lr=rate, betas=decays)
    for step in range(steps):
        share = 1 / (1 + step)
        adam.step(2 * (ours - wanted), share)
        reference.param_groups[0]["lr"] = share * rate
        reference.zero_grad()
        (theirs - wanted).square().sum().backward()
        reference.step()
    torch.testing.assert_close(ours, theirs.detach())
