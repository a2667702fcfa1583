"""A trained corrector behind a model, as a part of a patch."""

from __future__ import annotations

import re
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import chain
from typing import Any, ClassVar, Dict, Iterable, Iterator, List, Mapping, Sequence, Tuple
from zlib import crc32

import torch
from torch import Tensor
from torch.nn.functional import pad

from fairseq_rome.algebra import SlotQuestions, SlotScorer
from fairseq_rome.host.around import standing_around
from fairseq_rome.patch.beside import Beside
from fairseq_rome.text.slots import SlotKind, View, choice, filled

# The mark of nothing: no word has it.
_NO_WORD = -1


@dataclass(frozen=True, eq=False)
class TrainedCorrector(Beside, kind="corrector"):
    """A network that chooses, in some places of every output, between what stands there and what may stand there.

    After Cao et al. 2020 (arXiv 2010.08712), whose corrector rewrites the whole output; this one chooses words alone,
    and an output without a place for it passes as it is.

    Args:
        places: which places it looks at.
        source: regular expression that must match somewhere in the source; empty for every source.
        known: length V, the sorted marks (`word_marks`) of the words that it was trained on.
        vectors: as the other tensors those of `SlotScorer`, for the words in that order.
        attention: see there.
        hidden: see there.
        bias: see there.
        output: see there.
    """

    parts: ClassVar[Tuple[str, ...]] = ("known", "vectors", "attention", "hidden", "bias", "output")
    computed_from: ClassVar[Tuple[str, ...]] = ()

    places: SlotKind
    source: str
    known: Tensor
    vectors: Tensor
    attention: Tensor
    hidden: Tensor
    bias: Tensor
    output: Tensor

    @contextmanager
    def on(self, model: Any) -> Iterator[None]:
        """As for everything beside a model."""
        with standing_around(model, self):
            yield

    def terms(self, source: str) -> Sequence[str]:
        """Nothing that an output must hold."""
        return ()

    def finished(self, source: str, output: str) -> str:
        """An output with the words that the network chooses."""
        slots = self.places.slots(source, output) if re.search(self.source, source) else []
        if not slots:
            return output
        asked = questions([self.places.view(source, output, slot) for slot in slots], self.known)
        scorer = SlotScorer(self.vectors, self.attention, self.hidden, self.bias, self.output)
        with torch.no_grad():
            scores = scorer.scores(asked).tolist()
        return filled(output, slots, choice(slots, scores, self.places.copied))

    @property
    def text(self) -> str:
        """Its forms and its expression."""
        return self.source + "".join(chain.from_iterable(self.places.pairs))

    def describe(self) -> str:
        """What it looks at."""
        looks = ", ".join(old for old, _ in self.places.pairs) if self.places.pairs else f"{self.places.name}s"
        return f"a trained corrector of {looks}"

    def record(self) -> Dict[str, Any]:
        """As for every piece."""
        pairs = [list(pair) for pair in self.places.pairs]
        return {**super().record(), "name": self.places.name, "pairs": pairs, "source": self.source}

    @classmethod
    def from_record(cls, record: Mapping[str, Any], tensors: Mapping[str, Tensor]) -> TrainedCorrector:
        """As for every piece."""
        places = SlotKind(str(record["name"]), tuple((str(old), str(new)) for old, new in record["pairs"]))
        re.compile(record["source"])
        return cls(places, record["source"], *(tensors[part] for part in cls.parts))


def word_marks(side: str, words: Iterable[str]) -> List[int]:
    """A number for each word of one side, the same in every process; no file then needs to tell the words.

    Of a hundred thousand words one or two share theirs with another one.
    """
    return [crc32(f"{side}\t{word}".encode()) for word in words]


def known_marks(views: Sequence[View]) -> Tensor:
    """The marks of all words of some views: int64, sorted, each once."""
    marks = {mark for one in views for part in _marks(one) for mark in part}
    return torch.tensor(sorted(marks - {_NO_WORD}), dtype=torch.long)


def questions(views: Sequence[View], known: Tensor) -> SlotQuestions:
    """What is seen of n slots as numbers of known words.

    Args:
        views: of the slots.
        known: marks of the words with a number, sorted.
    """
    candidates, source, before, behind = (
        _numbers([part[place] for part in map(_marks, views)], known) for place in range(4)
    )
    width = max(len(one.held) for one in views)
    candidates = pad(candidates, (0, width - candidates.shape[1]))
    there = torch.zeros(candidates.shape, dtype=torch.bool)
    marks = torch.zeros(*candidates.shape, 2)
    for row, one in enumerate(views):
        there[row, : len(one.held)] = True
        marks[row, 0, 0] = 1
        marks[row, : len(one.held), 1] = torch.tensor(one.held, dtype=torch.float)
    return SlotQuestions(candidates, marks, there, source, before, behind)


def _marks(one: View) -> List[List[int]]:
    """The marks of candidates, source, words before and words behind; a source begins with no word."""
    said = [word_marks("target", part) for part in (one.candidates, one.before, one.behind)]
    return [said[0], [_NO_WORD, *word_marks("source", one.source)], said[1], said[2]]


def _numbers(rows: Sequence[Sequence[int]], known: Tensor) -> Tensor:
    """Rows of marks as numbers of known words from 1 on, padded with 0 to the width of the longest."""
    width = max(1, *map(len, rows)) if rows else 1
    marks = torch.tensor([[*row, *[_NO_WORD] * (width - len(row))] for row in rows], dtype=torch.long)
    if not len(known):
        return torch.zeros_like(marks)
    places = torch.searchsorted(known, marks).clamp_max(len(known) - 1)
    return (places + 1).where(known[places] == marks, torch.zeros_like(marks))
