from __future__ import annotations

import torch
from torch.nn.functional import kl_div

from fairseq_rome.methods.fitting.matching import divergence, divergence_slope


def test_the_written_out_slope_is_that_of_autograd() -> None:
    torch.manual_seed(0)
    logits = torch.randn(5, 11, dtype=torch.float64, requires_grad=True)
    wanted, weights = torch.randn(5, 11).double().softmax(-1), torch.rand(5).double()
    wanted[1], wanted[1, 3] = 0.0, 1.0
    told = weights @ kl_div(logits.log_softmax(-1), wanted, reduction="none").sum(-1)
    told.backward()
    assert logits.grad is not None
    torch.testing.assert_close(divergence_slope(logits.detach(), wanted, weights), logits.grad)
    assert abs(divergence(logits.detach(), wanted, weights) - float(told.detach())) < 1e-9
