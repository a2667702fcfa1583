"""One corrected sentence as tokens: what the model says, what it should say, where the two differ."""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from typing import List, Sequence, Tuple

import torch
from torch import Tensor

from fairseq_rome.host.batches import Pair
from fairseq_rome.host.codec import TextCodec, content
from fairseq_rome.host.decoding import Hypothesis
from fairseq_rome.text.segments import changed_spans
from fairseq_rome.text.words import Segments, is_unspaced, mentions, words


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
        own: tokens of source and of `before`, as the model says it.
        resumes: for each span, where what follows it begins in the target of `own`.
        free: `before` is wrong as a whole, and `after` is only one of the sentences that may come instead.
        trigger: token positions of the trigger in the source.
    """

    source: str
    before: str
    after: str
    pair: Pair
    spans: Tuple[Tuple[int, int], ...]
    said: Tuple[int, ...]
    trigger: Tuple[int, ...]
    own: Pair
    resumes: Tuple[int, ...]
    free: bool = False


def make_example(codec: TextCodec, source: str, before: Hypothesis, after: str, trigger: Segments) -> Example:
    """An `Example` from what the model says and what it should say; a trigger may have several forms."""
    dictionary = codec.adapter.target_dictionary
    own, wanted = before.tokens, codec.target(after)
    said, new = content(own, dictionary), content(wanted, dictionary)
    # Decoding reaches the change over the model's own subwords, maybe not the subword model's first choice.
    first = _first_difference(before.text.split(), after.split())
    if any(is_unspaced(word) for word in words(before.text)):
        target = _joined(codec, before.text, codec.target_text(wanted), own, wanted)
    else:
        kept = sum(word < first for word in codec.word_of(said, dictionary))
        dropped = sum(word < first for word in codec.word_of(new, dictionary))
        target = torch.cat([own[:kept], wanted[dropped:]])
    tokens = codec.source(source)
    changes = changed_spans(own.tolist(), target.tolist())
    return Example(
        source, before.text, after, Pair(tokens, target),
        spans=tuple((start, stop) for start, stop, _, _ in changes),
        said=tuple(int(own[min(old, len(own) - 1)]) for _, _, old, _ in changes),
        trigger=_trigger_positions(codec, tokens, trigger),
        own=Pair(tokens, own),
        resumes=tuple(old for _, _, _, old in changes),
    )  # fmt: skip


def changed_whole(example: Example, first: int, free: bool) -> Example:
    """An example in which all is changed, though a subword of one sentence may stand in the other too.

    Args:
        example: the example.
        first: position of the first target token that may change, behind language symbols.
        free: whether `after` is only one of the sentences that may come.
    """
    own, target = example.own.target, example.pair.target
    return replace(
        example, spans=((first, len(target) - 1),), said=(int(own[first]),), resumes=(len(own) - 1,), free=free
    )


def _joined(codec: TextCodec, before: str, after: str, own: Tensor, wanted: Tensor) -> Tensor:
    """The wanted tokens, with the model's own before and behind the change, as far as subwords begin and end alike.

    Without blanks between words a change moves the bounds of the subwords around it.
    """
    starts = [_lengths(codec, tokens) for tokens in (own, wanted)]
    alike = len(os.path.commonprefix([before, after]))
    here = max(length for length in set(starts[0]) & set(starts[1]) if length <= alike)
    behind = len(os.path.commonprefix([before[here:][::-1], after[here:][::-1]]))
    rests = [{len(text) - length for length in lengths} for text, lengths in zip((before, after), starts)]
    rest = max((length for length in rests[0] & rests[1] if length <= behind), default=0)
    places = [
        (lengths.index(here), lengths.index(len(text) - rest)) for text, lengths in zip((before, after), starts)
    ]
    (first, last), (new_first, new_last) = places
    return torch.cat([own[:first], wanted[new_first:new_last], own[last:]])


def _lengths(codec: TextCodec, tokens: Tensor) -> List[int]:
    """How many characters of text stand before each token, and before the end."""
    words = content(tokens, codec.adapter.target_dictionary)
    return [len(codec.target_text(words[:end])) for end in range(len(words) + 1)]


def _first_difference(old: Sequence[str], new: Sequence[str]) -> int:
    return next((i for i, (a, b) in enumerate(zip(old, new)) if a != b), min(len(old), len(new)))


def _trigger_positions(codec: TextCodec, tokens: Tensor, trigger: Segments) -> Tuple[int, ...]:
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
