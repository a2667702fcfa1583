"""Methods that change `fc2` by a low-rank update: one request at a time, and all requests together."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import dataclass, replace
from typing import Any, Callable, Dict, List, Optional, Tuple

import pytest
import torch
from edit_runs import probes
from torch import Tensor

from fairseq_rome.algebra import null_space
from fairseq_rome.cases.case import Case, prepare
from fairseq_rome.cases.hunk_reading import Sides
from fairseq_rome.editing.edit_settings import EditSettings
from fairseq_rome.errors import EditError
from fairseq_rome.host.corpus import Corpus, load_corpus
from fairseq_rome.host.readings import read_site, reading_places
from fairseq_rome.host.sites import Site, add_to_value, layer_at
from fairseq_rome.methods.base import EditProblem, SiteResources
from fairseq_rome.methods.fitting import batch as together
from fairseq_rome.methods.fitting.pushes import find_pushes
from fairseq_rome.methods.fitting.steps import Step, values_from_examples
from fairseq_rome.methods.registry import method_named
from fairseq_rome.patch import Patch, applied, apply_, preserved
from fairseq_rome.settings import with_settings
from fairseq_rome.statistics import Background, collect
from fairseq_rome.text.requests import EditRequest
from fairseq_rome.text.segments import Endings

SHALLOW, DEEP = Site("decoder", 1), Site("decoder", 2)
NAMES = {site: f"decoder.layers.{site.layer}.fc2.weight" for site in (SHALLOW, DEEP)}
ASKED = ("term-nurse", "number-fifteen", "untranslated-umbrella")
SETTINGS = EditSettings.of(edit_mine="never", edit_contexts=3, edit_references=0, edit_steps=30)
VALUES = SETTINGS.settings_for(method_named("rome"))


@dataclass(frozen=True)
class Ready:
    """Requests of the demo, prepared, and what is known of its two last sites."""

    translator: Any
    corpus: Corpus
    cases: Tuple[Case, ...]
    backgrounds: Dict[Site, Background]

    def problem(self, number: int, site: Site = DEEP, past: Optional[Tensor] = None) -> EditProblem:
        resources = SiteResources(self.backgrounds[site], past_keys=past)
        return EditProblem(self.translator, self.cases[number], site, resources, self.corpus)

    def problems(self) -> List[EditProblem]:
        return [self.problem(number) for number in range(len(self.cases))]

    def resources(self, *sites: Site) -> Dict[Site, SiteResources]:
        return {site: SiteResources(self.backgrounds[site]) for site in sites}

    def held(self) -> List[bool]:
        """Whether each request's wanted segment is in what the model says now."""
        outputs = self.translator.translate([case.request.source for case in self.cases])
        return [case.difference.wanted in output.text for case, output in zip(self.cases, outputs)]


@pytest.fixture(scope="module")
def ready(demo: Any) -> Ready:
    corpus = load_corpus(demo.codec, seed=1, most=300)
    records = [probes()[name] for name in ASKED]
    before = demo.translator.translate([record["source"] for record in records])
    cases = [
        prepare(
            demo.translator,
            EditRequest(
                record["source"], record["target"], trigger=record["trigger"], contexts=tuple(record["contexts"][:4])
            ),
            said, Sides(("en", "de"), corpus), SETTINGS, Endings.of("en", "de"),
        )
        for record, said in zip(records, before)
    ]  # fmt: skip
    assert all(cases)
    backgrounds = collect(demo.translator, corpus, (SHALLOW, DEEP), 3000)
    return Ready(demo.translator, corpus, tuple(case for case in cases if case), backgrounds)


def changes_of(patch: Patch) -> Dict[str, Tensor]:
    return {change.name: change.left @ change.right.T for change in patch.changes}  # type: ignore[union-attr]


def fitted(name: str, problem: EditProblem, sites: Tuple[Site, ...] = (DEEP,), **changes: Any) -> Patch:
    """What a method of whichever kind makes of one request."""
    method = method_named(name)
    settings = with_settings(SETTINGS, changes, "test").settings_for(method)
    if method.together:
        return method.fit_all([problem], dict.fromkeys(sites, problem.resources), settings)
    return method.fit(problem, settings)


def fitted_together(
    name: str, problems: List[EditProblem], resources: Dict[Site, SiteResources], **changes: Any
) -> Patch:
    method = method_named(name)
    return method.fit_all(problems, resources, with_settings(SETTINGS, changes, "test").settings_for(method))


def with_examples(problem: EditProblem, **changes: Any) -> EditProblem:
    return replace(problem, case=replace(problem.case, **changes))


def refused(problem: EditProblem) -> EditProblem:
    """A request of what the model says already, so that there is nothing to push."""
    nothing = replace(problem.example, spans=())
    return with_examples(problem, example=nothing, contexts=(), held_out=())


@pytest.mark.parametrize("method", ["rome", "alphaedit", "nse"])
def test_one_request_at_a_time(ready: Ready, method: str) -> None:
    with preserved(ready.translator.model):
        assert not any(ready.held())
        past = torch.empty(0, len(ready.backgrounds[DEEP].usage))
        for number in range(len(ready.cases)):
            patch = fitted(method, ready.problem(number, past=past), edit_cover=1.0)
            assert (patch.method, patch.site, patch.names) == (method, DEEP, [NAMES[DEEP]])
            assert list(patch.keys) == patch.names
            keys = patch.keys[NAMES[DEEP]]
            assert patch.notes["rank"] == len(keys) > 0
            apply_(ready.translator.model, patch)
            past = torch.cat([past, keys])
        assert all(ready.held())


@pytest.mark.parametrize("method", ["alphaedit", "nse", "memit", "emmet"])
def test_keys_of_earlier_edits_keep_their_values(ready: Ready, method: str) -> None:
    past = find_pushes(ready.problem(0), VALUES).keys
    moved = []
    for known in (None, past[:0], 30 * past):
        patch = fitted(method, ready.problem(1, past=known))
        (delta,) = changes_of(patch).values()
        moved.append(float((past @ delta.T).norm()))
    assert moved[0] == moved[1]
    assert moved[2] < 0.3 * moved[0]


@pytest.mark.parametrize("value", ["optimised", "example"])
@pytest.mark.parametrize("method", ["rome", "alphaedit", "nse", "memit", "emmet"])
def test_held_out_examples_are_not_fitted(ready: Ready, method: str, value: str) -> None:
    whole = ready.problem(0)
    one, other = (
        changes_of(fitted(method, with_examples(whole, contexts=(), held_out=unseen), edit_value=value))
        for unseen in ((), (*whole.contexts, *whole.held_out))
    )
    assert len(whole.contexts) + len(whole.held_out) > 2
    assert torch.equal(one[NAMES[DEEP]], other[NAMES[DEEP]])


def test_values_from_examples_are_not_of_held_out_ones(ready: Ready) -> None:
    problem = with_examples(ready.problem(0), contexts=(), held_out=ready.problem(0).contexts)
    examples = [problem.example, *problem.held_out]
    readings = read_site(problem.translator, [example.pair for example in examples], DEEP)
    own, unseen = ((number, example.spans[0].start) for number, example in enumerate(examples[:2]))
    token = int(problem.example.pair.target[own[1]])
    one, other = (
        values_from_examples(problem, [Step(token, places, places)], readings)
        for places in ((own,), (own, unseen))
    )
    assert torch.equal(one, other)


def test_the_scale_of_what_is_added(ready: Ready) -> None:
    once, twice = (
        find_pushes(ready.problem(0), replace(VALUES, edit_scale=scale)).additions for scale in (1.0, 2.0)
    )
    assert torch.equal(twice, 2 * once)


def test_a_value_is_shortened_in_its_own_direction(ready: Ready) -> None:
    pushes = find_pushes(ready.problem(0), VALUES)
    wanted = pushes.values + pushes.additions
    norms = wanted.norm(dim=1)
    between = float(norms.mean())
    kept = pushes.kept_to(between)
    assert torch.allclose(
        kept.values + kept.additions, wanted * (between / norms).clamp_max(1).unsqueeze(1), atol=1e-5
    )
    assert torch.allclose((pushes.kept_to(between / 4).values + pushes.kept_to(between / 4).additions).norm(dim=1),
                          torch.full_like(norms, between / 4), rtol=1e-4)  # fmt: skip
    assert pushes.kept_to(None) is pushes
    assert torch.allclose(pushes.kept_to(100 * between).additions, pushes.additions, atol=1e-5)


def test_alphaedit_keeps_out_of_what_the_background_fills(ready: Ready) -> None:
    (delta,) = changes_of(fitted("alphaedit", ready.problem(0))).values()
    basis = null_space(ready.backgrounds[DEEP].eigen, SETTINGS.as_plain()["edit_energy"])
    filled = delta - delta @ basis @ basis.T
    assert 0 < basis.shape[1] < len(basis)
    assert filled.norm() < 1e-3 * delta.norm()


@pytest.mark.parametrize("share", [0.2, 0.9])
def test_nse_changes_few_columns(ready: Ready, share: float) -> None:
    patch = fitted("nse", ready.problem(0), edit_neurons=share)
    (delta,) = changes_of(patch).values()
    energy = patch.keys[NAMES[DEEP]].square().sum(0)
    changed = delta.ne(0).any(0)
    assert float(energy[changed].sum() / energy.sum()) >= share
    assert 0 < int(changed.sum()) < len(changed)
    assert energy[changed].min() >= energy[~changed].max()
    assert float((energy[changed].sum() - energy[changed].min()) / energy.sum()) < share


@pytest.mark.parametrize("method", ["memit", "emmet"])
@pytest.mark.parametrize("sites", [(DEEP,), (SHALLOW, DEEP)])
def test_all_requests_at_once(ready: Ready, method: str, sites: Tuple[Site, ...]) -> None:
    patch = fitted_together(method, ready.problems(), ready.resources(*sites), edit_cover=1.0)
    assert (patch.method, patch.site, patch.names) == (method, DEEP, [NAMES[site] for site in sites])
    assert {name: len(keys) for name, keys in patch.keys.items()} == {
        NAMES[site]: patch.notes["rank"] for site in sites
    }
    assert not any(ready.held())
    with applied(ready.translator.model, patch):
        assert all(ready.held())


@pytest.mark.parametrize("sites", [(DEEP,), (SHALLOW, DEEP)])
def test_with_next_to_no_cover_the_deepest_site_gets_what_it_lacks(
    ready: Ready, sites: Tuple[Site, ...]
) -> None:
    requests = [find_pushes(problem, VALUES) for problem in ready.problems()]
    additions = torch.cat([request.additions for request in requests])
    patch = fitted_together("memit", ready.problems(), ready.resources(*sites), edit_cover=1e-5)
    model = ready.translator.model
    streams = []
    for state in (Patch("memit", DEEP, ()), patch):
        with applied(model, state):
            streams.append(together._observed(ready.translator, requests, DEEP, DEEP)[1])
    assert (streams[1] - streams[0] - additions).norm() < 0.05 * additions.norm()


def test_requests_without_a_value_are_left_out(ready: Ready) -> None:
    problems, resources = ready.problems()[:2], ready.resources(DEEP)
    mixed = fitted_together("memit", [refused(problems[0]), *problems], resources)
    alone = fitted_together("memit", problems, resources)
    assert (mixed.notes["left_out"], alone.notes["left_out"]) == (1.0, 0.0)
    assert torch.equal(changes_of(mixed)[NAMES[DEEP]], changes_of(alone)[NAMES[DEEP]])
    with pytest.raises(EditError, match="none of 1 requests has a value: site decoder.2: no token"):
        fitted_together("emmet", [refused(problems[0])], resources)


@pytest.mark.parametrize(
    ("method", "sites", "settings", "message"),
    [
        ("memit", (Site("encoder", 0), DEEP), {}, "sites encoder.0, decoder.2 lie in several stacks"),
        ("memit", (DEEP,), {"edit_cover": 0.0}, "site decoder.2: a moment of the keys can't be inverted"),
        ("emmet", (DEEP,), {"edit_cover": 0.0}, "site decoder.2: a moment of the keys can't be inverted"),
        ("alphaedit", (DEEP,), {"edit_energy": 1.5}, "site decoder.2: the keys have no part in the null space"),
    ],
)  # fmt: skip
def test_refusals(
    ready: Ready, method: str, sites: Tuple[Site, ...], settings: Dict[str, float], message: str
) -> None:
    with pytest.raises(EditError, match=message):
        fitted(method, ready.problem(0), sites, **settings)


@pytest.mark.parametrize("before", [False, True])
@pytest.mark.parametrize("stack", ["encoder", "decoder"])
def test_the_stream_is_that_behind_the_last_network(
    ready: Ready, before: bool, stack: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    translator, model = ready.translator, ready.translator.model
    first, last = Site(stack, 0), Site(stack, 1)
    layers: List[Any] = [layer_at(model, Site(stack, index)) for index in range(3)]
    for layer in layers:
        monkeypatch.setattr(layer, "normalize_before", before)
    batch = translator.batcher.batch([case.example.pair for case in ready.cases])
    written: List[Tensor] = []
    hook: Callable[..., None] = lambda _, __, output: written.append(  # noqa: E731
        output[0] if isinstance(output, tuple) else output
    )
    streams = []
    with ExitStack() as undo:
        undo.callback(layers[1].register_forward_hook(hook).remove)
        for addend in (0.0, 1.0):
            with add_to_value(model, first, lambda value, addend=addend: addend * value):
                streams.append(together._forward(translator, batch, first, last)[1])
    if before:
        # Up to the embeddings, which are the same in both.
        found, expected = streams[1] - streams[0], written[1] - written[0]
    else:
        found, expected = layers[1].final_layer_norm(streams[1]), written[1]
    real = reading_places(translator, batch, last).T
    assert float((written[1] - written[0])[real].abs().max()) > 0.1
    assert torch.allclose(found[real], expected[real], atol=1e-4)
