"""The whole of a large split: sentences with a term are found in it that a sample of it lacks."""

from __future__ import annotations

import math
import random
from dataclasses import dataclass, field
from itertools import islice
from typing import Any, Callable, Dict, Iterable, Iterator, List, Tuple

from fairseq_rome.host.batches import Pair
from fairseq_rome.host.codec import TextCodec, content
from fairseq_rome.host.pairs import items_of
from fairseq_rome.host.term_search import Term, TermSearch
from fairseq_rome.host.token_files import TokenFile

# Sentences that are read as text for a term, most of which only seem to hold it; 50,000 take about two seconds.
_MOST_READ = 50_000
_AT_A_TIME = 1000


@dataclass(frozen=True, eq=False)
class WholeSide:
    """All pairs of a split.

    Args:
        split: as the adapter loads it.
        files: of its sources and of its targets.
        codec: to read tokens as text.
    """

    split: Any
    files: Tuple[TokenFile, TokenFile]
    codec: TextCodec
    _searches: Dict[bool, TermSearch] = field(default_factory=dict, init=False, repr=False)

    def __len__(self) -> int:
        return len(self.split)

    def find(self, term: Term, shows: Callable[[str], Any], in_target: bool, most: int) -> List[Pair]:
        """Pairs with a term, in the order of the split; all of them unless they are many.

        Args:
            term: what to look for.
            shows: whether a text holds them as it is meant.
            in_target: look at the targets instead of the sources.
            most: pairs at most. Where there are more candidates than can be read, some by chance are.
        """
        adapter = self.codec.adapter
        dictionary = adapter.target_dictionary if in_target else adapter.source_dictionary
        search = self._searches.setdefault(in_target, TermSearch(self.codec, dictionary))
        candidates = search.sentences(self.files[in_target], term).tolist()
        if len(candidates) > _MOST_READ:
            candidates = sorted(random.Random(len(candidates)).sample(candidates, _MOST_READ))
        read = self.codec.target_text if in_target else self.codec.source_text
        fit = fitting_pairs(self.codec, items_of(self.split, candidates, _AT_A_TIME))
        sides = ((pair, pair.target if in_target else pair.source) for pair in fit)
        return list(islice((pair for pair, side in sides if shows(read(content(side, dictionary)))), most))


def fitting_pairs(codec: TextCodec, items: Iterable[Any]) -> Iterator[Pair]:
    """The items of a split that have a target and are no longer than the task takes.

    Args:
        codec: of the task.
        items: as the split holds them.
    """
    longest = [math.inf if limit is None else limit for limit in codec.adapter.max_positions]
    for source, target in map(codec.adapter.pair, items):
        # The length of a tensor, asked for as `len`, takes five times as long: of a large split a second.
        if target is not None and source.numel() <= longest[0] and target.numel() <= longest[1]:
            yield Pair(source, target)
