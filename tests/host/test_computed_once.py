from __future__ import annotations

from pathlib import Path
from typing import Any, Iterator, List

import pytest
import torch
from edit_runs import DEMO
from torch import Tensor

import fairseq_rome
from fairseq_rome.host.batches import Pair, forced_logits
from fairseq_rome.host.decoding import Translator
from fairseq_rome.host.sites import Site, add_to_value, computed_once, find_sites, layer_at

LAST, FIRST, ENCODER = Site.parse("decoder.1"), Site.parse("decoder.0"), Site.parse("encoder.1")


@pytest.fixture
def translator(edit_data: Path) -> Iterator[Translator]:
    bench = fairseq_rome.open(
        str(DEMO / "model.pt"), data=str(edit_data), source="en", target="de", bpe="sentencepiece",
        sentencepiece_model=str(DEMO / "spm.model"),
    )  # fmt: skip
    with bench.prepared():
        yield bench.model.translator


def logits(translator: Translator) -> Tensor:
    codec = translator.codec
    pairs = [Pair(codec.source(one), codec.target(two)) for one, two in (("A dog.", "Ein Hund."), ("He", "Er geht."))]
    return forced_logits(translator.model, translator.batcher.batch(pairs))


def added(translator: Translator, site: Site, number: int) -> Tensor:
    draw = torch.Generator().manual_seed(number)
    width = int(layer_at(translator.model, site).fc2.bias.numel())  # type: ignore[union-attr, operator]
    with add_to_value(translator.model, site, lambda value: torch.randn(width, generator=draw)):
        return logits(translator)


@pytest.mark.parametrize("site", [LAST, FIRST, ENCODER], ids=str)
def test_later_passes_are_those_that_compute_all(translator: Translator, site: Site) -> None:
    with torch.no_grad():
        plain = [added(translator, site, number) for number in range(3)]
        with computed_once(translator.model, site):
            found = [added(translator, site, number) for number in range(3)]
        after = added(translator, site, 0)
    assert not torch.equal(plain[0], plain[1])
    assert all(torch.equal(*pair) for pair in zip(plain, found)) and torch.equal(after, plain[0])


def test_what_lies_below_runs_once_and_what_lies_above_each_time(translator: Translator) -> None:
    ran: List[Site] = []

    def noting(site: Site, layer: Any) -> Any:
        forward = layer.forward

        def noted(*args: Any, **kwargs: Any) -> Any:
            ran.append(site)
            return forward(*args, **kwargs)

        return noted

    layers = {site: layer for site, layer in find_sites(translator.model).items() if site.in_decoder}
    for site, layer in layers.items():
        layer.forward = noting(site, layer)
    with torch.no_grad(), computed_once(translator.model, LAST):
        for number in range(3):
            added(translator, LAST, number)
    top = max(site.layer for site in layers)
    assert LAST.layer < top
    assert {site.layer: ran.count(site) for site in layers} == {
        layer: 1 if layer < LAST.layer else 3 for layer in range(top + 1)
    }
    assert all("forward" in vars(layer) for layer in layers.values())  # that of the test, as it found it


def test_the_gradient_is_that_of_a_whole_pass(translator: Translator) -> None:
    def gradient() -> Tensor:
        size = int(layer_at(translator.model, LAST).fc2.bias.numel())  # type: ignore[union-attr, operator]
        delta = torch.zeros(size, requires_grad=True)
        with torch.enable_grad(), add_to_value(translator.model, LAST, lambda value: delta):
            [found] = torch.autograd.grad(logits(translator).square().mean(), [delta])
        return found

    for parameter in translator.model.parameters():
        parameter.requires_grad_(False)
    plain = gradient()
    with computed_once(translator.model, LAST):
        gradient()
        assert torch.equal(gradient(), plain) and bool(plain.any())


def test_a_failure_puts_everything_back(translator: Translator) -> None:
    before = [dict(vars(module)) for module in translator.model.modules()]
    with pytest.raises(RuntimeError, match="on the way"), computed_once(translator.model, LAST):
        raise RuntimeError("on the way")
    assert [dict(vars(module)) for module in translator.model.modules()] == before
