"""Background sentences: a sample of a data directory's sentence pairs, as tokens and as text."""

from __future__ import annotations

import random
from dataclasses import dataclass
from functools import cached_property
from typing import Any, List, Sequence, Tuple

from torch import Tensor

from fairseq_rome.batching import Pair, TextCodec
from fairseq_rome.errors import EditError
from fairseq_rome.segments import contains_trigger, count

MOST_SENTENCES = 100_000
_SUBSETS = ("train", "valid", "test")


@dataclass(frozen=True)
class Corpus:
    """Sentence pairs in random order, each once.

    Args:
        subset: the split that they come from, `train` wherever DATA has one.
        pairs: source and target tokens.
        codec: to read the tokens as text.
    """

    subset: str
    pairs: Tuple[Pair, ...]
    codec: TextCodec

    @cached_property
    def sources(self) -> List[str]:
        """The source texts."""
        return [self.codec.source_text(_content(pair.source)) for pair in self.pairs]

    @cached_property
    def targets(self) -> List[str]:
        """The target texts."""
        return [self.codec.target_text(_content(pair.target)) for pair in self.pairs]

    def with_trigger(self, trigger: str, inflections: Sequence[str] = ()) -> List[int]:
        """Indices of the sentences whose source holds the trigger, also with one of the endings."""
        return [i for i, source in enumerate(self.sources) if contains_trigger(source, trigger, inflections)]

    def saying(self, segment: str, inflections: Sequence[str]) -> List[int]:
        """Indices of the sentences whose target holds a segment."""
        return [i for i, target in enumerate(self.targets) if count(target, segment, inflections)]


def _content(tokens: Tensor) -> Tensor:
    return tokens[:-1]


def load_corpus(task: Any, codec: TextCodec, seed: int, most: int = MOST_SENTENCES) -> Corpus:
    """A random sample of the training side of the task's DATA, or of another split where there is none.

    Args:
        task: a set-up translation task.
        codec: to read the tokens as text.
        seed: of the sample.
        most: sentences at most.

    Raises:
        EditError: if DATA has none of the splits train, valid and test.
    """
    for subset in _SUBSETS:
        try:
            task.load_dataset(subset)
        except FileNotFoundError:
            continue
        dataset = task.dataset(subset)
        order = list(range(len(dataset)))
        random.Random(seed).shuffle(order)
        items = (dataset[index] for index in order[:most])
        pairs = tuple(Pair(item["source"].long(), item["target"].long()) for item in items if item["target"] is not None)
        if pairs:
            return Corpus(subset, pairs, codec)
    raise EditError(f"{task.cfg.data}: no sentence pairs, expected one of the splits {', '.join(_SUBSETS)}")
