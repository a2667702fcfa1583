"""What acts beside the weights: on a model and off again, in files, at load time, and in no checkpoint."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from typing import Any, Dict, List, Sequence

import pytest
import torch
from conftest import Demo
from demo_edits import run
from edit_runs import DEMO, LANGUAGES, ROOT, SUBWORDS, Edited, hypotheses, lines
from loading_samples import State, assert_same, weights_of
from stock_runs import Case, Stock
from test_load_time import PLUGIN, edit_task, loaded

from fairseq_rome.algebra import Neighbours
from fairseq_rome.errors import EditError
from fairseq_rome.host.batches import Pair
from fairseq_rome.host.certificate import Certificate
from fairseq_rome.host.checkpoint import portable_cfg, read_state
from fairseq_rome.host.opened_weights import OpenedWeights
from fairseq_rome.host.readings import read_site
from fairseq_rome.host.sites import Site, layer_at, parameter_names
from fairseq_rome.patch import (
    Beside,
    Codebook,
    Datastore,
    DemandedTerm,
    DemandedTerms,
    HookedPatches,
    Patch,
    applied,
    besides_on,
    load_patches,
    patch_file,
    preserved,
    read_stack,
    save_patches,
    set_besides_,
    with_patches,
)
from fairseq_rome.patch.loading import patched
from fairseq_rome.text.requests import EditRequest

DEEP = Site("decoder", 2)


@pytest.fixture(scope="module")
def base(demo: Demo) -> State:
    return portable_cfg(demo.state)


def datastore(demo: Demo, reach: float = 1.0, **changes: Any) -> Datastore:
    """The pairs of the demo's first corrected sentence, each where the model is led to it."""
    pair = Pair(demo.codec.source(lines("fixes.en")[0]), demo.codec.target(lines("fixes.de")[0]))
    [seen] = read_site(demo.translator, [pair], DEEP)
    names = tuple(parameter_names(demo.model, DEEP).values())
    whole = Datastore(
        DEEP, seen.inputs.cpu(), pair.target, torch.full((len(pair.target),), reach), 4, 0.99, 0.25, names
    )
    return replace(whole, **changes)


def by_method(demo: Demo, method: str, number: int = 0) -> Beside:
    """What a method puts beside the model for one of the demo's requests."""
    asked = EditRequest(lines("fixes.en")[number], lines("fixes.de")[number], id="1")
    [patch] = run(demo, [asked], {"method": method}).patches
    return patch.beside[0]


# By kind the number of the request that it is made for: constrained decoding does not manage the first one.
KINDS = {"datastore": 0, "codebook": 0, "rules": 0, "corrector": 0, "terms": 1}


@pytest.fixture(scope="module")
def made(demo: Demo) -> Dict[str, Beside]:
    """One of each kind."""
    by = {"codebook": "grace", "rules": "rules", "corrector": "corrector", "terms": "constrained"}
    return {"datastore": datastore(demo), **{kind: by_method(demo, method, KINDS[kind]) for kind, method in by.items()}}


def patch_of(*beside: Beside) -> Patch:
    return Patch("knn", DEEP, (), about={"id": "1"}, beside=beside)


def said(demo: Demo) -> List[str]:
    return [one.text for one in demo.translator.translate(lines("fixes.en"))]


@pytest.mark.parametrize("kind", KINDS)
def test_it_is_on_a_model_and_off_again(demo: Demo, made: Dict[str, Beside], kind: str) -> None:
    one = made[kind]
    before, weights, opened = said(demo), weights_of(demo.model), OpenedWeights(demo.model)
    with applied(demo.model, patch_of(one)):
        assert besides_on(demo.model) == (one,) and not opened.unchanged()
        now = said(demo)
        changed = [number for number, (old, new) in enumerate(zip(before, now)) if old != new]
        assert changed == [KINDS[kind]] and now[KINDS[kind]] == lines("fixes.de")[KINDS[kind]]
        assert Certificate.between(demo.model, weights) is None
        with preserved(demo.model):
            set_besides_(demo.model, ())
            assert said(demo) == before
        assert besides_on(demo.model) == (one,)
    assert not besides_on(demo.model) and opened.unchanged() and said(demo) == before
    hooked = HookedPatches.of(demo.model, [patch_of(one)])
    hooked.enter(demo.model)
    assert said(demo) == now
    hooked.leave(demo.model)
    assert_same(weights_of(demo.model), weights)
    assert opened.unchanged() and said(demo) == before


@pytest.mark.parametrize("kind", KINDS)
def test_a_file_holds_it(
    demo: Demo, base: State, made: Dict[str, Beside], kind: str, tmp_path: Path
) -> None:
    patch, path = patch_of(made[kind]), str(tmp_path / "one.safetensors")
    save_patches(path, patch_file([patch], base, {}))
    file = load_patches(path)
    assert [one.fingerprint for one in file.patches] == [patch.fingerprint]
    assert list(file.base) == list(patch.beside[0].computed_from)
    with applied(demo.model, patch):
        wanted = said(demo)
    with patched(demo.model, path):
        assert said(demo) == wanted
    save_patches(path, file, force=True)
    assert load_patches(path).patches[0].fingerprint == patch.fingerprint


@pytest.fixture(scope="module")
def printed(
    base: State, made: Dict[str, Beside], stock: Stock, tmp_path_factory: pytest.TempPathFactory
) -> Dict[str, str]:
    """What fairseq-interactive prints with each kind."""
    folder = tmp_path_factory.mktemp("beside")
    cases = []
    for kind, one in made.items():
        path = folder / f"{kind}.safetensors"
        save_patches(str(path), patch_file([patch_of(one)], base, {}))
        words = [DEMO / "data-bin", *PLUGIN, *LANGUAGES, *SUBWORDS, "--path", DEMO / "model.pt", "--beam", "5", "--cpu"]
        words += ["--buffer-size", "8", "--edit-patches", path]
        cases.append(Case(kind, "interactive", words, folder, str(DEMO / "fixes.en"), [str(ROOT)]))
    return stock.run(cases, folder)


@pytest.mark.parametrize("kind", KINDS)
def test_it_acts_in_stock_generation(
    demo: Demo, made: Dict[str, Beside], printed: Dict[str, str], kind: str
) -> None:
    with applied(demo.model, patch_of(made[kind])):
        assert hypotheses(printed[kind]) == said(demo)


def test_no_checkpoint_holds_it(demo: Demo, base: State) -> None:
    with pytest.raises(EditError, match="a checkpoint can't hold what knn makes .*--edit-patches"):
        with_patches(base, [patch_of(datastore(demo))], {})


def test_it_goes_on_the_model_that_it_was_made_for_alone(demo: Demo, base: State, tmp_path: Path) -> None:
    path = str(tmp_path / "one.safetensors")
    save_patches(path, patch_file([patch_of(datastore(demo))], base, {}))
    name = parameter_names(demo.model, DEEP)["fc2.weight"]
    with preserved(demo.model, [name]), torch.no_grad():
        demo.model.get_parameter(name)[0, 0] += 1
        with pytest.raises(EditError, match=re.escape(f"{path}: {name}")), patched(demo.model, path):
            pass


def test_files_of_weights_alone_keep_their_format(demo: Demo, edited: Edited, base: State, tmp_path: Path) -> None:
    patches = read_stack(read_state(edited.path)).patches
    for more, form in (((), b"4 "), ((patch_of(datastore(demo)),), b"5 ")):
        path = tmp_path / "one.safetensors"
        save_patches(str(path), patch_file([*patches, *more], base, {}), force=True)
        assert b'"fairseq_rome":"' + form in path.read_bytes()[:2000]


def test_states_out_of_reach_pass_bit_for_bit(demo: Demo) -> None:
    store = datastore(demo, reach=1.0)
    words = len(demo.task.target_dictionary)
    logits = torch.randn(3, words)
    inputs = torch.stack([store.keys[0], store.keys[1] + 0.01, store.keys[0] + 100])
    mixed = store.mixed(Neighbours(store.keys), inputs, logits)
    assert torch.equal(mixed[2], logits[2])
    assert store.mixed(Neighbours(store.keys), inputs[2:], logits[2:]).data_ptr() == logits[2:].data_ptr()
    for row in (0, 1):
        votes = mixed[row].exp()
        token = int(store.tokens[row])
        assert votes.sum() == pytest.approx(1, abs=1e-5) and votes[token] > 0.99
        rest = torch.arange(words) != token
        assert torch.allclose(votes[rest], 0.01 * logits[row].softmax(-1)[rest], atol=1e-6)


def test_several_are_searched_as_one(demo: Demo) -> None:
    one = datastore(demo)
    other, apart = replace(one, keys=one.keys + 50), replace(one, neighbours=2)
    merged: Sequence[Datastore] = Datastore.merged([one, apart, other])
    assert [len(store.keys) for store in merged] == [2 * len(one.keys), len(one.keys)]
    hooks = len(demo.model.decoder.output_projection._forward_hooks)
    with applied(demo.model, patch_of(one), patch_of(other)):
        assert len(demo.model.decoder.output_projection._forward_hooks) == hooks + 1
        assert besides_on(demo.model) == (one, other)


def test_the_nearest_kept_state_alone_is_asked(demo: Demo) -> None:
    keys = torch.stack([torch.zeros(96), torch.full((96,), 2.0)])
    book = Codebook(DEEP, keys, torch.stack([torch.ones(96), -torch.ones(96)]), torch.tensor([30.0, 0.1]))
    layer = layer_at(demo.model, DEEP)
    inputs = torch.stack([torch.zeros(96), torch.full((96,), 1.9), torch.full((96,), 100.0)]).unsqueeze(1)
    own = layer.fc2(layer.activation_fn(layer.fc1(inputs)))
    with applied(demo.model, patch_of(book)), torch.no_grad():
        found = layer.fc2(layer.activation_fn(layer.fc1(inputs)))
    assert torch.equal(found[0, 0], torch.ones(96))
    assert torch.equal(found[1:], own[1:])  # the wide reach of a key that is not the nearest counts for nothing


def test_what_the_model_lacks_is_told(demo: Demo) -> None:
    for site, fault in ((Site("decoder", 9), "no site decoder.9"), (Site("encoder", 0), "expected a decoder site")):
        with pytest.raises(EditError, match=fault), applied(demo.model, patch_of(datastore(demo, site=site))):
            pass
        assert not besides_on(demo.model)


def test_a_loaded_model_has_it_once_however_often_weights_are_loaded(demo: Demo, base: State, tmp_path: Path) -> None:
    path = tmp_path / "one.safetensors"
    save_patches(str(path), patch_file([patch_of(datastore(demo))], base, {}))
    model = loaded(DEMO / "model.pt", edit_task([path]))
    assert len(besides_on(model)) == 1
    model.load_state_dict(base["model"])
    assert len(besides_on(model)) == 1


def test_a_term_is_demanded_as_often_as_the_source_asks_for_it() -> None:
    terms = DemandedTerms((DemandedTerm(r"(?i)\bdog\b", "Hund"), DemandedTerm("cat", "Katze")))
    assert terms.terms("A dog and a Dog, dogs and a cat") == ["Hund", "Hund", "Katze"]
    assert not terms.terms("nothing")
