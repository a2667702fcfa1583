"""Requests in, patches and outcome out."""

from fairseq_rome.editing.edit import Surroundings, edit, preview
from fairseq_rome.editing.guards import watched
from fairseq_rome.editing.journal import Journal
from fairseq_rome.editing.outcome import EDITED, FAILED, NOTHING, Check, Outcome, Result, Unchanged

__all__ = [
    "EDITED",
    "FAILED",
    "NOTHING",
    "Check",
    "Journal",
    "Outcome",
    "Result",
    "Surroundings",
    "Unchanged",
    "edit",
    "preview",
    "watched",
]
