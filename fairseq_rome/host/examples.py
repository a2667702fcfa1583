"""One corrected sentence as tokens: what the model says, what it should say, where the two differ."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Sequence, Tuple

import torch
from torch import Tensor

from fairseq_rome.host.batches import Pair
from fairseq_rome.host.codec import TextCodec, content
from fairseq_rome.host.decoding import Hypothesis
from fairseq_rome.text.segments import changed_spans
from fairseq_rome.text.words import mentions


@dataclass(frozen=True)
class Example:
    """One sentence in which the behaviour is corrected.

    Args:
        source: source text.
        before: what the model says.
        after: what it should say.
        pair: tokens of source and of `after`; up to the change the target's are the model's own.
        spans: changed token spans (start, stop) of the target.
        said: for each span, the token that the model says where it starts.
        trigger: token positions of the trigger in the source.
    """

    source: str
    before: str
    after: str
    pair: Pair
    spans: Tuple[Tuple[int, int], ...]
    said: Tuple[int, ...]
    trigger: Tuple[int, ...]


def make_example(codec: TextCodec, source: str, before: Hypothesis, after: str, trigger: str) -> Example:
    """An `Example` from what the model says and what it should say."""
    dictionary = codec.adapter.target_dictionary
    own, wanted = before.tokens, codec.target(after)
    said, new = content(own, dictionary), content(wanted, dictionary)
    # Decoding reaches the change over the model's own subwords, maybe not the subword model's first choice.
    start = _first_difference(before.text.split(), after.split())
    kept = sum(word < start for word in codec.word_of(said, dictionary))
    dropped = sum(word < start for word in codec.word_of(new, dictionary))
    target = torch.cat([own[:kept], wanted[dropped:]])
    tokens = codec.source(source)
    changes = changed_spans(own.tolist(), target.tolist())
    return Example(
        source, before.text, after, Pair(tokens, target),
        spans=tuple((start, stop) for start, stop, _ in changes),
        said=tuple(int(own[min(old, len(own) - 1)]) for _, _, old in changes),
        trigger=_trigger_positions(codec, tokens, trigger),
    )  # fmt: skip


def _first_difference(old: Sequence[str], new: Sequence[str]) -> int:
    return next((i for i, (a, b) in enumerate(zip(old, new)) if a != b), min(len(old), len(new)))


def _trigger_positions(codec: TextCodec, tokens: Tensor, trigger: str) -> Tuple[int, ...]:
    dictionary = codec.adapter.source_dictionary
    words = content(tokens, dictionary)
    found = mentions(codec.source_text(words), trigger) if trigger else ()
    spans = [match.span() for match in found]
    # Characters before each token and before its end; a full stop after the trigger is no part of it.
    ends = [len(codec.source_text(words[:end])) for end in range(len(words) + 1)]
    return tuple(
        position
        for position in range(len(words))
        if any(ends[position] < stop and start < ends[position + 1] for start, stop in spans)
    )
