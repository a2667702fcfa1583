"""The observations that checkers judge, and the protocol that all checkers follow."""

from __future__ import annotations

from dataclasses import dataclass
from typing import List, Optional, Protocol, Sequence

from fairseq_rome.text.segments import Difference


@dataclass(frozen=True)
class Observation:
    """A sentence with what a model says for it.

    Args:
        source: source text.
        output: what the model says.
        difference: the unwanted and the wanted segment, for the task `term`.
        target: a right translation, if one is known.
    """

    source: str
    output: str
    difference: Optional[Difference] = None
    target: Optional[str] = None


class Checker(Protocol):
    """Judges outputs under one of the editing tasks; reads text alone."""

    name: str

    def check(self, observations: Sequence[Observation]) -> List[Optional[str]]:
        """For each observation what is wrong in a few words, or None."""
