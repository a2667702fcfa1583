"""Fine-tuning off a memory of gradients."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any, List, Tuple

import pytest
import torch
from conftest import Demo
from demo_edits import QUICK, assert_same_bits, of_demo, run
from edit_runs import DEMO, edits_in, run_edit
from torch import Tensor

from fairseq_rome.cases.case import prepare
from fairseq_rome.cases.hunk_reading import Sides
from fairseq_rome.editing.outcome import EDITED
from fairseq_rome.host.batches import Pair, forced_logits
from fairseq_rome.host.corpus import load_corpus
from fairseq_rome.host.sites import Site
from fairseq_rome.methods.base import EditProblem, SiteResources
from fairseq_rome.methods.fitting.gradients import logit_gradients
from fairseq_rome.methods.ogd import _remembered
from fairseq_rome.methods.registry import method_named
from fairseq_rome.patch import DenseChange, Patch, applied
from fairseq_rome.settings import with_settings
from fairseq_rome.statistics import collect
from fairseq_rome.text.segments import Endings

DEEP, FIRST = Site("decoder", 2), Site("encoder", 0)
NAMES = {site: f"{site.stack}.layers.{site.layer}.fc2.weight" for site in (DEEP, FIRST)}


@pytest.fixture(scope="module")
def problem(demo: Demo) -> EditProblem:
    """A request of the demo at the decoder's last site, for its own sentence."""
    corpus = load_corpus(demo.codec, seed=1, most=300)
    settings = with_settings(QUICK, {"edit_mine": "never"}, "test")
    request = of_demo(0)
    said = demo.translator.translate([request.source])[0]
    case = prepare(demo.translator, request, said, Sides(("en", "de"), corpus), settings, Endings.of("en", "de"))
    assert case is not None
    resources = SiteResources(collect(demo.translator, corpus, [DEEP], 500, moment=False)[DEEP])
    return EditProblem(demo.translator, case, DEEP, resources, corpus)


def tuned(problem: EditProblem, **changes: Any) -> Patch:
    method = method_named("ogd")
    settings = with_settings(QUICK, {"edit_epochs": 2, **changes}, "test").settings_for(method)
    return method.fit_all([problem], {DEEP: problem.resources}, settings)


def delta_of(patch: Patch) -> Tensor:
    [change] = patch.changes
    return change.tensors["delta"]


def logits_at(problem: EditProblem, places: List[Tuple[Pair, int]]) -> Tensor:
    """The logit of the right token at each place."""
    batch = problem.translator.batcher.batch([pair for pair, _ in places])
    with torch.no_grad():
        scores = forced_logits(problem.translator.model, batch)
    return torch.stack([scores[row, at, pair.target[at]] for row, (pair, at) in enumerate(places)])


@pytest.mark.parametrize("site", [DEEP, FIRST])
def test_the_gradients_tell_how_the_logits_change(problem: EditProblem, site: Site) -> None:
    places = _remembered([problem], 5)
    gradients = logit_gradients(problem.translator, NAMES[site], places)
    model = problem.translator.model
    shape = model.get_parameter(NAMES[site]).shape
    delta = 1e-3 * torch.randn(shape, generator=torch.Generator().manual_seed(1))
    before = logits_at(problem, places)
    with applied(model, Patch("ogd", site, (DenseChange(NAMES[site], delta),))):
        moved = logits_at(problem, places) - before
    assert moved.norm() > 1e-4
    assert (moved - gradients @ delta.flatten()).norm() < 0.05 * moved.norm()


def test_the_change_lies_off_what_is_remembered(problem: EditProblem) -> None:
    patch, free = tuned(problem, edit_memory=40), tuned(problem, edit_memory=0)
    gradients = logit_gradients(problem.translator, NAMES[DEEP], _remembered([problem], 40))
    assert patch.notes["remembered"] == 40 and "remembered" not in free.notes
    moved, freely = (gradients @ delta_of(one).flatten() for one in (patch, free))
    assert freely.norm() > 1e-2
    assert moved.norm() < 1e-4 * freely.norm()


def test_a_sentence_in_which_the_change_is_wanted_is_not_remembered(problem: EditProblem) -> None:
    all_of_them = _remembered([problem], 5)
    without = replace(problem, case=replace(problem.case, ignored=frozenset({0, 3})))
    sources = [pair.source.tolist() for pair, _ in _remembered([without, problem], 5)]
    assert len(all_of_them) == len(sources) == 5
    assert all_of_them[0][0].source.tolist() not in sources and all_of_them[3][0].source.tolist() not in sources


def test_the_same_run_gives_the_same_bits(problem: EditProblem) -> None:
    assert_same_bits([tuned(problem, edit_memory=20)], [tuned(problem, edit_memory=20)])


def test_all_requests_hold(demo: Demo) -> None:
    outcome = run(demo, [of_demo(number) for number in range(3)], {"method": "ogd", "edit_memory": 50})
    assert [result.status for result in outcome.results] == [EDITED] * 3
    [patch] = outcome.patches
    assert (patch.method, patch.names) == ("ogd", [NAMES[DEEP]])


@pytest.mark.slow
def test_the_command_writes_what_it_has_tuned(edit_data: Path, tmp_path: Path) -> None:
    out = tmp_path / "new.pt"
    done = run_edit(edit_data, DEMO / "term", "--method", "ogd", "--edit-memory", "50", "--save-to", out)
    assert done.status == 0, done.out + done.err
    assert [edit["method"] for edit in edits_in(out)] == ["ogd"]
