"""Sites of every architecture that fairseq builds, small and with random weights."""

from __future__ import annotations

import argparse
from collections import OrderedDict
from typing import Any, Dict, List

import pytest
import torch

from fairseq_rome.errors import EditError
from fairseq_rome.host.sites import (
    Site,
    add_to_value,
    device_of,
    find_sites,
    layer_at,
    only_until,
    parameter_names,
    prepared,
    record,
    record_stream,
)

PRE_NORM = {"encoder_normalize_before": True, "decoder_normalize_before": True}
QUANT_NOISE = {"quant_noise_pq": 0.5, "quant_noise_pq_block_size": 4}
BUILDS: Dict[str, Dict[str, Any]] = {
    "transformer": {},
    "pre-norm": PRE_NORM,
    "gelu": {"activation_fn": "gelu"},
    "shared embeddings": {
        "share_all_embeddings": True,
        "encoder_learned_pos": True,
        "decoder_learned_pos": True,
    },
    "align": {"arch": "transformer_align", "alignment_layer": 0},
    "bart": {"arch": "bart_base"},
    "mbart": {"arch": "mbart_base", **PRE_NORM, "layernorm_embedding": True},
    "layer drop": {"encoder_layerdrop": 0.9, "decoder_layerdrop": 0.9},
    "quant noise": QUANT_NOISE,
    "checkpointed": {"checkpoint_activations": True},
    "normformer": {"ffn_layernorm": True, "scale_fc": True},
    "multilingual": {"arch": "multilingual_transformer"},
}


def dictionary() -> Any:
    from fairseq.data import Dictionary

    words = Dictionary()
    for index in range(12):
        words.add_symbol(f"w{index}")
    return words


def build(arch: str = "transformer", **overrides: Any) -> Any:
    """A model of fairseq's own builder, in train mode as builders leave it."""
    from fairseq.models import ARCH_CONFIG_REGISTRY, ARCH_MODEL_REGISTRY
    from fairseq.tasks.multilingual_translation import MultilingualTranslationTask

    sizes = {
        f"{stack}_{name}": value
        for stack in ("encoder", "decoder")
        for name, value in (("layers", 2), ("embed_dim", 16), ("ffn_embed_dim", 24), ("attention_heads", 2))
    }
    args = argparse.Namespace(
        arch=arch, max_source_positions=64, max_target_positions=64, **{**sizes, **overrides}
    )
    words = dictionary()
    task = argparse.Namespace(source_dictionary=words, target_dictionary=words)
    if arch == "multilingual_transformer":
        args.lang_pairs, args.encoder_langtok, args.decoder_langtok = ["en-de", "fr-de"], None, False
        args.source_lang = args.target_lang = None
        dicts = OrderedDict((lang, words) for lang in ("de", "en", "fr"))
        task = MultilingualTranslationTask(args, dicts, training=True)
    if arch in ARCH_CONFIG_REGISTRY:
        ARCH_CONFIG_REGISTRY[arch](args)
    torch.manual_seed(0)
    model = ARCH_MODEL_REGISTRY[arch].build_model(args, task)
    # fairseq 0.12.2 takes its fast path only in models that were loaded.
    torch.nn.Module.load_state_dict(model, model.state_dict())
    return model


def run(model: Any) -> torch.Tensor:
    """One pass over two sources of different length, padded on the left."""
    part = model.models["en-de"] if hasattr(model, "models") else model
    source = torch.tensor([[5, 6, 7, 8, 2], [1, 1, 9, 10, 2]])
    previous = torch.tensor([[2, 4, 5, 6], [2, 7, 1, 1]])
    encoded = part.encoder(source, src_lengths=torch.tensor([5, 3]))
    return part.decoder(previous, encoder_out=encoded)[0]


def running(model: Any) -> List[Site]:
    return [site for site in find_sites(model) if not site.stack.startswith("models.fr-de")]


def hooks(model: Any) -> int:
    return sum(len(module._forward_hooks) + len(module._forward_pre_hooks) for module in model.modules())


@pytest.fixture(params=list(BUILDS))
def model(request: pytest.FixtureRequest) -> Any:
    return build(**BUILDS[request.param])


def test_every_layer_is_a_site(model: Any) -> None:
    stacks = ["encoder", "decoder"]
    if hasattr(model, "models"):  # both pairs have one German decoder
        stacks = ["models.en-de.encoder", "models.en-de.decoder", "models.fr-de.encoder"]
    assert list(find_sites(model)) == [Site(stack, layer) for stack in stacks for layer in range(2)]
    assert [site.in_decoder for site in find_sites(model)][:4] == [False, False, True, True]
    assert all(layer_at(model, site) is layer for site, layer in find_sites(model).items())


def test_keys_and_values_are_those_of_fc2(model: Any) -> None:
    sites = running(model)
    with prepared(model), torch.no_grad(), record(model, sites) as seen:
        run(model)
    for site in sites:
        layer, length = layer_at(model, site), 4 if site.in_decoder else 5
        assert seen[site].inputs.shape == seen[site].values.shape == (length, 2, 16)
        assert seen[site].keys.shape == (length, 2, 24)
        with prepared(model), torch.no_grad():
            assert torch.allclose(layer.fc2(seen[site].keys), seen[site].values, atol=1e-6)
            keys = layer.activation_fn(layer.fc1(seen[site].inputs))
            if getattr(layer, "ffn_layernorm", None) is not None:
                keys = layer.ffn_layernorm(keys)
        assert torch.allclose(keys, seen[site].keys, atol=1e-6)


def test_a_pass_that_ends_early_has_seen_the_same(model: Any) -> None:
    before = hooks(model)
    for site in running(model):
        ran: List[torch.nn.Module] = []
        layers = list(find_sites(model).values())
        handles = [one.register_forward_pre_hook(lambda layer, _, found=ran: found.append(layer)) for one in layers]
        with prepared(model), torch.no_grad():
            with record(model, [site]) as whole:
                run(model)
            ran.clear()
            with record(model, [site]) as early, only_until(model, [site]):
                run(model)
                raise AssertionError("the pass went on")
        for handle in handles:
            handle.remove()
        assert ran[-1] is layer_at(model, site)
        assert torch.equal(early[site].inputs, whole[site].inputs)
        assert torch.equal(early[site].values, whole[site].values)
    assert hooks(model) == before
    with pytest.raises(KeyError), only_until(model, running(model)):
        raise KeyError("of its own")
    assert hooks(model) == before


def test_what_is_added_to_a_value_is_added_to_the_stream(model: Any) -> None:
    for site in running(model):
        layer = layer_at(model, site)
        outputs: List[torch.Tensor] = []
        handle = layer.register_forward_hook(lambda _, __, output, found=outputs: found.append(output))
        with prepared(model), torch.no_grad():
            with record_stream(model, site) as before:
                run(model)
            with record_stream(model, site) as after, add_to_value(model, site, torch.ones_like):
                run(model)
            seen = outputs[0] if torch.is_tensor(outputs[0]) else outputs[0][0]
            end = before[0] if layer.normalize_before else layer.final_layer_norm(before[0])
        handle.remove()
        assert torch.allclose(after[0] - before[0], torch.ones_like(before[0]), atol=1e-5)
        assert torch.allclose(end, seen, atol=1e-6)
        assert "residual_connection" not in vars(layer)


def test_prepared_puts_everything_back(model: Any) -> None:
    model.encoder.layers[0].eval()
    state = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    training = [module.training for module in model.modules()]
    forwards = [module.__dict__.get("forward") for module in model.modules()]
    fast = [getattr(module, "can_use_fastpath", None) for module in model.modules()]
    before = hooks(model)
    with prepared(model), record(model, running(model)):
        assert not any(module.training for module in model.modules())
        assert not any(getattr(module, "can_use_fastpath", False) for module in model.modules())
        first = run(model)
        assert torch.equal(first, run(model))  # no dropout, no dropped layers, no noise on weights
    with pytest.raises(KeyError), prepared(model), record(model, running(model)):
        raise KeyError
    assert [module.training for module in model.modules()] == training
    assert [module.__dict__.get("forward") for module in model.modules()] == forwards
    assert [getattr(module, "can_use_fastpath", None) for module in model.modules()] == fast
    assert hooks(model) == before
    assert all(torch.equal(tensor, state[name]) for name, tensor in model.state_dict().items())


def test_an_edit_of_a_site_is_felt(model: Any) -> None:
    for site in running(model):
        with prepared(model), torch.no_grad():
            plain = run(model)
            weight = model.get_parameter(parameter_names(model, site)["fc2.weight"])
            weight.neg_()
            assert not torch.equal(run(model), plain)
            weight.neg_()
            with add_to_value(model, site, lambda value: torch.zeros(())):
                assert torch.equal(run(model), plain)
            with add_to_value(model, site, lambda value: value + 1):
                assert not torch.equal(run(model), plain)
            assert torch.equal(run(model), plain)


def test_gradients_reach_an_addition(model: Any) -> None:
    for site in running(model):
        addition = torch.zeros(16, requires_grad=True)
        with prepared(model), add_to_value(model, site, lambda value, addition=addition: addition):
            run(model).logsumexp(-1).sum().backward()
        assert addition.grad is not None
        assert float(addition.grad.norm()) > 0


def test_names_are_those_of_the_state(model: Any) -> None:
    state = model.state_dict()
    for site in find_sites(model):
        shapes = {short: state[name].shape for short, name in parameter_names(model, site).items()}
        assert shapes == {
            "fc1.weight": (24, 16), "fc1.bias": (24,), "fc2.weight": (16, 24), "fc2.bias": (16,)
        }  # fmt: skip
    assert device_of(model) == torch.device("cpu")


def test_shared_layers_are_one_site() -> None:
    model = build("multilingual_transformer", share_encoders=True, share_decoders=True)
    assert [str(site) for site in find_sites(model)] == [
        f"models.en-de.{stack}.{layer}" for stack in ("encoder", "decoder") for layer in range(2)
    ]


def test_half_precision_is_recorded_as_it_is() -> None:
    model = build().to(torch.bfloat16)
    with prepared(model), torch.no_grad(), record(model, [Site("decoder", 1)]) as seen:
        run(model)
    assert seen[Site("decoder", 1)].keys.dtype == torch.bfloat16


def test_the_fast_path_of_the_encoder_is_switched_off() -> None:
    model, site = build().eval(), Site("encoder", 0)
    if not getattr(layer_at(model, site), "BT_version", False):
        pytest.skip("this fairseq, or this torch, has no fast path")
    with torch.no_grad(), pytest.raises(EditError, match="site encoder.0 never ran"), record(model, [site]):
        fast = run(model)
    with torch.no_grad(), prepared(model), record(model, [site]):
        plain = run(model)
    assert torch.allclose(plain, fast, atol=1e-4)


def test_the_latest_pass_counts() -> None:
    model, site = build(), Site("encoder", 0)
    with prepared(model), torch.no_grad(), record(model, [site, site]) as seen:
        run(model)
        first = seen[site].keys
        run(model)
        assert seen[site].keys is not first


def test_a_site_that_never_ran_is_an_error() -> None:
    model = build()
    with pytest.raises(EditError, match="site decoder.0 never ran"), record(model, [Site("decoder", 0)]):
        pass
    silent = add_to_value(model, Site("encoder", 1), lambda value: value)
    with pytest.raises(EditError, match="site encoder.1 never ran"), silent:
        pass
    with pytest.raises(KeyError), record(model, [Site("decoder", 0)]):  # the first error is the one to see
        raise KeyError
    assert hooks(model) == 0


def test_an_unknown_site_leaves_no_hooks() -> None:
    model = build()
    message = "no site decoder.2 in this model, expected one of: encoder.0, encoder.1, decoder.0, decoder.1"
    with pytest.raises(EditError, match=message), record(model, [Site("encoder", 0), Site("decoder", 2)]):
        pass
    assert hooks(model) == 0


@pytest.mark.parametrize("arch", ["fconv", "lightconv", "lstm"])
def test_models_without_such_layers_are_refused(arch: str) -> None:
    convolutions = {"encoder_layers": "[(16, 3)]", "decoder_layers": "[(16, 3)]", "decoder_attention": "True"}
    kernels = {
        f"{stack}_{name}": value
        for stack in ("encoder", "decoder")
        for name, value in (("kernel_size_list", [3, 3]), ("conv_type", "dynamic"), ("glu", True))
    }
    shape = {
        "fconv": convolutions,
        "lightconv": {"weight_softmax": True, **kernels},
        "lstm": {"criterion": ""},
    }[arch]
    with pytest.raises(
        EditError, match="Model has no Transformer feed-forward layers: nothing can be edited"
    ):
        find_sites(build(arch, **shape))


def test_layers_of_another_make_are_refused() -> None:
    model = build()
    layer = model.decoder.layers[1]
    linear, layer.fc1 = layer.fc1, torch.nn.Sequential(layer.fc1)
    with pytest.raises(
        EditError, match=r"decoder.layers.1: fc1 is Sequential, expected a plain Linear with a bias"
    ):
        find_sites(model)
    layer.fc1 = linear
    layer.fc2 = torch.nn.Linear(24, 16, bias=False)
    with pytest.raises(EditError, match="fc2 is Linear, expected a plain Linear with a bias"):
        find_sites(model)
    del layer.fc2  # a mixture of experts has none
    with pytest.raises(EditError, match="fc2 is NoneType"):
        find_sites(model)


@pytest.mark.parametrize(
    ("text", "site"),
    [
        ("decoder.3", Site("decoder", 3)),
        (" encoder.0 ", Site("encoder", 0)),
        ("models.en-de.decoder.11", Site("models.en-de.decoder", 11)),
    ],
)
def test_site_as_text(text: str, site: Site) -> None:
    assert Site.parse(text) == site
    assert str(site) == text.strip()


@pytest.mark.parametrize(
    "text", ["", "decoder", "decoder.", "3", ".3", "decoder.-1", "decoder.x", "decoder.³", "dec.1"]
)
def test_what_is_no_site(text: str) -> None:
    with pytest.raises(EditError, match="expected STACK.LAYER, for example decoder.3"):
        Site.parse(text)
