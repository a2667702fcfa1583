"""The task `term`: one lexical choice."""

from __future__ import annotations

from typing import List, Optional, Sequence

from fairseq_rome.text.checkers.checker import Observation
from fairseq_rome.text.segments import Endings, holds
from fairseq_rome.text.words import count


class TermChecker:
    """The wanted segment stands in the output with one of its endings, and the unwanted one does not.

    As `fairseq_rome.text.segments.holds` decides: the unwanted segment may stay where the right translation has it too,
    and where it is a part of the wanted one. An observation without a difference has no fault.
    """

    name = "term"

    def __init__(self, source_lang: str, target_lang: str) -> None:
        self._endings = Endings.of(source_lang, target_lang).target

    def check(self, observations: Sequence[Observation]) -> List[Optional[str]]:
        """For each observation what is wrong in a few words, or None."""
        return [self._fault(observation) for observation in observations]

    def _fault(self, seen: Observation) -> Optional[str]:
        difference = seen.difference
        if difference is None:
            return None
        # Without a right translation the wanted segment alone is what the output should hold.
        target = difference.wanted if seen.target is None else seen.target
        if holds(seen.output, target, difference, self._endings):
            return None
        wanted, unwanted = difference.wanted, difference.unwanted
        says = f"says {unwanted!r}" if unwanted and count(seen.output, unwanted, self._endings) else ""
        if wanted and not (says and count(seen.output, wanted, self._endings)):
            return f"{says}, lacks {wanted!r}".lstrip(", ")
        return says
