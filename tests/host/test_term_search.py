"""Terms are found in the token ids of a whole split, however they were cut into subwords there."""

from __future__ import annotations

import random
from itertools import product
from pathlib import Path
from types import SimpleNamespace
from typing import Any, List, Sequence, Tuple

import numpy as np
import pytest
import torch
from fairseq.data import Dictionary
from fairseq.data.indexed_dataset import MMapIndexedDataset, MMapIndexedDatasetBuilder
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fairseq_rome.host import corpus as corpus_module
from fairseq_rome.host import pairs as pairs_module
from fairseq_rome.host import token_files
from fairseq_rome.host.codec import TextCodec, content
from fairseq_rome.host.corpus import Corpus, load_corpus
from fairseq_rome.host.pairs import BinaryPairs, files_of
from fairseq_rome.host.term_search import Term, TermSearch
from fairseq_rome.host.token_files import TokenFile
from fairseq_rome.host.whole_side import WholeSide
from fairseq_rome.text.segments import pattern

# Symbols of one and two letters, a mark of punctuation, and a sign of a language without blanks.
PARTS = ["".join(letters) for size in (1, 2) for letters in product("abC", repeat=size)] + [",", "文"]
STYLES = {
    "sentencepiece": ([*PARTS, *(f"\u2581{part}" for part in PARTS), "\u2581"], "sentencepiece"),
    "subword_nmt": ([*PARTS, *(f"{part}@@" for part in PARTS)], "subword_nmt"),
    "words": (PARTS, None),
}


def written(folder: Path, sentences: Sequence[Sequence[int]], dictionary: Any) -> TokenFile:
    builder = MMapIndexedDatasetBuilder(str(folder / "side.bin"), dtype=np.uint16)
    for sentence in sentences:
        builder.add_item(torch.tensor([*sentence, dictionary.eos()]))
    builder.finalize(str(folder / "side.idx"))
    file = TokenFile.opened(str(folder / "side"))
    assert file is not None
    return file


def spelling(style: str) -> Tuple[TextCodec, Any]:
    symbols, post_process = STYLES[style]
    dictionary = Dictionary()
    for symbol in symbols:
        dictionary.add_symbol(symbol)
    adapter: Any = SimpleNamespace(source_dictionary=dictionary, target_dictionary=dictionary, target_prefix=-1)
    return TextCodec(adapter, post_process=post_process), dictionary


@pytest.mark.parametrize("style", STYLES)
@settings(max_examples=80, deadline=None, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_search_of_token_ids_finds_what_a_search_of_the_text_finds(
    data: Any, style: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    codec, dictionary = spelling(style)
    symbol = st.integers(dictionary.nspecial, len(dictionary) - 1)
    sentences = data.draw(st.lists(st.lists(symbol, max_size=8), min_size=1, max_size=8))
    term = data.draw(st.text("abcC,文 ", min_size=1, max_size=6)).strip()
    endings = data.draw(st.sampled_from([(), ("a", "ba")]))
    texts = [codec.text(torch.tensor(sentence), dictionary) for sentence in sentences]
    file = written(tmp_path_factory.mktemp("side"), sentences, dictionary)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(token_files, "_PIECE", data.draw(st.integers(1, 12)))
        found = TermSearch(codec, dictionary).sentences(file, Term(term, endings)).tolist()
    holding = pattern(term, endings, ignore_case=True).search if term else lambda text: None
    assert {index for index, text in enumerate(texts) if holding(text)} <= set(found)
    assert found == sorted(set(found)) and all(0 <= index < len(sentences) for index in found)


@pytest.mark.parametrize(
    ("style", "sentence", "term", "found"),
    [
        ("sentencepiece", "\u2581ab C \u2581a", "abc", True),
        ("sentencepiece", "\u2581ab \u2581C", "ab C", True),
        ("sentencepiece", "\u2581b ab", "ab", False),  # inside a word
        ("sentencepiece", "\u2581ab a", "ab", False),
        ("sentencepiece", "文 ab", "ab", True),  # no blank is due there
        ("sentencepiece", "\u2581, ab", "ab", True),
        ("subword_nmt", "b@@ ab", "ab", False),
        ("subword_nmt", "b ab", "ab", True),
        ("subword_nmt", "a@@ b", "AB", True),
        ("words", "ab , ab", "ab, ab", True),
    ],
)
def test_whole_words_are_told_from_parts_of_words(
    style: str, sentence: str, term: str, found: bool, tmp_path: Path
) -> None:
    codec, dictionary = spelling(style)
    file = written(tmp_path, [[dictionary.index(symbol) for symbol in sentence.split()]], dictionary)
    assert TermSearch(codec, dictionary).sentences(file, Term(term)).tolist() == [0] * found


def test_sentences_are_read_as_fairseq_reads_them(demo: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    prefix = f"{demo.task.data}/train.en-de.de"
    file, stock = TokenFile.opened(prefix), MMapIndexedDataset(prefix)
    assert file is not None and len(file) == len(stock)
    monkeypatch.setattr(token_files, "_PIECE", 500)
    chosen = [*random.Random(1).sample(range(len(stock)), 400), 7, 7, 0, len(stock) - 1]
    assert all(torch.equal(mine, stock[index]) for mine, index in zip(file.read(chosen), chosen))
    assert torch.equal(file[3], stock[3])
    with pytest.raises(IndexError):
        file[len(stock)]
    assert TokenFile.opened(f"{demo.task.data}/no-such-file") is None


@pytest.fixture
def large(demo: Any, monkeypatch: pytest.MonkeyPatch) -> Corpus:
    """A sample of the demo's training side, which counts as large."""
    monkeypatch.setattr(corpus_module, "LARGE", 1000)
    monkeypatch.setattr(pairs_module, "_IN_PIECES", 1000)
    monkeypatch.setattr(corpus_module, "MOST_SENTENCES", 1000)
    return load_corpus(demo.codec, 1, 300)


def test_small_sides_keep_their_order(demo: Any) -> None:
    split = demo.task.load_split("train")
    order = list(range(len(split)))
    random.Random(5).shuffle(order)
    corpus = load_corpus(demo.codec, 5, 200)
    assert corpus.side is None
    for pair, index in zip(corpus.pairs, order):
        assert torch.equal(pair.source, split[index]["source"]) and torch.equal(pair.target, split[index]["target"])
    rare = min(corpus.sources[0].split(), key=lambda word: len(corpus.with_trigger(word)))
    assert corpus.with_rare(rare, "", ()) is corpus


def test_large_sides_are_sampled_without_an_order_of_all(demo: Any, large: Corpus) -> None:
    assert isinstance(demo.task.load_split("train"), BinaryPairs)
    again, other = (load_corpus(demo.codec, seed, 300) for seed in (1, 2))
    assert len(large.pairs) == 300 and large.sources == again.sources != other.sources
    for pair, source, target in zip(large.pairs, large.sources, large.targets):
        assert torch.equal(demo.codec.source(source), pair.source)
        assert torch.equal(demo.codec.target(target), pair.target)


def whole(demo: Any) -> Corpus:
    side = load_corpus(demo.codec, 1, 10**6)
    assert len(side.pairs) > 1000
    return side


def test_a_rare_term_is_found_in_all_of_its_sentences(demo: Any, large: Corpus) -> None:
    everything = whole(demo)
    words = {word for source in everything.sources[:100] for word in source.strip(".?!").split()}
    counted = {word: len(everything.with_trigger(word)) for word in sorted(words)}
    rare = [word for word, times in counted.items() if 5 <= times < 60][:12]
    assert len(rare) == 12
    for word in rare:
        found = large.with_rare(word, "", ())
        wanted = {everything.sources[index] for index in everything.with_trigger(word)}
        assert {found.sources[index] for index in found.with_trigger(word)} == wanted
        assert found.pairs[: len(large.pairs)] == large.pairs and found.sources[:300] == large.sources
        assert len(found.sources) == len(found.targets) == len(found.pairs) > len(large.pairs)
    common = max(counted, key=lambda word: counted[word])
    assert large.with_rare(common, "", ()) is large


def test_hidden_sentences_are_not_found_either(demo: Any, large: Corpus) -> None:
    everything = whole(demo)
    word = next(
        word
        for source in everything.sources
        for word in source.strip(".?!").split()
        if 5 <= len(everything.with_trigger(word)) < 60
    )
    hidden, *others = sorted({everything.sources[index] for index in everything.with_trigger(word)})
    found = large.without([hidden]).with_rare(word, "", ())
    assert {found.sources[index] for index in found.with_trigger(word)} == set(others)


def test_targets_are_searched_too(demo: Any, large: Corpus) -> None:
    everything = whole(demo)
    split = demo.task.load_split("train")
    files = files_of(split)
    assert files is not None
    side = WholeSide(split, files, demo.codec)
    for segment in ("Verkäufer", "Gedicht", "der"):
        shows = pattern(segment).search
        found = side.find(Term(segment), shows, True, 10**6)
        dictionary = demo.task.target_dictionary
        texts = [demo.codec.target_text(content(pair.target, dictionary)) for pair in found]
        assert sorted(texts) == sorted(text for text in everything.targets if shows(text))
        assert len(side.find(Term(segment), shows, True, 3)) == min(3, len(texts))


def test_files_are_found_under_what_fairseq_wraps_them_in(demo: Any) -> None:
    split = demo.task.load_split("train")
    files = files_of(split)
    assert files is not None and [len(file) for file in files] == [len(split)] * 2
    unknown: List[Any] = [(split.src[0], split.tgt[0])]
    assert files_of(unknown) is None
