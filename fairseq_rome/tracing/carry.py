"""Causal tracing without noise: which states, carried over from where the model is right, bring the wanted segment.

The positive run is a sentence pair of the corpus in which the model itself says the wanted segment; the negative
run is the request's, up to where the segment should come. It is activation patching as ROME's tracing is
(arXiv 2202.05262, section 2), with another sentence in the place of the clean run.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Iterator, List, Sequence, Tuple

import torch
from torch import Tensor

from fairseq_rome.errors import EditError
from fairseq_rome.host.batches import Pair
from fairseq_rome.host.codec import TextCodec, content
from fairseq_rome.host.corpus import Corpus
from fairseq_rome.host.decoding import Hypothesis, Translator
from fairseq_rome.host.examples import Example, make_example
from fairseq_rome.host.readings import read_site
from fairseq_rome.host.sites import Cell, find_sites, prepared
from fairseq_rome.tracing.attribution import find_trigger
from fairseq_rome.tracing.causal_trace import CARRY, CausalTrace, StackEffects
from fairseq_rome.tracing.locate_settings import LocateSettings
from fairseq_rome.tracing.runs import Runs, arranged, force, states_of, symbols

_MOST_POSITIVES = 64


@dataclass(frozen=True)
class Positive:
    """A sentence pair in which the model says the wanted segment itself.

    Args:
        source: source text.
        target: target text.
        pair: their tokens.
        start: target position of the segment's first token.
        trigger: positions of the source words that the segment hangs on.
    """

    source: str
    target: str
    pair: Pair
    start: int
    trigger: Tuple[int, ...]


def trace_carry(
    translator: Translator,
    example: Example,
    corpus: Corpus,
    trigger: str,
    settings: LocateSettings,
    id: str = "",
) -> CausalTrace:
    """Trace what the model should say, with the states that it has where it says it.

    A decoder state is carried from the position that predicts the segment's k-th token to the one that should, and its
    effect is the gained probability of that token. An encoder state is carried from the last token of the source
    words that the segment hangs on in the positive sentence to the trigger's last token, and its effect is the gained
    probability of the segment's first token. Other cells have no counterpart, and are NaN. In question (`clean` and
    `corrupted` of the trace) is the probability of the segment's first token.

    Args:
        translator: the model.
        example: the request (`contexts.make_example`).
        corpus: where positive sentences come from.
        trigger: the trigger's text.
        settings: how to trace; their mode is not asked, and there is no noise.
        id: of the request.

    Raises:
        EditError: if nothing is wanted in the place of what should go, or the corpus has no sentence in which
            the model says it.
    """
    codec, target = translator.codec, example.pair.target
    with prepared(translator.model):
        start, stop = _wanted(codec, example)
        found = find_positive(translator, corpus, target, start, stop)
        good = force(
            translator, found.pair, range(found.start, found.start + stop - start), settings.batch_tokens
        )
        bad = force(translator, example.pair, range(start, stop), settings.batch_tokens)
        scores, negative = good.log_probs()[0], bad.log_probs()[0]
        stacks = (
            _source_side(translator, good, bad, found, example, settings.kinds),
            _target_side(translator, good, bad, found, example, settings.kinds),
        )
    return CausalTrace(
        id, CARRY, example.source, example.after, codec.target_text(target[start:stop]), trigger,
        float(scores[0].exp()), float(negative[0].exp()), stacks,
        {"positive_source": found.source, "positive_target": found.target},
    )  # fmt: skip


def _source_side(
    translator: Translator, good: Runs, bad: Runs, found: Positive, example: Example, kinds: Sequence[str]
) -> StackEffects:
    states = states_of(bad.model, False, kinds)
    cells: List[Cell] = []
    if found.trigger and example.trigger:
        values = good.states(states)
        place, last = (run.offset + side.trigger[-1] for run, side in ((bad, example), (good, found)))
        cells = [Cell(state, place, values[state][last]) for state in states]
    tokens = symbols(bad.sources, translator.adapter.source_dictionary)
    marked = [bad.offset + position for position in example.trigger]
    return arranged(states, tokens, marked, cells, _gained(bad, cells, [0] * len(cells)), math.nan)


def _target_side(
    translator: Translator, good: Runs, bad: Runs, found: Positive, example: Example, kinds: Sequence[str]
) -> StackEffects:
    states = states_of(bad.model, True, kinds)
    values = good.states(states)
    asked = bad.asked.tolist()
    cells = [
        Cell(state, position, values[state][found.start + k])
        for state in states
        for k, position in enumerate(asked)
    ]
    tokens = symbols(example.pair.target, translator.adapter.target_dictionary)
    judged = list(range(len(asked))) * len(states)
    return arranged(states, tokens, asked, cells, _gained(bad, cells, judged), math.nan)


def _gained(bad: Runs, cells: Sequence[Cell], judged: Sequence[int]) -> Tensor:
    """The probability that each cell's token gains."""
    places = torch.tensor(judged, dtype=torch.long, device=bad.asked.device)
    after = bad.restored(cells)[:, 0].exp().gather(1, places.unsqueeze(1)).squeeze(1)
    return after - bad.log_probs()[0].exp()[places]


def _wanted(codec: TextCodec, example: Example) -> Tuple[int, int]:
    """Where the first wanted segment stands in the target, to the end of its word."""
    target = example.pair.target
    for span in example.spans:
        start, stop = span.start, span.stop
        if stop > start:
            while stop < len(target) and _continues(codec, target, stop):
                stop += 1
            return start, stop
    raise EditError(
        f"{example.after!r} only leaves something out, expected a wanted segment, whose states are to be carried"
    )


def _continues(codec: TextCodec, target: Tensor, position: int) -> bool:
    """Whether a token goes on with the word before it."""
    before = codec.target_text(target[:position])
    rest = codec.target_text(target[: position + 1])[len(before) :]
    return bool(before) and rest[:1].isalnum()


def find_positive(translator: Translator, corpus: Corpus, target: Tensor, start: int, stop: int) -> Positive:
    """The sentence pair of a corpus in which the model gives a segment its highest probability.

    Args:
        translator: the model, prepared.
        corpus: where to look; its first sentences that hold the segment as whole words count.
        target: tokens that hold the segment.
        start: position of its first token, which must be the model's own choice in the pair as well.
        stop: position behind its last token.

    Raises:
        EditError: if the model says the segment of itself in none of them.
    """
    codec = translator.codec
    opening = start
    while opening > 0 and _continues(codec, target, opening):
        opening -= 1
    pattern, skip = target[opening:stop].tolist(), start - opening
    places = [place for _, place in zip(range(_MOST_POSITIVES), _occurrences(codec, corpus, pattern))]
    pairs = [corpus.pairs[index] for index, _ in places]
    best, chosen = -math.inf, None
    for (index, place), seen in zip(places, read_site(translator, pairs, list(find_sites(translator.model))[-1])):
        first, size = place + skip, stop - start
        score = float(seen.log_probs[first : first + size].sum())
        if int(seen.best[first]) == int(target[start]) and score > best:
            best, chosen = score, (index, first)
    if chosen is None:
        raise EditError(
            f"the model never says {codec.target_text(target[opening:stop])!r} of itself in {len(places)} sentences "
            f"of the {corpus.subset} split that hold it: there is nothing to carry over; the noise mode needs no such "
            "sentence"
        )
    return _positive(translator, corpus.pairs[chosen[0]], chosen[1], stop - start)


def _occurrences(codec: TextCodec, corpus: Corpus, pattern: List[int]) -> Iterator[Tuple[int, int]]:
    """(sentence, position) of every occurrence of tokens that begin and end with a word."""
    for index, pair in enumerate(corpus.pairs):
        for place in pair.target.eq(pattern[0]).nonzero()[:, 0].tolist():
            stop = place + len(pattern)
            if pair.target[place:stop].tolist() != pattern:
                continue
            if not (_continues(codec, pair.target, place) or _continues(codec, pair.target, stop)):
                yield index, place


def _positive(translator: Translator, pair: Pair, start: int, size: int) -> Positive:
    """The source words that a segment hangs on are found as a request's are: as if the segment were put in."""
    codec = translator.codec
    source = codec.source_text(content(pair.source, codec.adapter.source_dictionary))
    target = codec.target_text(pair.target)
    without = torch.cat([pair.target[:start], pair.target[start + size :]])
    before = Hypothesis(codec.target_text(without), without, 0.0)
    trigger = find_trigger(translator, source, before, target)
    example = make_example(codec, source, before, target, trigger)
    return Positive(source, target, Pair(example.pair.source, pair.target), start, example.trigger)
