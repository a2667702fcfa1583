"""The task `hallucination`: oscillating, detached and memorised output."""

from __future__ import annotations

import re
from collections import defaultdict
from typing import Dict, List, Optional, Sequence, Set, Tuple

from fairseq_rome.text.characters import WIDE
from fairseq_rome.text.checkers.checker import Observation
from fairseq_rome.text.checkers.memorised import Memory
from fairseq_rome.text.checkers.repetition import oscillation, words
from fairseq_rome.text.languages.profile import profile_of

# Least training pairs whose own ratios of lengths set the range; fewer are too few to tell an outlier.
_LEAST_PAIRS = 1000
# Share of the training pairs that is cut off on either side: a corpus has wrong pairs, and they are the longest.
_OUTLIERS = 0.001
# Factor on both ends of the range; a larger one finds fewer faults and raises fewer false alarms.
_MARGIN = 1.25
# Ratios of lengths that count as right without training pairs.
_USUAL_RANGE = (0.4, 2.5)
# Characters that are added to both sides, because the ratio of two short sentences says little.
_SMOOTHING = 10
_WIDE = re.compile(f"[{WIDE}]")
# Least words of an output that is wrong for unrelated sources; a shorter one, such as `Yes.`, may be right for all.
_SHORTEST_SHARED = 3
# Sources without a common content word that make one output a fault.
_UNRELATED_SOURCES = 3
# Letters at the beginning of a word that its inflections share.
_STEM = 4


class HallucinationChecker:
    """The output repeats itself, is far too long or short, or has nothing to do with its source.

    An output without words is a fault. Otherwise there are four signs, and the first that is found is told: the output
    repeats a passage and the source does not; the ratio of lengths is more than a quarter beyond that of 99.8 % of the
    training pairs (without a thousand pairs: beyond 0.4 to 2.5); three sources that share no content word have one
    output of three words or more; the output holds a string that the training side has for five sources or more, and
    this source shares nothing with them.

    Args:
        source_lang: code of the source language, for its function words.
        training: source and target texts of the training side.
    """

    name = "hallucination"

    def __init__(self, source_lang: str, training: Sequence[Tuple[str, str]] = ()) -> None:
        self._function_words = profile_of(source_lang).function_words
        self._memory = Memory(training)
        self._range = _length_range(training)

    def check(self, observations: Sequence[Observation]) -> List[Optional[str]]:
        """For each observation what is wrong in a few words, or None."""
        shared = self._shared(observations)
        memorised = self._memory.memorised([(seen.source, seen.output) for seen in observations])
        faults: List[Optional[str]] = []
        for seen, passage in zip(observations, memorised):
            fault = self._own_fault(seen)
            if fault is None and shared.get(tuple(words(seen.output)), 0) >= _UNRELATED_SOURCES:
                fault = "says the same for unrelated sources"
            if fault is None and passage is not None:
                fault = f"says {passage!r} from memory"
            faults.append(fault)
        return faults

    def _own_fault(self, seen: Observation) -> Optional[str]:
        """What source and output show without other sentences."""
        if not words(seen.source):
            return None
        if not words(seen.output):
            return "has no words"
        repeated = oscillation(seen.source, seen.output)
        if repeated is not None:
            return f"repeats {repeated!r}"
        low, high = self._range
        ratio = _ratio(seen.source, seen.output)
        return None if low <= ratio <= high else f"length ratio {ratio:.2f}, expected {low:.2f} to {high:.2f}"

    def _shared(self, observations: Sequence[Observation]) -> Dict[Tuple[str, ...], int]:
        """For each output how many sources it has that share no content word with one another."""
        sources: Dict[Tuple[str, ...], Set[str]] = defaultdict(set)
        for seen in observations:
            output = tuple(words(seen.output))
            if len(output) >= _SHORTEST_SHARED:
                sources[output].add(seen.source)
        return {output: self._unrelated(found) for output, found in sources.items()}

    def _unrelated(self, sources: Set[str]) -> int:
        if len(sources) < _UNRELATED_SOURCES:
            return len(sources)
        taken: List[Set[str]] = []
        for source in sorted(sources):
            stems = {word[:_STEM] for word in words(source) if word not in self._function_words}
            if all(stems.isdisjoint(other) for other in taken):
                taken.append(stems)
        return len(taken)


def _size(text: str) -> int:
    """The length of a text in characters, where a wide character counts as three."""
    return len(text.strip()) + 2 * len(_WIDE.findall(text))


def _ratio(source: str, output: str) -> float:
    return (_size(output) + _SMOOTHING) / (_size(source) + _SMOOTHING)


def _length_range(training: Sequence[Tuple[str, str]]) -> Tuple[float, float]:
    if len(training) < _LEAST_PAIRS:
        return _USUAL_RANGE
    ratios = sorted(_ratio(source, target) for source, target in training)
    cut = int(len(ratios) * _OUTLIERS)
    return ratios[cut] / _MARGIN, ratios[-1 - cut] * _MARGIN
