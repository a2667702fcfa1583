"""A fix: one correction that somebody handed in, and what became of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Dict, Mapping, Optional, Tuple

SUBMITTED, LIVE, PROVEN, FAILED, BAKED, UNDONE = "submitted", "live", "proven", "failed", "baked", "undone"
STATES = (SUBMITTED, LIVE, PROVEN, FAILED, BAKED, UNDONE)
"""In the order in which a fix goes through them; `undone` follows any."""

IN_WEIGHTS = (PROVEN, BAKED)
"""States of fixes whose change is in the weights of the model that translates."""

Choices = Tuple[Tuple[int, bool], ...]
"""Numbers of hunks, each with whether its change is carried to other sentences."""


class Refused(Exception):
    """What a client asks for can't be now; the text says why."""


class NoFix(Exception):
    """No fix has the number that was named; the text says which."""


@dataclass(frozen=True)
class Fix:
    """One correction, as the queue holds it.

    Args:
        id: its number in the queue, from 1.
        source: the sentence.
        before: what the server said when the correction came in.
        target: what it should say.
        now: what it says; empty until the fix is live.
        who: a name that was given; empty for none.
        created: when it came in, ISO 8601 in UTC.
        state: one of `STATES`.
        reason: why it is in this state, where that is not plain.
        choices: which hunks are carried; empty to leave it to the evidence.
        requests: what a run of the edit is asked for it, as an edit file has it; none until it is understood. A second
            one is for the rest of its sentence, where the first leaves something of it.
        hunks: how it was understood, in plain values.
        live: seconds from coming in to being live; None before.
        proven: seconds from coming in to the proof; None before.
        place: its place among the proven ones; None before.
    """

    id: int
    source: str
    before: str
    target: str
    now: str
    who: str
    created: str
    state: str
    reason: str = ""
    choices: Choices = ()
    requests: Tuple[Mapping[str, Any], ...] = ()
    hunks: Tuple[Mapping[str, Any], ...] = ()
    live: Optional[float] = None
    proven: Optional[float] = None
    place: Optional[int] = None

    def as_plain(self) -> Dict[str, Any]:
        """What clients are told of it."""
        names = ("id", "source", "before", "target", "now", "who", "created", "state", "reason")
        told = {name: getattr(self, name) for name in names}
        return {**told, "seconds": {"live": self.live, "proven": self.proven}, "hunks": list(self.hunks)}
