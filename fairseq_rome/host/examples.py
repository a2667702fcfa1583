"""One corrected sentence as tokens: what the model says, what it should say, where the two differ."""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from typing import List, NamedTuple, Sequence, Tuple

import torch
from torch import Tensor

from fairseq_rome.host.batches import Pair
from fairseq_rome.host.codec import TextCodec, content
from fairseq_rome.host.decoding import Hypothesis
from fairseq_rome.text.blanks import blanks_as_in
from fairseq_rome.text.segments import changed_spans
from fairseq_rome.text.words import Segments, is_unspaced, mentions, pattern, words


class Span(NamedTuple):
    """A place where a target differs from what the model says, in positions of its tokens.

    Without blanks one subword may hold the unwanted segment and what stands beside it, so that more tokens change than
    those of the wanted segment.

    Args:
        opening: where the target leaves what the model says; `start`, but where a piece of an old subword stays before
            the wanted segment.
        start: where the wanted segment begins.
        stop: where it ends.
        rejoins: where the target goes on as the model does; `stop`, but where a piece of an old subword stays behind.
        resumes: the position of `rejoins` in what the model says.
        said: the token that the model says at `opening`.
    """

    opening: int
    start: int
    stop: int
    rejoins: int
    resumes: int
    said: int


@dataclass(frozen=True)
class Example:
    """One sentence in which the behaviour is corrected.

    Args:
        source: source text.
        before: what the model says.
        after: what it should say.
        pair: tokens of source and of `after`; up to the change the target's are the model's own.
        spans: where the target differs.
        own: tokens of source and of `before`, as the model says it.
        free: `before` is wrong as a whole, and `after` is only one of the sentences that may come instead.
        trigger: token positions of the trigger in the source.
    """

    source: str
    before: str
    after: str
    pair: Pair
    spans: Tuple[Span, ...]
    trigger: Tuple[int, ...]
    own: Pair
    free: bool = False


def make_example(
    codec: TextCodec, source: str, before: Hypothesis, after: str, trigger: Segments, wanted: Segments = ()
) -> Example:
    """An `Example` from what the model says and what it should say.

    Args:
        codec: text to tokens.
        source: source text.
        before: what the model says.
        after: what it should say; beside characters that need no blanks it gets those of the model.
        trigger: the source segment that the change hangs on, in its forms.
        wanted: the segment that comes, in its forms, where it is known.
    """
    dictionary = codec.adapter.target_dictionary
    unspaced = any(is_unspaced(word) for word in words(before.text))
    alike = blanks_as_in(before.text, after) if unspaced else after
    # A change of nothing but blanks is one too.
    after = after if alike == before.text else alike
    own, now = before.tokens, codec.target(after)
    said, new = content(own, dictionary), content(now, dictionary)
    # Decoding reaches the change over the model's own subwords, maybe not the subword model's first choice.
    first = _first_difference(before.text.split(), after.split())
    if unspaced:
        target = _joined(codec, before.text, codec.target_text(now), own, now)
    else:
        kept = sum(word < first for word in codec.word_of(said, dictionary))
        dropped = sum(word < first for word in codec.word_of(new, dictionary))
        target = torch.cat([own[:kept], now[dropped:]])
    tokens = codec.source(source)
    spans = [
        Span(start, start, stop, stop, old_stop, int(own[min(old, len(own) - 1)]))
        for start, stop, old, old_stop in changed_spans(own.tolist(), target.tolist())
    ]
    if unspaced and wanted:
        spans = _narrowed(spans, codec, target, wanted)
    return Example(
        source, before.text, after, Pair(tokens, target), tuple(spans), _trigger_positions(codec, tokens, trigger),
        Pair(tokens, own),
    )  # fmt: skip


def _narrowed(spans: Sequence[Span], codec: TextCodec, target: Tensor, wanted: Segments) -> List[Span]:
    """The spans, each as wide as the one wanted segment that stands in it; as they are where none does, or several."""
    lengths = _lengths(codec, target)
    found = pattern(wanted).finditer(codec.target_text(content(target, codec.adapter.target_dictionary)))
    places = [
        (max(i for i, length in enumerate(lengths) if length <= match.start()), lengths.index(match.end()))
        for match in found
        if match.end() in lengths
    ]
    narrowed = []
    for span in spans:
        inside = [(start, stop) for start, stop in places if span.start <= start and stop <= span.stop]
        start, stop = inside[0] if len(inside) == 1 else (span.start, span.stop)
        narrowed.append(span._replace(start=start, stop=stop))
    return narrowed


def changed_whole(example: Example, first: int, free: bool) -> Example:
    """An example in which all is changed, though a subword of one sentence may stand in the other too.

    Args:
        example: the example.
        first: position of the first target token that may change, behind language symbols.
        free: whether `after` is only one of the sentences that may come.
    """
    own, target = example.own.target, example.pair.target
    last = len(target) - 1
    return replace(example, spans=(Span(first, first, last, last, len(own) - 1, int(own[first])),), free=free)


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
