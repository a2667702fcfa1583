from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path
from typing import Any, List, Tuple

import pytest
import torch
from conftest import Tiny

from fairseq_rome.errors import EditError
from fairseq_rome.host import checkpoint
from fairseq_rome.host.adapters import adapter_for
from fairseq_rome.host.batches import Batcher, Pair, by_size, forced_logits
from fairseq_rome.host.codec import TextCodec, content
from fairseq_rome.host.corpus import load_corpus
from fairseq_rome.host.decoding import Translator, build_translator
from fairseq_rome.host.examples import make_example
from fairseq_rome.host.sites import Site, prepared
from fairseq_rome.statistics import collect

SOURCES = ["w1 w2 w3", "w4", "w5 w6 w7 w8 w9 w10", ""]
BEAM = argparse.Namespace(beam=2, max_len_b=5)


def architecture(arch: str, **settings: Any) -> argparse.Namespace:
    from fairseq.models import ARCH_CONFIG_REGISTRY

    sizes = {
        f"{stack}_{name}": value
        for stack in ("encoder", "decoder")
        for name, value in (("layers", 1), ("embed_dim", 16), ("ffn_embed_dim", 24), ("attention_heads", 2))
    }
    args = argparse.Namespace(arch=arch, **{**sizes, **settings})
    if arch in ARCH_CONFIG_REGISTRY:
        ARCH_CONFIG_REGISTRY[arch](args)
    return args


def mbart(tiny: Tiny) -> Tuple[Any, Any]:
    """The task that fine-tuned mBART models are translated with, on the tiny data."""
    from fairseq.tasks.translation_from_pretrained_bart import TranslationFromPretrainedBARTTask

    plain = tiny.task()
    args = argparse.Namespace(**{**vars(plain.task.cfg), "langs": "en,de", "prepend_bos": False})
    task = TranslationFromPretrainedBARTTask(args, plain.source_dictionary, plain.target_dictionary)
    task.args = args  # fairseq 0.12 forgets to
    return adapter_for(task), architecture("mbart_base", max_source_positions=64, max_target_positions=64)


def built(tiny: Tiny, arch: str) -> Translator:
    from fairseq.models import ARCH_MODEL_REGISTRY

    if arch == "mbart_base":
        task, args = mbart(tiny)
    else:
        task = tiny.task()
        args = architecture(arch, max_source_positions=64, max_target_positions=64)
    torch.manual_seed(0)
    model = ARCH_MODEL_REGISTRY[arch].build_model(args, task.task).eval()
    return build_translator(model, task, BEAM, TextCodec(task))


@pytest.mark.parametrize("arch", ["transformer", "transformer_align", "bart_base", "mbart_base"])
def test_decoder_start_and_teacher_forcing(tiny: Tiny, arch: str) -> None:
    translator = built(tiny, arch)
    dictionary = translator.adapter.target_dictionary
    start = dictionary.index("[de]") if arch == "mbart_base" else dictionary.eos()
    assert translator.batcher.start == start
    with prepared(translator.model), torch.no_grad():
        hypotheses = translator.translate(SOURCES)
        pairs = [Pair(translator.codec.source(s), h.tokens) for s, h in zip(SOURCES, hypotheses)]
        scores = forced_logits(translator.model, translator.batcher.batch(pairs)).log_softmax(-1)
    # Teacher forcing gives a hypothesis the probability that beam search gave it: the same start, the same source.
    for row, (pair, hypothesis) in enumerate(zip(pairs, hypotheses)):
        chosen = scores[row, : len(pair.target)].gather(1, pair.target.unsqueeze(1))
        assert float(chosen.mean()) == pytest.approx(hypothesis.score, abs=1e-4)
    site = Site("decoder", 0)
    background = collect(translator, load_corpus(translator.codec, 1, 10), [site], 30)[site]
    assert len(background.inputs) >= 30


def test_language_symbols_of_mbart(tiny: Tiny) -> None:
    translator = built(tiny, "mbart_base")
    codec, words = translator.codec, translator.adapter.target_dictionary
    corpus = load_corpus(codec, 1, 10)
    for pair, source, target in zip(corpus.pairs, corpus.sources, corpus.targets):
        assert "[" not in source + target
        assert torch.equal(codec.source(source), pair.source)
        assert torch.equal(codec.target(target), pair.target)
        assert pair.target.tolist()[-2:] == [words.eos(), words.index("[de]")]
    sources = translator.batcher.sources([pair.source for pair in corpus.pairs])
    assert sources["src_tokens"].eq(words.index("[en]")).sum(1).tolist() == [1] * 10
    before = translator.translate(["w1 w2"])[0]
    assert "[de]" not in before.text
    own = codec.target("w1 w2 w3")
    example = make_example(codec, "w1", replace(before, text="w1 w2 w3", tokens=own), "w1 w2 w4 w5", "")
    assert torch.equal(example.pair.target, codec.target("w1 w2 w4 w5"))
    assert [(span.start, span.stop) for span in example.spans] == [(2, 4)]
    example = make_example(codec, "w1", replace(before, text="w1 w2 w3", tokens=own), "w1 w2 w3 w4", "")
    assert torch.equal(example.pair.target, codec.target("w1 w2 w3 w4"))


def test_order_and_batches_make_no_difference(demo: Any) -> None:
    sources = [
        "The girl reads the book.",
        "My green chair costs ten dollars.",
        "Hello!",
        "",
        "The girl reads the book.",
    ]
    together = demo.translator.translate(sources)
    small = replace(demo.translator, max_sentences=2).translate(sources)
    alone = [demo.translator.translate([source])[0] for source in sources]
    assert [one.text for one in together] == [one.text for one in small] == [one.text for one in alone]
    assert together[0].text == together[4].text != ""
    assert demo.translator.translate([]) == []


def test_what_is_said_otherwise_never_begins_as_before(demo: Any) -> None:
    sources = ["The girl reads the book.", "Hello!", "The singer can print the newsletter in our shop."]
    said = demo.translator.translate(sources)
    others = demo.translator.translate_otherwise(sources, [one.tokens for one in said])
    end = demo.task.target_dictionary.eos()
    for before, other in zip(said, others):
        assert int(other.tokens[0]) != int(before.tokens[0])
        assert int(other.tokens[0]) >= demo.task.target_dictionary.nspecial
        assert int(other.tokens[-1]) == end
        assert demo.codec.target_text(other.tokens) == other.text != before.text
    small = replace(demo.translator, max_sentences=1)
    alone = small.translate_otherwise(sources, [one.tokens for one in said])
    assert [one.text for one in alone] == [one.text for one in others]
    assert demo.translator.translate_otherwise([], []) == []


def test_what_is_said_otherwise_is_the_best_that_begins_so(demo: Any) -> None:
    """Its score is what teacher forcing gives it, and no better than that of what is said freely."""
    (said,) = demo.translator.translate(["The girl reads the book."])
    (other,) = demo.translator.translate_otherwise(["The girl reads the book."], [said.tokens])
    pair = Pair(demo.codec.source("The girl reads the book."), other.tokens)
    with torch.no_grad():
        scores = forced_logits(demo.model, demo.translator.batcher.batch([pair])).log_softmax(-1)[0]
    assert float(scores.gather(1, pair.target.unsqueeze(1)).mean()) == pytest.approx(other.score, abs=1e-4)
    assert other.score < said.score


def test_progress_sees_every_batch(demo: Any) -> None:
    seen = []

    def progress(items: Any, label: str) -> Any:
        for item in items:
            seen.append((label, len(item)))
            yield item

    replace(demo.translator, max_sentences=2, progress=progress).translate(["Hello!"] * 5, "label")
    assert seen == [("label", 2), ("label", 2), ("label", 1)]


def test_too_long_a_sentence_is_told(demo: Any) -> None:
    limit = demo.task.longest_source(demo.model)
    with pytest.raises(EditError, match=rf"tokens in 'The The .*'\.\.\., expected at most {limit}"):
        demo.translator.translate(["The " * limit])


def test_models_without_encoder_and_decoder_are_refused(tiny: Tiny) -> None:
    whole = built(tiny, "transformer")
    for part in ("encoder", "decoder"):
        model = torch.nn.Module()
        model.add_module(part, getattr(whole.model, part))
        with pytest.raises(EditError, match="Module is no encoder-decoder model"):
            build_translator(model, whole.adapter, BEAM, whole.codec)


def test_shared_embedding_of_encoder_and_decoder(tiny: Tiny) -> None:
    task = tiny.task()
    model = checkpoint.load_model(tiny.checkpoint, checkpoint.read_state(tiny.checkpoint), task)
    assert model.encoder.embed_tokens is model.decoder.embed_tokens
    translator = build_translator(model, task, BEAM, TextCodec(task))
    assert translator.batcher.start == task.target_dictionary.eos()
    assert not model.decoder.embed_tokens._forward_pre_hooks


def test_padding_of_a_batch(tiny: Tiny) -> None:
    task = tiny.task()
    batcher = Batcher(task, 9, torch.device("cpu"))
    pairs = [
        Pair(torch.tensor([5, 2]), torch.tensor([4, 5, 6, 2])),
        Pair(torch.tensor([4, 5, 6, 2]), torch.tensor([7, 2])),
    ]
    batch = batcher.batch(pairs)
    assert batch.target.tolist() == [[4, 5, 6, 2], [7, 2, 1, 1]]
    assert batch.net_input["prev_output_tokens"].tolist() == [[9, 4, 5, 6], [9, 7, 1, 1]]
    assert batch.net_input["src_tokens"].tolist() == [[1, 1, 5, 2], [4, 5, 6, 2]]
    assert batch.net_input["src_lengths"].tolist() == [2, 4]
    assert batch.target_mask.sum(1).tolist() == [4, 2]
    assert batch.source_mask(1).sum(1).tolist() == [2, 4]
    with pytest.raises(EditError, match="expected at least one sentence pair"):
        batcher.batch([])


@pytest.mark.parametrize("most", [1, 7, 20, 1000])
def test_batches_by_size(most: int) -> None:
    pairs = [Pair(torch.ones(1 + (7 * i) % 5), torch.ones(1 + (3 * i) % 11)) for i in range(40)]
    batches = by_size(pairs, most)
    assert sorted(index for batch in batches for index in batch) == list(range(40))
    for batch in batches:
        longest = max(max(len(pairs[i].source), len(pairs[i].target)) for i in batch)
        assert len(batch) == 1 or longest * len(batch) <= most


def test_batches_by_size_end_where_the_next_sentence_brings_padding() -> None:
    short, long = (Pair(torch.ones(size), torch.ones(size)) for size in (10, 100))
    assert [len(batch) for batch in by_size([short, long] * 30, 10_000)] == [30, 30]
    # Too few short ones for a batch of their own.
    assert len(by_size([short] * 5 + [long] * 2, 10_000)) == 1


@pytest.mark.parametrize(("device", "sizes"), [("cpu", [25, 15]), ("meta", [32, 8])])
def test_batches_of_decoding_end_on_a_processor_where_more_bring_padding(
    demo: Any, device: str, sizes: List[int]
) -> None:
    batcher = replace(demo.translator.batcher, device=torch.device(device))
    translator = replace(demo.translator, batcher=batcher, max_sentences=32)
    sources = [torch.ones(4 if index % 2 else 40) for index in range(40)]
    groups = translator.groups(sources, range(40))
    assert [len(group) for group in groups] == sizes
    assert all(len(sources[index]) == 40 for index in groups[0][:20])


def test_text_that_is_segmented_already(demo: Any) -> None:
    codec = replace(demo.codec, segmented=True)
    (before,) = demo.translator.translate(["The girl reads the book."])
    line = demo.task.target_dictionary.string(before.tokens)
    assert torch.equal(codec.target(line), before.tokens)
    assert codec.target_text(before.tokens) == line
    assert codec.unknown(f"{line} xyzzy", demo.task.target_dictionary) == ["xyzzy"]
    assert content(before.tokens, demo.task.target_dictionary).tolist() == before.tokens.tolist()[:-1]


def test_subwords_without_a_subword_model(tiny: Tiny, tmp_path: Path) -> None:
    codec = TextCodec(tiny.task(), post_process="subword_nmt")
    words = codec.adapter.target_dictionary
    tokens = torch.tensor([words.add_symbol("ab@@"), words.add_symbol("c"), words.index("w1"), words.eos()])
    assert codec.target_text(tokens) == "abc w1"
    assert codec.word_of(tokens, words) == [0, 0, 1, 1]
