"""The same change in several requests of one edit file, which speaks for carrying it to other sentences too."""

from __future__ import annotations

from typing import Dict, Iterable, List, Tuple

from fairseq_rome.cases.forms import inflects
from fairseq_rome.cases.hunk_reading import Reading, Sides


class SameChanges:
    """Which requests of an edit file make one choice: one word for another, of one trigger, each in any of its forms.

    Args:
        sides: the languages, and the training side.
        choices: sources of requests, each with a hunk of it that hangs on a trigger.
    """

    def __init__(self, sides: Sides, choices: Iterable[Tuple[str, Reading]] = ()) -> None:
        self._sides = sides
        self._by_trigger: Dict[str, List[Tuple[str, Reading]]] = {}
        for source, reading in choices:
            self._by_trigger.setdefault(self._key(reading), []).append((source, reading))

    def sources(self, reading: Reading) -> Tuple[str, ...]:
        """The sources of the requests that make the choice of a hunk, in their order; each once."""
        alike = self._by_trigger.get(self._key(reading), ())
        return tuple(dict.fromkeys(source for source, other in alike if self._is_same(reading, other)))

    def alike(self, source: str) -> Tuple[str, ...]:
        """The sources of all requests that make any choice of the request with a source, each once, its own too."""
        own = [reading for made in self._by_trigger.values() for known, reading in made if known == source]
        return tuple(dict.fromkeys(one for reading in own for one in self.sources(reading)))

    def _key(self, reading: Reading) -> str:
        """One form of the trigger that stands for all of them."""
        return min(form.lower() for form in self._sides.forms(reading.trigger))

    def _is_same(self, reading: Reading, other: Reading) -> bool:
        pairs = ((reading.unwanted, other.unwanted), (reading.wanted, other.wanted))
        return all(self._is_form(*pair) for pair in pairs)

    def _is_form(self, segment: str, other: str) -> bool:
        """Whether two target segments are forms of one; a capital at the beginning may be that of the sentence."""
        one, two = (text[:1].lower() + text[1:] for text in (segment, other))
        return one == two or inflects(segment, other, self._sides.target)
