"""What an edit did, as frozen values."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import List, Mapping, Optional, Tuple

from fairseq_rome.patch import Patch
from fairseq_rome.text.requests import EditRequest
from fairseq_rome.text.segments import Difference, contains_trigger

EDITED, FAILED, NOTHING = "edited", "failed", "nothing to do"


@dataclass(frozen=True)
class Result:
    """What became of one request.

    Args:
        request: the request.
        status: `edited`, `failed` or `nothing to do`.
        before: what the model said before all edits.
        after: what it says with all edits.
        difference: the unwanted and the wanted segment; None where there was nothing to do.
        trigger: the source segment that the change hangs on; empty where there was nothing to do.
        contexts: sentences that the fit saw besides the example.
        held_out: sentences that it did not see.
        general: share of `held_out` in which the change holds by decoding right after the fit; None if there are none.
        patch: the edit, which several requests may share; None where there is none.
        size: largest relative size of the change of a weight matrix, ||dW|| / ||W||.
        tries: attempts made.
        seconds: wall time.
        reason: why it failed, or which other edit serves it; empty otherwise.
    """

    request: EditRequest
    status: str
    before: str
    after: str
    difference: Optional[Difference] = None
    trigger: str = ""
    contexts: int = 0
    held_out: int = 0
    general: Optional[float] = None
    patch: Optional[Patch] = None
    size: float = 0.0
    tries: int = 0
    seconds: float = 0.0
    reason: str = ""


@dataclass(frozen=True)
class Unchanged:
    """Sentences that no request speaks of, or that are to stay as they are, decoded before and after.

    Args:
        sources: the sentences.
        before: hypotheses of the model as it was.
        after: hypotheses of the edited model.
        triggers: source segments that edits hang on which are to hold in other sentences too.
    """

    sources: Tuple[str, ...]
    before: Tuple[str, ...]
    after: Tuple[str, ...]
    triggers: Tuple[str, ...] = ()

    @property
    def changed(self) -> List[int]:
        """Indices of the sentences whose hypothesis differs."""
        return [i for i, (old, new) in enumerate(zip(self.before, self.after)) if old != new]

    @property
    def triggered(self) -> int:
        """How many of the changed sentences hold a trigger: there the change may be the wanted one."""
        changed = [self.sources[index] for index in self.changed]
        return sum(any(contains_trigger(source, one) for one in self.triggers) for source in changed)


@dataclass(frozen=True)
class Check:
    """How the model stood after some requests of a long run.

    Args:
        requests: how many had been worked on.
        loss: validation loss, bits a token.
        rise: of the loss over that of the model before the run.
        held: share of a sample of the edits so far that hold by decoding.
        sampled: size of that sample.
        fault: the bound that was passed; empty if none was.
    """

    requests: int
    loss: float
    rise: float
    held: float
    sampled: int
    fault: str = ""


@dataclass(frozen=True)
class Outcome:
    """All that an edit did.

    Args:
        results: one for each request, in their order.
        sample: sentences without a trigger that a request names.
        keep: the sentences that the edit file wants kept.
        checks: of a long run, in order; the last may have stopped it.
        room: by site how many neurons are left to take and how many there were, where gates were wanted.
    """

    results: Tuple[Result, ...]
    sample: Unchanged
    keep: Unchanged
    checks: Tuple[Check, ...] = ()
    room: Mapping[str, Tuple[int, int]] = field(default_factory=dict)

    @property
    def patches(self) -> List[Patch]:
        """The edits in the order in which they were made, each once."""
        return list({id(r.patch): r.patch for r in self.results if r.patch is not None}.values())

    @property
    def holding(self) -> bool:
        """Whether there are edits, and a request holds by one."""
        return bool(self.patches) and any(result.status == EDITED for result in self.results)

    @property
    def failed(self) -> List[Result]:
        """The requests that do not hold."""
        return [result for result in self.results if result.status == FAILED]

    @property
    def stopped(self) -> str:
        """Why the run stopped before its end; empty if it did not."""
        return self.checks[-1].fault if self.checks else ""
