"""The server without its web: fixes come in, go live, are proven, baked and undone."""

from __future__ import annotations

import threading
import time
from concurrent.futures import Future
from datetime import datetime
from functools import partial
from typing import Any, Callable, Dict, Iterator, List, Optional, Sequence, Tuple

from fairseq_rome.cases.spelling import check_spelling
from fairseq_rome.errors import EditError
from fairseq_rome.host.decoding import Translator
from fairseq_rome.server.bakes import Bake, Bakes
from fairseq_rome.server.events import BAKE, FIX, PROGRESS, Event, EventStream
from fairseq_rome.server.fix import BAKED, FAILED, LIVE, PROVEN, SUBMITTED, UNDONE, Choices, Fix, Refused
from fairseq_rome.server.hunks_told import check_choices
from fairseq_rome.server.live_model import LiveModel
from fairseq_rome.server.proof_jobs import Proof, make_proof_jobs
from fairseq_rome.server.queue_file import PROOF, QUICK, FixQueue
from fairseq_rome.server.quick_jobs import FixRead, LiveGate, make_quick_jobs
from fairseq_rome.server.server_spec import ServerSpec
from fairseq_rome.server.translation_loop import Busy, check_lengths
from fairseq_rome.server.worker_process import WorkerProcess, WorkFailed, told_without_texts
from fairseq_rome.text.requests import EditFile, EditRequest

Values = Dict[int, Dict[str, Any]]
"""Columns to change, by fix."""

_REPLACED = "its sentence was corrected again"
_AGAIN = "fix {number}, which was proven before it, was undone: it is proven again"


# Of the quick worker's jobs: who has corrected waits for a gate, who is about to for a preview, a proof for the rest.
_GATE, _PREVIEW, _READ = 0, 1, 2
# Of the proof worker's jobs: somebody waits for a report and for a bake, nobody for a proof.
_ASKED, _PROOF = 0, 1
# How far the proofs stand back behind all else where processors are short, as Unix counts it.
_NICENESS = 10


class FixService:
    """All that goes on with fixes, for any thread.

    Args:
        spec: what the server is asked for.
        translator: with the model that translates, which is the service's alone from here on.
        queue: held for writing, and of this model.
        log: is told what happens, in lines without any text of a client.
    """

    def __init__(
        self, spec: ServerSpec, translator: Translator, queue: FixQueue, log: Callable[[str], None]
    ) -> None:
        self.spec, self.translator, self.queue, self._log = spec, translator, queue, log
        self._model = LiveModel(spec, translator, queue)
        self.loop = self._model.loop
        self.events = EventStream(self._all_now)
        self._turn = threading.RLock()
        self._closing = threading.Event()
        self._proving: Optional[int] = None
        self._stages: Dict[int, Tuple[str, float]] = {}
        self.quick = WorkerProcess("quick worker", partial(make_quick_jobs, spec), 0, self._progress, log)
        self.proof = WorkerProcess("proof worker", partial(make_proof_jobs, spec), _NICENESS, self._progress, log)
        bake = partial(self.proof.submit, "bake", rank=_ASKED)
        self._bakes = Bakes(spec.bake_to, bake, self._bake_changed)

    def start(self) -> None:
        """Begin to translate with what was live before, and go on with what was not done."""
        self.loop.start()
        with self._turn:
            self._model.renew()
            self.quick.start()
            self.proof.start()
            for fix in self.queue.to_go_on_with():
                if fix.state == SUBMITTED and not fix.reason:
                    self._find_gate(fix.id)
                elif not fix.requests:
                    self._read(fix.id)
            self._prove_next()

    def close(self) -> None:
        """End all work; what was told to clients is in the queue."""
        self._closing.set()
        self.quick.close()
        self.proof.close()
        self.loop.close()
        self.queue.close()

    def told(self, fix: Fix) -> Dict[str, Any]:
        """What clients are told of a fix, with what is being done for it."""
        stage, progress = self._stages.get(fix.id, (None, None))
        return {**fix.as_plain(), "stage": stage, "progress": progress}

    def listed(
        self, state: str, who: str, text: str, limit: int, before: Optional[int]
    ) -> Tuple[List[Dict[str, Any]], Dict[str, int]]:
        """What clients are told of some fixes, and how many there are in each state; see `FixQueue.found`.

        It waits for a change that goes on, so that what is told of a fix is what the model says already.
        """
        with self._turn:
            found = self.queue.found(state, who, text, limit, before)
            return [self.told(one) for one in found], self.queue.counts()

    def detail(self, number: int) -> Dict[str, Any]:
        """What clients are told of a fix, with the evidence of its proof; waits as `listed` does.

        Fixes that came and went since may have changed its sentence too, so the model is asked again.

        Raises:
            NoFix: if there is none.
        """
        with self._turn:
            fix = self.queue.fix(number)
            if fix.state in (LIVE, PROVEN, BAKED):
                now = self._model.says(fix.source)
                if now != fix.now:
                    fix = self.queue.change(number, now=now)
                    self._tell([fix])
            found = self.queue.evidence(number) or {"evidence": None, "report": None}
            return {"fix": self.told(fix), **found}

    def submit(self, source: str, target: str, who: str = "", choices: Choices = ()) -> Tuple[Fix, bool]:
        """A correction comes in; the fix, and whether it is a new one.

        Raises:
            EditError: if the model can't meet it.
            Refused: if the model says the target already, or too many fixes wait.
        """
        self._check(source, target, choices)
        before = self._model.says(source)
        with self._turn:
            known = next((one for one in self.queue.of_source(source) if one.target == target), None)
            if known is not None:
                return known, False
            if before == target:
                raise Refused("the model says this already, expected another translation")
            if len(self.queue.to_go_on_with()) >= self.spec.limits.open_fixes:
                raise Busy
            fix, replaced = self._added(source, before, target, who, choices)
            self._tell([fix, *replaced])
            self._find_gate(fix.id)
        self._log(f"fix {fix.id}: submitted")
        return fix, True

    def undo(self, number: int) -> Fix:
        """Take a fix out, at once.

        Raises:
            NoFix: if there is none.
            Refused: if it is undone already.
        """
        with self._turn:
            if self.queue.fix(number).state == UNDONE:
                raise Refused(f"fix {number} is undone already")
            changed = self.queue.change_all(self._without({number: {"state": UNDONE, "reason": ""}}))
            self._model.renew()
            self._tell(changed)
            self._prove_next()
        self._log(f"fix {number}: undone")
        return self.queue.fix(number)

    def bake(self) -> Bake:
        """Begin to write a checkpoint with all that is proven; see `Bakes.begin`.

        Raises:
            Refused: if that can't be now.
        """
        with self._turn:
            return self._bakes.begin(tuple(one.id for one in self.queue.in_weights()))

    def understand(self, source: str, output: str, target: str, choices: Choices) -> Future[Dict[str, Any]]:
        """How a correction would be understood, once it is known; see `QuickJobs.understand`.

        Raises:
            EditError: if the model can't meet it.
        """
        self._check(source, target, choices)
        return self.quick.submit("understand", source, output, target, choices, rank=_PREVIEW)

    def report(self, number: int) -> Future[str]:
        """The page of a report on a fix, once it is there; see `ProofJobs.report`.

        Raises:
            NoFix: if there is no such fix.
        """
        self.queue.fix(number)
        return self.proof.submit("report", number, rank=_ASKED)

    def _check(self, source: str, target: str, choices: Choices) -> None:
        """Refuse a correction that the model can't meet, whatever its weights."""
        check_choices(choices)
        check_lengths(self.translator, [source])
        check_spelling(EditFile((EditRequest(source, target, id="of the correction"),)), self.translator.codec)

    def _added(
        self, source: str, before: str, target: str, who: str, choices: Choices
    ) -> Tuple[Fix, List[Fix]]:
        """A new fix in the queue, and the fixes that changed by it: it replaces earlier ones of its sentence."""
        old = {one.id: {"state": UNDONE, "reason": _REPLACED} for one in self.queue.of_source(source)}
        changes = self._without(old)
        fix = self.queue.add(source, before, target, who, choices, changes)
        if changes:
            self._model.renew()
        return fix, [self.queue.fix(number) for number in changes]

    def _without(self, undone: Values) -> Values:
        """How fixes change as some are undone: those that were proven after them wait for a new proof."""
        proven = self.queue.in_weights()
        first = next((index for index, one in enumerate(proven) if one.id in undone), len(proven))
        again = {
            one.id: {"state": LIVE, "place": None, "reason": _AGAIN.format(number=proven[first].id)}
            for one in proven[first:]
            if one.id not in undone
        }
        return {**again, **undone}

    def _then(self, job: Future[Any], work: Callable[[Future[Any]], None]) -> None:
        """Go on once a worker is done with a job; a fault in that is told without any text of a client."""

        def go_on(done: Future[Any]) -> None:
            if done.cancelled() or self._closing.is_set():
                return
            try:
                work(done)
            except Exception as error:
                if not self._closing.is_set():
                    self._log(f"failed: {told_without_texts(error)}")

        job.add_done_callback(go_on)

    def _find_gate(self, number: int) -> None:
        self._then(self.quick.submit("live", number, rank=_GATE), partial(self._gate_found, number))

    def _gate_found(self, number: int, future: Future[LiveGate]) -> None:
        """A gate is there, or there is none."""
        with self._turn:
            if self.queue.fix(number).state != SUBMITTED:
                return
            try:
                gate = future.result()
            except (EditError, WorkFailed) as error:
                gate = LiveGate(None, str(error))
            if gate.reason:
                fix = self.queue.change(number, reason=f"not live before its proof: {gate.reason}")
            else:
                fix = self._gone_live(number, gate)
            self._tell([fix])
            self._read(number)

    def _gone_live(self, number: int, gate: LiveGate) -> Fix:
        """Put a gate on the model, and only then say so."""
        (fix,) = self.queue.change_all({number: {}}, QUICK, [] if gate.edit is None else [gate.edit])
        self._model.renew([number])
        now = self._model.says(fix.source)
        seconds = _seconds_since(fix.created)
        self._log(f"fix {number}: live after {seconds:.2f} s")
        return self.queue.change(number, state=LIVE, now=now, live=seconds, reason="")

    def _read(self, number: int) -> None:
        """Let a fix be understood, which its proof needs."""
        self._then(self.quick.submit("read", number, rank=_READ), partial(self._fix_read, number))

    def _fix_read(self, number: int, future: Future[FixRead]) -> None:
        """A fix is understood, or can't be."""
        with self._turn:
            if self.queue.fix(number).state not in (SUBMITTED, LIVE):
                return
            try:
                read = future.result()
            except (EditError, WorkFailed) as error:
                self._tell([self.queue.change(number, state=FAILED, reason=str(error))])
                self._model.renew()
                self._log(f"fix {number}: failed")
                return
            self._tell([self.queue.change(number, requests=read.requests, hunks=read.hunks)])
            self._prove_next()

    def _prove_next(self) -> None:
        """Let the oldest fix be proven that waits for it, one at a time."""
        if self._proving is not None:
            return
        waiting = [one for one in self.queue.to_go_on_with() if one.requests]
        if waiting:
            self._proving = waiting[0].id
            proven = tuple(one.id for one in self.queue.in_weights())
            job = self.proof.submit("prove", waiting[0].id, proven, rank=_PROOF)
            self._then(job, partial(self._proved, waiting[0].id, proven))

    def _proved(self, number: int, proven: Tuple[int, ...], future: Future[Proof]) -> None:
        """A proof is there."""
        with self._turn:
            self._proving = None
            self._stages.pop(number, None)
            fix = self.queue.fix(number)
            same = proven == tuple(one.id for one in self.queue.in_weights())
            if same and fix.state in (SUBMITTED, LIVE):
                self._note_proof(fix, future)
            self._prove_next()

    def _note_proof(self, fix: Fix, future: Future[Proof]) -> None:
        try:
            proof = future.result()
        except (EditError, WorkFailed) as error:
            proof = Proof(str(error))
        told: Dict[str, Any] = {"evidence": proof.evidence, "reason": proof.reason}
        if proof.hunks:
            told["hunks"] = proof.hunks
        seconds = _seconds_since(fix.created)
        if proof.reason:
            told["state"] = FAILED
        else:
            place = max((one.place or 0 for one in self.queue.in_weights()), default=0) + 1
            told.update(state=PROVEN, place=place, proven=seconds, requests=proof.requests, reason=proof.note)
        self.queue.change_all({fix.id: told}, PROOF, proof.edits)
        self._model.renew()
        now = self._model.says(fix.source)
        self._tell([self.queue.change(fix.id, now=now)])
        self._log(f"fix {fix.id}: {told['state']} after {seconds:.1f} s")

    def _bake_changed(self, bake: Bake) -> None:
        """A bake has begun or ended."""
        with self._turn:
            proven = [one for one in bake.fixes if self.queue.fix(one).state == PROVEN]
            self._tell(self.queue.change_all({number: {"state": BAKED} for number in proven}))
        self.events.tell(BAKE, bake.as_plain())
        self._log(f"bake {bake.id}: {bake.state}")

    def _progress(self, job: str, arguments: Tuple[Any, ...], value: Tuple[str, int, int]) -> None:
        """A worker tells how far it is."""
        stage, done, of = value
        if job == "prove":
            number = arguments[0]
            self._stages[number] = (stage, done / max(of, 1))
            self.events.tell(PROGRESS, {"id": number, "stage": stage, "done": done, "of": of})

    def _tell(self, fixes: Sequence[Fix]) -> None:
        for fix in fixes:
            self.events.tell(FIX, self.told(fix))

    def _all_now(self) -> Iterator[Event]:
        """The newest fixes as they are, for a listener who missed events."""
        for fix in reversed(self.queue.found("", "", "", 200, None)):
            yield Event(self.events.last, FIX, self.told(fix))


def _seconds_since(created: str) -> float:
    """Seconds from a time in ISO 8601 until now."""
    return round(time.time() - datetime.fromisoformat(created).timestamp(), 3)
