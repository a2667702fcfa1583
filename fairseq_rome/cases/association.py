"""How source and target segments go together over the sentences of a training side."""

from __future__ import annotations

from typing import Callable, Dict, FrozenSet, Tuple

from fairseq_rome.host.corpus import Corpus

# Sentence pairs from which a training side knows the words of its language well enough to tell what is none.
_KNOWS_WORDS = 10_000


class Association:
    """Counts of sentences, taken from the text of a corpus and remembered.

    Args:
        corpus: sentence pairs.
    """

    def __init__(self, corpus: Corpus) -> None:
        self.corpus = corpus
        self._sources: Dict[Tuple[str, ...], FrozenSet[int]] = {}
        self._targets: Dict[Tuple[str, ...], FrozenSet[int]] = {}

    def __len__(self) -> int:
        return len(self.corpus.pairs)

    def with_source(self, *forms: str) -> FrozenSet[int]:
        """Indices of the sentences whose source holds a segment in one of its forms, in any case."""
        if forms not in self._sources:
            self._sources[forms] = frozenset(self.corpus.with_trigger(forms))
        return self._sources[forms]

    def with_target(self, *forms: str) -> FrozenSet[int]:
        """Indices of the sentences whose target holds a segment in one of its forms."""
        if forms not in self._targets:
            self._targets[forms] = frozenset(self.corpus.saying(forms))
        return self._targets[forms]

    def target(self, index: int) -> str:
        """The text of one target side."""
        return self.corpus.targets[index]

    def dice(self, source: Tuple[str, ...], target: Tuple[str, ...]) -> float:
        """Dice's coefficient of a source and a target segment, each in its forms: 1 where they only stand together."""
        ours, theirs = self.with_source(*source), self.with_target(*target)
        return 2 * len(ours & theirs) / max(len(ours) + len(theirs), 1)

    def share(self, target: str, source: Tuple[str, ...]) -> float:
        """The share of the sentences with a source segment whose target holds a target segment."""
        ours = self.with_source(*source)
        return len(ours & self.with_target(target)) / max(len(ours), 1)

    def purity(self, target: str, source: Tuple[str, ...]) -> float:
        """The share of the sentences with a target segment whose source holds a source segment."""
        theirs = self.with_target(target)
        return len(theirs & self.with_source(*source)) / max(len(theirs), 1)

    def frequency(self, target: str) -> float:
        """The share of all sentences whose target holds a segment."""
        return len(self.with_target(target)) / max(len(self), 1)


def word_check(corpus: Corpus) -> Callable[[str], bool]:
    """Tells whether a word of the target language is one: whether the training side has it.

    A small training side lacks many words, so that with it every word is one.
    """
    if len(corpus.pairs) < _KNOWS_WORDS:
        return lambda word: True
    return lambda word: bool(corpus.saying((word, word.lower())))
