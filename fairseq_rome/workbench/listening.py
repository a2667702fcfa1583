"""What is told of long work while it goes on."""

from __future__ import annotations

from typing import Sequence

from fairseq_rome.editing.outcome import Outcome, Result
from fairseq_rome.report import Report


class Listener:
    """Is told each thing as soon as it is known; a front end overrides what it wants to show."""

    def note(self, text: str) -> None:
        """Anything that the user should know, as a sentence."""

    def result(self, result: Result) -> None:
        """One request is done; it may be told again when it is judged with all others."""

    def outcome(self, outcome: Outcome) -> None:
        """All requests are done."""

    def report(self, report: Report) -> None:
        """An evaluation is done."""

    def wrote(self, path: str) -> None:
        """The checkpoint has its name."""

    def wrote_files(self, paths: Sequence[str]) -> None:
        """Other files have theirs."""
