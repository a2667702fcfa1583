"""Strings that the training side has for many different sources, and for which a source gives no cause."""

from __future__ import annotations

import re
from collections import Counter
from typing import Dict, Iterable, List, Optional, Sequence, Set, Tuple

from fairseq_rome.text.checkers.repetition import words

_Passage = Tuple[str, ...]

# Words of a passage that is looked for within a sentence; shorter ones are common phrases.
_LENGTH = 6
# Words from which on a whole sentence is looked for.
_SHORTEST_SENTENCE = 3
_SENTENCES = re.compile(r"[.!?;]+(?=\s|$)")
# Different training sources that make a passage a memorised one.
_SOURCES = 5
# A source word is a cause for a passage if this share of the passage's sources hold it, and if that is this many times
# the share among all sources.
_SHARE, _LIFT = 0.15, 2.0
# Letters at the beginning of a word that its inflections share.
_STEM = 5


class Memory:
    """The training side, searched for passages of outputs.

    Args:
        training: source and target texts.
    """

    def __init__(self, training: Sequence[Tuple[str, str]]) -> None:
        self._training = training
        self._frequency: Counter[str] = Counter()
        for source, _ in training:
            self._frequency.update(_stems(source))

    def memorised(self, pairs: Sequence[Tuple[str, str]]) -> List[Optional[str]]:
        """For each source and output a memorised passage of the output, or None.

        A passage is memorised if at least five different sources of the training side have it in their targets,
        and none of the words that these sources share stands in the source at hand.
        """
        passages = [_passages(output) for _, output in pairs]
        sources = self._sources({passage for each in passages for passage in each})
        causes = {
            passage: self._causes(found) for passage, found in sources.items() if len(found) >= _SOURCES
        }
        return [
            next(
                (
                    " ".join(passage)
                    for passage in each
                    if passage in causes and causes[passage].isdisjoint(_stems(source))
                ),
                None,
            )
            for (source, _), each in zip(pairs, passages)
        ]

    def _sources(self, wanted: Set[_Passage]) -> Dict[_Passage, Set[str]]:
        found: Dict[_Passage, Set[str]] = {}
        for source, target in self._training if wanted else ():
            for passage in wanted.intersection(_passages(target)):
                found.setdefault(passage, set()).add(source)
        return found

    def _causes(self, sources: Iterable[str]) -> Set[str]:
        """Source words that go with a passage."""
        each = [_stems(source) for source in sources]
        shared = Counter(word for found in each for word in found)
        usual = {word: self._frequency[word] / len(self._training) for word in shared}
        return {
            word
            for word, times in shared.items()
            if times > 1 and times / len(each) >= max(_SHARE, _LIFT * usual[word])
        }


def _stems(text: str) -> Set[str]:
    return {word[:_STEM] for word in words(text)}


def _passages(text: str) -> List[_Passage]:
    """The sentences of a text, and every passage of it that is long enough."""
    sentences = [tuple(words(sentence)) for sentence in _SENTENCES.split(text)]
    found = [sentence for sentence in sentences if len(sentence) >= _SHORTEST_SENTENCE]
    every = words(text)
    return found + [tuple(every[at : at + _LENGTH]) for at in range(len(every) - _LENGTH + 1)]
