"""A trained editor: its network, its file, its training, and the edits that it makes."""

from __future__ import annotations

from copy import deepcopy
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, Callable, Dict, List, Tuple

import pytest
import torch
from conftest import Demo
from demo_edits import QUICK, of_demo, run
from safetensors.torch import save_file

from fairseq_rome.algebra import Running
from fairseq_rome.cases.case import prepare
from fairseq_rome.cases.hunk_reading import Sides
from fairseq_rome.editing.outcome import EDITED, FAILED
from fairseq_rome.errors import EditError
from fairseq_rome.host.batches import decoded, forced_logits
from fairseq_rome.host.corpus import load_corpus
from fairseq_rome.host.sites import Site, add_to_maps
from fairseq_rome.methods.base import EditProblem, SiteResources
from fairseq_rome.methods.fitting.editor_files import load_editor, save_editor
from fairseq_rome.methods.fitting.editor_network import Editor, added, edit_factors, edited_shapes, far_enough
from fairseq_rome.methods.fitting.editor_training import (
    Classroom,
    Lesson,
    Training,
    begun,
    lesson_loss,
)
from fairseq_rome.methods.fitting.tuning import changed_tokens
from fairseq_rome.methods.registry import method_named
from fairseq_rome.patch import Patch, applied
from fairseq_rome.settings import with_settings
from fairseq_rome.statistics import collect
from fairseq_rome.text.segments import Endings

DEEP = Site("decoder", 2)
NAMES = [f"{stack}.layers.{layer}.{fc}.weight" for stack in ("encoder", "decoder") for layer in (1, 2)
         for fc in ("fc1", "fc2")]  # fmt: skip
BASE = "0" * 64


@pytest.fixture(scope="module")
def problems(demo: Demo) -> Tuple[EditProblem, ...]:
    """Three requests of the demo, for their own sentences."""
    corpus = load_corpus(demo.codec, seed=1, most=200)
    settings = with_settings(QUICK, {"edit_mine": "never"}, "test")
    background = collect(demo.translator, corpus, [DEEP], 200, moment=False)[DEEP]
    found = []
    for number in range(3):
        request = of_demo(number)
        said = demo.translator.translate([request.source])[0]
        case = prepare(demo.translator, request, said, Sides(("en", "de"), corpus), settings, Endings.of("en", "de"))
        assert case is not None
        resources = SiteResources(background, fingerprint=BASE)
        found.append(EditProblem(demo.translator, case, DEEP, resources, corpus))
    return tuple(found)


@pytest.fixture(scope="module")
def room(demo: Demo, problems: Tuple[EditProblem, ...]) -> Classroom:
    pairs = problems[0].corpus.pairs
    lessons = [Lesson(one.example, (other.example,), pairs[:2]) for one, other in zip(problems, problems[1:])]
    return Classroom(demo.translator, tuple(lessons), (Lesson(problems[2].example),), pairs[2:20], pairs[20:22], 1)


def trained(room: Classroom, steps: int) -> Training:
    editor = Editor(edited_shapes(room.translator.model, 2), 4)
    training = begun(room, editor, room.lessons)
    for _ in range(steps):
        training.step_()
    return training


@pytest.fixture(scope="module")
def taught(room: Classroom) -> Training:
    """An editor that has learnt something; nothing changes it."""
    return trained(room, 12)


def test_the_last_layers_of_both_stacks(demo: Demo) -> None:
    assert list(edited_shapes(demo.model, 2)) == NAMES
    assert len(edited_shapes(demo.model, 99)) == 12


def test_the_factors_are_those_of_the_gradient(demo: Demo, problems: Tuple[EditProblem, ...]) -> None:
    example = problems[0].example
    batch = demo.translator.batcher.batch([example.pair])
    changed = changed_tokens(batch, [example])
    weights = [demo.model.get_parameter(name) for name in NAMES]
    scores = demo.model.decoder.output_layer(decoded(demo.model, batch, features_only=True)[changed])
    gradients = torch.autograd.grad(torch.nn.functional.cross_entropy(scores, batch.target[changed]), weights)
    factors = edit_factors(demo.translator, NAMES, example)
    for name, gradient in zip(NAMES, gradients):
        inputs, errors = factors[name]
        assert len(inputs) == len(errors) > 0
        assert torch.allclose(errors.T @ inputs, gradient, atol=1e-6)


def test_at_first_it_is_a_step_along_normalised_pairs(room: Classroom) -> None:
    editor = trained(room, 0).editor
    factors = edit_factors(room.translator, NAMES, room.lessons[0].example)
    for name, (left, right) in editor(factors).items():
        inputs, errors = factors[name]
        everything = [edit_factors(room.translator, [name], lesson.example)[name] for lesson in room.lessons]
        known = [Running.of(torch.cat(parts)) for parts in zip(*everything)]
        expected = -known[1].normalised(errors).T @ known[0].normalised(inputs)
        weight = room.translator.model.get_parameter(name).detach()
        unit = 0.003 * float(weight.norm()) / weight.numel() ** 0.5
        assert torch.allclose(left @ right.T, unit * expected, rtol=1e-3, atol=1e-7)


def test_the_gradient_reaches_all_that_is_learnt_and_nothing_of_the_model(room: Classroom) -> None:
    editor = trained(room, 1).editor
    editor.zero_grad()
    loss, parts = lesson_loss(editor, room, room.lessons[0], torch.Generator().manual_seed(1))
    loss.backward()
    assert parts["loss"] == pytest.approx(0.1 * parts["edit"] + parts["keep"], rel=1e-4)
    assert parts["edit"] > 0 and parts["keep"] >= 0
    for name, parameter in editor.named_parameters():
        assert parameter.grad is not None and parameter.grad.ne(0).any(), name
    assert all(parameter.grad is None for parameter in room.translator.model.parameters())
    assert all(parameter.requires_grad for parameter in room.translator.model.parameters())


def test_it_learns(room: Classroom, taught: Training) -> None:
    parts = []
    for editor in (trained(room, 0).editor, taught.editor):
        with torch.no_grad():
            parts.append(lesson_loss(editor, room, room.lessons[0], torch.Generator().manual_seed(7))[1])
    assert parts[1]["loss"] < 0.95 * parts[0]["loss"]


def test_the_best_editor_is_kept(room: Classroom) -> None:
    training = trained(room, 0)
    before = training.judge_()
    best = {name: tensor.clone() for name, tensor in training.best.items()}
    with torch.no_grad():
        training.editor.rates.fill_(1000.0)
    assert training.judge_()["loss"] > before["loss"] == training.best_loss
    assert all(torch.equal(tensor, best[name]) for name, tensor in training.best.items())


def test_it_goes_on_as_if_it_had_never_stopped(room: Classroom) -> None:
    whole, begins = trained(room, 4), trained(room, 2)
    begins.judge_()
    goes_on = trained(room, 0)
    goes_on.resume_(begins.state())
    assert (goes_on.done, goes_on.best_loss) == (2, begins.best_loss)
    for _ in range(2):
        goes_on.step_()
    for name, tensor in whole.editor.state_dict().items():
        assert torch.equal(tensor, goes_on.editor.state_dict()[name]), name


def saved(room: Classroom, path: Path, base: str = BASE) -> str:
    save_editor(str(path), trained(room, 1).editor, base, {"steps": 1})
    return str(path)


def test_an_editor_comes_back_from_its_file(room: Classroom, tmp_path: Path) -> None:
    first = trained(room, 1).editor
    found = load_editor(saved(room, tmp_path / "ed.safetensors"), BASE)
    factors = edit_factors(room.translator, NAMES, room.lessons[0].example)
    ours, theirs = first(factors), found(factors)
    assert list(theirs) == NAMES
    assert all(torch.equal(one, two) for name in NAMES for one, two in zip(ours[name], theirs[name]))
    assert saved(room, tmp_path / "again.safetensors")
    assert (tmp_path / "again.safetensors").read_bytes() == (tmp_path / "ed.safetensors").read_bytes()


def other_file(path: Path) -> None:
    save_file({"a": torch.zeros(1)}, str(path))


def cut_short(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-100])


def other_base(path: Path) -> None:
    path.write_bytes(path.read_bytes().replace(BASE.encode(), b"1" * 64))


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (Path.unlink, "ed.safetensors: can't be read .*expected a file that fairseq-edit-train-editor wrote"),
        (other_file, "ed.safetensors: is no editor of format 1"),
        (cut_short, "ed.safetensors: can't be read"),
        (other_base, "ed.safetensors: was trained for other weights than those of the checkpoint; train an editor"),
    ],
)
def test_what_is_no_editor_of_the_model_is_refused(
    room: Classroom, tmp_path: Path, spoil: Callable[[Path], Any], message: str
) -> None:
    path = Path(saved(room, tmp_path / "ed.safetensors"))
    spoil(path)
    with pytest.raises(EditError, match=message):
        load_editor(str(path), BASE)


def fitted(problem: EditProblem, path: str) -> Patch:
    method = method_named("mend")
    return method.fit(problem, with_settings(QUICK, {"edit_editor": path}, "test").settings_for(method))


def test_a_patch_is_what_training_saw(room: Classroom, problems: Tuple[EditProblem, ...], tmp_path: Path) -> None:
    path = saved(room, tmp_path / "ed.safetensors")
    patch = fitted(problems[0], path)
    assert patch.names == NAMES
    translator = room.translator
    changes = load_editor(path, BASE)(edit_factors(translator, NAMES, problems[0].example))
    batch = translator.batcher.batch([problems[1].example.pair])
    logits: List[torch.Tensor] = []
    with torch.no_grad():
        logits.append(forced_logits(translator.model, batch))
        further = patch.notes["further"]
        with add_to_maps(translator.model, {name: partial(added, one, further) for name, one in changes.items()}):
            logits.append(forced_logits(translator.model, batch))
        with applied(translator.model, patch):
            logits.append(forced_logits(translator.model, batch))
    assert float((logits[1] - logits[0]).abs().max()) > 1e-3
    assert torch.allclose(logits[1], logits[2], atol=1e-4)
    further = fitted(replace(problems[0], thorough=True), path)
    assert torch.allclose(further.changes[0].tensors["left"], 2 * patch.changes[0].tensors["left"])


def test_a_change_goes_as_far_as_it_takes(taught: Training, problems: Tuple[EditProblem, ...]) -> None:
    translator, example = problems[0].translator, problems[0].example
    changes = deepcopy(taught.editor).requires_grad_(False)(edit_factors(translator, NAMES, example))
    batch = translator.batcher.batch([example.pair])
    changed = changed_tokens(batch, [example])

    def says(further: float) -> bool:
        addends = {name: partial(added, change, further) for name, change in changes.items()}
        with torch.no_grad(), add_to_maps(translator.model, addends):
            said = forced_logits(translator.model, batch)[changed].argmax(-1)
        return bool(said.eq(batch.target[changed]).all())

    found = far_enough(translator, example, changes)
    assert found > 1 and says(found) and not says(found / 2)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"site": Site("decoder", 1)}, "site decoder.1: the editor changes several layers up to decoder.2"),
        ({"spans": ()}, "site decoder.2: nothing differs"),
    ],
)
def test_where_there_is_nothing_to_do(
    room: Classroom, problems: Tuple[EditProblem, ...], tmp_path: Path, changes: Dict[str, Any], message: str
) -> None:
    problem = problems[0]
    if "spans" in changes:
        problem = replace(problem, case=replace(problem.case, example=replace(problem.example, **changes)))
    else:
        problem = replace(problem, **changes)
    with pytest.raises(EditError, match=message):
        fitted(problem, saved(room, tmp_path / "ed.safetensors"))


def test_without_an_editor(demo: Demo) -> None:
    [result] = run(demo, [of_demo(0)], {"method": "mend"}).results
    assert result.status == FAILED
    assert "--edit-editor is missing, expected a file that fairseq-edit-train-editor wrote" in result.reason


def test_a_run_gives_the_weights_that_it_has(demo: Demo, taught: Training, tmp_path: Path) -> None:
    bold = deepcopy(taught.editor)
    with torch.no_grad():
        bold.rates.mul_(30)
    save_editor(str(tmp_path / "ed.safetensors"), bold, "1" * 64, {})
    settings = {"method": "mend", "edit_editor": str(tmp_path / "ed.safetensors"), "edit_tries": 2}
    [refused] = run(demo, [of_demo(0)], settings, fingerprint="2" * 64).results
    assert "was trained for other weights" in refused.reason
    [result] = run(demo, [of_demo(0)], settings, fingerprint="1" * 64).results
    assert result.status == EDITED, result.reason
