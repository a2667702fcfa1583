"""What an edit did, as frozen values."""

from __future__ import annotations

from dataclasses import dataclass, field
from html import escape
from typing import List, Mapping, Optional, Tuple

from fairseq_rome.cases.hunk_reading import Reading
from fairseq_rome.editing import notebook
from fairseq_rome.patch import Patch
from fairseq_rome.text.requests import EditRequest
from fairseq_rome.text.segments import Difference

EDITED, FAILED, NOTHING = "edited", "failed", "nothing to do"
_STATUSES = (EDITED, NOTHING, FAILED)


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
        notes: what else is to be known of it, a sentence each, such as why no context was used.
        clean: share of `held_out` in which the change holds and the rest is what it was, likewise.
        triggers: the trigger in the forms in which it counts.
        evidence: what speaks for carrying the change to other sentences; empty where it is for this sentence alone.
        readings: how each place was understood in which the target differs from what the model says.
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
    notes: Tuple[str, ...] = ()
    clean: Optional[float] = None
    triggers: Tuple[str, ...] = ()
    evidence: str = ""
    readings: Tuple[Reading, ...] = ()

    def __repr__(self) -> str:
        return f"<{self.headline}>"

    @property
    def headline(self) -> str:
        """What became of the request, in one line."""
        told = f"request {self.request.id or '?'}: {self.status}"
        if self.difference is not None:
            told += f", {self.difference.unwanted!r} -> {self.difference.wanted!r}"
        if self.patch is not None:
            told += f" by {self.patch.method} at {self.patch.site}"
        return f"{told} ({self.reason})" if self.reason else told

    def _repr_html_(self) -> str:
        before, after = notebook.compared(self.before, self.after)
        rows = [("source", escape(self.request.source)), ("before", before), ("after", after)]
        if self.after != self.request.target:
            rows.append(("wanted", notebook.compared(self.after, self.request.target)[1]))
        rows += [("note", escape(note)) for note in self.notes]
        return notebook.card(self.headline, rows)


@dataclass(frozen=True)
class Unchanged:
    """Sentences that no request speaks of, or that are to stay as they are, decoded before and after.

    Args:
        sources: the sentences.
        before: hypotheses of the model as it was.
        after: hypotheses of the edited model.
        wanted: indices of the sentences that changed as wanted: they hold the trigger of an edit that is to hold in
            other sentences too, and its segment was replaced in them and nothing else.
        proven: how many of them a certificate of locality proves to be the same, without decoding them again.
    """

    sources: Tuple[str, ...]
    before: Tuple[str, ...]
    after: Tuple[str, ...]
    wanted: Tuple[int, ...] = ()
    proven: int = 0

    @property
    def changed(self) -> List[int]:
        """Indices of the sentences whose hypothesis differs."""
        return [i for i, (old, new) in enumerate(zip(self.before, self.after)) if old != new]

    @property
    def damaged(self) -> List[int]:
        """Indices of the sentences that changed in any other way."""
        return [index for index in self.changed if index not in self.wanted]

    def __repr__(self) -> str:
        return f"<{self.headline}>"

    @property
    def headline(self) -> str:
        """How many sentences changed, and how many of them as wanted, in one line."""
        told = f"{len(self.changed)} of {len(self.sources)} sentences changed"
        return f"{told}, {len(self.wanted)} of them as wanted" if self.wanted else told

    def _repr_html_(self) -> str:
        told = [(self.sources[i], self.before[i], self.after[i]) for i in (*self.damaged, *self.wanted)]
        return notebook.card(self.headline, notebook.sentence_rows(told))


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
        directions: by name, such as `en-fr`, sentences of the model's other directions.
        merged: by site how many neurons were merged for gates, and by which share of it (root mean squares, on the
            background) this moves what the site writes.
    """

    results: Tuple[Result, ...]
    sample: Unchanged
    keep: Unchanged
    checks: Tuple[Check, ...] = ()
    room: Mapping[str, Tuple[int, int]] = field(default_factory=dict)
    directions: Mapping[str, Unchanged] = field(default_factory=dict)
    merged: Mapping[str, Tuple[int, float]] = field(default_factory=dict)

    def __repr__(self) -> str:
        lines = [self.headline, *(f"  {result.headline}" for result in self.results)]
        lines.append(f"  other sentences: {self.sample.headline}")
        if self.keep.sources:
            lines.append(f"  sentences to keep: {self.keep.headline}")
        lines += [f"  direction {name}: {others.headline}" for name, others in self.directions.items()]
        if self.stopped:
            lines.append(f"  stopped: {self.stopped}")
        return "\n".join(lines)

    @property
    def headline(self) -> str:
        """How many requests came out how, in one line."""
        counts = [(sum(one.status == status for one in self.results), status) for status in _STATUSES]
        told = ", ".join(f"{count} {status}" for count, status in counts if count)
        return f"{len(self.results)} {'request' if len(self.results) == 1 else 'requests'}: {told or 'none'}"

    def _repr_html_(self) -> str:
        parts = [notebook.card(self.headline, [])]
        parts += [result._repr_html_() for result in self.results]
        directions = [(f"direction {name}", others) for name, others in self.directions.items()]
        for label, others in (("other sentences", self.sample), ("sentences to keep", self.keep), *directions):
            if others.sources:
                parts += [notebook.card(label, []), others._repr_html_()]
        return "".join(parts)

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
