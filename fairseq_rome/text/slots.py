"""Slots: places of an output that may be wrong, each with the words that may stand there. Text alone, without a model.

Of a term a form of the unwanted segment may be wrong, and the wanted form that belongs to it may take its place. Of
what is copied from a source, a number or a name, one that the source lacks may be wrong, and one that the source holds
and the output lacks may take its place.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Iterator, List, NamedTuple, Sequence, Set, Tuple

from fairseq_rome.text.segments import Difference
from fairseq_rome.text.words import WORD, pattern, words

TERM, NUMBER, NAME = "term", "number", "name"
"""What slots are for."""

_NUMBER = re.compile(r"\d+(?:[.,'’]\d+)*")
# Behind these a word is capitalised whatever it is.
_BEGINS = ".!?:;\"'«»„“”‚‘’([¿¡-–—*"
# Words on either side of a slot that are looked at. More tell more of the sentence, and are learnt by heart sooner.
_BESIDE = 3


@dataclass(frozen=True)
class Slot:
    """A place of an output.

    Args:
        start: its first character.
        stop: the character behind it.
        candidates: what may stand there; the first one is what stands there now.
    """

    start: int
    stop: int
    candidates: Tuple[str, ...]


class View(NamedTuple):
    """What is to be seen of a slot, all words in lower case.

    Args:
        candidates: what may stand there; of what is copied that alone which does stand there.
        held: of each candidate whether the source holds it, letter by letter.
        source: the words of the source.
        before: the words before the slot, the nearest last.
        behind: the words behind it.
    """

    candidates: Tuple[str, ...]
    held: Tuple[bool, ...]
    source: Tuple[str, ...]
    before: Tuple[str, ...]
    behind: Tuple[str, ...]


@dataclass(frozen=True)
class SlotKind:
    """Which places are slots.

    Args:
        name: `TERM`, `NUMBER` or `NAME`.
        pairs: of a term each unwanted form with the wanted one that belongs to it.
    """

    name: str
    pairs: Tuple[Tuple[str, str], ...] = ()

    @classmethod
    def of(cls, difference: Difference, source: str, target: str) -> SlotKind:
        """That of a request.

        Args:
            difference: its segments.
            source: its source.
            target: what it wants to be said.
        """
        for name in (NUMBER, NAME):
            kind = cls(name)
            held, said = ({match.group() for match in kind.copies(text)} for text in (source, target))
            old = _NUMBER.fullmatch(difference.unwanted) if name == NUMBER else difference.unwanted[:1].isupper()
            if old and difference.wanted in held & said:
                return kind
        return cls(TERM, tuple(difference.pairs.items()))

    @property
    def copied(self) -> bool:
        """Whether candidates are words of the source."""
        return self.name != TERM

    def slots(self, source: str, output: str) -> List[Slot]:
        """The slots of an output, in their order."""
        if not self.copied:
            return list(self._terms(output))
        held, said = ({_bare(match.group()): match.group() for match in self.copies(text)} for text in (source, output))
        missing = tuple(held[one] for one in held if one not in said)
        known = {_bare(word) for word in words(source)}
        places = [match for match in self.copies(output) if _bare(match.group()) not in known] if missing else []
        return [Slot(match.start(), match.end(), (match.group(), *missing)) for match in places]

    def _terms(self, output: str) -> Iterator[Slot]:
        wanted = dict(self.pairs)
        # A wanted form may hold an unwanted one, which then is right.
        for match in pattern((*wanted, *wanted.values())).finditer(output):
            found = " ".join(match.group().split())
            if found in wanted:
                yield Slot(match.start(), match.end(), (match.group(), wanted[found]))

    def copies(self, text: str) -> List[re.Match[str]]:
        """The words of a text that may be copied: numbers in digits, or capitalised words within a sentence."""
        found, before = [], ""
        for match in WORD.finditer(text):
            word = match.group()
            fits = _NUMBER.fullmatch(word) if self.name == NUMBER else word[:1].isupper() and before not in _BEGINS
            found += [match] if fits else []
            before = word
        return found

    def view(self, source: str, output: str, slot: Slot) -> View:
        """What is to be seen of a slot of an output."""
        held = set(words(source))
        before, behind = words(output[: slot.start].lower()), words(output[slot.stop :].lower())
        # Which number or name a source holds is not to be learnt by heart.
        named = slot.candidates[:1] if self.copied else slot.candidates
        return View(
            tuple(one.lower() for one in named), tuple(one in held for one in slot.candidates),
            tuple(_parts(source)), tuple(before[-_BESIDE:]), tuple(behind[:_BESIDE]),
        )  # fmt: skip


def _bare(word: str) -> str:
    """A number without what stands between its digits, which languages write differently; any other word as it is."""
    return re.sub(r"\D", "", word) if _NUMBER.fullmatch(word) else word


def _parts(text: str) -> List[str]:
    """The words of a text in lower case, in the parts that hyphens and apostrophes make: a trigger may be one."""
    return [part for word in words(text.lower()) for part in re.split(r"[-'’]", word) if part]


def filled(output: str, slots: Sequence[Slot], chosen: Sequence[int]) -> str:
    """An output with one candidate in each of its slots.

    Args:
        output: the output.
        slots: in their order.
        chosen: the number of the candidate for each.
    """
    for slot, number in zip(reversed(slots), reversed(chosen)):
        output = output[: slot.start] + slot.candidates[number] + output[slot.stop :]
    return output


def choice(slots: Sequence[Slot], scores: Sequence[Sequence[float]], once: bool) -> List[int]:
    """The number of the best candidate of each slot, the first one where several are as good.

    Args:
        slots: in their order.
        scores: of each slot's candidates.
        once: a candidate takes the place of one word at most; what stands in a later slot then stays.
    """
    found: List[int] = []
    given: Set[str] = set()
    for slot, row in zip(slots, scores):
        best = max(range(len(slot.candidates)), key=lambda number: row[number])
        taken = once and slot.candidates[best] in given
        found.append(0 if taken else best)
        given.update(slot.candidates[best : best + 1] if best else ())
    return found
