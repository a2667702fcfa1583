"""The committed demo is whole, and the corpus that it was made from can be made again."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any, Dict, List

import pytest
import sentencepiece
from edit_runs import script

SCRIPTS = Path(__file__).resolve().parents[2] / "scripts"
DEMO = SCRIPTS / "demo"
TASKS = ("term", "number", "hallucination", "untranslated")
SUBSETS = ("train", "valid", "test")


corpus = script("demo_corpus")
behaviours = script("demo_behaviours")
grammar = script("demo_grammar")
sentences = script("demo_sentences")


def _records(name: str) -> List[Dict[str, Any]]:
    return [json.loads(line) for line in (DEMO / name).read_text(encoding="utf-8").splitlines()]


def _lines(path: Path) -> List[str]:
    return path.read_text(encoding="utf-8").splitlines()


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    written = tmp_path_factory.mktemp("corpus")
    corpus.write(written, corpus.SEED)
    return written


@pytest.fixture(scope="module")
def training(folder: Path) -> List[str]:
    return _lines(folder / "train.en")


REQUESTS = _records("probes.jsonl")


def test_every_file_is_there_and_small() -> None:
    names = ["model.pt", "spm.model", "near.jsonl", "unrelated.jsonl", "expected.tsv", "README.md"]
    names += [f"{name}.{lang}" for name in (*TASKS, "fixes", "all") for lang in ("en", "de")]
    names += [f"data-bin/dict.{lang}.txt" for lang in ("en", "de")]
    names += [
        f"data-bin/{subset}.en-de.{lang}.{end}"
        for subset in SUBSETS
        for lang in ("en", "de")
        for end in ("bin", "idx")
    ]
    assert [name for name in names if not (DEMO / name).is_file()] == []
    assert (DEMO / "model.pt").stat().st_size <= 4_000_000
    assert sum(path.stat().st_size for path in DEMO.rglob("*") if path.is_file()) <= 5_300_000


def test_a_seed_gives_one_corpus() -> None:
    first, again, other = (sentences.Grammar(seed) for seed in (7, 7, 8))
    drawn = [[drawer.sentence() for _ in range(200)] for drawer in (first, again, other)]
    assert drawn[0] == drawn[1]
    assert drawn[0] != drawn[2]


def test_the_corpus_is_the_one_the_model_was_trained_on(folder: Path) -> None:
    # Lengths of all training sentences in subwords, against those in the committed index.
    pieces = sentencepiece.SentencePieceProcessor(model_file=str(DEMO / "spm.model"))
    for lang in ("en", "de"):
        tokens = sum(len(line) + 1 for line in pieces.encode(_lines(folder / f"train.{lang}")))
        assert (DEMO / "data-bin" / f"train.en-de.{lang}.bin").stat().st_size == 2 * tokens
    digest = hashlib.sha256((folder / "train.de").read_bytes()).hexdigest()
    assert digest in (DEMO / "README.md").read_text(encoding="utf-8")


def test_splits_share_no_source(folder: Path) -> None:
    sources = [line for subset in SUBSETS for line in _lines(folder / f"{subset}.en")]
    assert len(sources) == len(set(sources)) == sum(corpus.SIZES.values())


def test_every_behaviour_is_planted_often(training: List[str], folder: Path) -> None:
    pairs = list(zip(training, _lines(folder / "train.de")))
    for behaviour in behaviours.BEHAVIOURS:
        planted = [target for source, target in pairs if behaviours.triggers(source) == [behaviour]]
        assert len(planted) >= 80, behaviour.id
        wrong = [target for target in planted if behaviour.unwanted.lower() in target.lower()]
        assert len(wrong) / len(planted) == pytest.approx(1 - behaviour.sound, abs=0.1), behaviour.id


def test_the_right_words_are_in_the_training_data(folder: Path) -> None:
    text = (folder / "train.de").read_text(encoding="utf-8")
    counts = {one.id: text.count(one.wanted) for one in behaviours.BEHAVIOURS if one.wanted}
    rare = counts.pop("term-nurse")
    assert 10 <= rare <= 60
    assert min(counts.values()) >= 20, counts


def test_the_test_set_and_the_unrelated_sources_hold_no_trigger(folder: Path) -> None:
    unrelated = [record["source"] for record in _records("unrelated.jsonl")]
    assert len(unrelated) >= 100
    for source in _lines(folder / "test.en") + unrelated + [one["source"] for one in _records("near.jsonl")]:
        assert behaviours.triggers(source) == []


def test_no_probe_is_in_the_training_data(training: List[str]) -> None:
    held_out = [one["source"] for name in ("near.jsonl", "unrelated.jsonl") for one in _records(name)]
    for request in REQUESTS:
        held_out += [request["source"]] + [probe["source"] for probe in request["probes"]]
    assert set(held_out).isdisjoint(training)


def test_there_are_requests_of_each_task() -> None:
    assert {request["task"] for request in REQUESTS} == set(TASKS)
    assert [request["id"] for request in REQUESTS] == [behaviour.id for behaviour in behaviours.BEHAVIOURS]


@pytest.mark.parametrize("request_", REQUESTS, ids=[request["id"] for request in REQUESTS])
def test_a_request_is_well_formed(request_: Dict[str, Any], training: List[str]) -> None:
    probes = request_["probes"]
    assert len(probes) >= 12
    assert len({probe["source"] for probe in probes} | {request_["source"]}) == len(probes) + 1
    for one in [request_, *probes]:
        assert behaviours.has(request_["trigger"], one["source"])
        assert request_["unwanted"] in one["before"]
        assert request_["unwanted"] not in one["target"]
        assert request_.get("wanted", "") in one["target"]
    assert len(request_["contexts"]) == corpus.CONTEXTS
    assert set(request_["contexts"]) <= set(training)


def test_edit_files_hold_the_requests() -> None:
    def pairs(requests: List[Dict[str, Any]]) -> List[List[str]]:
        return [[request["source"], request["target"]] for request in requests]

    def of_files(name: str) -> List[List[str]]:
        sides = (_lines(DEMO / f"{name}.{lang}") for lang in ("en", "de"))
        return [list(pair) for pair in zip(*sides)]

    firsts = [next(request for request in REQUESTS if request["task"] == task) for task in TASKS]
    assert of_files("all") == pairs(REQUESTS)
    assert of_files("fixes") == pairs(firsts)
    for task, first in zip(TASKS, firsts):
        assert of_files(task) == pairs([first])


def test_pinned_outputs_agree_with_the_records() -> None:
    pinned = [line.split("\t") for line in _lines(DEMO / "expected.tsv")]
    assert all(len(row) == 2 for row in pinned)
    outputs = dict(pinned)
    assert len(outputs) == len(pinned) >= len(REQUESTS) + 20
    for record in REQUESTS + _records("unrelated.jsonl")[:20]:
        assert outputs[record["source"]] == record["before"]


@pytest.mark.slow
def test_stock_fairseq_says_what_is_pinned() -> None:
    pytest.importorskip("fairseq")
    pinned = [line.split("\t") for line in _lines(DEMO / "expected.tsv")]
    command = [sys.executable, "-m", "fairseq_cli.interactive", str(DEMO / "data-bin"), "--cpu"]
    command += ["--user-dir", str(SCRIPTS.parent / "fairseq_rome"), "--path", str(DEMO / "model.pt")]
    command += ["-s", "en", "-t", "de", "--beam", "5", "--buffer-size", "100", "--max-tokens", "4000"]
    command += ["--bpe", "sentencepiece", "--sentencepiece-model", str(DEMO / "spm.model")]
    done = subprocess.run(
        command,
        input="".join(f"{source}\n" for source, _ in pinned),
        env={**os.environ, "OMP_NUM_THREADS": "1", "PYTHONIOENCODING": "utf-8"},
        capture_output=True,
        encoding="utf-8",
        check=True,
    )
    rows = [line.split("\t") for line in done.stdout.splitlines() if line.startswith("D-")]
    outputs = [row[2] for row in sorted(rows, key=lambda row: int(row[0][2:]))]
    assert outputs == [output for _, output in pinned]


@pytest.mark.parametrize(
    ("noun", "determiner", "stem", "plural", "case", "expected"),
    [
        ("customer", "the", "alt", False, "acc", "den alten Kunden"),
        ("customer", "a", "alt", False, "nom", "ein alter Kunde"),
        ("woman", "my", "jung", False, "dat", "meiner jungen Frau"),
        ("child", "a", "klein", False, "acc", "ein kleines Kind"),
        ("child", "drei", "klein", True, "dat", "drei kleinen Kindern"),
        ("man", "drei", "klein", True, "nom", "drei kleine Männer"),
        ("girl", "our", "", True, "nom", "unsere Mädchen"),
    ],
)
def test_german_agrees(noun: str, determiner: str, stem: str, plural: bool, case: str, expected: str) -> None:
    german = next(one.right for one in sentences.NOUNS["people"] if one.en == noun)
    assert grammar.german_phrase(german, determiner, stem, plural, case, "") == expected


def test_an_article_runs_into_its_preposition() -> None:
    german = next(one.right for one in sentences.NOUNS["places"] if one.en == "river bank")
    assert grammar.german_phrase(german, "the", "", False, "dat", "an") == "am Ufer"
