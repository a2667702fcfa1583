"""An edit is for one direction of a multilingual model: the others decode as stock fairseq does, and are measured."""

from __future__ import annotations

import json
import random
import warnings
from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from typing import Any, Callable, Dict, List, Optional, Tuple

import pytest
import torch
from conftest import write_parallel_text
from test_multilingual import SENTENCES, SIZES, TRAINING, Trained, stock

from fairseq_rome import EditRequest, EditSettings, Workbench
from fairseq_rome.editing.outcome import Outcome
from fairseq_rome.errors import EditError
from fairseq_rome.host.other_directions import (
    OtherDirection,
    chosen_directions,
    direction_data,
    other_direction,
)
from fairseq_rome.host.sites import find_sites, prepared
from fairseq_rome.host.user_dir import share_user_dir
from fairseq_rome.methods.base import EditProblem
from fairseq_rome.methods.fitting import detecting, gates
from fairseq_rome.statistics import OF_OTHERS, backgrounds, collect, inputs_of

PAIRS = "--lang-pairs en-de,en-fr,de-en,fr-de"
SIMPLE = f"--task translation_multi_simple_epoch --langs en,de,fr {PAIRS}"
KINDS: Dict[str, str] = {
    "M2M-100": f"{SIMPLE} --encoder-langtok src --decoder-langtok",
    "the target's token at the source": f"{SIMPLE} --encoder-langtok tgt",
    "in the places of end symbols": f"{SIMPLE} --encoder-langtok src --decoder-langtok --lang-tok-replacing-bos-eos",
    "multilingual_translation": f"--task multilingual_translation {PAIRS} --encoder-langtok tgt --decoder-langtok",
}
SHARED = ["--share-encoders", "--share-decoders", "--share-encoder-embeddings", "--share-decoder-embeddings"]
# The others stand for what they share with one of these.
QUICK = ("M2M-100", "multilingual_translation")


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Pairs en-de, en-fr and, without a validation or test set, fr-de; all with one dictionary."""
    from fairseq import options
    from fairseq_cli import preprocess

    folder = tmp_path_factory.mktemp("three")
    rng = random.Random(2)
    made = folder / "data"
    names = {"train": 60, "valid": 9, "test": 5}
    for source, target in (("en", "de"), ("en", "fr"), ("fr", "de")):
        text = []
        for split, lines in {name: names[name] for name in (["train"] if source == "fr" else names)}.items():
            write_parallel_text(folder, split, lines, rng)
            for old, new in (("en", source), ("de", target)):
                (folder / f"{split}.{old}").rename(folder / f"{source}{target}.{split}.{new}")
            text.append(f"--{split}pref={folder / f'{source}{target}.{split}'}")
        known = ["--srcdict", str(made / "dict.en.txt")] if made.exists() else []
        binary = folder / (source + target)
        command = ["-s", source, "-t", target, *text, "--destdir", str(binary), "--joined-dictionary", *known]
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            preprocess.main(options.get_preprocessing_parser().parse_args(command))
        made.mkdir(exist_ok=True)
        for path in binary.iterdir():
            path.replace(made / path.name)
    return made


def trained_with(data: Path, words: List[str], save_dir: Path, updates: int = 60, shared: bool = True) -> Trained:
    from fairseq import options
    from fairseq.dataclass.utils import convert_namespace_to_omegaconf
    from fairseq_cli import train as fairseq_train

    share_user_dir()
    arch = ["--arch", "transformer", "--share-all-embeddings"]
    if "multilingual_translation" in words:
        arch = ["--arch", "multilingual_transformer", *(SHARED if shared else [])]
    command = [str(data), *arch, *SIZES, *TRAINING, "--max-update", str(updates), *words, "--save-dir", str(save_dir)]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        parsed = options.parse_args_and_arch(options.get_training_parser(), command)
        fairseq_train.main(convert_namespace_to_omegaconf(parsed))
    return Trained(data, save_dir / "checkpoint_last.pt", words)


@pytest.fixture(scope="module")
def models(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Trained]:
    """A tiny model of a kind, trained once."""

    @lru_cache(None)
    def model(kind: str) -> Trained:
        # The task of several pairs makes an update of one batch of each.
        updates = 20 if kind == "multilingual_translation" else 60
        return trained_with(data, KINDS[kind].split(), tmp_path_factory.mktemp("kind"), updates)

    return model


def kinds(*quick: str) -> List[Any]:
    """Every kind of model, as a parameter of tests; all but some are slow."""
    return [pytest.param(kind, marks=() if kind in quick else pytest.mark.slow, id=kind) for kind in KINDS]


@pytest.fixture(scope="module", params=kinds(*QUICK))
def trained(models: Callable[[str], Trained], request: Any) -> Trained:
    return models(request.param)


def settings_of(method: str = "gated", **others: Any) -> EditSettings:
    return EditSettings.of(
        method=method, edit_contexts=0, edit_stats_tokens=200, edit_sample=2, edit_dormant=0.5, edit_max_size=1e3,
        edit_tries=8, **others,
    )  # fmt: skip


def edited(bench: Workbench, trigger: Optional[str] = None, **others: Any) -> Outcome:
    [before] = bench.translate(SENTENCES[:1])
    words = before.split() or ["w1"]
    target = " ".join([*words[:-1], "w9" if words[-1] != "w9" else "w8"])
    return bench.edit(EditRequest(SENTENCES[0], target, id="1", trigger=trigger), settings_of(**others))


def test_the_same_model_decodes_other_directions_as_stock_fairseq(trained: Trained, tmp_path: Path) -> None:
    bench = trained.opened()
    for source, target in (("en", "fr"), ("de", "en"), ("fr", "de")):
        other = bench.model.in_direction((source, target))
        assert other.model is bench.model.translator.model
        with prepared(other.model):
            said = [hypothesis.text for hypothesis in other.translate(SENTENCES)]
        assert any(said) and said == stock(trained, SENTENCES, tmp_path, source, target)
    assert bench.translate(SENTENCES) == stock(trained, SENTENCES, tmp_path)


def test_a_direction_has_decodings_of_its_own(trained: Trained, tmp_path: Path) -> None:
    bench = trained.opened(cache=str(tmp_path))
    with bench.prepared():
        translators = [bench.model.translator, *(bench.model.in_direction((one, "de")) for one in ("fr", "en"))]
        found = [one.remembered.while_unedited(one.model, one.adapter, one.generator) for one in translators]
        own, other, again = (entries.key for entries in found)
        assert own == again != other
        sources = [translators[0].codec.source(one) for one in SENTENCES]
        translators[0].translate_tokens(sources)
        assert all(found[2].find(sources)) and not any(found[1].find(sources))
    with bench.patched(edited(bench, method="rome").patches), bench.prepared():
        assert not any(one.remembered.while_unedited(one.model, one.adapter, one.generator) for one in translators)


def test_all_are_those_of_lang_pairs_that_have_data(trained: Trained, data: Path, tmp_path: Path) -> None:
    adapter = trained.opened().model.adapter
    # de-en has the files of en-de, the other way round.
    assert chosen_directions(adapter, "all") == (("en", "fr"), ("de", "en"), ("fr", "de"))
    assert chosen_directions(adapter, "none") == ()
    assert chosen_directions(adapter, "fr-en, en-fr,fr-en") == (("fr", "en"), ("en", "fr"))
    less = tmp_path / "less"
    less.mkdir()
    for path in data.iterdir():
        if ".fr-de." not in path.name:
            (less / path.name).symlink_to(path)
    assert replace(trained, data=less).opened().model.adapter.other_directions() == (("en", "fr"), ("de", "en"))


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ("en-de", "en-de is the direction of the edit, expected others"),
        ("en-xx", "xx is no language of the task, expected one of:"),
        ("french", "'french' is no direction, expected such as en-fr"),
    ],
)
def test_what_is_no_other_direction_is_refused(trained: Trained, given: str, told: str) -> None:
    with pytest.raises(EditError, match=told):
        edited(trained.opened(), edit_directions=given)


def test_a_bilingual_model_has_no_other_direction(demo: Any) -> None:
    adapter = demo.translator.adapter
    assert chosen_directions(adapter, "all") == ()
    with pytest.raises(EditError, match="direction en-fr: the task translation has one direction alone, en-de"):
        chosen_directions(adapter, "en-fr")


def test_sentences_are_spread_over_the_directions(trained: Trained) -> None:
    bench = trained.opened()
    own = SENTENCES[:3]

    def read(name: Tuple[str, str], place: int, count: int) -> OtherDirection:
        data = direction_data(bench.model.in_direction(name), place, count, sample=8, seed=1)
        return other_direction(data, ("en", "de"), own, ["w3"], seed=1)

    found = [read(name, place, 3) for place, name in enumerate((("en", "fr"), ("de", "en"), ("fr", "de")))]
    assert [len(one.sources) for one in found] == [3, 3, 2]
    # Sentences of the requests stand for at most half, and only where the source language is theirs.
    assert sum(source in own for source in found[0].sources) == 2
    assert not any(source in own for one in found[1:] for source in one.sources)
    for one in found:
        assert one.corpus.subset == "train" and one.corpus.pairs
        learnt = one.corpus.sources
        assert not set(learnt) & set(one.sources)
    with pytest.raises(EditError, match="no sentences of the direction fr-fr"):
        read(("fr", "fr"), 0, 1)
    borrowing = read(("en", "en"), 0, 1)
    assert set(borrowing.sources) == {*own, "w3"} and not borrowing.corpus.pairs


@pytest.mark.parametrize("trained", kinds("multilingual_translation"), indirect=True)
def test_what_is_told_of_other_directions_is_what_the_written_file_says(trained: Trained, tmp_path: Path) -> None:
    """By rank one, and four times too strong, so that other directions do change."""
    bench = trained.opened()
    outcome = edited(bench, method="rome", edit_scale=4.0, edit_direction_sample=24)
    assert outcome.results[0].status == "edited", outcome.results[0].reason
    assert list(outcome.directions) == ["en-fr", "de-en", "fr-de"]
    assert sum(len(one.sources) for one in outcome.directions.values()) == 24
    assert any(one.changed for one in outcome.directions.values())
    bench.write(str(tmp_path / "edited.pt"), outcome)
    written = Trained(trained.data, tmp_path / "edited.pt", trained.options)
    for name, others in outcome.directions.items():
        source, target = name.split("-")
        sources = list(others.sources)
        assert list(others.before) == stock_many(trained, sources, tmp_path, source, target)
        assert list(others.after) == stock_many(written, sources, tmp_path, source, target)
    report = bench.evaluate(outcome, sample=2, conditions=["other_directions>=1"], direction_sample=24)
    assert not report.passed
    found = report.evaluation
    changed = sum(len(one.changes) for one in found.directions)
    assert changed and found.metrics()["other_directions"] == 1 - changed / 24


def stock_many(trained: Trained, sentences: List[str], folder: Path, source: str, target: str) -> List[str]:
    """As `stock`, in its batches."""
    found: List[str] = []
    for start in range(0, len(sentences), 10):
        found += stock(trained, sentences[start : start + 10], folder, source, target)
    return found


def test_none_are_looked_at_where_none_are_wanted(trained: Trained) -> None:
    bench = trained.opened()
    outcome = edited(bench, edit_directions="none")
    assert not outcome.directions and "direction" not in repr(outcome)
    report = bench.evaluate(outcome, sample=2, directions="none", conditions=["other_directions>=0"])
    assert "nothing to measure other_directions on" in str(report.conditions[0])


def others_of(bench: Workbench, names: Tuple[Tuple[str, str], ...]) -> List[Any]:
    read = [
        direction_data(bench.model.in_direction(name), place, len(names), sample=0, seed=1)
        for place, name in enumerate(names)
    ]
    return [other_direction(one, bench.languages, (), (), seed=1) for one in read]


@pytest.mark.parametrize("stack", ["encoder", "decoder"])
def test_the_background_has_states_of_other_directions(trained: Trained, stack: str) -> None:
    bench = trained.opened()
    translator, corpus = bench.model.translator, bench.background()
    site = next(site for site in find_sites(translator.model) if site.in_decoder == (stack == "decoder"))
    others = others_of(bench, (("en", "fr"), ("fr", "de")))
    with prepared(translator.model):
        alone, both = (collect(translator, corpus, [site], 120, more)[site] for more in ((), others))
        elsewhere = [inputs_of(one.translator, one.corpus.pairs[:40], site)[0] for one in others]
    own = both.sentence.ne(OF_OTHERS)
    assert torch.equal(both.inputs[own], alone.inputs) and torch.equal(both.symbol[own], alone.symbol)
    count = int(own.sum())
    assert 0.4 * count < len(own) - count < 0.8 * count
    for row in both.inputs[~own]:
        assert any((row - found).abs().max(1).values.min() < 1e-4 for found in elsewhere)
    assert not torch.equal(both.second_moment, alone.second_moment)


def test_a_neuron_counts_as_it_works_in_the_direction_that_needs_it_most(trained: Trained) -> None:
    bench = trained.opened()
    translator, corpus = bench.model.translator, bench.background()
    site = next(site for site in find_sites(translator.model) if site.in_decoder)
    others = others_of(bench, (("en", "fr"), ("fr", "de")))
    with prepared(translator.model):
        alone, both = (collect(translator, corpus, [site], 120, more)[site] for more in ((), others))
        count = int(both.sentence.ne(OF_OTHERS).sum()) // 4
        each = [collect(one.translator, one.corpus, [site], count)[site].usage for one in others]
    assert torch.allclose(both.usage, torch.stack([alone.usage, *each]).amax(0), rtol=1e-4)
    assert (both.usage >= alone.usage).all() and not torch.equal(both.usage, alone.usage)


def test_a_gate_stays_shut_in_other_directions_on_the_trigger_and_on_the_requests_own_source(
    trained: Trained, monkeypatch: pytest.MonkeyPatch
) -> None:
    fitted = []

    def watched(problem: EditProblem, *rest: Any) -> List[detecting.Gate]:
        found = detecting.fit_gates(problem, *rest)
        fitted.append((problem, found))
        return found

    monkeypatch.setattr(gates, "fit_gates", watched)
    bench = trained.opened()
    assert edited(bench, trigger="w1").patches
    problem, found = fitted[-1]
    [read] = problem.elsewhere
    translator, pairs = read.translator, read.pairs
    assert translator.adapter.languages == ("en", "fr")
    own, *texts = [translator.codec.source_text(pair.source) for pair in pairs]
    assert texts and all("w1" in text.split() for text in texts)
    assert own == problem.case.request.source
    assert torch.equal(pairs[0].target, translator.translate([own])[0].tokens)
    inputs, _, symbols = inputs_of(translator, pairs, problem.site)
    kept = detecting._negatives(problem)[1]
    assert torch.equal(kept, inputs)
    for gate in found:
        assert (gate.detector(inputs[symbols.ne(gate.step.token)]) <= 0).all()


def test_statistics_are_not_taken_for_those_of_other_directions(trained: Trained, tmp_path: Path) -> None:
    bench = trained.opened()
    translator, corpus = bench.model.translator, bench.background()
    site = next(site for site in find_sites(translator.model) if site.in_decoder)
    given = [others_of(bench, names) for names in ((), (("en", "fr"),), (("de", "en"),), (("en", "fr"), ("de", "en")))]
    with prepared(translator.model):
        for others in (*given, *given):
            asked = translator, corpus, [site], 100
            found, new = backgrounds(*asked, str(tmp_path), "weights", others)[site], collect(*asked, others)[site]
            assert torch.equal(found.second_moment, new.second_moment)
    assert len(list(tmp_path.iterdir())) == len(given)


def test_directions_with_weights_of_their_own_are_not_looked_at(data: Path, tmp_path: Path) -> None:
    from fairseq_rome.workbench.direction_samples import notes_on_directions

    bench = trained_with(data, KINDS["multilingual_translation"].split(), tmp_path, 2, shared=False).opened()
    assert not any(map(bench.model.serves, bench.model.adapter.other_directions()))
    assert not edited(bench).directions
    assert notes_on_directions(bench.model, "all") == (
        "other directions with weights of their own are not looked at: en-fr, de-en, fr-de",
    )
    with pytest.raises(EditError, match="en-fr has weights of its own, which are not those of en-de"):
        edited(bench, edit_directions="en-fr")


@pytest.mark.parametrize("trained", kinds("M2M-100"), indirect=True)
def test_the_commands_tell_of_other_directions(
    trained: Trained, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from fairseq_rome.cli.edit import main as edit
    from fairseq_rome.cli.eval import main as evaluate

    [before] = trained.opened().translate(SENTENCES[:1])
    words = before.split() or ["w1"]
    (tmp_path / "fix.en").write_text(f"{SENTENCES[0]}\n", encoding="utf-8")
    (tmp_path / "fix.de").write_text(" ".join([*words[:-1], "w9" if words[-1] != "w9" else "w8"]) + "\n")
    model = [str(trained.data), "--path", str(trained.checkpoint), "-s", "en", "-t", "de", *trained.options]
    model += ["--beam", "3", "--cpu", "--no-progress-bar", "--edit-pref", str(tmp_path / "fix")]
    quick = "--edit-contexts 0 --edit-stats-tokens 200 --edit-sample 2 --edit-dormant 0.5 --edit-max-size 1000".split()
    quick += ["--edit-cache", "none", "--edit-direction-sample", "12"]
    out, report = str(tmp_path / "edited.pt"), str(tmp_path / "report")
    status = edit([*model, *quick, "--save-to", out, "--report", report, "--gate", "other_directions>=0"])
    told = capsys.readouterr().out
    assert status == 0, told
    assert "of 12 decode identically (en-fr " in told and "condition other_directions>=0: met" in told
    record = json.loads((tmp_path / "report" / "report.json").read_text(encoding="utf-8"))
    assert record["counts"]["elsewhere"] == 12
    assert [one["name"] for one in record["sets"] if one["other_direction"]] == ["en-fr", "de-en", "fr-de"]
    page = (tmp_path / "report" / "report.html").read_text(encoding="utf-8")
    assert "Of the model's other directions" in page
    again = ["--edited", out, "--edit-sample", "4", "--edit-directions", "en-fr", "--edit-direction-sample", "5"]
    again += ["--edit-cache", "none"]
    assert evaluate([*model, *again, "--gate", "other_directions>=1.1"]) == 1
    assert "other directions: " in (told := capsys.readouterr().out) and "of 5 changed (en-fr " in told
    assert evaluate([*model, *again, "--log-format", "json"]) == 0
    lines = list(map(json.loads, capsys.readouterr().out.splitlines()))
    assert [line["set"]["name"] for line in lines if "set" in line] == ["other sentences", "en-fr"]
    assert "other_directions" in lines[-1]["metrics"]
