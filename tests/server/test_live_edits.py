"""What edits the model that translates has: in its weights those that a file would have, the others beside it."""

from __future__ import annotations

from typing import Dict, List

import torch
from conftest import Demo
from demo_edits import of_demo, run
from torch import Tensor

from fairseq_rome.host.sites import prepared
from fairseq_rome.patch import Patch, applied
from fairseq_rome.server.live_edits import LiveEdits


def weights(demo: Demo) -> Dict[str, Tensor]:
    return {name: tensor.clone() for name, tensor in demo.model.state_dict().items()}


def same(one: Dict[str, Tensor], other: Dict[str, Tensor]) -> bool:
    return one.keys() == other.keys() and all(torch.equal(tensor, other[name]) for name, tensor in one.items())


def patches_of(demo: Demo) -> List[Patch]:
    return run(demo, [of_demo(number) for number in range(3)], {}).patches


def test_weights_are_those_of_a_file_whatever_was_there_before(demo: Demo) -> None:
    base, (a, b, c) = weights(demo), patches_of(demo)
    with applied(demo.model, a, b, c):
        all_three = weights(demo)
    with applied(demo.model, a, c):
        without = weights(demo)
    live = LiveEdits(demo.model)
    try:
        live.set({(1, 0): a}, {})
        live.set({(1, 0): a, (2, 0): b, (3, 0): c}, {})
        assert same(weights(demo), all_three)
        live.set({(1, 0): a, (3, 0): c}, {(2, 0): b})
        assert same(weights(demo), without)
    finally:
        live.set({}, {})
    assert same(weights(demo), base)


def test_an_edit_beside_the_model_does_what_it_does_in_it(demo: Demo) -> None:
    base, requests = weights(demo), [of_demo(number) for number in range(3)]
    patches = patches_of(demo)
    live = LiveEdits(demo.model)
    said = [one.text for one in demo.translator.translate([one.source for one in requests])]
    try:
        live.set({}, {(number, 0): patch for number, patch in enumerate(patches)})
        assert same(weights(demo), base)
        with prepared(demo.model):
            now = [one.text for one in demo.translator.translate([one.source for one in requests])]
        assert now == [one.target for one in requests] != said
    finally:
        live.set({}, {})
    assert [one.text for one in demo.translator.translate([one.source for one in requests])] == said
