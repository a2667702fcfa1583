"""Patches on a model that is open, through fairseq's hub interface: on, off again, one inside another."""

from __future__ import annotations

import copy
import warnings
from typing import Any, Iterator, List

import pytest
import torch
from edit_runs import DEMO, Edited, lines
from loading_samples import LOADINGS, assert_same, weights_of, written

import fairseq_rome
from fairseq_rome.errors import EditError
from fairseq_rome.host.checkpoint import portable_cfg, read_state
from fairseq_rome.host.user_dir import share_user_dir
from fairseq_rome.patch import read_stack
from fairseq_rome.patch.loading import patched


@pytest.fixture(scope="module")
def hub(edited: Edited) -> Iterator[Any]:
    from fairseq.models.transformer import TransformerModel

    share_user_dir()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield TransformerModel.from_pretrained(
            str(DEMO), "model.pt", str(edited.data), bpe="sentencepiece",
            sentencepiece_model=str(DEMO / "spm.model"),
        )  # fmt: skip


@pytest.fixture(scope="module")
def pair(edited: Edited, tmp_path_factory: pytest.TempPathFactory) -> List[str]:
    """Two patch files for the demo model, the second with neurons that it lacks."""
    base, edits = portable_cfg(read_state(DEMO / "model.pt")), read_stack(read_state(edited.path)).patches
    loading = LOADINGS["widened"](base, edits)
    return [str(path) for path in written(loading, tmp_path_factory.mktemp("pair"))[1]]


def test_the_hub_interface(hub: Any, pair: List[str]) -> None:
    assert fairseq_rome.patched is patched
    before, said = weights_of(hub), hub.translate(lines("fixes.en"), beam=2)
    with fairseq_rome.patched(hub, *pair) as same:
        assert same is hub
        assert hub.translate(lines("fixes.en"), beam=2) == lines("fixes.de") != said
    assert_same(weights_of(hub), before)
    assert hub.translate(lines("fixes.en"), beam=2) == said


def test_one_inside_another_is_a_stack(hub: Any, pair: List[str]) -> None:
    before = weights_of(hub)
    with patched(hub, *pair):
        both = weights_of(hub)
    with patched(hub, pair[0]):
        one = weights_of(hub)
        with patched(hub, pair[1]):
            assert_same(weights_of(hub), both)
        assert_same(weights_of(hub), one)
        with pytest.raises(EditError, match="is there already"), patched(hub, pair[0]):
            pass
        assert_same(weights_of(hub), one)
    assert_same(weights_of(hub), before)


def test_contexts_are_left_in_reverse_order(hub: Any, pair: List[str]) -> None:
    model = copy.deepcopy(hub.models[0])
    outer, inner = patched(model, pair[0]), patched(model, pair[1])
    outer.__enter__()
    one = weights_of(model)
    inner.__enter__()
    with pytest.raises(RuntimeError, match="inner context are still on the model"):
        outer.__exit__(None, None, None)
    inner.__exit__(None, None, None)
    assert_same(weights_of(model), one)


def test_patches_come_off_after_an_error(hub: Any, pair: List[str]) -> None:
    before = weights_of(hub)
    with pytest.raises(KeyError), patched(hub, *pair):
        raise KeyError
    assert_same(weights_of(hub), before)


def test_what_half_a_model_has_lost_is_not_guessed(hub: Any, pair: List[str]) -> None:
    half = copy.deepcopy(hub.models[0]).half()
    before = weights_of(half)
    with pytest.raises(EditError, match="float32.*float16.*before the model is made half"):
        patched(half, pair[0]).__enter__()
    assert_same(weights_of(half), before)


def test_a_model_made_half_inside_stays_so(hub: Any, pair: List[str]) -> None:
    model = copy.deepcopy(hub.models[0])
    before = {name: weight.half() for name, weight in weights_of(model).items()}
    with patched(model, *pair):
        model.half()
    assert_same(weights_of(model), before)


def test_an_ensemble_is_refused(hub: Any, pair: List[str]) -> None:
    two = copy.copy(hub)
    two.models = torch.nn.ModuleList([hub.models[0], hub.models[0]])
    with pytest.raises(EditError, match="ensemble of 2 models"):
        patched(two, *pair).__enter__()
