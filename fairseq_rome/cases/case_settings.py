"""The settings of a case: how far its change reaches, and where its examples come from."""

from __future__ import annotations

from dataclasses import dataclass

from fairseq_rome.settings import Settings, setting


@dataclass(frozen=True)
class CaseSettings(Settings):
    """How a request becomes a case; every request of a run may have its own."""

    edit_scope: str = setting(
        "trigger",
        "trigger: the change holds where its source segment is, near misses stay as they were; "
        "target: wherever the unwanted target segment would be said",
        ("trigger", "target"),
    )
    edit_contexts: int = setting(
        64,
        "most sentences with the trigger that are decoded and corrected, to generalise; 0: only the example",
    )
    edit_references: int = setting(
        256,
        "most sentence pairs of DATA with the trigger whose references are corrected likewise, without "
        "decoding",
    )
    edit_mine: str = setting(
        "auto",
        "where contexts come from besides the edit file: auto: DATA, where a change is carried to other sentences; "
        "always: DATA; never: only the edit file",
        ("auto", "always", "never"),
    )
    edit_carry: str = setting(
        "auto",
        "which change is carried to other sentences: auto: the one that the request names, or that its context "
        "sentences, other requests of the file or the training side speak for, if any does; all: in every request the "
        "likeliest, where nothing decides; none: in no request, whatever it names",
        ("auto", "all", "none"),
    )

    @property
    def generalises(self) -> bool:
        """Whether a change may be carried to other sentences at all."""
        return self.edit_contexts > 0 and self.edit_carry != "none"
