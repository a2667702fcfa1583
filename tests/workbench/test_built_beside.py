"""A second model beside the open one: both as they should be, in the memory of one where they are equal."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Dict

import pytest
import torch
from demo_edits import RECORDS
from torch import Tensor, nn

import fairseq_rome
from fairseq_rome import Workbench
from fairseq_rome.errors import EditError
from fairseq_rome.host.checkpoint import fingerprint, same_bits, share_equal_
from fairseq_rome.host.sites import Site
from fairseq_rome.patch import (
    LowRankChange,
    NeuronChange,
    Patch,
    applied,
    apply_,
    differing,
    preserved,
    restore_,
)
from fairseq_rome.workbench.built_beside import built_beside

DEMO = Path(__file__).resolve().parents[2] / "scripts" / "demo"
FIRST = "decoder.layers.0.fc1.weight"


@pytest.fixture
def bench() -> Workbench:
    """The demo, opened for itself: the tests change its weights."""
    return fairseq_rome.open(
        str(DEMO / "model.pt"), data=str(DEMO / "data-bin"), source="en", target="de",
        bpe="sentencepiece", sentencepiece_model=str(DEMO / "spm.model"),
    )  # fmt: skip


def bits(model: nn.Module) -> Dict[str, Tensor]:
    return {name: parameter.detach().clone() for name, parameter in model.named_parameters()}


def as_before(model: nn.Module, before: Dict[str, Tensor]) -> bool:
    return all(same_bits(model.get_parameter(name), tensor) for name, tensor in before.items())


def test_equal_weights_are_one_memory(bench: Workbench) -> None:
    model, before = bench.model.translator.model, bits(bench.model.translator.model)
    second = bench.model.load(bench.model.state)
    assert as_before(model, before) and as_before(second, before)
    assert all(
        model.get_parameter(name).data_ptr() == second.get_parameter(name).data_ptr() for name in before
    )


def test_an_edit_of_one_is_none_of_the_other(bench: Workbench) -> None:
    model = bench.model.translator.model
    second, before = bench.model.load(bench.model.state), bits(bench.model.translator.model)
    row = torch.randn(before[FIRST].shape[1])
    patch = Patch("gated", Site("decoder", 0), (
        NeuronChange(FIRST, 0, 3, row, before[FIRST][3].clone()),
        LowRankChange("decoder.layers.0.fc2.weight", torch.ones(before["decoder.layers.0.fc2.weight"].shape[0], 1),
                      torch.ones(before["decoder.layers.0.fc2.weight"].shape[1], 1)),
    ))  # fmt: skip
    with applied(model, patch):
        assert torch.equal(model.get_parameter(FIRST)[3], row)
        assert as_before(second, before)
    apply_(second, patch)
    assert as_before(model, before)
    restore_(second, before)
    assert as_before(second, before) and as_before(model, before)


def test_a_model_that_cannot_be_built_leaves_the_first_as_it_was(bench: Workbench) -> None:
    model, before = bench.model.translator.model, bits(bench.model.translator.model)
    state: Dict[str, Any] = {**bench.model.state, "model": {**bench.model.state["model"]}}
    del state["model"][FIRST]
    with pytest.raises(EditError, match="does not fit"):
        bench.model.load(state)
    assert as_before(model, before)
    said = bench.translate([RECORDS[0]["source"]])
    with pytest.raises(KeyboardInterrupt):
        built_beside(model, bench.model.state["model"], interrupted)
    assert as_before(model, before) and bench.translate([RECORDS[0]["source"]]) == said


def interrupted() -> nn.Module:
    raise KeyboardInterrupt


def test_meanwhile_the_first_takes_no_memory(bench: Workbench) -> None:
    model = bench.model.translator.model
    held = []

    def build() -> nn.Module:
        held.append(sum(parameter.numel() for parameter in model.parameters()))
        return nn.Linear(2, 2)

    before = bits(model)
    built_beside(model, bench.model.state["model"], build)
    assert held == [0] and as_before(model, before)
    other = {name: tensor + 1 for name, tensor in bench.model.state["model"].items()}
    built_beside(model, other, build)
    assert held[1] == sum(tensor.numel() for tensor in before.values()) and as_before(model, before)


def test_states_of_one_model_share_what_is_equal() -> None:
    first = {"a": torch.tensor([0.0, 1.0]), "b": torch.tensor([2.0]), "c": torch.tensor([0.0])}
    second = {"a": torch.tensor([0.0, 1.0]), "b": torch.tensor([3.0]), "c": torch.tensor([-0.0]), "d": torch.ones(1)}
    before = fingerprint({"model": second})
    share_equal_(second, first)
    assert fingerprint({"model": second}) == before
    assert [name for name in first if second[name] is first[name]] == ["a"]


def test_what_is_kept_of_a_half_precision_model_is_half() -> None:
    model = nn.Linear(3, 2)
    model.weight.data = model.weight.data.half().float()
    model.bias.data = torch.tensor([-0.0, 1 / 3])
    before = bits(model)
    with preserved(model) as saved:
        assert (saved["weight"].dtype, saved["bias"].dtype) == (torch.float16, torch.float32)
        assert not differing(model, saved)
        model.weight.data = torch.randn(5, 3)
        model.bias.data.add_(0.0)  # -0.0 becomes 0.0
        assert set(differing(model, saved)) == {"weight", "bias"}
    assert as_before(model, before) and model.weight.dtype == torch.float32
    with preserved(model, ["bias"]) as saved:
        assert list(saved) == ["bias"]
