"""A certificate of locality against real decoding: what it proves stays, and a gate that opens is never proven shut."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any, Dict, Iterator, List, Sequence, Tuple

import pytest
import torch
from edit_runs import DEMO
from torch import Tensor

import fairseq_rome
from fairseq_rome import EditRequest, EditSettings, Workbench
from fairseq_rome.host.adapters import TaskAdapter
from fairseq_rome.host.batches import Pair
from fairseq_rome.host.before_after import Before
from fairseq_rome.host.certificate import Certificate
from fairseq_rome.host.decoding import Translator
from fairseq_rome.host.readings import read_site
from fairseq_rome.host.sites import Site, add_to_value, layer_at, parameter_names, prepared
from fairseq_rome.host.visiting import States, visits
from fairseq_rome.patch import NeuronChange, Patch, applied

LAST, EARLY, ENCODER = Site.parse("decoder.1"), Site.parse("decoder.0"), Site.parse("encoder.0")
SOURCES = [
    "The shop assistants can read the poem.", "He sees a tall tree.", "The girls can read.", "She has a dog.",
    "The man reads a long book.", "A boy.",
]  # fmt: skip
TARGET = "Die Verkäufer können das Gedicht lesen."
QUICK = EditSettings.of(edit_stats_tokens=2000, edit_contexts=4, edit_references=4, edit_sample=12)


@pytest.fixture
def bench(edit_data: Path, tmp_path: Path) -> Workbench:
    return fairseq_rome.open(
        str(DEMO / "model.pt"), data=str(edit_data), source="en", target="de", bpe="sentencepiece",
        sentencepiece_model=str(DEMO / "spm.model"), beam=3, cache=str(tmp_path),
    )  # fmt: skip


@pytest.fixture
def translator(bench: Workbench) -> Iterator[Translator]:
    with bench.prepared():
        yield bench.model.translator


def tokens(translator: Translator, sources: Sequence[str] = SOURCES) -> List[Tensor]:
    return [translator.codec.source(source) for source in sources]


def visited(translator: Translator, sources: Sequence[Tensor], sites: Sequence[Site]) -> List[States]:
    found = {one.index: one.states for group in visits(translator, sources, sites) for one in group}
    return [found[index] for index in range(len(sources))]


def parameters(translator: Translator) -> Dict[str, Tensor]:
    return {name: one.detach().clone() for name, one in translator.model.named_parameters()}


def gate(translator: Translator, site: Site, state: Tensor, size: float = 30.0) -> Patch:
    """A neuron more, which opens at one input of a site and at next to nothing else."""
    names = parameter_names(translator.model, site)
    width = len(translator.model.get_parameter(names["fc1.bias"]))
    state = state.float()
    value = torch.randn(len(state), generator=torch.Generator().manual_seed(3))
    new = {
        "fc1.weight": state / state.square().sum(), "fc1.bias": torch.tensor(-0.995), "fc2.weight": value * size * 200,
    }  # fmt: skip
    changes = [
        NeuronChange(names[part], 1 if part == "fc2.weight" else 0, width, tensor) for part, tensor in new.items()
    ]
    return Patch("gated", site, tuple(changes))


def certificate_of(translator: Translator, patch: Patch) -> Certificate:
    old = parameters(translator)
    with applied(translator.model, patch):
        found = Certificate.between(translator.model, old)
    assert found is not None
    return found


def said(translator: Translator, sources: Sequence[Tensor]) -> List[str]:
    return [hypothesis.text for hypothesis in translator.translate_tokens(sources)]


@pytest.mark.parametrize("site", [LAST, EARLY, ENCODER], ids=str)
def test_a_sentence_visits_the_same_states_alone_and_beside_others(bench: Workbench, site: Site) -> None:
    translator = bench.model.translator
    sources = tokens(translator)
    with prepared(translator.model):
        together = visited(translator, sources, [site])
    with bench.prepared():
        for source, states in zip(sources, together):
            alone = translator_without_memory(translator)
            [own] = visited(alone, [source], [site])
            assert own[site].shape == states[site].shape
            gap = torch.cdist(own[site].float(), states[site].float()).min(1).values
            assert float(gap.max()) < 0.01 * float(own[site].float().norm(dim=1).mean())


def translator_without_memory(translator: Translator) -> Translator:
    return replace(translator, remembered=None)


def test_the_states_of_the_hypothesis_are_among_those_visited(translator: Translator) -> None:
    sources = tokens(translator)
    hypotheses = translator.translate_tokens(sources)
    readings = read_site(translator, [Pair(*one) for one in zip(sources, (h.tokens for h in hypotheses))], LAST)
    for reading, states in zip(readings, visited(translator, sources, [LAST])):
        gap = torch.cdist(reading.inputs, states[LAST].float()).min(1).values
        assert float(gap.max()) < 0.01 * float(reading.inputs.norm(dim=1).mean())
        assert len(states[LAST]) > len(reading.inputs)  # and losing beams


def test_states_are_kept_between_runs(bench: Workbench, monkeypatch: pytest.MonkeyPatch) -> None:
    translator = bench.model.translator
    with bench.prepared():
        first = visited(translator, tokens(translator), [LAST, EARLY])
        monkeypatch.setattr(TaskAdapter, "generate", lambda *_: pytest.fail("decoded again"))
        second = visited(translator, tokens(translator), [LAST, EARLY])
    for one, other in zip(first, second):
        assert all(torch.equal(one[site], other[site]) for site in (LAST, EARLY))


def losing(translator: Translator, source: Tensor) -> Tensor:
    """A state of a losing beam: the one that is farthest from all states of the best hypothesis."""
    [hypothesis] = translator.translate_tokens([source])
    [reading] = read_site(translator, [Pair(source, hypothesis.tokens)], LAST)
    [states] = visited(translator, [source], [LAST])
    gaps = torch.cdist(states[LAST].float(), reading.inputs).min(1).values
    return states[LAST][int(gaps.argmax())]


def test_a_gate_that_opens_in_a_losing_beam_is_not_proven_shut(translator: Translator) -> None:
    sources = tokens(translator)
    patch = gate(translator, LAST, losing(translator, sources[0]), size=0.001)
    proven = certificate_of(translator, patch).holds(visited(translator, sources, [LAST]))
    assert not proven[0] and any(proven)
    before = said(translator, sources)
    with applied(translator.model, patch):
        after = said(translator, sources)
    assert all(old == new for old, new, sure in zip(before, after, proven) if sure)


@pytest.mark.parametrize("site", [LAST, EARLY, ENCODER], ids=str)
def test_what_is_proven_does_not_change_and_what_changes_is_not_proven(translator: Translator, site: Site) -> None:
    sources = tokens(translator)
    before = said(translator, sources)
    states = visited(translator, sources, [site])
    proven_at_all, changed_at_all = 0, 0
    for of in states:
        patch = gate(translator, site, of[site][len(of[site]) // 2])
        proven = certificate_of(translator, patch).holds(states)
        with applied(translator.model, patch):
            after = said(translator, sources)
        changed = [old != new for old, new in zip(before, after)]
        assert not any(sure and moved for sure, moved in zip(proven, changed))
        proven_at_all, changed_at_all = proven_at_all + sum(proven), changed_at_all + sum(changed)
    assert proven_at_all and changed_at_all


def test_rounding_is_on_the_safe_side(translator: Translator) -> None:
    [states] = visited(translator, tokens(translator)[:1], [LAST])
    state = states[LAST][3]
    weight = state.float() / state.float().square().sum()
    for bias, shut in ((-1.0002, False), (-1.2, True)):  # shut by less than half precision can tell, and by more
        certificate = Certificate({LAST: (weight.unsqueeze(0), torch.tensor([bias]))})
        assert certificate.holds([{LAST: state.unsqueeze(0)}]) == [shut]
    certificate = Certificate({LAST: (weight.unsqueeze(0), torch.tensor([-1e9]))})
    assert certificate.holds([{LAST: torch.full_like(state, torch.inf).unsqueeze(0)}]) == [False]


def embedding(translator: Translator, changed: Any) -> None:
    changed.get_parameter("decoder.embed_tokens.weight").data[5, 0] += 1


def second_bias(translator: Translator, changed: Any) -> None:
    changed.get_parameter(parameter_names(changed, LAST)["fc2.bias"]).data[0] += 1


@pytest.mark.parametrize("change", [embedding, second_bias])
def test_there_is_none_where_more_than_neurons_changed(translator: Translator, change: Any) -> None:
    old = parameters(translator)
    change(translator, translator.model)
    assert Certificate.between(translator.model, old) is None


def test_there_is_none_for_a_smooth_activation(translator: Translator, monkeypatch: pytest.MonkeyPatch) -> None:
    old = parameters(translator)
    patch = gate(translator, LAST, torch.ones(len(old[parameter_names(translator.model, LAST)["fc2.bias"]])))
    monkeypatch.setattr(layer_at(translator.model, LAST), "activation_fn", torch.nn.functional.gelu)
    with applied(translator.model, patch):
        assert Certificate.between(translator.model, old) is None


def test_there_is_none_beside_hooks(translator: Translator) -> None:
    old = parameters(translator)
    with add_to_value(translator.model, LAST, torch.zeros_like):
        assert Certificate.between(translator.model, old) is None
        translator.translate(SOURCES[:1])


def test_a_model_that_did_not_change_needs_no_second_decoding(translator: Translator) -> None:
    certificate = Certificate.between(translator.model, parameters(translator))
    assert certificate is not None and certificate.sites == ()
    before = Before.of(translator, tokens(translator), certificate, "decoding")
    assert before.proven == (True,) * len(SOURCES)
    assert [one.text for one in before.hypotheses] == said(translator, tokens(translator))
    assert Before.of(translator, [], certificate, "decoding").after(translator, "decoding") == []


def test_a_neuron_that_wrote_something_before_counts_with_its_old_row(translator: Translator) -> None:
    names = parameter_names(translator.model, LAST)
    bias = translator.model.get_parameter(names["fc1.bias"])
    old = parameters(translator)
    bias.data[0] = -1e6  # never opens any more, but it did
    certificate = Certificate.between(translator.model, old)
    assert certificate is not None
    weights, biases = certificate.neurons[LAST]
    assert biases.tolist() == pytest.approx([-1e6, float(old[names["fc1.bias"]][0])])
    assert torch.equal(weights[1], old[names["fc1.weight"]][0])


def outcomes(bench: Workbench, monkeypatch: pytest.MonkeyPatch) -> Tuple[Any, Any]:
    """An edit and its report, with certificates and without."""
    request = EditRequest(SOURCES[0], TARGET, trigger="shop assistants")
    found = []
    for certified in (True, False):
        with monkeypatch.context() as patch:
            if not certified:
                patch.setattr(Certificate, "between", lambda *_: None)
            outcome = bench.edit([request], QUICK)
            found.append((outcome, bench.evaluate(outcome, sample=30).evaluation))
    return found[0], found[1]


def test_edits_and_reports_say_the_same_with_and_without(bench: Workbench, monkeypatch: pytest.MonkeyPatch) -> None:
    (outcome, evaluation), (plain, decoded) = outcomes(bench, monkeypatch)
    assert (outcome.sample.before, outcome.sample.after) == (plain.sample.before, plain.sample.after)
    assert outcome.sample.proven > 0 == plain.sample.proven
    assert evaluation.metrics() == decoded.metrics()
    [one], [other] = evaluation.sets, decoded.sets
    assert one.changes == other.changes and one.proven > 0 == other.proven


def test_there_is_none_where_a_layer_had_more_neurons(translator: Translator) -> None:
    width = len(parameters(translator)[parameter_names(translator.model, LAST)["fc2.bias"]])
    with applied(translator.model, gate(translator, LAST, torch.ones(width))):
        wider = parameters(translator)
    assert Certificate.between(translator.model, wider) is None
