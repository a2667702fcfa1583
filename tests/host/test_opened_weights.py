from __future__ import annotations

from typing import Any, Callable

import pytest
import torch
from torch import nn

from fairseq_rome.host.opened_weights import OpenedWeights


def model() -> Any:
    torch.manual_seed(1)
    found = nn.Sequential(nn.Linear(4, 3), nn.LayerNorm(3), nn.Linear(3, 5, bias=False)).eval()
    found.register_buffer("table", torch.arange(7))
    return found


def in_place(one: Any) -> None:
    with torch.no_grad():
        one[0].weight[1, 2] += 1e-3


def by_hook(one: Any) -> None:
    one[2].register_forward_hook(lambda *_: None)


def before_hook(one: Any) -> None:
    one[0].register_forward_pre_hook(lambda *_: None)


def optimised(one: Any) -> None:
    one(torch.ones(1, 4)).sum().backward()
    torch.optim.SGD(one.parameters(), lr=0.1).step()


EDITS = {
    "in place": in_place,
    "behind torch's back": lambda one: one[0].weight.data[0, 0].add_(1e-6),
    "signs behind torch's back": lambda one: one[0].weight.data[0].neg_(),
    "places behind torch's back": lambda one: one[0].weight.data.copy_(one[0].weight.data.flip(0)),
    "another tensor": lambda one: setattr(one[0].weight, "data", one[0].weight.data + 1),
    "another parameter": lambda one: setattr(one[0], "weight", nn.Parameter(one[0].weight.detach() * 2)),
    "one more parameter": lambda one: setattr(one[2], "bias", nn.Parameter(torch.zeros(5))),
    "a parameter less": lambda one: setattr(one[0], "bias", None),
    "another shape": lambda one: setattr(one[2].weight, "data", torch.zeros(6, 3)),
    "another type": lambda one: one.double(),
    "a buffer": lambda one: one.table.add_(1),
    "a step of an optimiser": optimised,
    "places": lambda one: one[2].weight.detach().copy_(one[2].weight.detach().flip(0)),
    "a hook": by_hook,
    "a hook before": before_hook,
    "train mode": lambda one: one.train(),
}


@pytest.mark.parametrize("edit", EDITS.values(), ids=list(EDITS))
def test_an_edit_is_noticed(edit: Callable[[Any], Any]) -> None:
    one = model()
    opened = OpenedWeights(one)
    assert opened.unchanged()
    edit(one)
    assert not opened.unchanged()
    assert not opened.unchanged()


def test_an_edit_that_was_taken_back_is_none() -> None:
    one = model()
    opened, old = OpenedWeights(one), one[0].weight.detach().clone()
    in_place(one)
    assert not opened.unchanged()
    one[0].weight.data = old.clone()
    assert opened.unchanged()
    with torch.no_grad():
        one[0].weight.add_(1)
        assert not opened.unchanged()
        one[0].weight.copy_(old)
    assert opened.unchanged()
    handle = one[1].register_forward_hook(lambda *_: None)
    assert not opened.unchanged()
    handle.remove()
    assert opened.unchanged()


def test_the_fingerprint_is_of_the_model_as_it_was_opened() -> None:
    one, same, other = model(), model(), model()
    in_place(other)
    opened = OpenedWeights(one)
    assert opened.fingerprint == OpenedWeights(same).fingerprint != OpenedWeights(other).fingerprint
    late = OpenedWeights(same)
    same[0].weight.data = same[0].weight.data + 1
    assert late.fingerprint == opened.fingerprint


def test_no_memory_of_weights_is_kept() -> None:
    one = model()
    opened, kept = OpenedWeights(one), one[0].weight.detach().clone()
    assert "tensor(" not in repr([value for name, value in vars(opened).items() if name != "model"]).lower()
    one[0].weight.data = torch.empty(0)  # as where a second model is built beside it
    assert not opened.unchanged()
    one[0].weight.data = kept
    assert opened.unchanged()
