"""What the quick worker does: gates for one sentence alone, and how corrections are understood."""

from __future__ import annotations

from contextlib import nullcontext
from dataclasses import dataclass, replace
from difflib import SequenceMatcher
from itertools import groupby
from typing import Any, Callable, Dict, List, Optional, Tuple

from fairseq_rome.cases.hunk_reading import Sides, read_hunks
from fairseq_rome.cases.understanding import Understanding, understand
from fairseq_rome.editing.outcome import FAILED
from fairseq_rome.editing.site_plan import plan
from fairseq_rome.host.quiet import quiet
from fairseq_rome.host.sites import find_sites
from fairseq_rome.host.user_dir import share_user_dir
from fairseq_rome.patch import HookedPatches, Patch
from fairseq_rome.server.fix import Choices
from fairseq_rome.server.hunks_told import named_hunks, told_hunks
from fairseq_rome.server.kept_edits import KnownPatches, Patches, beside_of, kept, proven_of
from fairseq_rome.server.queue_file import FixQueue, KeptEdit
from fairseq_rome.server.server_spec import ServerSpec
from fairseq_rome.settings import with_settings
from fairseq_rome.statistics import backgrounds
from fairseq_rome.text.requests import EditRequest
from fairseq_rome.text.requests.records import to_fields
from fairseq_rome.text.words import words
from fairseq_rome.workbench.opening import open_model
from fairseq_rome.workbench.workbench import Workbench

# Other sentences that a correction's preview looks at, and that it tells at most. More show better what would change,
# and keep whoever waits for the preview, and a correction behind it, waiting.
_LOOKED_AT, _TOLD = 16, 8
# Sites whose statistics stay in memory, some 100 MB each: those that an edit tries first.
_RECENT = 3


@dataclass(frozen=True)
class LiveGate:
    """What the quick worker found for a fix.

    Args:
        edit: the gate; None where none was found, or the model says the target already.
        reason: why there is none; empty where it needs none.
    """

    edit: Optional[KeptEdit]
    reason: str = ""


@dataclass(frozen=True)
class FixRead:
    """How a fix was understood.

    Args:
        requests: what is asked for it, as an edit file has it.
        hunks: its hunks, in plain values.
    """

    requests: List[Dict[str, Any]]
    hunks: List[Dict[str, Any]]


class QuickJobs:
    """Jobs of seconds, on a workbench of their own.

    Args:
        bench: the model without any fix.
        queue: tells what is live.
        spec: what the server is asked for.
    """

    def __init__(self, bench: Workbench, queue: FixQueue, spec: ServerSpec) -> None:
        self._bench, self._queue, self._spec = bench, queue, spec
        self._patches = KnownPatches(queue)
        self._sides = Sides(bench.languages, bench.background(spec.settings.seed))
        self._get_ready()

    def live(self, number: int) -> LiveGate:
        """The gate of a fix on top of all that is live, for its sentence alone.

        Raises:
            EditError: for a request that no model can meet.
        """
        fix = self._queue.fix(number)
        request = EditRequest(fix.source, fix.target, id=str(number))
        proven, beside = self._live_but(number)
        translator = self._bench.model.translator
        hooks = HookedPatches.of(translator.model, beside) if beside else None
        with hooks.on(translator.model) if hooks else nullcontext():
            result = self._bench.edit_on_top(request, self._spec.quick, proven)
        if result.status == FAILED:
            return LiveGate(None, result.reason)
        return LiveGate(kept((number, 0), "", result) if result.patch else None)

    def read(self, number: int) -> FixRead:
        """How a fix is understood, which takes as long as its gate.

        Raises:
            EditError: for choices that can't be.
        """
        fix = self._queue.fix(number)
        request = self._asked(fix.source, fix.before, fix.target, fix.choices, self._said(fix.source))
        known = self._read(fix.source, fix.before, fix.target, request)
        hunks = [] if known is None else told_hunks(known.readings, known.evidence, fix.before, fix.target)
        return FixRead([to_fields(replace(request, id=str(number)))], hunks)

    def understand(self, source: str, output: str, target: str, choices: Choices) -> Dict[str, Any]:
        """How a correction would be understood, and what other sentences would change with it.

        Raises:
            EditError: for choices that can't be.
        """
        request = self._asked(source, output, target, choices, self._said(source))
        known = self._read(source, output, target, request)
        if known is None:
            return {"hunks": [], "would_change": [], "notes": ["nothing differs"]}
        hunks = told_hunks(known.readings, known.evidence, output, target)
        would_change, notes = self._would_change(request)
        return {"hunks": hunks, "would_change": would_change, "notes": notes}

    def _asked(self, source: str, output: str, target: str, choices: Choices, said: str) -> EditRequest:
        """The request that an edit is to have, with what a client chose in it."""
        if not choices:
            return EditRequest(source, target)
        codec = self._bench.model.translator.codec
        after = codec.target_text(codec.target(target))
        readings = read_hunks(source, output, after, codec.piece_starts(after), self._sides)
        return EditRequest(source, target, hunks=named_hunks(choices, readings, said, after))

    def _read(self, source: str, output: str, target: str, request: EditRequest) -> Optional[Understanding]:
        """How the correction of an output is understood, with what the request of it names."""
        chosen = tuple(
            one for one in request.hunks if not one.unwanted or one.unwanted in output
        )
        seen = EditRequest(source, target, negative=output, hunks=chosen)
        codec = self._bench.model.translator.codec
        return understand(codec, seen, output, self._sides, self._spec.settings)

    def _said(self, source: str) -> str:
        """What the unedited model says."""
        return self._bench.translate([source])[0]

    def _would_change(self, request: EditRequest) -> Tuple[List[Dict[str, str]], List[str]]:
        """Other sentences with what they would become, those that change most first; and notes."""
        few = {"edit_contexts": _LOOKED_AT, "edit_references": 0}
        settings = with_settings(self._spec.settings, few, "fairseq-edit-serve")
        (found,) = self._bench.preview(request, settings)
        if found.plan is None:
            return [], []
        case = found.plan.case
        examples = sorted((*case.contexts, *case.held_out), key=lambda one: _alike(one.before, one.after))
        told = [{"source": one.source, "before": one.before, "after": one.after} for one in examples[:_TOLD]]
        return told, list(case.notes)

    def _live_but(self, number: int) -> Tuple[List[Patch], List[Patch]]:
        """The patches in the weights, in their order, and those beside them, without those of one fix."""
        proven = proven_of(self._patches, self._queue)
        beside = beside_of(self._patches, self._queue, self._spec.failed)
        return _without(proven, number), _without(beside, number)

    def _get_ready(self) -> None:
        """Do what takes long the first time: statistics of the sites, and a look at the training side.

        The statistics are those of the unedited model, so that they must be known before any hook is on it.
        """
        bench, quick = self._bench, self._spec.quick
        translator, corpus = bench.model.translator, bench.background(quick.seed)
        directions = bench.directions([EditRequest("-", "-", id="1")], quick, corpus)
        for _, sites in groupby(plan(list(find_sites(translator.model)), quick), lambda site: site.stack):
            backgrounds(
                translator, corpus, list(sites), quick.edit_stats_tokens, bench.model.spec.cache,
                bench.model.model_fingerprint, directions, quick.weighs_keys, bench.recent,
            )  # fmt: skip
        source = next((one for one in corpus.sources if one.strip()), "")
        if source:
            for one in directions:
                one.holding(words(source)[0], 1)  # which reads the texts of the direction
            said = self._said(source)
            corpus.saying(words(source)[0])  # which reads the texts of the training side
            self._read(source, said, f"{said} {said}", EditRequest(source, said))


def _without(patches: Patches, number: int) -> List[Patch]:
    return [patch for (fix, _), patch in patches.items() if fix != number]


def _alike(before: str, after: str) -> float:
    """How alike two outputs are, 0 to 1."""
    return SequenceMatcher(None, words(before), words(after), autojunk=False).ratio()


def make_quick_jobs(spec: ServerSpec, tell: Callable[[Any], None]) -> QuickJobs:
    """Open what the quick worker works with; it tells no progress, for its jobs are short.

    Raises:
        EditError: if the model or the queue can't be opened.
    """
    with quiet():
        share_user_dir()
    return QuickJobs(Workbench(open_model(spec.model), _RECENT), FixQueue(spec.queue, write=False), spec)
