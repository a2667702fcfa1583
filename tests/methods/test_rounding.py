"""Gates that leave the rounding of all other neurons as it is."""

from __future__ import annotations

import math
from typing import Dict, List, Sequence, Tuple

import pytest
import torch
from conftest import Demo
from demo_edits import of_demo, run
from edit_runs import lines
from torch import Tensor, nn

from fairseq_rome.host.sites import prepared
from fairseq_rome.methods.fitting.rounding import within_rows
from fairseq_rome.patch import NeuronChange, Patch, applied

WIDTH, INNER = 6, 5
Column = Tuple[int, Tensor]


class Stack(nn.Module):
    """Weights under the names that a fairseq decoder gives them."""

    def __init__(self, columns: Tensor) -> None:
        super().__init__()
        inner = nn.Module()
        layer = nn.Module()
        layer.fc2 = nn.Linear(INNER, WIDTH)
        layer.fc4 = nn.Linear(INNER, WIDTH)
        with torch.no_grad():
            layer.fc2.weight.copy_(columns)
            layer.fc4.weight.fill_(1.0)
        inner.layers = nn.ModuleList([layer])
        self.decoder = inner


def gates(columns: Sequence[Column], maps: Tuple[str, str] = ("fc1", "fc2")) -> List[NeuronChange]:
    """The three changes of each gate, its row and its bias being ones."""
    first, second = (f"decoder.layers.0.{name}" for name in maps)
    found: List[NeuronChange] = []
    for index, column in columns:
        found += [
            NeuronChange(f"{first}.weight", 0, index, torch.ones(WIDTH)),
            NeuronChange(f"{first}.bias", 0, index, torch.ones(())),
            NeuronChange(f"{second}.weight", 1, index, column),
        ]
    return found


def factors(changes: Sequence[NeuronChange]) -> List[float]:
    """By how much the row of each gate has grown."""
    rows = [one.new for one in changes if one.dim == 0 and one.new.dim()]
    return [float(row[0]) for row in rows]


@pytest.mark.parametrize(
    ("largest", "own", "column", "factor"),
    [
        (1.0, 0.0, 1.0, 1.0),  # as large as what stands there: nothing to be done
        (1.0, 0.0, 0.1, 1.0),
        (1.0, 0.0, 1.01, 2.0),
        (0.5, 0.0, -20.0, 64.0),
        (0.5, 90.0, 20.0, 64.0),  # what the neuron itself had there is lost
        (0.0, 0.0, 20.0, 1.0),  # no other weight that could suffer
    ],
)
def test_the_factor_of_a_gate(largest: float, own: float, column: float, factor: float) -> None:
    weight = torch.zeros(WIDTH, INNER)
    weight[2, 1], weight[2, 3] = -largest, own
    (found,) = factors(within_rows(Stack(weight), tuple(gates([(3, torch.eye(WIDTH)[2] * column)]))))
    assert found == factor


def test_no_column_of_several_gates_is_larger_than_its_row() -> None:
    weight = torch.randn(WIDTH, INNER, generator=torch.Generator().manual_seed(3))
    columns = [(1, weight[:, 0] * 37), (4, weight[:, 2] * 0.01), (INNER + 1, weight[:, 0] * 5)]
    others = weight[:, [0, 2, 3]].abs().amax(1)
    found = within_rows(Stack(weight), tuple(gates(columns)))
    new = [one.new for one in found if isinstance(one, NeuronChange) and one.dim == 1]
    assert all(bool((column.abs() <= others).all()) for column in new)
    assert all(math.log2(one).is_integer() for one in factors(found))
    for one, (_, old), factor in zip(new, columns, factors(found)):
        assert torch.equal(one * factor, old), "what a gate adds is the same, bit for bit"


def test_each_network_of_a_layer_has_its_own_gates() -> None:
    column = torch.full((WIDTH,), 8.0)
    changes = (*gates([(2, column)]), *gates([(2, column)], ("fc3", "fc4")))
    assert factors(within_rows(Stack(torch.full((WIDTH, INNER), 4.0)), changes)) == [2.0, 8.0]


def test_an_edit_for_int8_leaves_the_scales_and_says_the_same(demo: Demo) -> None:
    settings = {"edit_contexts": 12, "edit_references": 20, "site": "decoder.2"}
    plain, rounded = (
        run(demo, [of_demo(2)], {**settings, "edit_for": name}).results[0].patch for name in ("float", "int8")
    )
    assert plain and rounded and len(plain.taken) == 2, "it has gates early in the decoder too"
    assert plain.taken == rounded.taken
    model = demo.translator.model

    def said_and_scales(*patches: Patch) -> Tuple[List[Tuple[str, float]], Dict[str, Tensor]]:
        with applied(model, *patches), prepared(model):
            said = demo.translator.translate(lines("fixes.en"))
            columns = [name for name in plain.names if name.endswith("fc2.weight")]
            scales = {name: model.get_parameter(name).detach().abs().amax(1) for name in columns}
        return [(one.text, one.score) for one in said], scales

    (_, before), (one, coarser), (other, after) = (said_and_scales(*patches) for patches in ((), (plain,), (rounded,)))
    assert one == other
    assert all(bool((after[name] <= before[name]).all()) for name in before)
    assert all(bool((coarser[name] > before[name]).any()) for name in before)
