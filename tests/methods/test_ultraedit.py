"""One step in closed form, normalised over the stream of edits."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any, Optional, Tuple

import pytest
import torch
from conftest import Demo
from demo_edits import QUICK, assert_same_bits, of_demo, run
from edit_runs import DEMO, edits_in, run_edit
from torch import Tensor

from fairseq_rome.algebra import Running
from fairseq_rome.cases.case import prepare
from fairseq_rome.cases.hunk_reading import Sides
from fairseq_rome.editing.outcome import EDITED
from fairseq_rome.errors import EditError
from fairseq_rome.host.corpus import load_corpus
from fairseq_rome.host.readings import read_site
from fairseq_rome.host.sites import Site
from fairseq_rome.methods.base import EditProblem, SiteResources
from fairseq_rome.methods.fitting.one_step import find_rows, least_squares_step
from fairseq_rome.methods.registry import method_named
from fairseq_rome.patch import Patch, applied, packed, unpacked
from fairseq_rome.settings import with_settings
from fairseq_rome.statistics import collect
from fairseq_rome.text.segments import Endings

DEEP, FIRST = Site("decoder", 2), Site("encoder", 0)
NAME = "decoder.layers.2.fc2.weight"


@pytest.fixture(scope="module")
def problems(demo: Demo) -> Tuple[EditProblem, ...]:
    """Two requests of the demo at the decoder's last site, for their own sentences."""
    corpus = load_corpus(demo.codec, seed=1, most=300)
    settings = with_settings(QUICK, {"edit_mine": "never"}, "test")
    resources = SiteResources(collect(demo.translator, corpus, [DEEP], 500, moment=False)[DEEP])
    found = []
    for number in range(2):
        request = of_demo(number)
        said = demo.translator.translate([request.source])[0]
        case = prepare(demo.translator, request, said, Sides(("en", "de"), corpus), settings, Endings.of("en", "de"))
        assert case is not None
        found.append(EditProblem(demo.translator, case, DEEP, resources, corpus))
    return tuple(found)


def with_running(problem: EditProblem, running: Optional[Tensor]) -> EditProblem:
    return replace(problem, resources=replace(problem.resources, running=running))


def fitted(problem: EditProblem, **changes: Any) -> Patch:
    method = method_named("ultraedit")
    return method.fit(problem, with_settings(QUICK, changes, "test").settings_for(method))


def test_the_step_is_the_ridge_least_squares_one(problems: Tuple[EditProblem, ...]) -> None:
    """Its gradient is zero where it stands: with rows h and values v, (W h - v) h^T + ridge W vanishes."""
    rows = find_rows(problems[0])
    left, right = least_squares_step(rows)
    change = (left @ right.T).double()
    assert float(change.norm()) == pytest.approx(1.0, rel=1e-4)
    known = rows.running.parts(rows.gradients.shape[1])
    gradients, states = (one.normalised(part).double() for one, part in zip(known, (rows.gradients, rows.states)))
    values, seen = -states.square().sum(1, keepdim=True) * gradients, rows.states.double()
    ridge = seen.square().sum(1).mean()
    whole = values.T @ seen @ torch.linalg.inv(seen.T @ seen + ridge * torch.eye(seen.shape[1]).double())
    assert float((change - whole / whole.norm()).norm()) < 1e-4


def test_it_goes_down_the_loss(problems: Tuple[EditProblem, ...]) -> None:
    rows = find_rows(problems[0])
    left, right = least_squares_step(rows)
    # To first order the loss changes by the inner product of its gradient with the change.
    assert float((rows.gradients * (rows.states @ right @ left.T)).sum()) < 0


def test_statistics_run_on_from_edit_to_edit(problems: Tuple[EditProblem, ...]) -> None:
    first = fitted(problems[0]).running[NAME]
    both = fitted(with_running(problems[1], first)).running[NAME]
    alone = find_rows(problems[1])
    expected = Running.of(torch.cat([alone.gradients, alone.states], 1), Running(first)).rows
    assert torch.allclose(both, expected)
    assert int(both[0, 0] - first[0, 0]) == len(alone.states)
    changes = [fitted(with_running(problems[1], running)).changes[0] for running in (None, first)]
    assert changes[0].fingerprint_text != changes[1].fingerprint_text


def test_the_first_request_is_not_normalised_by_itself_alone(problems: Tuple[EditProblem, ...]) -> None:
    assert int(fitted(problems[0]).running[NAME][0, 0]) > 20 * len(find_rows(problems[0]).states)


def test_a_layer_that_has_grown(problems: Tuple[EditProblem, ...]) -> None:
    narrow = fitted(problems[0]).running[NAME][:, :-4]
    assert fitted(with_running(problems[1], narrow)).running[NAME].shape[1] == narrow.shape[1] + 4


def test_the_length_is_the_one_that_is_asked_for_or_the_least_that_will_do(
    problems: Tuple[EditProblem, ...], demo: Demo
) -> None:
    norm = float(demo.model.get_parameter(NAME).detach().norm())
    for shift in (0.1, 0.0):
        patch = fitted(problems[0], edit_shift=shift)
        left, right = patch.changes[0].factors or (torch.empty(0), torch.empty(0))
        assert float((left @ right.T).norm()) == pytest.approx(patch.notes["shift"] * norm, rel=1e-4)
    assert 0.02 <= patch.notes["shift"] < 5.0
    with applied(demo.model, patch):
        assert problems[0].case.shown_by(demo.translator.translate([problems[0].example.source])[0].text)


def test_at_the_encoder_the_trigger_gives_the_row(problems: Tuple[EditProblem, ...]) -> None:
    case = replace(problems[0].case, example=replace(problems[0].example, trigger=(1, 2)))
    problem = replace(problems[0], site=FIRST, case=case)
    [reading] = read_site(problem.translator, [problem.example.pair], FIRST)
    assert torch.allclose(find_rows(problem).states, reading.keys[2:3], atol=1e-5)
    assert fitted(problem).names == ["encoder.layers.0.fc2.weight"]


def test_nothing_to_push(problems: Tuple[EditProblem, ...]) -> None:
    nothing = replace(problems[0].case, example=replace(problems[0].example, spans=()))
    with pytest.raises(EditError, match="site decoder.2: no token of the wanted segment needs a push there"):
        fitted(replace(problems[0], case=nothing))


def test_statistics_come_back_from_a_file(problems: Tuple[EditProblem, ...]) -> None:
    patch = fitted(problems[0])
    records, tensors = packed([patch])
    [found] = unpacked(records, tensors)
    assert torch.equal(found.running[NAME], patch.running[NAME])
    assert_same_bits([found], [patch])
    tensors[records[0]["running"][NAME]] += 1
    with pytest.raises(ValueError, match="patch 1 is not what was written"):
        unpacked(records, tensors)
    assert "running" not in packed([replace(patch, running={})])[0][0]


def test_a_run_hands_the_statistics_on(demo: Demo) -> None:
    outcome = run(demo, [of_demo(number) for number in range(2)], {"method": "ultraedit"})
    assert [result.status for result in outcome.results] == [EDITED] * 2
    one, two = (int(patch.running[NAME][0, 0]) for patch in outcome.patches)
    assert 0 < two - one < 50 < one


@pytest.mark.slow
def test_the_command_writes_what_it_has_moved(edit_data: Path, tmp_path: Path) -> None:
    out = tmp_path / "new.pt"
    done = run_edit(edit_data, DEMO / "term", "--method", "ultraedit", "--save-to", out)
    assert done.status == 0, done.out + done.err
    assert [edit["method"] for edit in edits_in(out)] == ["ultraedit"]
