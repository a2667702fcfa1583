"""All that a server is asked for, as one frozen value that its processes share."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Optional

from fairseq_rome.editing.edit_settings import EditSettings
from fairseq_rome.settings import with_settings
from fairseq_rome.workbench.specs import ModelSpec

KEEP, DROP = "keep", "drop"
"""What becomes of a live fix whose proof fails: it stays for its sentence alone, or goes."""


@dataclass(frozen=True)
class Limits:
    """What one client, and all together, may ask for.

    Args:
        characters: of one sentence at most.
        sentences: of one request at most.
        body: bytes of one request at most.
        waiting: sentences that may wait for their translation, of all clients together.
        open_fixes: fixes that may wait for a proof.
        requests: of one client a minute; of those that change something, a tenth of it.
        streams: streams of events that may be open.
    """

    characters: int = 2000
    sentences: int = 100
    body: int = 1_000_000
    waiting: int = 5000
    open_fixes: int = 1000
    requests: int = 600
    streams: int = 100

    @property
    def changes(self) -> int:
        """Requests of one client a minute that change something."""
        return max(self.requests // 10, 1)


@dataclass(frozen=True)
class ServerSpec:
    """What a server serves, and how.

    Args:
        model: what to open; with a cache folder, which the processes share.
        queue: the queue's file.
        settings: of the edits that are proven.
        failed: `keep` or `drop`.
        least_unchanged: share of the other sentences of a proof's sample that must stay as they were, or change as
            wanted.
        bake_to: the file that `bake` writes; None for none.
        token: what a client must show to change something; None for nothing.
        batch: sentences of one batch of translation at most.
        limits: of the clients.
    """

    model: ModelSpec
    queue: str
    settings: EditSettings = field(default_factory=EditSettings)
    failed: str = KEEP
    least_unchanged: float = 0.95
    bake_to: Optional[str] = None
    token: Optional[str] = None
    batch: int = 32
    limits: Limits = field(default_factory=Limits)

    @property
    def quick(self) -> EditSettings:
        """The settings of a gate that is to be there soon: for its own sentence alone, without a sample."""
        alone = {"method": "gated", "edit_carry": "none", "edit_contexts": 0, "edit_references": 0, "edit_sample": 0}
        return with_settings(self.settings, alone, "fairseq-edit-serve")
