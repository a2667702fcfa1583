"""Neurons beside a gate, which carry states behind a new word to where they are behind the old one."""

from __future__ import annotations

from typing import Tuple

import pytest
import torch
from algebra_problems import few, seeds
from conftest import Demo
from demo_edits import of_demo, run
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from fairseq_rome.algebra import AffineMap, Detector
from fairseq_rome.editing.outcome import EDITED
from fairseq_rome.errors import EditError
from fairseq_rome.host.sites import Site
from fairseq_rome.methods.fitting import carrying
from fairseq_rome.methods.fitting.carrying import as_neurons
from fairseq_rome.patch import Patch

FIRST = Site("decoder", 0)
CARRIED = {"edit_contexts": 12, "edit_references": 20, "site": "decoder.2"}


def problem(seed: int, rank: int) -> Tuple[Detector, Tensor, AffineMap, Tensor]:
    """A detector, what it adds, a map beside it, and inputs on both sides of it and not too near."""
    torch.manual_seed(seed)
    detector = Detector(torch.randn(6).double(), torch.zeros(()).double())
    rest = AffineMap(
        torch.randn(6).double(), torch.zeros(5).double(), torch.randn(rank, 6).double(), torch.randn(rank, 5).double()
    )
    inputs = torch.randn(60, 6).double()
    return detector, torch.randn(5).double(), rest, inputs[detector(inputs).abs() > 0.3]


@few
@given(seeds, st.integers(0, 4))
def test_neurons_add_the_map_where_the_gate_is_open_and_nothing_elsewhere(seed: int, rank: int) -> None:
    detector, alone, rest, inputs = problem(seed, rank)
    detectors, values = as_neurons(detector, alone, rest, inputs, inputs, 0.0)
    assert len(detectors) == len(values) == 1 + rank
    added = torch.stack([one(inputs).clamp_min(0) for one in detectors], 1) @ torch.stack(values)
    open_ = detector(inputs) > 0
    wanted = detector(inputs).unsqueeze(1) * alone + rest(inputs)
    assert torch.allclose(added[open_], wanted[open_], atol=1e-6)
    assert not added[~open_].any()


@few
@given(seeds, st.sampled_from([0.05, 0.2]))
def test_a_share_of_the_background_may_open_them(seed: int, share: float) -> None:
    detector, alone, rest, inputs = problem(seed, 2)
    detectors, _ = as_neurons(detector, alone, rest, inputs[:0], inputs, share)
    shut = inputs[detector(inputs) < 0]
    opened = torch.stack([one(shut) > 0 for one in detectors], 1).any(1)
    assert int(opened.sum()) <= share * len(inputs)


def test_a_gate_too_near_to_other_states_has_none_beside_it(monkeypatch: pytest.MonkeyPatch) -> None:
    detector, alone, rest, inputs = problem(1, 2)
    monkeypatch.setattr(carrying, "_MOST_LIFT", 0.5)
    with pytest.raises(EditError, match="expected 0.5 at most"):
        as_neurons(detector, alone, rest, inputs, inputs, 0.0)


def patch_of(demo: Demo, **more: object) -> Patch:
    (result,) = run(demo, [of_demo(2)], {**CARRIED, **more}).results
    assert result.status == EDITED, result.reason
    assert result.after == result.request.target
    assert result.patch is not None
    return result.patch


def test_a_layer_that_may_grow_gets_neurons_beside_the_gate(demo: Demo) -> None:
    several = patch_of(demo, widen=True).taken[FIRST]
    assert 1 < len(several) <= 17
    # Rounding would lose what they read.
    assert len(patch_of(demo, widen=True, edit_for="int8").taken[FIRST]) == 1
