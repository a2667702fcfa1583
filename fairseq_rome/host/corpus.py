"""Background sentences: a sample of a data directory's sentence pairs, as tokens and as text."""

from __future__ import annotations

import hashlib
import random
from dataclasses import dataclass
from functools import cached_property
from itertools import islice
from typing import Any, Collection, Iterable, Iterator, List, Sequence, Set, Tuple

from fairseq_rome.errors import EditError
from fairseq_rome.host.adapters.base import TaskAdapter
from fairseq_rome.host.batches import Pair
from fairseq_rome.host.codec import TextCodec, content
from fairseq_rome.text.words import Segments, contains_trigger, pattern

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
        dictionary = self.codec.adapter.source_dictionary
        return [self.codec.source_text(content(pair.source, dictionary)) for pair in self.pairs]

    @cached_property
    def targets(self) -> List[str]:
        """The target texts."""
        dictionary = self.codec.adapter.target_dictionary
        return [self.codec.target_text(content(pair.target, dictionary)) for pair in self.pairs]

    @cached_property
    def fingerprint(self) -> str:
        """SHA-256, in hexadecimal, of all tokens in their order."""
        digest = hashlib.sha256()
        for pair in self.pairs:
            digest.update(pair.source.numpy().tobytes() + b"\t" + pair.target.numpy().tobytes() + b"\n")
        return digest.hexdigest()

    @cached_property
    def _lowered(self) -> Tuple[List[str], List[str]]:
        """The texts of both sides in lower case, to look for words in before patterns are tried."""
        return [text.lower() for text in self.sources], [text.lower() for text in self.targets]

    def without(self, sources: Iterable[str]) -> Corpus:
        """The corpus without some sources, compared as the model reads them."""
        hidden = {tuple(self.codec.source(source).tolist()) for source in sources}
        kept = (pair for pair in self.pairs if tuple(pair.source.tolist()) not in hidden)
        return Corpus(self.subset, tuple(kept), self.codec) if hidden else self

    def with_trigger(self, trigger: Segments, endings: Sequence[str] = ()) -> List[int]:
        """Indices of the sentences whose source holds the trigger, or one of several, also with one of the endings."""
        return self._holding(0, trigger, tuple(endings))

    def without_triggers(self, triggers: Collection[str], most: int) -> List[str]:
        """Source texts, each once, that hold none of some triggers: from the end, which statistics reach last."""
        free = (
            source
            for source in dict.fromkeys(reversed(self.sources))
            if not any(contains_trigger(source, trigger) for trigger in triggers)
        )
        return list(islice(free, most))

    def saying(self, segment: Segments, endings: Sequence[str] = ()) -> List[int]:
        """Indices of the sentences whose target holds a segment, or one of several, also with one of the endings."""
        return self._holding(1, segment, tuple(endings))

    def _holding(self, side: int, segments: Segments, endings: Tuple[str, ...]) -> List[int]:
        """Indices of the sentences that hold one of some segments; on the source side (0) in any case."""
        several = (segments,) if isinstance(segments, str) else segments
        filled = tuple(one for one in several if one.strip())
        likely = _likely(self._lowered[side], filled)
        if side == 0:
            return [index for index in likely if contains_trigger(self.sources[index], filled, endings)]
        found = pattern(filled, endings)
        return [index for index in likely if found.search(self.targets[index])]


def _likely(texts: Sequence[str], segments: Sequence[str]) -> List[int]:
    """Indices of the texts, in lower case, that hold all words of one of the segments, be it as parts of others."""
    found: Set[int] = set()
    for segment in segments:
        first, *others = segment.lower().split()
        holding = [index for index, text in enumerate(texts) if first in text]
        found.update(index for index in holding if all(word in texts[index] for word in others))
    return sorted(found)


def load_corpus(codec: TextCodec, seed: int, most: int = MOST_SENTENCES) -> Corpus:
    """A random sample of the training side of the task's DATA, or of another split where there is none.

    Args:
        codec: of the task, to read the tokens as text.
        seed: of the sample.
        most: sentences at most.

    Raises:
        EditError: if DATA has none of the splits train, valid and test.
    """
    for subset in _SUBSETS:
        split = codec.adapter.load_split(subset)
        if split is None:
            continue
        order = list(range(len(split)))
        random.Random(seed).shuffle(order)
        pairs = tuple(islice(_pairs(codec.adapter, (split[index] for index in order)), most))
        if pairs:
            return Corpus(subset, pairs, codec)
    raise EditError(f"{codec.adapter.data}: no sentence pairs, expected one of the splits {', '.join(_SUBSETS)}")


def validation_pairs(corpus: Corpus, most: int = 512) -> Tuple[Pair, ...]:
    """Pairs to watch a model's loss on: the validation side of DATA, or the end of the corpus where there is none.

    Args:
        corpus: background sentences.
        most: pairs at most.
    """
    adapter = corpus.codec.adapter
    split = adapter.load_split("valid")
    if split is None:
        return corpus.pairs[-most:]
    return tuple(islice(_pairs(adapter, (split[index] for index in range(len(split)))), most))


def _pairs(adapter: TaskAdapter, items: Iterable[Any]) -> Iterator[Pair]:
    """The items that have a target and are no longer than the task takes."""
    limits = adapter.max_positions
    for source, target in map(adapter.pair, items):
        if target is None:
            continue
        if all(limit is None or len(side) <= limit for limit, side in zip(limits, (source, target))):
            yield Pair(source, target)
