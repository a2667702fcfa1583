from __future__ import annotations

import torch
from algebra_problems import few, seeds
from hypothesis import given
from hypothesis import strategies as st

from fairseq_rome.algebra import Adam


@few
@given(seeds, st.integers(1, 30), st.floats(1e-3, 1.0))
def test_steps_are_those_of_torch(seed: int, steps: int, rate: float) -> None:
    torch.manual_seed(seed)
    wanted, begin = torch.randn(3, 5), torch.randn(3, 5)
    ours, theirs = begin.clone(), begin.clone().requires_grad_()
    adam, reference = Adam(ours, rate), torch.optim.Adam([theirs], lr=rate)
    for _ in range(steps):
        adam.step(2 * (ours - wanted))
        reference.zero_grad()
        (theirs - wanted).square().sum().backward()
        reference.step()
    torch.testing.assert_close(ours, theirs.detach())
