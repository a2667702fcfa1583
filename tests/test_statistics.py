from __future__ import annotations

from dataclasses import fields, replace
from pathlib import Path
from typing import Any, Callable, Dict, List

import pytest
import torch
from demo_edits import of_demo, run

from fairseq_rome.cli.parsing import cache_folder
from fairseq_rome.editing.outcome import EDITED
from fairseq_rome.errors import EditError
from fairseq_rome.host.batches import Pair
from fairseq_rome.host.corpus import Corpus, load_corpus
from fairseq_rome.host.sites import Site, record
from fairseq_rome.patch import NeuronChange
from fairseq_rome.statistics import (
    Background,
    ReadPairs,
    RecentStatistics,
    backgrounds,
    collect,
    inputs_of,
    kept_statistics,
    measuring,
    read_pairs,
)
from fairseq_rome.statistics import background as one_site

ENCODER, DECODER = Site("encoder", 1), Site("decoder", 2)
TOKENS = 400


@pytest.fixture(scope="module")
def corpus(demo: Any) -> Corpus:
    return load_corpus(demo.codec, seed=1, most=60)


def one_by_one(demo: Any, pairs: List[Pair], site: Site) -> List[Any]:
    """Inputs and keys of each sentence alone, which needs no padding."""
    found = []
    for pair in pairs:
        batch = demo.translator.batcher.batch([pair])
        with torch.no_grad(), record(demo.model, [site]) as seen:
            demo.model(**batch.net_input)
        found.append((seen[site].inputs[:, 0], seen[site].keys[:, 0].double()))
    return found


def of_one(translator: Any, corpus: Corpus, site: Site, tokens: int, **rest: Any) -> Background:
    """The statistics of one site, measured."""
    return collect(translator, corpus, [site], tokens, **rest)[site]


def background(translator: Any, corpus: Corpus, site: Site, *rest: Any) -> Background:
    """The statistics of one site, measured or read."""
    return backgrounds(translator, corpus, [site], *rest)[site]


@pytest.mark.parametrize("site", [ENCODER, DECODER])
@pytest.mark.parametrize("batch_tokens", [1, 100, 4000])
def test_moment_is_that_of_single_sentences(
    demo: Any, corpus: Corpus, site: Site, batch_tokens: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(measuring, "_BATCH_TOKENS", batch_tokens)
    found = of_one(demo.translator, corpus, site, TOKENS)
    count = int(found.sentence.max()) + 1
    pairs = list(corpus.pairs[:count])
    sides = [pair.target if site.in_decoder else pair.source for pair in pairs]
    assert len(torch.cat(sides)) - len(sides[-1]) < TOKENS <= len(torch.cat(sides))
    alone = one_by_one(demo, pairs, site)
    keys = torch.cat([part for _, part in alone])
    moment = keys.T @ keys / len(keys)
    assert torch.allclose(found.second_moment.double(), moment, rtol=1e-4, atol=1e-6)
    assert torch.allclose(found.usage.double(), keys.square().mean(0), rtol=1e-4, atol=1e-6)
    for index, (inputs, _) in enumerate(alone):
        where = found.sentence.eq(index)
        assert torch.allclose(found.inputs[where], inputs, atol=1e-4)
        assert torch.equal(found.symbol[where], sides[index])


@pytest.mark.parametrize("site", [ENCODER, DECODER])
def test_inputs_of_some_pairs(demo: Any, corpus: Corpus, site: Site) -> None:
    pairs = list(corpus.pairs[3:7])
    inputs, sentence, symbol = inputs_of(demo.translator, pairs, site)
    for index, (alone, _) in enumerate(one_by_one(demo, pairs, site)):
        assert torch.allclose(inputs[sentence.eq(index)], alone, atol=1e-4)
    assert len(symbol) == sum(len(pair.target if site.in_decoder else pair.source) for pair in pairs)


def test_at_least_one_sentence(demo: Any, corpus: Corpus) -> None:
    assert set(of_one(demo.translator, corpus, DECODER, 0).sentence.tolist()) == {0}


@pytest.fixture
def measured(monkeypatch: pytest.MonkeyPatch) -> List[Any]:
    """One entry for each time that statistics are measured and not read."""
    calls: List[Any] = []

    def counted(*args: Any) -> Dict[Site, Background]:
        calls.append(args[2])
        return collect(*args)

    monkeypatch.setattr(kept_statistics, "collect", counted)
    return calls


def same(first: Background, second: Background) -> bool:
    parts = [(getattr(first, field.name), getattr(second, field.name)) for field in fields(Background)]
    return all(one is other is None or torch.equal(one, other) for one, other in parts)


def test_cache_is_used_when_all_is_the_same(
    demo: Any, corpus: Corpus, tmp_path: Path, measured: List[Any]
) -> None:
    folder = str(tmp_path / "new" / "cache")
    first = background(demo.translator, corpus, DECODER, TOKENS, folder, "weights")
    again = background(
        demo.translator, load_corpus(demo.codec, 1, 60), DECODER, TOKENS, folder, "weights"
    )
    assert len(measured) == 1
    assert same(first, again)
    assert [path.suffix for path in Path(folder).iterdir()] == [".safetensors"]


CHANGES = {
    "weights": lambda demo, corpus: (demo.translator, corpus, DECODER, TOKENS, "others"),
    "site": lambda demo, corpus: (demo.translator, corpus, Site("decoder", 1), TOKENS, "weights"),
    "count": lambda demo, corpus: (demo.translator, corpus, DECODER, TOKENS - 1, "weights"),
    "order": lambda demo, corpus: (
        demo.translator, replace(corpus, pairs=tuple(reversed(corpus.pairs))), DECODER, TOKENS, "weights"
    ),
    "one word": lambda demo, corpus: (
        demo.translator,
        replace(corpus, pairs=(Pair(corpus.pairs[0].source, corpus.pairs[1].target), *corpus.pairs[1:])),
        DECODER, TOKENS, "weights",
    ),
    "split": lambda demo, corpus: (demo.translator, replace(corpus, subset="valid"), DECODER, TOKENS, "weights"),
    "decoder start": lambda demo, corpus: (
        replace(demo.translator, batcher=replace(demo.translator.batcher, start=5)),
        corpus, DECODER, TOKENS, "weights",
    ),
}  # fmt: skip


@pytest.mark.parametrize("change", list(CHANGES.values()), ids=list(CHANGES))
def test_cache_is_never_used_for_something_else(
    demo: Any, corpus: Corpus, tmp_path: Path, measured: List[Any], change: Callable
) -> None:
    background(demo.translator, corpus, DECODER, TOKENS, str(tmp_path), "weights")
    *others, fingerprint = change(demo, corpus)
    found = background(*others, str(tmp_path), fingerprint)
    assert len(measured) == 2
    assert same(found, of_one(*others))
    # Not even where the file has the right name.
    files = sorted(tmp_path.iterdir())
    content = [path.read_bytes() for path in files]
    assert len(files) == 2
    for path, other in zip(files, reversed(content)):
        path.write_bytes(other)
    assert same(background(*others, str(tmp_path), fingerprint), found)
    assert len(measured) == 3


def test_pairs_are_read_once_for_all_sites_of_a_stack(
    demo: Any, corpus: Corpus, monkeypatch: pytest.MonkeyPatch
) -> None:
    passes: List[Any] = []

    def watched(*asked: Any) -> Any:
        passes.append(asked)
        return measuring.inputs_at(*asked)

    monkeypatch.setattr(read_pairs, "inputs_at", watched)
    pairs, first = corpus.pairs[:5], Site("decoder", 0)
    read = ReadPairs(demo.translator, pairs, [DECODER, first, ENCODER])
    for site in (first, DECODER, ENCODER, first):
        for found, alone in zip(read.inputs(site), inputs_of(demo.translator, pairs, site)):
            assert torch.equal(found, alone)
    assert [asked[2] for asked in passes] == [[first, DECODER], [ENCODER]]


def test_statistics_that_were_read_stay_in_memory_as_many_as_wanted(
    demo: Any, corpus: Corpus, tmp_path: Path, measured: List[Any]
) -> None:
    recent, folder = RecentStatistics(1), str(tmp_path)
    sites = [ENCODER, DECODER]

    def read(site: Site, fingerprint: str = "weights") -> Background:
        return backgrounds(demo.translator, corpus, [site], TOKENS, folder, fingerprint, recent=recent)[site]

    for site in sites:
        background(demo.translator, corpus, site, TOKENS, folder, "weights")
    first = read(ENCODER)
    assert read(ENCODER) is first
    assert same(read(DECODER), background(demo.translator, corpus, DECODER, TOKENS, folder, "weights"))
    assert read(ENCODER) is not first and same(read(ENCODER), first)
    assert len(measured) == 2
    # Never those of something else.
    assert read(ENCODER, "other weights") is not first
    assert len(measured) == 3


@pytest.mark.parametrize("damage", ["truncated", "header only", "garbage", "empty", "fields", "folder"])
def test_damaged_file_is_measured_again(
    demo: Any, corpus: Corpus, tmp_path: Path, measured: List[Any], damage: str
) -> None:
    first = background(demo.translator, corpus, DECODER, TOKENS, str(tmp_path), "weights")
    (path,) = tmp_path.iterdir()
    whole = path.read_bytes()
    if damage == "folder":
        path.unlink()
        path.mkdir()
    elif damage == "fields":
        from safetensors import safe_open
        from safetensors.torch import save_file

        with safe_open(str(path), framework="pt") as file:
            key = file.metadata()
        save_file({"moment": first.second_moment}, str(path), metadata=key)
    else:
        cuts = {
            "truncated": whole[: len(whole) // 2],
            "header only": whole[:40],
            "garbage": b"\xff" * 500,
            "empty": b"",
        }
        path.write_bytes(cuts[damage])
    assert same(background(demo.translator, corpus, DECODER, TOKENS, str(tmp_path), "weights"), first)
    assert len(measured) == 2
    if damage != "folder":
        background(demo.translator, corpus, DECODER, TOKENS, str(tmp_path), "weights")
        assert len(measured) == 2
    assert [item.name for item in tmp_path.iterdir()] == [path.name]  # no temporary file is left


def test_unwritable_folder_is_no_cache(
    demo: Any, corpus: Corpus, tmp_path: Path, measured: List[Any]
) -> None:
    (tmp_path / "file").write_text("in the way", encoding="utf-8")
    for _ in range(2):
        background(demo.translator, corpus, DECODER, TOKENS, str(tmp_path / "file" / "cache"), "weights")
    background(demo.translator, corpus, DECODER, TOKENS, None, "weights")
    assert len(measured) == 3


def test_other_settings_of_a_model_have_a_folder_of_their_own(tmp_path: Path) -> None:
    overrides: List[Any] = [{}, {"activation_fn": "gelu"}, {"activation_fn": "relu"}]
    plain, gelu, relu = (cache_folder(str(tmp_path), one) for one in overrides)
    assert plain == str(tmp_path)
    assert gelu and relu and len({plain, gelu, relu}) == 3
    assert Path(gelu).parent == Path(relu).parent == tmp_path
    assert cache_folder("none", {}) is None


def test_corpus_is_a_sample_of_the_training_side(demo: Any, corpus: Corpus) -> None:
    again, other = (load_corpus(demo.codec, seed, 60) for seed in (1, 2))
    assert corpus.subset == "train"
    assert len(corpus.pairs) == len(set(corpus.sources)) == 60
    assert corpus.sources == again.sources != other.sources
    for pair, source, target in zip(corpus.pairs, corpus.sources, corpus.targets):
        assert torch.equal(demo.codec.source(source), pair.source)
        assert torch.equal(demo.codec.target(target), pair.target)
    word = corpus.sources[0].split()[-1].strip(".?")
    assert 0 in corpus.with_trigger(word.upper())
    assert corpus.saying("", ()) == []


def test_corpus_leaves_out_what_the_model_cannot_take(demo: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(type(demo.task), "max_positions", (12, 15))
    pairs = load_corpus(demo.codec, 1, 300).pairs
    assert len(pairs) == 300
    assert max(len(pair.source) for pair in pairs) == 12
    assert max(len(pair.target) for pair in pairs) <= 15


def test_another_split_serves_where_there_is_no_training_data(
    demo: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    load = demo.task.task.load_dataset
    missing = {"train"}

    def without(split: str) -> None:
        if split in missing:
            raise FileNotFoundError(split)
        load(split)

    monkeypatch.setattr(demo.task.task, "load_dataset", without)
    assert load_corpus(demo.codec, 1, 5).subset == "valid"
    missing.update({"valid", "test"})
    with pytest.raises(
        EditError, match="data-bin: no sentence pairs, expected one of the splits train, valid, test"
    ):
        load_corpus(demo.codec, 1)


def test_several_sites_are_measured_in_one_pass(
    demo: Any, corpus: Corpus, tmp_path: Path, measured: List[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    passes: List[int] = []
    batches = measuring._batches
    monkeypatch.setattr(measuring, "_batches", lambda *rest: (passes.append(1), batches(*rest))[1])
    sites = [DECODER, Site("decoder", 1), Site("decoder", 2)]
    kept = background(demo.translator, corpus, sites[1], TOKENS, str(tmp_path), "weights")
    found = backgrounds(demo.translator, corpus, sites, TOKENS, str(tmp_path), "weights")
    assert measured == [[sites[1]], [sites[0], sites[2]]] and len(passes) == 2
    assert same(found[sites[1]], kept)
    for site in sites:
        assert same(found[site], of_one(demo.translator, corpus, site, TOKENS))
        assert same(found[site], background(demo.translator, corpus, site, TOKENS, str(tmp_path), "weights"))
    assert len(measured) == 2


def test_a_moment_that_nobody_needs_is_not_measured(
    demo: Any, corpus: Corpus, tmp_path: Path, measured: List[Any]
) -> None:
    given = demo.translator, corpus, DECODER, TOKENS, str(tmp_path), "weights", ()
    plain = background(*given, False)
    assert plain.moment is None and background(*given, False).moment is None and len(measured) == 1
    with pytest.raises(ValueError, match="was not measured"):
        plain.second_moment  # noqa: B018
    whole = background(*given, True)
    assert whole.moment is not None and len(measured) == 2
    assert same(replace(whole, moment=None), plain)
    for path in tmp_path.iterdir():
        if path.stat().st_size < max(one.stat().st_size for one in tmp_path.iterdir()):
            path.unlink()
    assert background(*given, False).moment is not None and len(measured) == 2  # the larger one serves too


def test_large_samples_are_kept_in_half_precision(
    demo: Any, corpus: Corpus, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    single = background(demo.translator, corpus, DECODER, TOKENS, str(tmp_path), "weights")
    assert single.inputs.dtype == torch.float32
    monkeypatch.setattr(one_site, "_MOST_SINGLE", single.inputs.numel() * 4 - 1)
    monkeypatch.setattr(one_site, "_AT_A_TIME", 100)
    half = of_one(demo.translator, corpus, DECODER, TOKENS)
    assert half.inputs.dtype == torch.float16
    assert torch.equal(half.inputs, single.inputs.half())
    assert torch.equal(half.second_moment, single.second_moment) and torch.equal(half.usage, single.usage)
    for one, other in zip(half.spread, single.spread):
        assert one.dtype == torch.float32
        assert torch.allclose(one, other, atol=2e-3 * float(single.inputs.square().mean()))
    assert half.no_inputs.dtype == torch.float32
    again = background(demo.translator, corpus, DECODER, TOKENS, str(tmp_path), "weights")
    assert same(half, again)  # read from what was kept in single precision
    monkeypatch.setattr(one_site, "_MOST_SINGLE", 0)
    assert one_site.as_kept([torch.full((2, 3), 1e6)]).dtype == torch.float32  # beyond the range of half


def test_gates_hold_with_samples_in_half_precision(demo: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    requests, settings = [of_demo(0), of_demo(1)], {"site": "decoder.2", "edit_dormant": 0.0, "widen": True}
    before = run(demo, requests, settings)
    monkeypatch.setattr(one_site, "_MOST_SINGLE", 0)
    after = run(demo, requests, settings)
    assert [result.status for result in after.results] == [result.status for result in before.results] == [EDITED] * 2
    for one, other in zip(before.patches, after.patches):
        assert one.neurons == other.neurons and one.fingerprint != other.fingerprint
        for change, changed in zip(one.changes, other.changes):
            assert isinstance(change, NeuronChange) and isinstance(changed, NeuronChange)
            assert torch.allclose(change.new, changed.new, atol=0.02 * float(change.new.abs().max()))
