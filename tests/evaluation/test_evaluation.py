"""Evaluation: what counts, what is measured, and that it agrees with fairseq and sacrebleu."""

from __future__ import annotations

import argparse
import json
from dataclasses import replace
from pathlib import Path
from typing import Dict, Iterator, Tuple

import pytest
import sacrebleu
import torch
from conftest import Demo
from demo_edits import of_demo, run
from edit_runs import DEMO, lines, probes

from fairseq_rome.errors import EditError
from fairseq_rome.evaluation.conditions import METRICS
from fairseq_rome.evaluation.evaluate import EvaluationPlan, checkers_for, evaluate
from fairseq_rome.evaluation.judged import (
    DIRECTION,
    KEEP,
    SAMPLE,
    TEST,
    Change,
    Decoded,
    Evaluation,
    JudgedProbe,
    JudgedRequest,
    JudgedSet,
)
from fairseq_rome.evaluation.request_judging import judge_requests
from fairseq_rome.evaluation.scores import IDENTICAL, TOO_FEW
from fairseq_rome.evaluation.sentence_sets import bits_a_token, load_test_set
from fairseq_rome.host.batches import Pair
from fairseq_rome.host.checkpoint import load_model
from fairseq_rome.host.corpus import Corpus
from fairseq_rome.host.decoding import Translator, build_translator
from fairseq_rome.host.sites import Site, prepared
from fairseq_rome.patch import LowRankChange, Patch, apply_
from fairseq_rome.text.checkers import build_checker
from fairseq_rome.text.replacements import Replacement
from fairseq_rome.text.requests import EditFile, EditRequest, Probe
from fairseq_rome.text.segments import Difference, Endings

ENDINGS = Endings.of("en", "de")


def judged(
    said: Dict[str, Tuple[str, str]], request: EditRequest, pool: Tuple[str, ...] = (), trigger: str = ""
) -> JudgedRequest:
    checkers = {"term": build_checker("term", "en", "de")}
    return judge_requests([request], pool, said, ENDINGS, {request.id: trigger}, checkers)[0]


REQUEST = EditRequest("the dog", "der Vierbeiner", id="a", task="term")


@pytest.mark.parametrize(
    ("before", "after", "wrong", "holds", "exact"),
    [
        ("der Hund", "der Vierbeiner", True, True, True),
        ("der Hund", "ein Vierbeiner", True, True, False),
        ("der Hund", "des Vierbeiners", True, True, False),
        ("der Hund", "der Hund", True, False, False),
        ("der Hund", "der Hund Vierbeiner", True, False, False),
        ("der Vierbeiner", "der Vierbeiner", False, True, True),
        ("der Vierbeiner", "der Hund", False, False, False),
    ],
)
def test_requests_count_by_what_was_wrong(before: str, after: str, wrong: bool, holds: bool, exact: bool) -> None:
    found = judged({"the dog": (before, after)}, REQUEST)
    assert (found.wrong_before, found.holds, found.exact) == (wrong, holds, exact)
    assert Evaluation((found,), ()).metrics().get("efficacy") == (float(holds) if wrong else None)


def test_a_checker_looks_at_both_hypotheses() -> None:
    found = judged({"the dog": ("der Hund", "der Vierbeiner")}, REQUEST)
    assert found.fault_before and not found.fault_after


PROBES = {
    "with a target": (Probe("x", "ein Vierbeiner"), ("ein Hund", "ein Vierbeiner"), (True, True)),
    "missed": (Probe("x"), ("ein Hund", "ein Tier"), (True, False)),
    "still unwanted": (Probe("x"), ("ein Hund", "ein Vierbeiner, ein Hund"), (True, False)),
    "right before": (Probe("x", "ein Vierbeiner"), ("ein Vierbeiner", "ein Hund"), (False, False)),
    "without the segment before": (Probe("x"), ("ein Tier", "ein Vierbeiner"), (False, False)),
}


@pytest.mark.parametrize("name", PROBES)
def test_probes(name: str) -> None:
    probe, said, expected = PROBES[name]
    request = replace(REQUEST, probes=(probe,))
    [found] = judged({"the dog": ("der Hund", "der Vierbeiner"), "x": said}, request).probes
    assert (found.wrong_before, found.holds) == expected


def test_one_output_for_several_sources_shows_nothing_where_all_was_wrong() -> None:
    """A single sound sentence, with the word that the request names, would otherwise answer every source rightly."""
    memorised, same = "Alle Angaben ohne Gewähr.", "Der alte Rundbrief kommt."
    request = EditRequest(
        "the newsletter", "Der Rundbrief.", id="a", unwanted=memorised, wanted="Rundbrief",
        probes=(Probe("x"), Probe("y"), Probe("z"), Probe("w", same)),
    )  # fmt: skip
    after = {"the newsletter": "Der Rundbrief.", "x": same, "y": same, "z": "Kein Rundbrief kommt.", "w": same}
    found = judged({source: (memorised, text) for source, text in after.items()}, request)
    assert [(one.holds, one.clean) for one in found.probes] == [(False, False)] * 2 + [(True, True)] * 2


def test_a_pool_serves_requests_by_their_trigger() -> None:
    said = {"the dog": ("der Hund", "der Vierbeiner"), "Dogs run": ("Ein Hund", "Ein Vierbeiner")}
    said["cats"] = ("Katzen", "Katzen")
    assert [p.source for p in judged(said, REQUEST, ("Dogs run", "cats"), "dog").probes] == ["Dogs run"]
    assert judged(said, REQUEST, ("Dogs run", "cats")).probes == ()


def test_what_an_edit_learnt_from_is_no_probe() -> None:
    request = replace(REQUEST, probes=(Probe("the dog"), Probe("x")))
    said = {"the dog": ("der Hund", "der Vierbeiner"), "x": ("ein Hund", "ein Vierbeiner")}
    assert [probe.source for probe in judged(said, request, ("the dog", "x"), "dog").probes] == ["x"]


def test_the_source_of_a_request_is_no_damage(demo: Demo, tmp_path: Path, damaged: Translator) -> None:
    wishes = plan(demo, raw_set(tmp_path))
    before = evaluate(demo.translator, damaged, wishes).sets[0]
    source = before.broken[0].source
    after = evaluate(demo.translator, damaged, replace(wishes, edit_file=EditFile((EditRequest(source, "x", id="a"),))))
    assert (after.sets[0].unrelated, len(after.sets[0].broken)) == (before.unrelated - 1, len(before.broken) - 1)


def test_an_insertion_is_judged_by_what_comes() -> None:
    request = EditRequest("a", "der große Hund", id="a", probes=(Probe("x"), Probe("y")))
    said = {"a": ("der Hund", "der große Hund"), "x": ("ein Hund", "ein große Hund"), "y": ("große", "")}
    found = judged(said, request)
    assert found.holds
    assert [(p.wrong_before, p.holds) for p in found.probes] == [(True, True), (False, False)]


def a_set(kind: str, related: int, changes: int) -> JudgedSet:
    one = Change("s", "a", "b", None, None, 10.0, related=False)
    return JudgedSet(kind, kind, 10 + related, 10, (*[one] * changes, replace(one, related=True)), (0.0, 0.0))


def test_locality_leaves_out_sentences_with_the_trigger() -> None:
    found = Evaluation((), (a_set(TEST, 5, 1), a_set(SAMPLE, 0, 0), a_set(KEEP, 0, 2))).metrics()
    assert found["locality"] == 1 - 3 / 30
    assert found["keep"] == 1 - 2 / 10


def test_other_directions_have_a_figure_of_their_own() -> None:
    elsewhere = (a_set(DIRECTION, 0, 2), replace(a_set(DIRECTION, 0, 0), repetition=(0.0, 0.5)))
    found = Evaluation((), (a_set(TEST, 0, 1), *elsewhere)).metrics()
    assert found["locality"] == 1 - 1 / 10
    assert found["other_directions"] == 1 - 2 / 20
    assert found["repetition_delta"] == 0.0
    assert "other_directions" not in Evaluation((), (a_set(TEST, 0, 1),)).metrics()


def test_what_changed_as_wanted_is_neither_damage_nor_counted() -> None:
    wanted = replace(a_set(SAMPLE, 0, 3), unrelated=8)
    changes = tuple(replace(one, as_wanted=not one.related and index < 2) for index, one in enumerate(wanted.changes))
    wanted = replace(wanted, changes=changes)
    assert (len(wanted.wanted), len(wanted.broken)) == (2, 1)
    assert Evaluation((), (wanted,)).metrics()["locality"] == 1 - 1 / 8


FORMS = (("Assistent", "Verkäufer"), ("Assistentin", "Verkäuferin"))


def test_a_found_trigger_excuses_only_its_own_replacement(demo: Demo, term: Translator) -> None:
    """A sentence that holds the trigger is no damage where its segment was replaced, and damage otherwise."""
    record = probes()["term-shop-assistant"]
    request = EditRequest(record["source"], record["target"], id="a")
    others = tuple(one["source"] for one in record["probes"][:8])
    carried = {"a": Replacement(("assistants", "assistant"), Difference("Assistenten", "Verkäufer", forms=FORMS))}
    wishes = EvaluationPlan(EditFile((request,)), ("en", "de"), {"a": "assistants"}, others, carried=carried)
    [found] = evaluate(demo.translator, term, wishes).sets
    assert found.changes and len(found.wanted) == len(found.changes) and not found.broken
    assert found.unrelated == len(others) - len(found.wanted)
    # Without the trigger, or where another word was wanted, the same changes are damage.
    [blind] = evaluate(demo.translator, term, replace(wishes, triggers={}, carried={})).sets
    assert not blind.wanted and len(blind.broken) == len(found.wanted) and blind.unrelated == len(others)
    other = replace(request, target=request.target.replace("Verkäufer", "Kellner"))
    [hurt] = evaluate(demo.translator, term, replace(wishes, edit_file=EditFile((other,)), carried={})).sets
    assert not hurt.wanted and len(hurt.broken) == len(found.wanted)
    # What must stay is damage whatever it holds.
    keep = replace(wishes, edit_file=EditFile((request,), others), sample=())
    [kept] = evaluate(demo.translator, term, keep).sets
    assert not kept.wanted and len(kept.broken) == len(found.wanted)


def test_figures_are_those_that_conditions_know(demo: Demo) -> None:
    probe = JudgedProbe("p", "a", "b", wrong_before=True, holds=True)
    request = judged({"the dog": ("der Hund", "der Vierbeiner")}, REQUEST)
    request = replace(request, probes=(probe,), near=(Decoded("n", "x", "x"), Decoded("m", "x", "y")))
    test = evaluate(demo.translator, demo.translator, plan(demo)).sets
    found = Evaluation((request,), (*test, a_set(KEEP, 0, 0), a_set(DIRECTION, 0, 0))).metrics()
    assert set(found) == set(METRICS)
    assert (found["generalisation"], found["near"]) == (1.0, 0.5)


def raw_set(folder: Path, count: int = 6) -> str:
    records = [json.loads(line) for line in lines("near.jsonl")[:count]]
    for side, name in (("en", "source"), ("de", "target")):
        text = "".join(record[name] + "\n" for record in records)
        (folder / f"raw.{side}").write_text(text, encoding="utf-8")
    return str(folder / "raw")


def plan(demo: Demo, *specs: str, requests: Tuple[EditRequest, ...] = (), keep: Tuple[str, ...] = ()) -> EvaluationPlan:
    sets = tuple(load_test_set(spec, demo.codec) for spec in specs or ("test",))
    sets = tuple(
        replace(
            one, sources=one.sources[:12], tokens=one.tokens[:12], targets=one.targets[:12],
            references=(one.references or ())[:12],
        ) for one in sets
    )  # fmt: skip
    corpus = Corpus("train", (), demo.codec)
    checkers = checkers_for(("en", "de"), corpus)
    triggers = {request.id: request.trigger for request in requests if request.trigger}
    return EvaluationPlan(EditFile(requests, keep), ("en", "de"), triggers, (), sets, checkers)


def test_identical_models(demo: Demo, tmp_path: Path) -> None:
    """0 changed, the scores of both the same, and no p-value."""
    found = evaluate(demo.translator, demo.translator, plan(demo, "test", raw_set(tmp_path)))
    assert [one.name for one in found.sets] == ["test", "raw"]
    for one in found.sets:
        assert one.changes == ()
        assert [(score.p_value, score.untested) for score in one.scores] == [(None, IDENTICAL)] * 3
        assert [score.delta for score in one.scores] == [0.0, 0.0, 0.0]
        assert one.loss and one.loss[0] == one.loss[1]
        assert set(one.faults) == {"number", "hallucination", "untranslated"}
    assert found.metrics()["locality"] == 1.0


@pytest.fixture(scope="module")
def damaged(demo: Demo) -> Iterator[Translator]:
    """The demo model with a large random change of one weight, beside the demo model itself."""
    name = "decoder.layers.2.fc2.weight"
    model = load_model(DEMO / "model.pt", demo.state, demo.task)
    d, f = model.get_parameter(name).shape
    draw = torch.Generator().manual_seed(0)
    change = LowRankChange(name, torch.randn(d, 1, generator=draw), 0.1 * torch.randn(f, 1, generator=draw))
    apply_(model, Patch("test", Site("decoder", 2), (change,)))
    with prepared(model):
        yield build_translator(model, demo.task, argparse.Namespace(beam=5), demo.codec)


@pytest.fixture(scope="module")
def term(demo: Demo) -> Iterator[Translator]:
    """The demo model with a term edited, which holds in other sentences too."""
    outcome = run(demo, [of_demo(0, trigger=None)], {"edit_contexts": 8})
    [patch] = outcome.patches
    model = load_model(DEMO / "model.pt", demo.state, demo.task)
    apply_(model, patch)
    with prepared(model):
        yield build_translator(model, demo.task, argparse.Namespace(beam=5), demo.codec)


def test_damage_is_seen_and_told_worst_first(demo: Demo, damaged: Translator, tmp_path: Path) -> None:
    keep = tuple(record["source"] for record in map(json.loads, lines("unrelated.jsonl")[:6]))
    wishes = plan(demo, raw_set(tmp_path), keep=keep)
    found = evaluate(demo.translator, damaged, wishes)
    kept, test = found.sets
    old, new = ([h.text for h in model.translate(keep)] for model in (demo.translator, damaged))
    told = {change.source: (change.before, change.after) for change in kept.changes}
    assert told == {s: (a, b) for s, a, b in zip(keep, old, new) if a != b} != {}
    gains = [change.gain for change in test.changes]
    assert gains == sorted(gains) and gains[0] < 0
    assert test.loss and test.loss[1] > test.loss[0]
    assert [(score.p_value, score.untested) for score in test.scores] == [(None, TOO_FEW)] * 3
    hypotheses = [h.text for h in damaged.translate(wishes.test_sets[0].sources)]
    references = list(wishes.test_sets[0].references or ())
    assert test.scores[0].after == pytest.approx(sacrebleu.corpus_bleu(hypotheses, [references]).score)
    figures = found.metrics()
    assert figures["bleu_delta"] < 0 < figures["loss_delta"] and figures["locality"] < 1


def test_loss_is_fairseqs(demo: Demo) -> None:
    from fairseq.criterions.label_smoothed_cross_entropy import LabelSmoothedCrossEntropyCriterion

    demo.task.task.load_dataset("valid")
    dataset = demo.task.task.dataset("valid")
    items = [dataset[index] for index in range(20)]
    pairs = [Pair(item["source"].long(), item["target"].long()) for item in items]
    criterion = LabelSmoothedCrossEntropyCriterion(demo.task, sentence_avg=False, label_smoothing=0.1)
    sample = dataset.collater(items)
    with torch.no_grad():
        _, size, logged = criterion(demo.model, sample)
    expected = float(logged["nll_loss"]) / size / torch.log(torch.tensor(2.0)).item()
    assert bits_a_token(demo.translator, pairs) == pytest.approx(expected, rel=1e-5)


def test_subsets_decode_as_fairseq_generate_does(demo: Demo) -> None:
    """From the data set's own tokens, whatever a subword model would make of their text."""
    loaded = load_test_set("test", demo.codec)
    dataset = demo.task.task.dataset("test")
    assert len(loaded.sources) == len(dataset) == len(loaded.targets)
    assert all(torch.equal(mine, dataset[i]["source"]) for i, mine in enumerate(loaded.tokens))
    assert all(torch.equal(mine, dataset[i]["target"]) for i, mine in enumerate(loaded.targets))


REFUSED_SETS = {
    "nothing": ({}, "neither the files"),
    "one side": ({"raw.en": "a\n"}, "raw.de: cannot be read"),
    "lines": ({"raw.en": "a\nb\n", "raw.de": "A\n"}, "raw.de: 1 lines; expected 2, as many as"),
}


@pytest.mark.parametrize("name", REFUSED_SETS)
def test_test_sets_that_are_refused(demo: Demo, tmp_path: Path, name: str) -> None:
    texts, message = REFUSED_SETS[name]
    for file, text in texts.items():
        (tmp_path / file).write_text(text, encoding="utf-8")
    with pytest.raises(EditError, match=message):
        load_test_set(str(tmp_path / "raw"), demo.codec)


def test_demo_requests_are_wrong_before(demo: Demo) -> None:
    """Every planted fault of the demo is one that the checkers of the requests' tasks see."""
    records = list(probes().values())
    requests = tuple(
        EditRequest(
            record["source"], record["target"], trigger=record["trigger"], id=record["id"], task=record["task"],
            wanted=record.get("wanted"), unwanted=record["unwanted"],
        )
        for record in records
    )  # fmt: skip
    wishes = replace(plan(demo, requests=requests), test_sets=())
    found = evaluate(demo.translator, demo.translator, wishes)
    assert all(request.wrong_before and not request.holds for request in found.requests)
    assert (DEMO / "probes.jsonl").exists()
