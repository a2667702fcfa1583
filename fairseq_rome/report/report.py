"""What a report tells, gathered from an evaluation and, where there was one, from the edit before it."""

from __future__ import annotations

from dataclasses import dataclass, field
from html import escape
from typing import Any, List, Mapping, Optional, Tuple

from fairseq_rome.editing.notebook import MOST_ROWS, card, compared
from fairseq_rome.evaluation.conditions import ConditionResult
from fairseq_rome.evaluation.judged import KEEP, Evaluation


@dataclass(frozen=True)
class EditDetails:
    """How one request was edited; None stands for what is not known.

    Args:
        status: `edited`, `failed` or `nothing to do`.
        method: the editing method; empty where there is no edit.
        site: where it edits; empty where there is no edit.
        size: largest relative size of the change of a weight matrix, ||dW|| / ||W||.
        gates: number of gates; None for other methods.
        margin: how far the nearest background position stays below the threshold of the gate that it comes closest
            to, in units of the gate's response; negative where background positions open it; None for other methods.
        contexts: sentences that the fit saw besides the example.
        held_out: sentences that it did not see.
        general: share of these in which the change held right after the fit; None if there are none.
        tries: attempts made.
        seconds: wall time.
        patch_bytes: size of the changed numbers.
        reason: why it failed; empty otherwise.
        notes: what else is to be known of it, a sentence each.
    """

    status: str
    method: str = ""
    site: str = ""
    size: float = 0.0
    gates: Optional[int] = None
    margin: Optional[float] = None
    contexts: Optional[int] = None
    held_out: int = 0
    general: Optional[float] = None
    tries: Optional[int] = None
    seconds: Optional[float] = None
    patch_bytes: Optional[int] = None
    reason: str = ""
    notes: Tuple[str, ...] = ()


@dataclass(frozen=True)
class HeatMap:
    """A picture of a trace.

    Args:
        title: what it shows.
        png: the picture.
        description: the same in words, for those who cannot see it.
    """

    title: str
    png: bytes
    description: str


@dataclass(frozen=True)
class Report:
    """All that a report tells.

    Args:
        evaluation: what decoding showed.
        conditions: what became of the conditions.
        generation: fairseq's generation settings by name.
        cost: seconds and bytes by name.
        provenance: files, fingerprints, versions, command line, seed; plain values, maybe nested.
        edits: how requests were edited, by id; empty where only checkpoints were compared.
        heat_maps: pictures by id of the request.
        notes: what else is to be known of the requests and of the data, a sentence each.
    """

    evaluation: Evaluation
    conditions: Tuple[ConditionResult, ...]
    generation: Mapping[str, Any]
    cost: Mapping[str, float]
    provenance: Mapping[str, Any]
    edits: Mapping[str, EditDetails] = field(default_factory=dict)
    heat_maps: Mapping[str, Tuple[HeatMap, ...]] = field(default_factory=dict)
    notes: Tuple[str, ...] = ()

    @property
    def reasons(self) -> List[str]:
        """Why the verdict is no pass, a line each; empty for a pass."""
        found = []
        failed = [request for request in self.evaluation.counted if not request.holds]
        if failed:
            names = ", ".join(request.id for request in failed[:5]) + (", ..." if len(failed) > 5 else "")
            found.append(f"{len(failed)} of {len(self.evaluation.counted)} requests do not hold: {names}")
        undone = [one for one in self.evaluation.requests if not one.wrong_before and not one.holds]
        if undone:
            found.append(f"{len(undone)} requests that were right before are wrong now")
        kept = sum(len(one.changes) for one in self.evaluation.sets if one.kind == KEEP)
        if kept:
            found.append(f"{kept} sentences to keep changed")
        return found + [str(result) for result in self.conditions if not result.passed]

    @property
    def passed(self) -> bool:
        """Whether every request holds, every sentence to keep stayed and every condition was met."""
        return not self.reasons

    def _repr_html_(self) -> str:
        """The verdict with its figures and each request before and after, for a notebook."""
        rows = [("", escape(reason)) for reason in self.reasons]
        rows += [(name, f"{value:.4g}") for name, value in self.evaluation.metrics().items()]
        for request in self.evaluation.requests[:MOST_ROWS]:
            before, after = compared(request.before, request.after)
            rows += [(f"request {request.id}", escape(request.source)), ("before", before), ("after", after)]
        return card("PASSED" if self.passed else "FAILED", rows)
