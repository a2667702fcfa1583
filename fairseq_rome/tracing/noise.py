"""Causal tracing with noise: which states, put back to their clean value, bring the behaviour back.

After ROME (arXiv 2202.05262, section 2), carried to encoder-decoder models: the noise falls on the trigger's source
embeddings, and states are restored in the encoder by source position and in the decoder by target position.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any, List, Sequence, Tuple

import torch
from torch import Tensor

from fairseq_rome.errors import EditError
from fairseq_rome.host.batches import Pair
from fairseq_rome.host.codec import TextCodec
from fairseq_rome.host.decoding import Translator
from fairseq_rome.host.examples import Example
from fairseq_rome.host.sites import Cell, State, embedding_of, prepared
from fairseq_rome.text.segments import changed_spans
from fairseq_rome.tracing.causal_trace import NOISE, CausalTrace, StackEffects
from fairseq_rome.tracing.locate_settings import LocateSettings
from fairseq_rome.tracing.runs import Runs, arranged, force, states_of, symbols


def trace_noise(
    translator: Translator,
    example: Example,
    own: Tensor,
    trigger: str,
    settings: LocateSettings,
    id: str = "",
) -> CausalTrace:
    """Trace what the model says now.

    The model follows its own output. In question is the probability of the segment that should go (the product of its
    tokens'), or where nothing should go that of the one that should come, in the corrected target. The clean run
    is the model's; the corrupted runs have Gaussian noise added to the trigger's source embeddings, in proportion to
    the standard deviation of the source embedding table; restored runs are corrupted ones in which one state has its
    clean value. Effects are means over the samples of noise.

    Args:
        translator: the model.
        example: the request (`contexts.make_example`).
        own: tokens of what the model says.
        trigger: the trigger's text.
        settings: how to trace; their mode is not asked.
        id: of the request.

    Raises:
        EditError: if the source does not hold the trigger, or nothing differs.
    """
    if not example.trigger:
        raise EditError(f"trigger {trigger!r} is not in {example.source!r}, expected a segment of the source")
    pair, segment = _in_question(example, own)
    codec = translator.codec
    with prepared(translator.model):
        clean = force(translator, pair, segment, settings.batch_tokens)
        places = [position + clean.offset for position in example.trigger]
        noisy = replace(clean, additions=_noise(clean, places, settings))
        before, after = _probability(clean.log_probs()), _probability(noisy.log_probs())
        tokens = symbols(clean.sources, codec.adapter.source_dictionary)
        encoder = _stack(clean, noisy, states_of(clean.model, False, settings.kinds), tokens, places)
        tokens = symbols(pair.target, codec.adapter.target_dictionary)
        decoder = _stack(clean, noisy, states_of(clean.model, True, settings.kinds), tokens, segment)
    return CausalTrace(
        id, NOISE, example.source, codec.target_text(pair.target), _text(codec, pair.target, segment), trigger,
        float(before), float(after), (encoder, decoder),
        {"noise": settings.noise, "samples": settings.samples, "seed": settings.seed},
    )  # fmt: skip


def _stack(
    clean: Runs, noisy: Runs, states: Sequence[State], tokens: Sequence[str], marked: Sequence[int]
) -> StackEffects:
    """The effects of every cell of one stack."""
    values = clean.states(states)
    cells = [Cell(state, position, value) for state in states for position, value in enumerate(values[state])]
    effects = _probability(noisy.restored(cells)) - _probability(noisy.log_probs())
    # A position behind the segment can't reach it.
    return arranged(states, tokens, marked, cells, effects, blank=0.0)


def _in_question(example: Example, own: Tensor) -> Tuple[Pair, List[int]]:
    """The sentence pair to follow, and the positions of the segment in its target."""
    for old, new in ((example.pair.target, own), (own, example.pair.target)):
        spans = changed_spans(old.tolist(), new.tolist())
        segment = [position for start, stop, *_ in spans for position in range(start, stop)]
        if segment:
            return Pair(example.pair.source, new), segment
    raise EditError(f"{example.after!r} is what the model says already, expected another translation")


def _text(codec: TextCodec, target: Tensor, segment: Sequence[int]) -> str:
    """The segment, with an ellipsis wherever other tokens stand in between."""
    parts: List[List[int]] = []
    for position in segment:
        if not parts or position != parts[-1][-1] + 1:
            parts.append([])
        parts[-1].append(position)
    return " ... ".join(codec.target_text(target[part]).strip() for part in parts)


def _noise(runs: Runs, positions: Sequence[int], settings: LocateSettings) -> Tensor:
    """Samples x S x d, zero but for the positions; drawn on the CPU, so that every device gets the same."""
    embedding: Any = embedding_of(runs.model.encoder)
    table = embedding.weight.detach().float()
    if embedding.padding_idx is not None:
        table = torch.cat([table[: embedding.padding_idx], table[embedding.padding_idx + 1 :]])
    shape = (settings.samples, len(positions), table.shape[1])
    drawn = torch.randn(shape, generator=torch.Generator().manual_seed(settings.seed))
    noise = runs.additions.repeat(settings.samples, 1, 1)
    noise[:, list(positions)] = (drawn * float(table.std()) * settings.noise).to(noise)
    return noise


def _probability(log_probs: Tensor) -> Tensor:
    """The probability of all tokens together, as a mean over runs: ... x R x k to ...."""
    return log_probs.sum(-1).exp().mean(-1)
