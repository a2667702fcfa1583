"""Sentences on which an edit of one term is easily wrong, and random words for its controls; from raw text alone."""

from __future__ import annotations

import gzip
import random
import re
from collections import Counter
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Dict, Iterator, List, Sequence, Set, Tuple

from correction_judge import Correction

from fairseq_rome.text.segments import Difference, correct
from fairseq_rome.text.words import contains_trigger, count, words

SPLITS = ("test_2016_flickr", "test_2017_flickr", "test_2018_flickr", "test_2017_mscoco", "val", "train")
# Candidates of a kind that are decoded for a term, of which only those count whose output fits.
_MOST = 40
# A neighbour makes another sense of the trigger where it stands with it so often, and at most this share of the
# references then says the unwanted word.
_SEEN, _SELDOM = 5, 0.1
# A wanted noun or a wrong trigger is as frequent as this: known to the model, and in no large part of all sentences.
_FREQUENT = range(60, 2000)
# The model hardly ever denies a thing, for 15 sentences of the corpus say `kein`. These it says with `nicht`, and the
# term with them, about half of the time.
_DENIALS = ("and does not want to look", "while someone else is not")
_NEGATIONS = re.compile(r"\b(?:nicht|nichts|nie|niemals|ohne|weder|kein(?:e[nmrs]?)?)\b", re.IGNORECASE)

Pair = Tuple[str, str]


def read_pairs(folder: Path) -> List[Pair]:
    """The sentences of Multi30k with their references, those that the model was not trained on first."""
    found: Dict[str, str] = {}
    for split in SPLITS:
        sides = [
            gzip.decompress((folder / f"{split}.{language}.gz").read_bytes()).decode("utf-8").split("\n")
            for language in ("en", "de")
        ]
        for source, target in zip(*sides):
            if source.strip():
                found.setdefault(source.strip(), target.strip())
    return list(found.items())


def negations(output: str) -> Set[str]:
    """The words by which an output negates, without their endings."""
    return {re.sub("^kein.*", "kein", one.lower()) for one in _NEGATIONS.findall(output)}


@dataclass(frozen=True)
class HardNegatives:
    """The candidates of one term.

    Args:
        correction: the request, with its probes.
        pairs: sentences with their references that may be taken.
        seed: of what is random.
    """

    correction: Correction
    pairs: Sequence[Pair]
    seed: int = 1

    @property
    def trigger(self) -> str:
        """The source word of the request."""
        return str(self.correction.record["trigger"])

    @property
    def _random(self) -> random.Random:
        return random.Random(f"{self.seed} {self.correction.id}")

    def _said(self, target: str) -> bool:
        return self.correction.concerned(target)

    def _asked(self, source: str) -> bool:
        return contains_trigger(source, (self.trigger, *self._plurals))

    @property
    def _plurals(self) -> List[str]:
        stem = self.trigger[:-1]
        return [f"{self.trigger}s", f"{self.trigger}es", *([f"{stem}ies"] if self.trigger.endswith("y") else [])]

    @cached_property
    def other_words(self) -> List[str]:
        """Sources in which another word gives the unwanted one, by their references."""
        found = (source for source, target in self.pairs if self._said(target) and not self._mentioned(source))
        return [source for source, _ in zip(found, range(_MOST))]

    def _mentioned(self, source: str) -> bool:
        return self.trigger.lower() in source.lower() or self._asked(source)

    @cached_property
    def other_senses(self) -> List[str]:
        """Sources with the trigger in a longer word, or beside one with which it hardly ever is the unwanted word."""
        free = [(source, target) for source, target in self.pairs if not self._said(target)]
        inside = [source for source, _ in free if self._mentioned(source) and not self._asked(source)]
        seen: Counter[str] = Counter()
        said: Counter[str] = Counter()
        beside: Dict[str, List[str]] = {}
        for source, target in self.pairs:
            for couple in set(self._couples(source)):
                seen[couple] += 1
                said[couple] += self._said(target)
                beside.setdefault(couple, []).append(source)
        senses = [couple for couple in seen if seen[couple] >= _SEEN and said[couple] <= _SELDOM * seen[couple]]
        compound = dict.fromkeys(source for couple in senses for source in beside[couple])
        without = {source for source, _ in free}
        half = _MOST // 2
        return inside[:half] + [source for source in compound if source in without][:half]

    def _couples(self, source: str) -> Iterator[str]:
        """The trigger with the word before it, and with the word behind it."""
        said = [word.lower() for word in words(source)]
        for first, second in zip(said, said[1:]):
            # The plural has other forms of the unwanted word, and would be taken for another sense.
            if self.trigger.lower() in (first, second) and (first + second).isalpha():
                yield f"{first} {second}"

    @cached_property
    def negated(self) -> List[str]:
        """Probes with a negation behind them."""
        probes = [probe.rstrip(" .") for probe in self.correction.probes]
        return [f"{probe} {denial}." for denial in _DENIALS for probe in probes[: _MOST // len(_DENIALS)]]

    @cached_property
    def random_word(self) -> str:
        """A frequent noun of the training side that has nothing to do with the request."""
        seen = Counter(
            word for _, target in self.pairs for word in words(target)[1:] if word[:1].isupper() and word.isalpha()
        )
        record = self.correction.record
        taken = {word.lower() for name in ("before", "target", "wanted") for word in words(record[name])}
        known = sorted(word for word, times in seen.items() if times in _FREQUENT and word.lower() not in taken)
        return self._random.choice(known)

    @cached_property
    def wrong_trigger(self) -> str:
        """A word of the request's source that has nothing to do with the unwanted word; empty if there is none."""
        fit = []
        for word in dict.fromkeys(words(self.correction.record["source"])):
            if word.islower() and word.isalpha() and len(word) > 3 and not self._asked(word):
                held = [target for source, target in self._with(word)]
                if len(held) in _FREQUENT and sum(map(self._said, held)) <= _SELDOM * len(held):
                    fit.append(word)
        return self._random.choice(fit) if fit else ""

    def _with(self, word: str) -> List[Pair]:
        """Sentences with a word and without the trigger; first those whose references say the unwanted word."""
        held = [pair for pair in self.pairs if contains_trigger(pair[0], word) and not self._mentioned(pair[0])]
        return sorted(held, key=lambda pair: not self._said(pair[1]))

    @cached_property
    def wrong_probes(self) -> List[str]:
        """Sources with the wrong trigger alone, on which a request that names it is judged."""
        return [source for source, _ in self._with(self.wrong_trigger)[:_MOST]] if self.wrong_trigger else []

    @cached_property
    def wrong_contexts(self) -> List[str]:
        """Further ones, as its context sentences."""
        return [source for source, _ in self._with(self.wrong_trigger)[_MOST:]] if self.wrong_trigger else []

    @property
    def hidden(self) -> List[str]:
        """All that judges, so that no edit may learn from it."""
        return [*self.other_words, *self.other_senses, *self.negated, *self.wrong_probes, *self.correction.probes]

    def with_random_word(self) -> Correction:
        """The request with the random noun as what is wanted."""
        record = self.correction.record
        difference = Difference(record["unwanted"], self.random_word)
        target = correct(record["before"], difference, self.correction.endings)
        changed = {**record, "wanted": self.random_word, "target": target, "id": f"{record['id']}-word"}
        return Correction(changed, self.correction.language)

    def with_wrong_trigger(self) -> Correction:
        """The request with the wrong trigger, and probes and contexts that hold it."""
        changed = {
            **self.correction.record, "trigger": self.wrong_trigger, "contexts": self.wrong_contexts,
            "probes": [{"source": source} for source in self.wrong_probes], "id": f"{self.correction.id}-trigger",
        }  # fmt: skip
        return Correction(changed, self.correction.language)


def says(output: str, correction: Correction) -> bool:
    """Whether an output says the unwanted or the wanted word."""
    return count(output, (correction.difference.unwanted, correction.difference.wanted), correction.endings) > 0
