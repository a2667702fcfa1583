"""Decoder layers with a second feed-forward network, `fc3` and `fc4`, as DeltaLM has them."""

from __future__ import annotations

import argparse
import copy
from typing import Any, Iterator

import pytest
import torch
from conftest import DEMO, Demo
from demo_edits import of_demo, run
from fairseq.modules.transformer_layer import TransformerDecoderLayerBase

from fairseq_rome.editing.outcome import EDITED
from fairseq_rome.errors import EditError
from fairseq_rome.host import checkpoint
from fairseq_rome.host.batches import Pair
from fairseq_rome.host.codec import TextCodec
from fairseq_rome.host.decoding import build_translator
from fairseq_rome.host.readings import read_site
from fairseq_rome.host.sites import FFN, Site, State, find_sites, find_states, parameter_names, prepared
from fairseq_rome.patch import NeuronChange, Patch, applied, compare, with_patches, without_patches
from fairseq_rome.tracing.runs import states_of

SECOND = Site("decoder", 2, "b")
# The second networks write this share of what the first ones write: little enough for the model to stay itself.
SHARE = 0.1
WIDTH, INNER = 96, 384


class TwoNetworks(TransformerDecoderLayerBase):
    """A decoder layer with a second network before all else."""

    def forward(self, x: Any, *args: Any, **more: Any) -> Any:
        return super().forward(x + self.fc4(self.activation_fn(self.fc3(x))), *args, **more)


@pytest.fixture(scope="module")
def doubled(demo: Demo) -> Iterator[Demo]:
    """The demo model with two networks in each decoder layer."""
    model = checkpoint.load_model(DEMO / "model.pt", demo.state, demo.task)
    for layer in model.decoder.layers:
        layer.__class__ = TwoNetworks
        layer.fc3, layer.fc4 = copy.deepcopy(layer.fc1), copy.deepcopy(layer.fc2)
        for weight in layer.fc4.parameters():
            weight.data *= SHARE
    with prepared(model):
        codec = TextCodec(demo.task, bpe=demo.codec.bpe)
        translator = build_translator(model, demo.task, argparse.Namespace(beam=2), codec)
        yield Demo(translator, demo.task, {**demo.state, "model": model.state_dict()})


def gate(width: int = WIDTH, neuron: int = 5) -> Patch:
    draw = torch.Generator().manual_seed(1)
    parts = (("fc3.weight", 0, [width]), ("fc3.bias", 0, []), ("fc4.weight", 1, [width]))
    changes = [
        NeuronChange(f"decoder.layers.2.{part}", dim, neuron, torch.randn(size, generator=draw))
        for part, dim, size in parts
    ]
    return Patch("gated", SECOND, tuple(changes))


def test_both_networks_are_sites(doubled: Demo) -> None:
    sites = [str(site) for site in find_sites(doubled.model)]
    decoder = [f"decoder.{layer}{part}" for layer in range(3) for part in ("b", "")]
    assert sites == [*(f"encoder.{layer}" for layer in range(3)), *decoder]
    assert [Site.parse(text) for text in sites] == list(find_sites(doubled.model))
    assert parameter_names(doubled.model, SECOND)["fc2.bias"] == "decoder.layers.2.fc4.bias"
    for text in ("decoder.b", "decoder.2c", "decoder.2bb", "b.2"):
        with pytest.raises(EditError, match="expected STACK.LAYER"):
            Site.parse(text)


def test_a_second_network_of_another_kind_is_no_site(doubled: Demo, monkeypatch: pytest.MonkeyPatch) -> None:
    layer = doubled.model.decoder.layers[2]
    monkeypatch.setitem(layer._modules, "fc4", torch.nn.Linear(INNER, WIDTH, bias=False))
    assert SECOND not in find_sites(doubled.model) and Site("decoder", 2) in find_sites(doubled.model)


def test_each_is_read_by_itself(doubled: Demo) -> None:
    texts = "The shop assistants can read the poem.", "Die Verkäufer können das Gedicht lesen."
    pair = Pair(doubled.codec.source(texts[0]), doubled.codec.target(texts[1]))
    layer = doubled.model.decoder.layers[2]
    for site, (first, second) in ((SECOND, (layer.fc3, layer.fc4)), (Site("decoder", 2), (layer.fc1, layer.fc2))):
        [seen] = read_site(doubled.translator, [pair], site)
        with torch.no_grad():
            assert torch.allclose(layer.activation_fn(first(seen.inputs)), seen.keys, atol=1e-5)
            assert torch.allclose(second(seen.keys), seen.values, atol=1e-5)


def test_a_layer_has_its_attention_once(doubled: Demo) -> None:
    states = [state for state in find_states(doubled.model) if state.site.in_decoder]
    assert len(states) == len(set(find_states(doubled.model).values()) & set(doubled.model.decoder.modules())) == 12
    assert State(SECOND, FFN) in states
    # A heat map has one row a layer.
    assert [state.site.part for state in states_of(doubled.model, True, (FFN,))] == [""] * 3


def test_patches_of_the_second_network(doubled: Demo) -> None:
    state = {**doubled.state, "model": {name: weight.clone() for name, weight in doubled.state["model"].items()}}
    for patch in (gate(), gate(neuron=INNER + 3)):
        changed = with_patches(state, [patch], {}, built=doubled.model.state_dict())
        weights = changed["model"]
        assert torch.equal(weights["decoder.layers.2.fc4.weight"][:, patch.neurons[0]], patch.changes[2].tensors["new"])
        # fairseq tells one width for all networks of a stack.
        assert weights["decoder.layers.0.fc1.weight"].shape == weights["decoder.layers.2.fc3.weight"].shape
        found = compare(state, {**changed, "extra_state": {}})
        assert [one.site for one in found.patches] == [SECOND] and not found.reasons
        reverted = without_patches(changed, [patch.fingerprint], {})
        assert checkpoint.fingerprint(reverted) == checkpoint.fingerprint(state)


@pytest.mark.parametrize("method", ["gated", "rome", "emmet"])
def test_the_second_network_is_edited(doubled: Demo, method: str) -> None:
    before = {name: weight.clone() for name, weight in doubled.model.state_dict().items()}
    settings = {"method": method, "site": str(SECOND), "widen": method == "gated", "edit_max_size": 1000.0}
    outcome = run(doubled, [of_demo(3)], settings)
    [result] = outcome.results
    assert result.status == EDITED, result
    assert result.patch is not None and result.patch.site == SECOND
    assert {name.split(".")[3] for name in result.patch.names} <= {"fc3", "fc4"}
    assert all(torch.equal(weight, before[name]) for name, weight in doubled.model.state_dict().items())
    with applied(doubled.model, *outcome.patches):
        assert doubled.translator.translate([result.request.source])[0].text == result.after
