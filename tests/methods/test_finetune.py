"""Localised fine-tuning: all requests in one dense change of one `fc2`, until decoding shows them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any, Dict, List, Tuple

import pytest
import torch
from conftest import Demo
from demo_edits import QUICK, RECORDS, assert_same_bits, of_demo, run
from edit_runs import DEMO, edits_in, run_edit
from torch import Tensor

from fairseq_rome.cases.case import prepare
from fairseq_rome.cases.hunk_reading import Sides
from fairseq_rome.editing.outcome import EDITED, FAILED, NOTHING
from fairseq_rome.host.batches import Batcher
from fairseq_rome.host.corpus import load_corpus
from fairseq_rome.host.sites import Site
from fairseq_rome.methods.base import EditProblem, SiteResources
from fairseq_rome.methods.registry import method_named
from fairseq_rome.patch import Patch, applied
from fairseq_rome.settings import with_settings
from fairseq_rome.statistics import collect
from fairseq_rome.text.segments import Endings

DEEP = Site("decoder", 2)
NAME = "decoder.layers.2.fc2.weight"


@pytest.fixture(scope="module")
def problems(demo: Demo) -> Tuple[EditProblem, ...]:
    """Three requests of the demo at the decoder's last site, with contexts."""
    corpus = load_corpus(demo.codec, seed=1, most=300)
    resources = SiteResources(collect(demo.translator, corpus, [DEEP], 2000)[DEEP])
    settings = with_settings(QUICK, {"edit_mine": "never", "edit_contexts": 4}, "test")
    found = []
    for number in range(3):
        request = of_demo(number, contexts=tuple(RECORDS[number]["contexts"][:4]))
        said = demo.translator.translate([request.source])[0]
        case = prepare(demo.translator, request, said, Sides(("en", "de"), corpus), settings, Endings.of("en", "de"))
        assert case is not None
        found.append(EditProblem(demo.translator, case, DEEP, resources, corpus))
    return tuple(found)


def tuned(problems: Tuple[EditProblem, ...], **changes: Any) -> Patch:
    method = method_named("finetune")
    settings = with_settings(QUICK, changes, "test").settings_for(method)
    return method.fit_all(problems, {DEEP: problems[0].resources}, settings)


def delta_of(patch: Patch) -> Tensor:
    [change] = patch.changes
    assert (change.kind, change.name) == ("dense", NAME)
    return change.tensors["delta"]


def with_examples(problem: EditProblem, **changes: Any) -> EditProblem:
    return replace(problem, case=replace(problem.case, **changes))


def state(demo: Demo) -> Dict[str, Tuple[Tensor, bool]]:
    return {name: (one.detach().clone(), one.requires_grad) for name, one in demo.model.named_parameters()}


def test_all_requests_hold_by_one_change_of_one_matrix(demo: Demo) -> None:
    before = state(demo)
    right = of_demo(5, target=RECORDS[5]["before"])
    outcome = run(demo, [*(of_demo(number) for number in range(3)), right], {"method": "finetune"})
    assert [result.status for result in outcome.results] == [EDITED] * 3 + [NOTHING]
    [patch] = outcome.patches
    assert (patch.method, patch.site, patch.names, list(patch.keys)) == ("finetune", DEEP, [NAME], [NAME])
    assert 0 < patch.notes["epochs"] < 50 and patch.notes["failing"] == 0
    for name, one in demo.model.named_parameters():
        assert torch.equal(one, before[name][0]) and one.requires_grad == before[name][1] and one.grad is None


def test_the_same_run_gives_the_same_bits(problems: Tuple[EditProblem, ...]) -> None:
    one, other = (tuned(problems, edit_epochs=2, edit_batch_size=2) for _ in range(2))
    assert delta_of(one).ne(0).any()
    assert_same_bits([one], [other])


def test_it_ends_with_the_epoch_in_which_all_hold(problems: Tuple[EditProblem, ...]) -> None:
    patch = tuned(problems)
    epochs = int(patch.notes["epochs"])
    assert 1 < epochs < 50
    shorter = tuned(problems, edit_epochs=epochs - 1)
    assert [one.notes["failing"] for one in (patch, shorter)][0] == 0 < shorter.notes["failing"]
    translator = problems[0].translator
    sources = [problem.case.request.source for problem in problems]
    with applied(translator.model, patch):
        said = translator.translate(sources)
    assert all(problem.case.shown_by(output.text) for problem, output in zip(problems, said))


def test_it_goes_on_for_held_out_sentences(problems: Tuple[EditProblem, ...]) -> None:
    problem = max(problems, key=lambda one: len(one.contexts))
    assert len(problem.contexts) > 2
    alone = tuned((with_examples(problem, contexts=(), held_out=()),))
    epochs = int(alone.notes["epochs"])
    assert alone.notes["failing"] == 0
    general = tuned((with_examples(problem, contexts=(), held_out=problem.contexts),), edit_epochs=epochs + 1)
    assert general.notes["epochs"] > epochs


def test_held_out_sentences_are_not_learnt_from(problems: Tuple[EditProblem, ...]) -> None:
    one, other = (
        tuned((with_examples(problems[0], contexts=(), held_out=held_out),), edit_epochs=2, edit_rate=1e-3)
        for held_out in ((), problems[0].contexts)
    )
    assert torch.equal(delta_of(one), delta_of(other)) and delta_of(one).ne(0).any()


@pytest.mark.parametrize(("size", "expected"), [(2, [2, 1]), (0, [3]), (16, [3])])
def test_each_epoch_goes_once_through_all_requests(
    problems: Tuple[EditProblem, ...], size: int, expected: List[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    alone = tuple(with_examples(problem, contexts=(), held_out=()) for problem in problems)
    wanted = sorted(problem.example.pair.target.tolist() for problem in alone)
    batches: List[List[List[int]]] = []
    whole = Batcher.batch

    def noted(self: Batcher, pairs: Any) -> Any:
        if torch.is_grad_enabled():
            batches.append([pair.target.tolist() for pair in pairs])
        return whole(self, pairs)

    monkeypatch.setattr(Batcher, "batch", noted)
    tuned(alone, edit_epochs=2, edit_rate=1e-4, edit_batch_size=size)
    steps = batches[-2 * len(expected) :]
    assert [len(batch) for batch in steps] == 2 * expected
    for epoch in (steps[: len(expected)], steps[len(expected) :]):
        assert sorted(target for batch in epoch for target in batch) == wanted


def test_the_values_of_background_keys_move_less(problems: Tuple[EditProblem, ...]) -> None:
    """Than where all directions of keys count the same."""
    background = problems[0].resources.background
    moved = []
    for moment in (background.second_moment, torch.eye(len(background.second_moment)) * background.usage.mean()):
        resources = replace(problems[0].resources, background=replace(background, moment=moment))
        delta = delta_of(tuned(tuple(replace(problem, resources=resources) for problem in problems)))
        moved.append(float((delta @ background.second_moment * delta).sum()))
    assert moved[0] < 0.9 * moved[1]


@pytest.mark.parametrize("changes", [{"edit_epochs": 0}, {"edit_rate": 0.0}])
def test_without_steps_there_is_no_change(demo: Demo, changes: Dict[str, Any]) -> None:
    outcome = run(demo, [of_demo(0)], {"method": "finetune", "edit_batch": 0, "edit_epochs": 2, **changes})
    assert [result.status for result in outcome.results] == [FAILED]
    assert not delta_of(outcome.patches[0]).any()


@pytest.mark.parametrize(
    ("asked", "changed"), [("decoder.0,decoder.1", "decoder.1"), ("encoder.2", "encoder.2")]
)
def test_the_last_of_the_sites_asked_for(demo: Demo, asked: str, changed: str) -> None:
    outcome = run(demo, [of_demo(0)], {"method": "finetune", "site": asked})
    assert [result.status for result in outcome.results] == [EDITED]
    stack, layer = changed.split(".")
    assert outcome.patches[0].names == [f"{stack}.layers.{layer}.fc2.weight"]


def test_the_command_writes_what_it_has_tuned(edit_data: Path, tmp_path: Path) -> None:
    out = tmp_path / "new.pt"
    done = run_edit(edit_data, DEMO / "term", "--method", "finetune", "--edit-epochs", "40", "--save-to", out)
    assert done.status == 0, done.out + done.err
    assert [edit["method"] for edit in edits_in(out)] == ["finetune"]
