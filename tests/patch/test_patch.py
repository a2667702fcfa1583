from __future__ import annotations

from dataclasses import replace
from typing import Any, Dict

import pytest
import torch

from fairseq_rome.host.sites import Site
from fairseq_rome.patch import (
    DenseChange,
    LowRankChange,
    NeuronChange,
    Patch,
    applied,
    apply_,
    preserved,
    relative_size,
)

SITE = Site("decoder", 0)


class Layer(torch.nn.Module):
    """The parts of a layer that patches know of."""

    def __init__(self, dtype: torch.dtype = torch.float32) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.fc1 = torch.nn.Linear(6, 8).to(dtype)
        self.fc2 = torch.nn.Linear(8, 6).to(dtype)


def low_rank(rank: int = 2, scale: float = 1.0) -> Patch:
    torch.manual_seed(rank)
    left, right = scale * torch.randn(6, rank), torch.randn(8, rank)
    return Patch("rome", SITE, (LowRankChange("fc2.weight", left, right),))


def dense(scale: float = 1.0, columns: int = 8) -> Patch:
    torch.manual_seed(5)
    return Patch("finetune", SITE, (DenseChange("fc2.weight", scale * torch.randn(6, columns)),))


def gate(index: int = 3, value: float = 0.3) -> Patch:
    parts = (("fc1.weight", 0, 6), ("fc1.bias", 0, 0), ("fc2.weight", 1, 6))
    changes = [
        NeuronChange(name, dim, index, torch.full((size,) if size else (), value))
        for name, dim, size in parts
    ]
    return Patch("gated", SITE, tuple(changes), {"gates": 1.0})


def state(model: torch.nn.Module) -> Dict[str, torch.Tensor]:
    return {name: tensor.clone() for name, tensor in model.state_dict().items()}


def same(first: Dict[str, Any], second: Dict[str, Any]) -> bool:
    return all(torch.equal(first[name], second[name]) for name in first)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16, torch.float64])
@pytest.mark.parametrize(
    "patch", [low_rank(), gate(), gate(8), dense()], ids=["low rank", "neuron", "widened", "dense"]
)
def test_restored_bit_for_bit(patch: Patch, dtype: torch.dtype) -> None:
    model = Layer(dtype)
    before = state(model)
    with applied(model, patch):
        assert not same(before, state(model))
    assert same(before, state(model))
    assert {parameter.dtype for parameter in model.parameters()} == {dtype}
    assert all(parameter.requires_grad and parameter.grad is None for parameter in model.parameters())


@pytest.mark.parametrize("rank", [1, 2, 3])
def test_rank_of_a_low_rank_change(rank: int) -> None:
    model = Layer().double()
    before = model.fc2.weight.detach().clone()
    apply_(model, low_rank(rank))
    assert int(torch.linalg.matrix_rank(model.fc2.weight - before, rtol=1e-5)) == rank


def test_a_gate_is_one_row_one_entry_and_one_column() -> None:
    model = Layer()
    before = state(model)
    apply_(model, gate(3))
    after = model.state_dict()
    changed = {name: (after[name] != before[name]).nonzero() for name in before}
    assert changed.pop("fc2.bias").numel() == 0
    assert set(changed["fc1.weight"][:, 0].tolist()) == {3}
    assert changed["fc1.bias"].tolist() == [[3]]
    assert set(changed["fc2.weight"][:, 1].tolist()) == {3}
    for name in ("fc1.weight", "fc2.weight"):
        assert int(torch.linalg.matrix_rank(after[name] - before[name])) == 1
    assert gate(3).neurons == [3]
    assert gate(3).names == ["fc1.weight", "fc1.bias", "fc2.weight"]
    assert low_rank().neurons == []


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16])
def test_a_low_rank_change_is_exact_but_for_the_rounding_at_the_end(dtype: torch.dtype) -> None:
    model = Layer(dtype)
    exact = model.fc2.weight.detach().double()
    patch = low_rank(4)
    apply_(model, patch)
    left, right = (part.double() for part in patch.changes[0].tensors.values())
    assert torch.equal(model.fc2.weight, (exact + left @ right.T).to(dtype))


def test_a_low_rank_change_sums_in_one_order() -> None:
    model = Layer(torch.float64)
    exact = model.fc2.weight.detach().clone()
    # The sum of the terms alone would be another.
    left = torch.tensor([1.0, 2.0**-53, -1.0], dtype=torch.float64).repeat(6, 1)
    change = LowRankChange("fc2.weight", left, torch.ones(8, 3, dtype=torch.float64))
    apply_(model, Patch("rome", SITE, (change,)))
    expected = exact.clone()
    for term in (1.0, 2.0**-53, -1.0):
        expected += term
    assert torch.equal(model.fc2.weight, expected)
    assert not torch.equal(model.fc2.weight, exact + left @ torch.ones(3, 8, dtype=torch.float64))


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16, torch.float64])
def test_a_dense_change_is_rounded_once(dtype: torch.dtype) -> None:
    model = Layer(dtype)
    exact, patch = model.fc2.weight.detach().clone().double(), dense(0.001)
    [change] = patch.changes
    apply_(model, patch)
    assert torch.equal(model.fc2.weight, (exact + change.delta.double()).to(dtype))
    assert not torch.equal(model.fc2.weight, exact.to(dtype))


@pytest.mark.parametrize("columns", [6, 11])
def test_a_dense_change_goes_as_far_as_both_have_columns(columns: int) -> None:
    model, patch = Layer(torch.float64), dense(columns=columns)
    before = model.fc2.weight.detach().clone()
    apply_(model, patch)
    [change] = patch.changes
    width = min(columns, 8)
    assert torch.equal(model.fc2.weight[:, :width], before[:, :width] + change.delta[:, :width].double())
    assert torch.equal(model.fc2.weight[:, width:], before[:, width:])


def test_a_dense_change_is_kept_in_float32() -> None:
    numbers = torch.randn(6, 8, dtype=torch.float64, requires_grad=True)
    change, same = (DenseChange("fc2.weight", one) for one in (numbers, numbers.detach().float()))
    assert change.delta.dtype == torch.float32 and not change.delta.requires_grad
    assert change.fingerprint_text == same.fingerprint_text
    assert (change.neuron, change.rank, change.needed_width(torch.ones(6, 4))) == (None, None, 0)
    assert change.describe() == "dense 6 x 8 in fc2.weight"
    left, right = change.factors
    assert torch.equal(left @ right.T, change.delta)


@pytest.mark.parametrize("width", [6, 8, 11])
def test_a_low_rank_change_goes_as_far_as_both_have_columns(width: int) -> None:
    model = Layer()
    before = model.fc2.weight.detach().clone()
    change = LowRankChange("fc2.weight", torch.ones(6, 1), torch.ones(width, 1))
    apply_(model, Patch("rome", SITE, (change,)))
    assert torch.equal(model.fc2.weight[:, :width], before[:, :width] + 1)
    assert torch.equal(model.fc2.weight[:, width:], before[:, width:])


def test_a_neuron_past_the_end_widens_the_layer() -> None:
    model = Layer()
    with applied(model, gate(9)):
        inputs = torch.randn(3, 6)
        assert model.fc1.weight.shape == (10, 6) and model.fc2.weight.shape == (6, 10)
        assert model.fc1.weight[8].eq(0).all() and model.fc2.weight[:, 8].eq(0).all()
        assert model.fc2(model.fc1(inputs).relu()).shape == (3, 6)
    assert model.fc1.weight.shape == (8, 6)


def test_the_fingerprint_is_of_what_a_patch_does() -> None:
    same = Patch(
        "gated", SITE, tuple(replace(c, old=torch.zeros_like(c.new)) for c in gate().changes), {"a": 1.0}
    )
    assert gate().fingerprint == gate(3, 0.3).fingerprint == same.fingerprint
    others = [
        gate(4), gate(3, 0.4), low_rank(1), low_rank(2), replace(gate(), site=Site("encoder", 0)), dense(), dense(2.0),
    ]  # fmt: skip
    prints = {patch.fingerprint for patch in (gate(), *others)}
    assert len(prints) == 8 and {len(found) for found in prints} == {64}


def test_changes_are_made_in_order() -> None:
    model = Layer()
    first, second = (NeuronChange("fc1.bias", 0, 2, torch.tensor(value)) for value in (1.0, 2.0))
    patch = Patch("gated", SITE, (first, second))
    assert patch.names == ["fc1.bias"]
    apply_(model, patch)
    assert model.fc1.bias.tolist()[2] == 2.0


@pytest.mark.parametrize(
    "change",
    [
        LowRankChange("fc2.weight", torch.ones(7, 1), torch.ones(8, 1)),
        NeuronChange("fc1.weight", 0, 1, torch.ones(5)),
        LowRankChange("fc3.weight", torch.ones(6, 1), torch.ones(8, 1)),
        DenseChange("fc2.weight", torch.ones(7, 8)),
    ],
)
def test_a_patch_that_does_not_fit_leaves_nothing_behind(change: Any) -> None:
    model = Layer()
    before = state(model)
    patch = Patch("rome", SITE, (*low_rank().changes, change))
    with pytest.raises((RuntimeError, IndexError, AttributeError)), applied(model, patch):
        pass
    assert same(before, state(model))


def test_preserved_gives_back_whatever_was_done() -> None:
    model = Layer()
    before = state(model)
    with preserved(model) as saved:
        assert same({name: before[name] for name in saved}, saved)
        apply_(model, low_rank())
        model.fc1.bias.data.fill_(float("nan"))
    assert same(before, state(model))


@pytest.mark.parametrize("context", [preserved, lambda model: applied(model, low_rank())])
def test_restored_after_an_error(context: Any) -> None:
    model = Layer()
    before = state(model)
    with pytest.raises(KeyError), context(model):
        {}[model.fc2.weight.data.add_(1)]
    assert same(before, state(model))


def test_patches_on_top_of_one_another() -> None:
    model = Layer()
    before = state(model)
    with applied(model, gate(1)):
        inner = state(model)
        with applied(model, low_rank()):
            pass
        assert same(inner, state(model))
    assert same(before, state(model))


def test_one_weight_under_two_names() -> None:
    model = Layer()
    model.twin = model.fc2
    before = state(model)
    with applied(model, low_rank()):
        assert torch.equal(model.twin.weight, model.fc2.weight)
        assert not torch.equal(model.twin.weight, before["twin.weight"])
    assert same(before, state(model))


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16])
def test_relative_size(dtype: torch.dtype) -> None:
    model = Layer(dtype)
    before = state(model)
    patch = low_rank(2, scale=0.5)
    left, right = patch.changes[0].left, patch.changes[0].right
    expected = float((left @ right.T).norm() / before["fc2.weight"].float().norm())
    assert relative_size(model, patch) == {"fc2.weight": pytest.approx(expected, rel=1e-3)}
    assert set(relative_size(model, gate())) == {"fc1.weight", "fc2.weight"}
    assert same(before, state(model))


def test_relative_size_of_large_half_precision_weights() -> None:
    model = Layer(torch.float16)
    model.fc2.weight.data.fill_(30000.0)
    patch = Patch("gated", SITE, (NeuronChange("fc2.weight", 1, 0, torch.full((6,), -30000.0)),))
    assert relative_size(model, patch)["fc2.weight"] == pytest.approx(2 / 8**0.5, rel=1e-3)
