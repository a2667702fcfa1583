"""Causal tracing: what must be so of any trace, and what it finds in the demo model."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any, Dict, List, Tuple

import pytest
import torch
from conftest import Demo, Tiny
from test_decoding import built
from test_sites import hooks

from fairseq_rome.errors import EditError
from fairseq_rome.host.batches import Pair, forced_logits
from fairseq_rome.host.corpus import Corpus, load_corpus
from fairseq_rome.host.decoding import Hypothesis
from fairseq_rome.host.examples import make_example
from fairseq_rome.host.sites import CROSS_ATTENTION, FFN, SELF_ATTENTION, Cell, find_states, record_states
from fairseq_rome.text.requests import EditRequest
from fairseq_rome.tracing import (
    CARRY,
    CausalTrace,
    LocateSettings,
    locate,
    ranked_sites,
    site_list,
    trace_noise,
)
from fairseq_rome.tracing.runs import force
from fairseq_rome.tracing.trace_files import to_record

QUICK = LocateSettings(samples=2)
SOURCE, TRIGGER = "The colleague will pay seventeen dollars for the flower.", "dollars"


@pytest.fixture(scope="module")
def dollars(demo: Demo) -> Tuple[EditRequest, Hypothesis]:
    """Euro where it should be Dollar."""
    (before,) = demo.translator.translate([SOURCE])
    assert "Euro" in before.text
    request = EditRequest(SOURCE, before.text.replace("Euro", "Dollar"), trigger=TRIGGER, id="dollars")
    return request, before


@pytest.fixture(scope="module")
def traced(demo: Demo, dollars: Any) -> CausalTrace:
    return locate(demo.translator, *dollars, QUICK)


def arrays(trace: CausalTrace) -> Dict[str, torch.Tensor]:
    return {f"{one.stack} {kind}": array for one in trace.stacks for kind, array in one.effects.items()}


def close(first: CausalTrace, second: CausalTrace, atol: float = 1e-5) -> bool:
    one, two = arrays(first), arrays(second)
    assert list(one) == list(two)
    return all(torch.allclose(one[name], two[name], atol=atol, equal_nan=True) for name in one)


def test_every_cell_of_the_request_is_there(demo: Demo, dollars: Any, traced: CausalTrace) -> None:
    encoder, decoder = traced.stacks
    assert [(one.stack, one.in_decoder) for one in traced.stacks] == [("encoder", False), ("decoder", True)]
    assert list(encoder.effects) == [FFN, SELF_ATTENTION]
    assert list(decoder.effects) == [FFN, SELF_ATTENTION, CROSS_ATTENTION]
    tokens = {"encoder": demo.codec.source(SOURCE), "decoder": dollars[1].tokens}
    for one in traced.stacks:
        symbols = [demo.task.source_dictionary[token] for token in tokens[one.stack]]
        assert list(one.tokens) == symbols
        assert {array.shape for array in one.effects.values()} == {(3, len(symbols))}
        assert traced.stack(one.stack) is one
    assert [encoder.tokens[position] for position in encoder.marked] == ["▁dollars"]
    assert [decoder.tokens[position] for position in decoder.marked] == ["▁Euro"]
    assert (traced.segment, traced.trigger, traced.target) == ("Euro", TRIGGER, dollars[1].text)
    with pytest.raises(
        EditError, match="no stack 'decoder.1' in this trace, expected one of: encoder, decoder"
    ):
        traced.stack("decoder.1")


def test_noise_takes_the_segment_away_and_states_bring_it_back(traced: CausalTrace) -> None:
    assert traced.clean > 0.9
    assert traced.corrupted < traced.clean - 0.2
    cross = traced.stack("decoder").effects[CROSS_ATTENTION]
    assert float(cross.max()) > 0.1
    assert int(cross.max(0).values.argmax()) in traced.stack("decoder").marked
    own = traced.stack("encoder").effects[FFN]
    assert int(own.max(0).values.argmax()) in traced.stack("encoder").marked
    for array in arrays(traced).values():
        assert float(array.max()) <= 1 - traced.corrupted + 1e-5
        assert float(array.min()) >= -traced.corrupted - 1e-5


def test_what_cannot_carry_it_has_no_effect(traced: CausalTrace) -> None:
    decoder = traced.stack("decoder")
    # The first self-attention has not seen the source, and nothing reaches back from behind the segment.
    assert float(decoder.effects[SELF_ATTENTION][0].abs().max()) < 1e-6
    for array in decoder.effects.values():
        assert not array[:, decoder.marked[-1] + 1 :].any()


def test_effects_are_those_of_plain_hooks(demo: Demo, dollars: Any, traced: CausalTrace) -> None:
    """The same by hand: one pass over the whole target for each sample and cell."""
    model, own = demo.model, dollars[1].tokens
    pair = Pair(demo.codec.source(SOURCE), own)
    batch = demo.translator.batcher.batch([pair])
    ((at,), (place,)) = (traced.stack(name).marked for name in ("encoder", "decoder"))
    table = model.encoder.embed_tokens.weight
    rows = torch.arange(len(table)) != model.encoder.embed_tokens.padding_idx
    drawn = torch.randn(2, 1, table.shape[1], generator=torch.Generator().manual_seed(1))
    noise = drawn * 3.0 * table[rows].std()
    with torch.no_grad(), record_states(model, list(find_states(model))) as seen:
        forced_logits(model, batch)
    clean = dict(seen)

    def probability(restored: Any = None, position: int = 0) -> float:
        def restore(_: Any, __: Any, output: Any) -> Any:
            states = output[0] if isinstance(output, tuple) else output
            states[position, 0] = clean[restored][position, 0]

        total = 0.0
        for sample in noise:
            net = batch.net_input

            def corrupt(
                _: Any, __: Any, output: torch.Tensor, added: torch.Tensor = sample[0]
            ) -> torch.Tensor:
                changed = output.clone()
                changed[0, at] += added
                return changed

            with torch.no_grad():
                module = find_states(model)[restored] if restored else None
                handles = [module.register_forward_hook(restore)] if module else []
                embedded = model.encoder.embed_tokens.register_forward_hook(corrupt)
                encoded = model.encoder(net["src_tokens"], src_lengths=net["src_lengths"])
                embedded.remove()
                scores = model.decoder(net["prev_output_tokens"], encoder_out=encoded)[0].softmax(-1)
                for handle in handles:
                    handle.remove()
            total += float(scores[0, place, own[place]]) / len(noise)
        return total

    assert probability() == pytest.approx(traced.corrupted, abs=1e-5)
    for state in find_states(model):
        effects = traced.stack(state.site.stack).effects[state.kind][state.site.layer]
        for position in {0, at if not state.site.in_decoder else place}:
            expected = probability(state, position) - probability()
            assert float(effects[position]) == pytest.approx(expected, abs=1e-5)


@pytest.mark.parametrize("batch_tokens", [1, 57, 100_000])
def test_the_size_of_batches_changes_nothing(
    demo: Demo, dollars: Any, traced: CausalTrace, batch_tokens: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    passes: List[int] = []
    forward = demo.model.decoder.forward

    def counted(tokens: torch.Tensor, **more: Any) -> Any:
        passes.append(len(tokens))
        return forward(tokens, **more)

    monkeypatch.setattr(demo.model.decoder, "forward", counted)
    again = locate(demo.translator, *dollars, replace(QUICK, batch_tokens=batch_tokens))
    assert close(again, traced)
    # Two runs in rows of their own and the recording for each stack, and then full batches.
    sources, targets = len(traced.stack("encoder").tokens), traced.stack("decoder").marked[-1] + 1
    rows = max(1, batch_tokens // max(sources, targets))
    restored = [layers * kinds * length * 2 for layers, kinds, length in ((3, 2, sources), (3, 3, targets))]
    assert len(passes) <= 6 + sum(math.ceil(number / rows) for number in restored)
    assert max(passes) <= max(rows, QUICK.samples)


def test_the_seed_decides(demo: Demo, dollars: Any, traced: CausalTrace) -> None:
    assert to_record(locate(demo.translator, *dollars, QUICK)) == to_record(traced)
    assert not close(locate(demo.translator, *dollars, replace(QUICK, seed=2)), traced, atol=1e-3)


def test_without_noise_nothing_is_lost_and_nothing_gained(demo: Demo, dollars: Any) -> None:
    trace = locate(demo.translator, *dollars, replace(QUICK, noise=0.0))
    assert trace.corrupted == pytest.approx(trace.clean, abs=1e-6)
    assert all(float(array.abs().max()) < 1e-5 for array in arrays(trace).values())


def test_fewer_kinds_are_a_part_of_all(demo: Demo, dollars: Any, traced: CausalTrace) -> None:
    some = locate(demo.translator, *dollars, replace(QUICK, kinds=(FFN,)))
    assert list(arrays(some)) == ["encoder ffn", "decoder ffn"]
    assert all(torch.allclose(array, arrays(traced)[name], atol=1e-5) for name, array in arrays(some).items())
    assert site_list(ranked_sites(some)) == site_list(ranked_sites(traced))


def test_the_model_is_left_as_it_was(demo: Demo, dollars: Any) -> None:
    model = demo.model
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    training = [module.training for module in model.modules()]
    corpus = load_corpus(demo.codec, 1, 2000)
    for mode in ("noise", "carry"):
        locate(demo.translator, *dollars, replace(QUICK, mode=mode), corpus)
    assert all(torch.equal(tensor, before[name]) for name, tensor in model.state_dict().items())
    assert [module.training for module in model.modules()] == training
    assert hooks(model) == 0


@pytest.mark.parametrize(
    ("before", "after", "segment"),
    [
        ("w1 w2 w3", "w1 w4 w3", "w2"),
        ("w1 w2 w3 w2", "w1 w4 w3 w4", "w2 ... w2"),
        ("w1 w2 w3", "w1 w3", "w2"),
        ("w1 w3", "w1 w2 w3", "w2"),  # nothing goes: what should come is in question
    ],
)
@pytest.mark.parametrize("arch", ["transformer_align", "bart_base", "mbart_base"])
def test_other_architectures(tiny: Tiny, arch: str, before: str, after: str, segment: str) -> None:
    translator = built(tiny, arch)
    own = translator.codec.target(before)
    example = make_example(translator.codec, "w1 w2 w3", Hypothesis(before, own, 0.0), after, "w2")
    trace = trace_noise(translator, example, own, "w2", QUICK)
    assert trace.segment == segment
    encoder, decoder = trace.stacks
    assert [encoder.tokens[place] for place in encoder.marked] == ["w2"]
    assert " ... ".join(decoder.tokens[place] for place in decoder.marked) == segment
    assert close(trace, trace_noise(translator, example, own, "w2", replace(QUICK, batch_tokens=1)))
    assert any(float(array.abs().max()) > 0 for array in arrays(trace).values())


def test_a_language_symbol_in_front_moves_the_trigger(demo: Demo, dollars: Any) -> None:
    request, before = dollars
    example = make_example(demo.codec, request.source, before, request.target, TRIGGER)
    sources = demo.translator.batcher.sources

    class Batcher(type(demo.translator.batcher)):  # type: ignore[misc]
        def sources(self, found: Any) -> Dict[str, torch.Tensor]:
            return sources([torch.cat([tokens.new_tensor([7]), tokens]) for tokens in found])

    batcher = Batcher(**vars(demo.translator.batcher))
    trace = trace_noise(replace(demo.translator, batcher=batcher), example, before.tokens, TRIGGER, QUICK)
    encoder = trace.stack("encoder")
    assert [encoder.tokens[place] for place in encoder.marked] == ["▁dollars"]
    assert encoder.marked == (example.trigger[0] + 1,)


@pytest.fixture(scope="module")
def corpus(demo: Demo) -> Corpus:
    return load_corpus(demo.codec, 1, 4000)


def test_carried_states_bring_what_is_wanted(demo: Demo, corpus: Corpus) -> None:
    # A word that the model knows well, in the place of another.
    said, other = demo.translator.translate(["The girl finds the flower.", "The girl finds the book."])
    assert "Buch" in other.text
    known = EditRequest("The girl finds the flower.", other.text, id="known")
    trace = locate(demo.translator, known, said, replace(QUICK, mode=CARRY), corpus)
    assert (trace.mode, trace.corrupted < 0.1, trace.clean > 0.9) == (CARRY, True, True)
    assert trace.details["positive_source"] in corpus.sources
    for one in trace.stacks:
        for array in one.effects.values():
            carried = ~array.isnan()
            places = sorted(set(carried.nonzero()[:, 1].tolist()))
            assert places == list(one.marked)[-len(places) :]
            assert carried[:, places].all()
    cross = trace.stack("decoder").effects[CROSS_ATTENTION].nan_to_num()
    assert float(cross.max()) > 0.5


def test_a_run_carried_into_itself_is_the_same(demo: Demo, dollars: Any) -> None:
    pair = Pair(demo.codec.source(SOURCE), dollars[1].tokens)
    with torch.no_grad():
        runs = force(demo.translator, pair, [2, 4], 2000)
        values = runs.states(list(find_states(demo.model)))
        cells = [Cell(state, place, states[place]) for state, states in values.items() for place in (0, 3)]
        assert torch.allclose(runs.restored(cells), runs.log_probs().expand(len(cells), 1, 2), atol=1e-5)


def test_what_cannot_be_traced(demo: Demo, dollars: Any, corpus: Corpus) -> None:
    request, before = dollars
    carry = replace(QUICK, mode=CARRY)
    with pytest.raises(EditError, match="the model already says the target: there is nothing to locate"):
        locate(demo.translator, replace(request, target=before.text), before, QUICK)
    with pytest.raises(EditError, match="trigger 'euros' is not in 'The colleague"):
        locate(demo.translator, replace(request, trigger="euros"), before, QUICK)
    with pytest.raises(EditError, match="no corpus is given"):
        locate(demo.translator, request, before, carry)
    with pytest.raises(EditError, match="only leaves something out, expected a wanted segment"):
        locate(
            demo.translator, replace(request, target=before.text.replace("Euro ", "")), before, carry, corpus
        )
    nowhere = replace(request, target=before.text.replace("Euro", "Rundbriefblume"))
    message = "the model never says 'Rundbriefblume' of itself in 0 sentences of the train split"
    with pytest.raises(EditError, match=message):
        locate(demo.translator, nowhere, before, carry, corpus)
    # The corpus says it, but never the model: it knows no other source for the word.
    alone = Corpus("train", (Pair(demo.codec.source(SOURCE), demo.codec.target(request.target)),), demo.codec)
    with pytest.raises(EditError, match="the model never says 'Dollar' of itself in 1 sentences"):
        locate(demo.translator, request, before, carry, alone)


def test_a_word_within_a_word_is_no_positive_example(demo: Demo) -> None:
    dictionary, codec = demo.task.target_dictionary, demo.codec
    inside, apart = (
        dictionary.encode_line(text, add_if_not_exist=False).long()
        for text in ("▁Ein H a us t .", "▁H a us t .")
    )
    from fairseq_rome.tracing.carry import _occurrences

    source = codec.source("It is.")
    corpus = Corpus("train", (Pair(source, inside), Pair(source, apart)), codec)
    pieces = {text: dictionary.encode_line(text, add_if_not_exist=False, append_eos=False).tolist() for text in
              ("▁H a us", "▁H a us t", "H a us t")}  # fmt: skip
    assert {text: list(_occurrences(codec, corpus, tokens)) for text, tokens in pieces.items()} == {
        "▁H a us": [], "▁H a us t": [(1, 0)], "H a us t": []
    }  # fmt: skip
