"""What the proof worker does: the edit of every fix, its proof, and the file with all that is proven."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Callable, Dict, Iterable, List, Mapping, Optional, Sequence, Tuple

from fairseq_rome.cases.case import Case
from fairseq_rome.editing.journal_in_memory import MemoryJournal
from fairseq_rome.editing.outcome import FAILED, Outcome, Result, Unchanged
from fairseq_rome.errors import EditError
from fairseq_rome.host.quiet import quiet
from fairseq_rome.host.user_dir import share_user_dir
from fairseq_rome.report.record import report_record
from fairseq_rome.report.rendering import render_html
from fairseq_rome.server.fix import Fix
from fairseq_rome.server.hunks_told import told_hunks
from fairseq_rome.server.kept_edits import kept, result_in
from fairseq_rome.server.queue_file import PROOF, FixQueue, KeptEdit, Part
from fairseq_rome.server.queue_requests import requests_of, rest_of
from fairseq_rome.server.server_spec import ServerSpec
from fairseq_rome.text.requests import EditRequest
from fairseq_rome.workbench.journals import described_run
from fairseq_rome.workbench.opening import open_model
from fairseq_rome.workbench.workbench import Workbench

# Other sentences of a proof that clients are told of at most, of each kind.
_TOLD = 50


@dataclass(frozen=True)
class Proof:
    """What the proof worker found for a fix.

    Args:
        reason: why the proof fails; empty if it does not.
        edits: of the fix, and of earlier ones that it changes.
        requests: what is asked for the fix, as an edit file has it.
        evidence: what the proof showed, in plain values.
        hunks: how the fix was understood, in plain values; empty where nothing is known.
        note: what else is to be known of it.
    """

    reason: str
    edits: Tuple[KeptEdit, ...] = ()
    requests: Tuple[Mapping[str, Any], ...] = ()
    evidence: Optional[Dict[str, Any]] = None
    hunks: Tuple[Dict[str, Any], ...] = ()
    note: str = ""


@dataclass(frozen=True)
class _Run:
    """A run of all requests of some fixes.

    Args:
        fixes: in their order.
        outcome: with a result for each request.
        keys: of the results, as the journal knows them.
    """

    fixes: Tuple[Fix, ...]
    outcome: Outcome
    keys: Tuple[str, ...]

    @property
    def parts(self) -> List[Part]:
        """The fix and the number of its request, for each result."""
        return [(fix.id, part) for fix in self.fixes for part in range(len(fix.requests))]

    @property
    def own(self) -> Result:
        """The first result of the last fix."""
        return self.outcome.results[-len(self.fixes[-1].requests)]

    @property
    def failed(self) -> List[int]:
        """The fixes with a request that does not hold."""
        told = zip(self.parts, self.outcome.results)
        return list(dict.fromkeys(fix for (fix, _), result in told if result.status == FAILED))


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
        fix = self._queue.fix(number)
        fix = replace(fix, requests=fix.requests[:1])
        earlier = [self._queue.fix(one) for one in proven]
        run, note = self._run([*earlier, fix]), ""
        if not run.failed and run.own.after != self._spelled(fix.target):
            whole = self._run([*earlier, replace(fix, requests=(*fix.requests, rest_of(fix)))])
            if whole.failed:
                note = "what else was corrected in its sentence is not made: no edit was found for it"
            else:
                run = whole
        own, damaged = run.own, len(self._damaged(run))
        reason = self._reason(run, damaged)
        told = told_hunks(own.readings, own.evidence, fix.before, fix.target) if own.readings else []
        edits = () if reason else tuple(self._fresh(run))
        return Proof(reason, edits, run.fixes[-1].requests, self._evidence(run, damaged), tuple(told), note)

    def bake(self) -> Tuple[int, ...]:
        """Write the checkpoint with all that is proven; the numbers of the fixes in it.

        Raises:
            EditError: if a request does not hold, or the file can't be written.
        """
        run = self._run(self._queue.in_weights())
        failed = next(iter(run.outcome.failed), None)
        if failed is not None:
            raise EditError(f"request {failed.request.id}: {failed.reason}")
        self._bench.write(str(self._spec.bake_to), run.outcome, self._spec.settings, force=True)
        return tuple(one.id for one in run.fixes)

    def report(self, number: int) -> str:
        """The page of a report on the edits of a fix alone.

        Raises:
            EditError: if it has none.
        """
        fix = self._queue.fix(number)
        requests = dict(enumerate(requests_of(fix)))
        edits = self._queue.edits(PROOF, [(number, part) for part in requests])
        results = [result_in(edit, requests[part]) for (_, part), edit in edits.items()]
        if not any(one.patch for one in results):
            raise EditError(f"fix {number} has no edit of its own that is proven, and so no report")
        nothing = Unchanged((), (), ())
        sample = self._spec.settings.edit_sample
        found = self._bench.evaluate(Outcome(tuple(results), nothing, nothing), sample=sample)
        return render_html(report_record(found))

    def _spelled(self, target: str) -> str:
        """A target as the model would say it."""
        codec = self._bench.model.translator.codec
        return codec.target_text(codec.target(target))

    def _run(self, fixes: Sequence[Fix]) -> _Run:
        """A run of the requests of some fixes, as `fairseq-edit` would make it."""
        self._recall(fixes)
        requests = [request for one in fixes for request in requests_of(one)]
        outcome = self._bench.edit(requests, self._spec.settings, journal=self._journal)
        return _Run(tuple(fixes), outcome, tuple(self._journal.keys))

    def _recall(self, fixes: Sequence[Fix]) -> None:
        """Take from the queue what the journal does not know, as after a start of the server."""
        keys = self._queue.edit_keys(PROOF, [one.id for one in fixes])
        missing = [part for part, key in keys.items() if key not in self._journal.results]
        requests = {(one.id, part): request for one in fixes for part, request in enumerate(requests_of(one))}
        for part, edit in self._queue.edits(PROOF, [one for one in missing if one in requests]).items():
            self._journal.results[edit.key] = result_in(edit, requests[part])

    def _fresh(self, run: _Run) -> Iterable[KeptEdit]:
        """The edits of those fixes that the queue does not have as the run has them."""
        there = self._queue.edit_keys(PROOF, [one.id for one in run.fixes])
        keys = dict(zip(run.parts, run.keys))
        changed = {part[0] for part, key in keys.items() if there.get(part) != key}
        for part, key in keys.items():
            if part[0] in changed:
                yield kept(part, key, self._journal.results[key])

    def _reason(self, run: _Run, damaged: int) -> str:
        """Why the last of the fixes can't be proven, which damages so many other sentences; empty if it is."""
        number = run.fixes[-1].id
        if number in run.failed:
            return run.own.reason or "the edit does not hold"
        if run.failed:
            return f"with it fix {', '.join(map(str, run.failed))} would no longer hold"
        of = len(run.outcome.sample.sources)
        if of and 1 - damaged / of < self._spec.least_unchanged:
            return (
                f"{damaged} of {of} other sentences would change otherwise than as wanted, expected at least "
                f"{self._spec.least_unchanged:.1%} to stay (--least-unchanged)"
            )
        return ""

    def _damaged(self, run: _Run) -> List[int]:
        """Those of the other sentences that change by the last fix, and otherwise than as wanted."""
        sample, number = run.outcome.sample, run.fixes[-1].id
        told = zip(run.parts, run.outcome.results)
        earlier = {id(one.patch): one.patch for (fix, _), one in told if one.patch is not None and fix != number}
        with self._bench.patched(list(earlier.values())) as bench:
            without = bench.translate([sample.sources[index] for index in sample.damaged])
        return [index for index, text in zip(sample.damaged, without) if text != sample.after[index]]

    def _evidence(self, run: _Run, damaged: int) -> Dict[str, Any]:
        """What the proof of the last of the fixes showed, in plain values."""
        own, sample = run.own, run.outcome.sample
        probes = self._probes(run.outcome, own)
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
                "unrelated": [len(sample.sources) - damaged, len(sample.sources)],
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
            output, *after = bench.translate([own.request.source, *sources])
        return [
            {"source": one.source, "before": one.before, "after": text, "clean": clean}
            for one, text, (_, clean) in zip(case.held_out, after, case.shown_in_held_out(output, after))
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
    with quiet():
        share_user_dir()
    return ProofJobs(Workbench(open_model(spec.model, _Teller(tell))), FixQueue(spec.queue, write=False), spec)
