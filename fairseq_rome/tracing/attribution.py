"""Which source words a change hangs on: the trigger, found by leaving each word out in turn."""

from __future__ import annotations

from typing import List, Sequence, Tuple

import torch
from torch import Tensor

from fairseq_rome.errors import EditError
from fairseq_rome.host.batches import Pair, forced_logits
from fairseq_rome.host.decoding import Hypothesis, Translator
from fairseq_rome.text.segments import changed_spans

# In nats: how far a segment's log-probability must fall without a word to hang on it beyond doubt.
_STRONG = 2.0


def find_trigger(translator: Translator, source: str, before: Hypothesis, after: str) -> str:
    """The source words that the changed segment hangs on, by leaving each out in turn.

    The change's weight on a word is how far the log-probability of the segment falls without it: of the
    unwanted segment in the model's output, or of the wanted one where nothing is taken away. Neighbours that
    weigh at least half as much as the heaviest word belong to the trigger.

    Tags at the beginning of the source are never left out. The trigger begins with them: it holds in their direction.

    Raises:
        EditError: if the subword model makes the two one text, as it may with other forms of a letter.
    """
    codec = translator.codec
    if codec.target_text(codec.target(after)) == before.text:
        raise EditError(f"{after!r} is in subwords what the model says already, expected another translation")
    tags = codec.tags(source)
    words = source.split()[len(tags) :]
    wanted = codec.target(after)
    gone = _spans(wanted, before.tokens)
    evidence = (before.tokens, gone) if gone else (wanted, _spans(before.tokens, wanted))
    drops = _drops(translator, tags, words, *evidence)
    found = _strip(_heaviest(words, drops) if drops else " ".join(words))
    return " ".join([*tags, found])


def hangs_elsewhere(
    translator: Translator, source: str, before: Hypothesis, after: str, trigger: str
) -> bool:
    """Whether the wanted segment hangs on another source word than the trigger, and strongly.

    `dog -> police dog` hangs on `police`: it would be wrong wherever there is just a dog. A wanted segment that the
    model hardly knows hangs on nothing much, and is no such case.
    """
    tags = translator.codec.tags(source)
    words = source.split()[len(tags) :]
    wanted = translator.codec.target(after)
    spans = _spans(before.tokens, wanted)
    drops = _drops(translator, tags, words, wanted, spans) if spans else []
    if not drops or max(drops) < _STRONG:
        return False
    return _strip(words[drops.index(max(drops))]) not in _strip(trigger).split()


def _drops(
    translator: Translator, tags: Sequence[str], words: Sequence[str], target: Tensor, spans: Sequence[Tuple[int, int]]
) -> List[float]:
    """How far the log-probability of the target spans falls without each word behind the tags; none for one word."""
    if len(words) < 2:
        return []
    leave_out = [[*words[:i], *words[i + 1 :]] for i in range(len(words))]
    texts = [" ".join([*tags, *kept]) for kept in [words, *leave_out]]
    pairs = [Pair(translator.codec.source(text), target) for text in texts]
    with torch.no_grad():
        batch = translator.batcher.batch(pairs)
        scores = forced_logits(translator.model, batch).log_softmax(-1)
    chosen = scores.gather(2, batch.target.unsqueeze(2)).squeeze(2)
    total = torch.stack([chosen[:, start:stop].sum(1) for start, stop in spans]).sum(0)
    return (total[0] - total[1:]).tolist()


def _spans(old: Tensor, new: Tensor) -> List[Tuple[int, int]]:
    return [(start, stop) for start, stop, *_ in changed_spans(old.tolist(), new.tolist()) if stop > start]


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
