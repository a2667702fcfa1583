"""Positive examples: the trigger of a change, and more sentences in which to make it.

A user gives one correction. More cost no labels: sentences with the same trigger are decoded, and the same
segment is replaced in what the model itself says.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, List, Optional, Sequence, Tuple

import torch
from torch import Tensor

from fairseq_rome.batching import Pair, TextCodec, content, forced_logits
from fairseq_rome.corpus import Corpus
from fairseq_rome.decoding import Hypothesis, Translator
from fairseq_rome.errors import EditError
from fairseq_rome.segments import Difference, changed_spans, contains_trigger, correct, count, pattern

# In nats: how far a segment's log-probability must fall without a word to hang on it beyond doubt.
_STRONG = 2.0


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
    dictionary = codec.task.target_dictionary
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
    dictionary = codec.task.source_dictionary
    words = content(tokens, dictionary)
    found = pattern(trigger, ignore_case=True).finditer(codec.source_text(words)) if trigger else ()
    spans = [match.span() for match in found]
    # Characters before each token and before its end; a full stop after the trigger is no part of it.
    ends = [len(codec.source_text(words[:end])) for end in range(len(words) + 1)]
    return tuple(
        position
        for position in range(len(words))
        if any(ends[position] < stop and start < ends[position + 1] for start, stop in spans)
    )


def find_trigger(translator: Translator, source: str, before: Hypothesis, after: str) -> str:
    """The source words that the changed segment hangs on, by leaving each out in turn.

    The change's weight on a word is how far the log-probability of the segment falls without it: of the
    unwanted segment in the model's output, or of the wanted one where nothing is taken away. Neighbours that
    weigh at least half as much as the heaviest word belong to the trigger.

    Raises:
        EditError: if the subword model makes the two one text, as it may with other forms of a letter.
    """
    codec = translator.codec
    if codec.target_text(codec.target(after)) == before.text:
        raise EditError(f"{after!r} is in subwords what the model says already, expected another translation")
    words = source.split()
    wanted = codec.target(after)
    gone = _spans(wanted, before.tokens)
    evidence = (before.tokens, gone) if gone else (wanted, _spans(before.tokens, wanted))
    drops = _drops(translator, words, *evidence)
    return _strip(_heaviest(words, drops)) if drops else _strip(source)


def hangs_elsewhere(
    translator: Translator, source: str, before: Hypothesis, after: str, trigger: str
) -> bool:
    """Whether the wanted segment hangs on another source word than the trigger, and strongly.

    `dog -> police dog` hangs on `police`: it would be wrong wherever there is just a dog. A wanted segment that the
    model hardly knows hangs on nothing much, and is no such case.
    """
    words = source.split()
    wanted = translator.codec.target(after)
    spans = _spans(before.tokens, wanted)
    drops = _drops(translator, words, wanted, spans) if spans else []
    if not drops or max(drops) < _STRONG:
        return False
    return _strip(words[drops.index(max(drops))]) not in _strip(trigger).split()


def _drops(
    translator: Translator, words: Sequence[str], target: Tensor, spans: Sequence[Tuple[int, int]]
) -> List[float]:
    """For each source word, how far the log-probability of the target spans falls without it; none for one word."""
    if len(words) < 2:
        return []
    leave_out = [" ".join([*words[:i], *words[i + 1 :]]) for i in range(len(words))]
    pairs = [Pair(translator.codec.source(text), target) for text in [" ".join(words), *leave_out]]
    with torch.no_grad():
        batch = translator.batcher.batch(pairs)
        scores = forced_logits(translator.model, batch).log_softmax(-1)
    chosen = scores.gather(2, batch.target.unsqueeze(2)).squeeze(2)
    total = torch.stack([chosen[:, start:stop].sum(1) for start, stop in spans]).sum(0)
    return (total[0] - total[1:]).tolist()


def _spans(old: Tensor, new: Tensor) -> List[Tuple[int, int]]:
    return [(start, stop) for start, stop, _ in changed_spans(old.tolist(), new.tolist()) if stop > start]


def _heaviest(words: Sequence[str], drops: Sequence[float]) -> str:
    top = max(range(len(words)), key=lambda i: drops[i])
    start = stop = top
    while start > 0 and drops[start - 1] >= drops[top] / 2 > 0:
        start -= 1
    while stop + 1 < len(words) and drops[stop + 1] >= drops[top] / 2 > 0:
        stop += 1
    return " ".join(words[start : stop + 1])


def _strip(text: str) -> str:
    stripped = text.strip(" .,;:!?\"'()[]¿¡…„“”‚‘’«»‹›。，、！？：；（）「」")
    return stripped or text


def self_corrected(
    translator: Translator,
    sources: Sequence[str],
    difference: Difference,
    trigger: str,
    inflections: Sequence[str],
    most: int,
) -> List[Example]:
    """Examples from unlabelled sources: each is decoded, and the unwanted segment of the output replaced.

    Sources without the trigger, and outputs without the unwanted segment, are left out, and so are those in
    which it stands more often than the trigger: there another source word may rightly give it.

    Args:
        translator: the model.
        sources: source texts in order of preference.
        difference: the segments.
        trigger: the source segment that the change hangs on; empty if any source will do.
        inflections: endings kept when the segment is replaced.
        most: examples at most.
    """
    chosen = [source for source in dict.fromkeys(sources) if not trigger or contains_trigger(source, trigger)]
    examples: List[Example] = []
    step = max(most, 1)
    for start in range(0, len(chosen), step):
        if len(examples) >= most:
            break
        part = chosen[start : start + step]
        for source, before in zip(part, translator.translate(part, "decoding contexts")):
            example = _corrected(translator.codec, source, before, difference, trigger, inflections)
            if example is not None and len(examples) < most:
                examples.append(example)
    return examples


def corrected_references(
    codec: TextCodec,
    corpus: Corpus,
    indices: Sequence[int],
    difference: Difference,
    trigger: str,
    inflections: Sequence[str],
) -> List[Example]:
    """Examples from sentence pairs of the corpus, whose references are corrected without decoding.

    Args:
        codec: text to tokens.
        corpus: sentence pairs.
        indices: which of them.
        difference: the segments.
        trigger: see `self_corrected`.
        inflections: endings kept when the segment is replaced.
    """
    found = []
    for index in indices:
        reference = Hypothesis(corpus.targets[index], corpus.pairs[index].target, 0.0)
        found.append(_corrected(codec, corpus.sources[index], reference, difference, trigger, inflections))
    return [example for example in found if example is not None]


def _corrected(
    codec: Any,
    source: str,
    before: Hypothesis,
    difference: Difference,
    trigger: str,
    inflections: Sequence[str],
) -> Optional[Example]:
    after = correct(before.text, difference, inflections)
    if after is None or after == before.text:
        return None
    example = make_example(codec, source, before, after, trigger)
    if trigger and count(before.text, difference.unwanted, inflections) > max(_mentions(source, trigger), 1):
        return None
    return example if example.spans else None


def _mentions(source: str, trigger: str) -> int:
    return len(pattern(trigger, ignore_case=True).findall(source))
