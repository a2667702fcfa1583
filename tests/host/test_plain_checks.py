from __future__ import annotations

import subprocess
import sys

import pytest
import torch

from fairseq_rome.host.plain_checks import plain_checks

# In a process of its own: other tests have imported what this one is to show that nobody imports.
_PROCESS = """
import sys, torch
from fairseq_rome.host.plain_checks import plain_checks
attention = torch.nn.MultiheadAttention(4, 1)
states = torch.randn(3, 2, 4)
mask = torch.tensor([[False, False, True], [False, False, False]])
own = torch._check_with
with plain_checks():
    attention(states, states, states, key_padding_mask=mask)
    assert "sympy" not in sys.modules, "sympy was imported"
    try:
        attention(states, states, states, key_padding_mask=mask[:1])
    except AssertionError as error:
        assert "key_padded_mask.shape[0]" in str(error), error
    else:
        raise SystemExit("a mask of another shape was taken")
assert torch._check_with is own
"""


@pytest.mark.skipif(not hasattr(torch, "_check_with"), reason="this torch has no such checks")
def test_attention_checks_its_mask_without_an_algebra_system() -> None:
    done = subprocess.run([sys.executable, "-W", "ignore", "-c", _PROCESS], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


def test_a_torch_without_such_checks_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(torch, "_check_with", raising=False)
    with plain_checks():
        assert not hasattr(torch, "_check_with")
