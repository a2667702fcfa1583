"""What the proof worker does: the edit of every fix, its proof, and the file with all that is proven."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Callable, Dict, Iterable, List, Optional, Sequence, Tuple

from fairseq_rome.cases.case import Case
from fairseq_rome.editing.journal_in_memory import MemoryJournal
from fairseq_rome.editing.outcome import FAILED, Outcome, Result
from fairseq_rome.errors import EditError
from fairseq_rome.server.fix import Fix
from fairseq_rome.server.hunks_told import told_hunks
from fairseq_rome.server.kept_edits import kept, result_in
from fairseq_rome.server.queue_file import PROOF, FixQueue, KeptEdit
from fairseq_rome.server.queue_requests import request_of
from fairseq_rome.server.server_spec import ServerSpec
from fairseq_rome.text.requests import EditRequest
from fairseq_rome.workbench.journals import described_run
from fairseq_rome.workbench.workbench import Workbench

# Other sentences of a proof that clients are told of at most, of each kind.
_TOLD = 50


@dataclass(frozen=True)
class Proof:
    """What the proof worker found for a fix.

    Args:
        reason: why the proof fails; empty if it does not.
        edits: of the fix, and of earlier ones that it changes.
        evidence: what the proof showed, in plain values.
        hunks: how the fix was understood, in plain values; empty where nothing is known.
    """

    reason: str
    edits: Tuple[KeptEdit, ...] = ()
    evidence: Optional[Dict[str, Any]] = None
    hunks: Tuple[Dict[str, Any], ...] = ()


class ProofJobs:
    """Jobs of seconds to minutes, on a workbench of their own.

    Every run is that of all proven fixes in their order, as `fairseq-edit` would make it, and what earlier runs worked
    out is recalled where it would come out the same.

    Args:
        bench: the model without any fix.
        queue: tells what is proven.
        spec: what the server is asked for.
    """

    def __init__(self, bench: Workbench, queue: FixQueue, spec: ServerSpec) -> None:
        self._bench, self._queue, self._spec = bench, queue, spec
        self._journal = MemoryJournal(described_run(bench.model, spec.settings))

    def prove(self, number: int, proven: Sequence[int]) -> Proof:
        """Edit the model with the proven fixes and one more, and judge them all.

        Args:
            number: of the fix.
            proven: the others, in their order.

        Raises:
            EditError: if the requests contradict one another, or can't be met.
        """
        fixes = [self._queue.fix(one) for one in (*proven, number)]
        outcome = self._run(fixes)
        own = outcome.results[-1]
        reason = self._reason(outcome, fixes)
        told = told_hunks(own.readings, own.evidence, fixes[-1].before, fixes[-1].target) if own.readings else []
        evidence = self._evidence(outcome, own)
        edits = () if reason else tuple(self._fresh(fixes))
        return Proof(reason, edits, evidence, tuple(told))

    def bake(self) -> Tuple[int, ...]:
        """Write the checkpoint with all that is proven; the numbers of the fixes in it.

        Raises:
            EditError: if a request does not hold, or the file can't be written.
        """
        fixes = self._queue.in_weights()
        outcome = self._run(fixes)
        failed = next(iter(outcome.failed), None)
        if failed is not None:
            raise EditError(f"fix {failed.request.id}: {failed.reason}")
        self._bench.write(str(self._spec.bake_to), outcome, self._spec.settings, force=True)
        return tuple(one.id for one in fixes)

    def _run(self, fixes: Sequence[Fix]) -> Outcome:
        """The outcome of some fixes, as a run of them would have it."""
        self._recall(fixes)
        requests = [request_of(one) for one in fixes]
        outcome = self._bench.edit(requests, self._spec.settings, journal=self._journal)
        self._journal.forget_others()
        return outcome

    def _recall(self, fixes: Sequence[Fix]) -> None:
        """Take from the queue what the journal does not know, as after a start of the server."""
        keys = self._queue.edit_keys(PROOF, [one.id for one in fixes])
        missing = [number for number, key in keys.items() if key not in self._journal.results]
        requests = {one.id: request_of(one) for one in fixes}
        for number, edit in self._queue.edits(PROOF, missing).items():
            self._journal.results[edit.key] = result_in(edit, requests[number])

    def _fresh(self, fixes: Sequence[Fix]) -> Iterable[KeptEdit]:
        """The edits of some fixes, as the last run has them, that the queue does not have so."""
        there = self._queue.edit_keys(PROOF, [one.id for one in fixes])
        for fix, key in zip(fixes, self._journal.keys):
            if there.get(fix.id) != key:
                yield kept(fix.id, key, self._journal.results[key])

    def _reason(self, outcome: Outcome, fixes: Sequence[Fix]) -> str:
        """Why the last of some fixes can't be proven; empty if it is."""
        own = outcome.results[-1]
        if own.status == FAILED:
            return own.reason or "the edit does not hold"
        undone = [fix.id for fix, result in zip(fixes, outcome.results) if result.status == FAILED]
        if undone:
            return f"with it fix {', '.join(map(str, undone))} would no longer hold"
        sample = outcome.sample
        share = 1 - len(sample.damaged) / len(sample.sources) if sample.sources else 1.0
        if share < self._spec.least_unchanged:
            return (
                f"{len(sample.damaged)} of {len(sample.sources)} other sentences would change, expected at least "
                f"{self._spec.least_unchanged:.1%} to stay (--least-unchanged)"
            )
        return ""

    def _evidence(self, outcome: Outcome, own: Result) -> Dict[str, Any]:
        """What a proof showed, in plain values."""
        sample = outcome.sample
        probes = self._probes(outcome, own)
        clean = sum(one["clean"] for one in probes)
        changed = [(sample.sources[i], sample.before[i], sample.after[i], i in sample.wanted) for i in sample.changed]
        return {
            "evidence": {
                "carried": own.evidence, "trigger": own.trigger, "triggers": list(own.triggers),
                "contexts": own.contexts, "held_out": own.held_out, "general": own.general, "clean": own.clean,
                "size": own.size, "tries": own.tries, "seconds": round(own.seconds, 2), "notes": list(own.notes),
                "edit": "" if own.patch is None else f"{own.patch.method} at {own.patch.site}: {own.patch.describe()}",
            },
            "report": {
                "efficacy": own.status != FAILED,
                "clean": [clean, len(probes)],
                "unrelated": [len(sample.sources) - len(sample.damaged), len(sample.sources)],
                "probes": probes[:_TOLD],
                "changed": [
                    {"source": source, "before": before, "after": after, "wanted": wanted}
                    for source, before, after, wanted in changed[:_TOLD]
                ],
            },
        }  # fmt: skip

    def _probes(self, outcome: Outcome, own: Result) -> List[Dict[str, Any]]:
        """The sentences that the fit of the last request did not see, before and after."""
        if own.patch is None or not own.held_out:
            return []
        case = self._case(own.request)
        if case is None:
            return []
        sources = [one.source for one in case.held_out]
        with self._bench.patched(outcome.patches) as bench:
            after = bench.translate(sources)
        several = [(one.source, one.before, text) for one, text in zip(case.held_out, after)]
        return [
            {"source": source, "before": old, "after": new, "clean": case.cleanly_shown_by(old, new)}
            for source, old, new in several
        ]

    def _case(self, request: EditRequest) -> Optional[Case]:
        """The case of a request on the unedited model."""
        (found,) = self._bench.preview(replace(request, id="1"), self._spec.settings)
        return None if found.plan is None else found.plan.case


class _Teller:
    """Wraps long loops, and tells how far they are."""

    def __init__(self, tell: Callable[[Any], None]) -> None:
        self._tell = tell

    def __call__(self, items: Sequence[Any], label: str) -> Iterable[Any]:
        for done, item in enumerate(items):
            self._tell((label, done, len(items)))
            yield item
        self._tell((label, len(items), len(items)))


def make_proof_jobs(spec: ServerSpec, tell: Callable[[Any], None]) -> ProofJobs:
    """Open what the proof worker works with.

    Raises:
        EditError: if the model or the queue can't be opened.
    """
    from fairseq_rome.host.user_dir import share_user_dir
    from fairseq_rome.workbench.opening import open_model

    share_user_dir()
    return ProofJobs(Workbench(open_model(spec.model, _Teller(tell))), FixQueue(spec.queue, write=False), spec)
