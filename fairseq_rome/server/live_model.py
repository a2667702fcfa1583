"""The model that translates, with what the queue says is live."""

from __future__ import annotations

from functools import partial
from typing import Dict, Sequence

from fairseq_rome.host.decoding import Translator
from fairseq_rome.server.kept_edits import KnownPatches, Patches, beside_of, proven_of
from fairseq_rome.server.live_edits import LiveEdits
from fairseq_rome.server.queue_file import FixQueue
from fairseq_rome.server.server_spec import ServerSpec
from fairseq_rome.server.translation_loop import TranslationLoop

# Seconds that a correction waits for its sentence to be translated; many times a full queue's.
_PATIENCE = 120.0
# Translations of the sentences of fixes that are remembered, for clients that ask for a fix again and again.
_REMEMBERED = 1000


class LiveModel:
    """Translates, and changes as the queue does.

    Args:
        spec: what the server is asked for.
        translator: with the model, which is this object's alone from here on.
        queue: tells what is live.
    """

    def __init__(self, spec: ServerSpec, translator: Translator, queue: FixQueue) -> None:
        self.loop = TranslationLoop(translator, spec.batch, spec.limits.waiting)
        self._failed, self._queue = spec.failed, queue
        self._edits = LiveEdits(translator.model)
        self._patches = KnownPatches(queue)
        self._said: Dict[str, str] = {}

    def renew(self, also: Sequence[int] = ()) -> None:
        """Let the model have the edits that the queue says, and those of some more fixes beside it."""
        proven = proven_of(self._patches, self._queue)
        beside = beside_of(self._patches, self._queue, self._failed, also)
        self.loop.change(partial(self._set, proven, beside)).result()

    def _set(self, proven: Patches, beside: Patches) -> None:
        self._edits.set(proven, beside)
        # A new dictionary, so that what was translated before goes into the old one.
        self._said = {}

    def says(self, source: str) -> str:
        """What the model says now, before whatever else waits; remembered until it changes."""
        said = self._said
        if source not in said:
            found = self.loop.translate([source], first=True).result(_PATIENCE)[0]
            if len(said) >= _REMEMBERED:
                return found
            said[source] = found
        return said[source]
