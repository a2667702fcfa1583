"""One edit of a checkpoint, whole: read, edit, stage, reload, prove, commit."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import FrozenSet, Iterator, List, Mapping, Optional, Sequence, Tuple, Union

from fairseq_rome.editing.edit_settings import EditSettings
from fairseq_rome.editing.outcome import Outcome
from fairseq_rome.editing.run import Preview
from fairseq_rome.errors import EditError
from fairseq_rome.evaluation.sentence_sets import SentenceSet
from fairseq_rome.host.checkpoint import check_output
from fairseq_rome.host.corpus import Corpus
from fairseq_rome.host.decoding import Progress, silent
from fairseq_rome.methods.registry import method_named
from fairseq_rome.patch import check_patch_folder, is_folder
from fairseq_rome.report import CARD, Report, check_file, check_folder, write_card, write_report
from fairseq_rome.text.requests import EditFile, read_edit_file
from fairseq_rome.text.requests.markup import AUTO
from fairseq_rome.workbench.compared_models import ComparedModel, unedited
from fairseq_rome.workbench.direction_samples import notes_on_directions
from fairseq_rome.workbench.evaluating import comparison_of_outcome, load_test_sets, make_report
from fairseq_rome.workbench.inputs import input_files
from fairseq_rome.workbench.journals import done_by, journal_of, keeps_journal, kept_by
from fairseq_rome.workbench.listening import Listener
from fairseq_rome.workbench.notes import notes_on, notes_on_learning, notes_on_sample
from fairseq_rome.workbench.opening import open_model
from fairseq_rome.workbench.specs import EvaluationOptions, ModelSpec
from fairseq_rome.workbench.staged_patches import StagedPatches
from fairseq_rome.workbench.staging import StagedCheckpoint
from fairseq_rome.workbench.workbench import Workbench


@dataclass(frozen=True)
class GivenRequests:
    """Requests that come from somewhere else than an edit file, for one model alone.

    Args:
        origin: where they come from, for messages.
        edit_file: the requests.
        base: SHA-256, in hexadecimal, of the weights that they are for.
        languages: codes of source and target that they are for.
    """

    origin: str
    edit_file: EditFile
    base: str
    languages: Tuple[str, str]

    def check(self, bench: Workbench) -> None:
        """Refuse another model or direction.

        Raises:
            EditError: naming it.
        """
        if bench.languages != self.languages:
            ours, theirs = ("-".join(pair) for pair in (self.languages, bench.languages))
            raise EditError(f"{self.origin}: its requests are for {ours}, expected those for {theirs}")
        if bench.model.fingerprint != self.base:
            raise EditError(f"{self.origin}: its requests are for other weights than those of {bench.model.path}")


@dataclass(frozen=True)
class EditSpec:
    """All that one edit of a checkpoint is asked to do, from the files that it reads to those that it writes.

    Args:
        model: what to edit.
        edit_pref: the edit file.
        edit_config: the file that settings came from; None for none.
        site_file: the file that sites came from; None for none.
        sites: by request id.
        task: of requests that name none.
        settings: of the edit.
        evaluation: what the proof looks at besides.
        report: folder of the report; empty for none.
        save_to: the checkpoint to write; empty for a method that changes no weights.
        save_patch: the patch file or folder to write; None for none.
        force: whether outputs that exist are replaced.
        keep_going: whether what holds is written even if a request failed.
        text: whether the checkpoint's history keeps the sentences of the requests.
        dry_run: only say what would be done.
        words: the command line, for the report.
        markup: how the edit file is read, as for `read_edit_file`.
        requests: in the place of the edit file's; None to read that.
    """

    model: ModelSpec
    edit_pref: str
    edit_config: Optional[str]
    site_file: Optional[str]
    sites: Mapping[str, str]
    task: Optional[str]
    settings: EditSettings
    evaluation: EvaluationOptions
    report: str
    save_to: str
    save_patch: Optional[str]
    force: bool
    keep_going: bool
    text: bool
    dry_run: bool
    words: Tuple[str, ...]
    markup: str = AUTO
    requests: Optional[GivenRequests] = None

    @property
    def proves(self) -> bool:
        """Whether an evaluation is asked for."""
        return bool(self.evaluation.conditions or self.report or self.evaluation.test_sets)

    @property
    def output(self) -> str:
        """The file that is written first of all: the checkpoint, or the patch file where there can be none."""
        return self.save_to or self.save_patch or ""


@dataclass(frozen=True)
class Done:
    """What became of an edit.

    Args:
        outcome: what the edit did.
        report: its proof; None where none was asked for.
        written: whether the checkpoint was written.
        held: whether all that was asked for holds.
    """

    outcome: Outcome
    report: Optional[Report]
    written: bool
    held: bool


@dataclass(frozen=True)
class _Ready:
    """What an edit begins with, checked and open."""

    bench: Workbench
    edit_file: EditFile
    sets: Tuple[SentenceSet, ...]
    hidden: FrozenSet[str]
    corpus: Corpus
    notes: Tuple[str, ...]


class EditJob:
    """One edit of a checkpoint, step by step.

    Args:
        spec: what is asked for.
        tell: is told each thing as soon as it is known.
        progress: wraps long loops.
    """

    def __init__(self, spec: EditSpec, tell: Optional[Listener] = None, progress: Progress = silent) -> None:
        self.spec = spec
        self.tell = tell or Listener()
        self.progress = progress

    def run(self) -> Done:
        """Edit, prove and write.

        Raises:
            EditError: for whatever a user can put right; nothing is then written.
            KeyboardInterrupt: whose text says what is kept.
        """
        settings, ready = self.spec.settings, self._opened()
        self._tell_notes(ready)
        journal = None
        if keeps_journal(ready.edit_file, settings):  # to name one, the whole training side is hashed
            directions = ready.bench.directions(ready.edit_file, settings, ready.corpus)
            journal = journal_of(
                ready.bench.model, ready.edit_file, ready.corpus, settings, self.spec.output, directions
            )
        if journal and journal.done:
            self.tell.note(f"going on after {done_by(journal)} that an interrupted run has done")
        try:
            outcome = ready.bench.edit(
                ready.edit_file, settings, hidden=ready.hidden, observe=self.tell.result, journal=journal
            )
            self.tell.outcome(outcome)
            done = self._finished(ready, outcome)
            if journal and (done.written or not outcome.holding):
                journal.remove()
        except KeyboardInterrupt:
            raise KeyboardInterrupt(kept_by(journal)) from None
        if journal and journal.done:
            self.tell.note(kept_by(journal))
        return done

    def preview(self) -> Iterator[Preview]:
        """What would be done, request by request; nothing is edited.

        Raises:
            EditError: as for `run`.
        """
        ready = self._opened()
        self._tell_notes(ready)
        yield from ready.bench.preview(ready.edit_file, self.spec.settings, hidden=ready.hidden)

    def _opened(self) -> _Ready:
        spec = self.spec
        values = spec.model.options.values
        languages = [code for code in (values["source_lang"], values["target_lang"]) if code]
        self._check_outputs(languages)
        # A slip in the edit file is told before the checkpoint is opened, unless the languages are still to be found.
        edit_file = self._read(*languages) if len(languages) == 2 else None
        bench = Workbench(open_model(spec.model, self.progress))
        bench.check_history()
        if spec.requests is not None:
            spec.requests.check(bench)
        edit_file = edit_file or self._read(*bench.languages)
        edit_file = bench.check_requests(edit_file.with_task(spec.task).with_sites(spec.sites))
        self._check_methods(edit_file)
        sets = load_test_sets(spec.evaluation.test_sets, bench.model.translator.codec)
        hidden = frozenset(source for one in sets for source in one.sources)
        corpus = bench.background(spec.settings.seed, edit_file.held_out.union(hidden))
        notes = [*notes_on(edit_file, bench.model.translator.codec), *notes_on_learning(corpus)]
        notes += [] if sets else notes_on_sample(corpus, spec.settings.edit_sample)
        notes += notes_on_directions(bench.model, spec.settings.edit_directions)
        return _Ready(bench, edit_file, sets, hidden, corpus, tuple(notes))

    def _read(self, source_lang: str, target_lang: str) -> EditFile:
        if self.spec.requests is not None:
            return self.spec.requests.edit_file
        return read_edit_file(self.spec.edit_pref, source_lang, target_lang, self.spec.markup)

    def _tell_notes(self, ready: _Ready) -> None:
        """Say what is to be known of what was read; and where statistics come from, if not from a training side."""
        for note in ready.notes:
            self.tell.note(note)
        if ready.corpus.subset != "train":
            self.tell.note(
                f"{ready.bench.model.adapter.data} has no training split: statistics and contexts come from its "
                f"{ready.corpus.subset} split"
            )

    def _inputs(self, languages: Sequence[str]) -> List[str]:
        spec = self.spec
        prefixes = [spec.edit_pref, *spec.evaluation.test_sets]
        return input_files(spec.model, prefixes, languages, [spec.edit_config, spec.site_file])

    def _check_outputs(self, languages: Sequence[str]) -> None:
        """Refuse outputs that can't be written, before the long work."""
        spec = self.spec
        if spec.report:
            check_folder(spec.report, spec.force)
        if spec.dry_run:
            return
        inputs = self._inputs(languages)
        if spec.save_to:
            check_output(spec.save_to, spec.force, inputs)
        if spec.report:
            check_file(self._card(), spec.force)
        if spec.save_patch and is_folder(spec.save_patch):
            check_patch_folder(spec.save_patch, spec.force)
        elif spec.save_patch:
            check_output(spec.save_patch, spec.force, inputs)
            if spec.save_to and os.path.realpath(spec.save_patch) == os.path.realpath(spec.save_to):
                raise EditError(f"{spec.save_patch}: is what --save-to names as well, expected another file")

    def _finished(self, ready: _Ready, outcome: Outcome) -> Done:
        """Prove what was edited, and write it if it holds."""
        spec, bench = self.spec, ready.bench
        held = not outcome.failed and not outcome.keep.changed
        if not outcome.holding:
            if spec.proves:
                held = self._proof(ready, unedited(bench.model), outcome).passed and held
            self.tell.note("nothing to write" if held else "nothing holds, and nothing was written")
            return Done(outcome, None, False, held)
        # What was good before a bound was passed is kept.
        going_on = spec.keep_going or bool(outcome.stopped and not outcome.keep.changed)
        if not held and not going_on and not spec.proves:
            self.tell.note("nothing was written; --keep-going writes the edits that hold")
            return Done(outcome, None, False, False)
        inputs = self._inputs(bench.languages)
        with self._staged(bench, outcome, inputs) as staged:
            for note in staged.notes:
                self.tell.note(note)
            reloaded = staged.reload()
            failures = staged.failures(reloaded)
            report = self._proof(ready, reloaded, outcome) if spec.proves and not failures else None
            refusal = f"{failures[0]}; nothing was written" if failures else _refusal(report, outcome, going_on)
            if refusal:
                self.tell.note(refusal)
                return Done(outcome, report, False, False)
            staged.commit()
        self.tell.wrote(spec.output)
        self._write_besides(bench, outcome, report, [*inputs, spec.output])
        return Done(outcome, report, True, held)

    def _staged(
        self, bench: Workbench, outcome: Outcome, inputs: Sequence[str]
    ) -> Union[StagedCheckpoint, StagedPatches]:
        """The edited checkpoint, or the patch file where no checkpoint can hold the edits."""
        spec = self.spec
        if not spec.save_to:
            return bench.stage_patches(
                spec.output, outcome, spec.settings, force=spec.force, inputs=inputs, text=spec.text
            )
        return bench.stage(
            spec.save_to, outcome, spec.settings, force=spec.force, inputs=inputs, text=spec.text,
            optimizer=not spec.model.options.values["no_save_optimizer_state"],
        )  # fmt: skip

    def _check_methods(self, edit_file: EditFile) -> None:
        """Refuse requests whose edits don't all go where the spec says."""
        spec = self.spec
        if spec.dry_run:
            return
        for request in edit_file.requests:
            method = spec.settings.for_request(request).method
            if method_named(method).changes_weights != bool(spec.save_to):
                told = "none, expected --save-patch alone" if spec.save_to else "some, expected --save-to"
                raise EditError(f"request {request.id}: of the weights its method {method} changes {told}")

    def _proof(self, ready: _Ready, edited: ComparedModel, outcome: Outcome) -> Report:
        """The report of an outcome, told and written."""
        spec, model = self.spec, ready.bench.model
        comparison = comparison_of_outcome(ready.edit_file, outcome, model.path)
        report = make_report(
            model, edited, comparison, ready.sets, spec.evaluation, ready.corpus, spec.words, ready.notes
        )
        self.tell.report(report)
        if spec.report:
            self.tell.wrote_files(write_report(spec.report, report, spec.force))
        return report

    def _write_besides(
        self, bench: Workbench, outcome: Outcome, report: Optional[Report], inputs: Sequence[str]
    ) -> None:
        """Write what is wished for besides the checkpoint: the patch, and the report's card."""
        spec = self.spec
        if spec.save_patch and spec.save_to:
            bench.save_patches(
                spec.save_patch, outcome, spec.settings, force=spec.force, inputs=inputs, text=spec.text
            )
            self.tell.note(f"wrote {spec.save_patch}")
        if report is not None and spec.report:
            write_card(self._card(), report, spec.force)
            self.tell.note(f"wrote {self._card()}")

    def _card(self) -> str:
        """Where the card of the checkpoint goes: it bears the checkpoint's name, since a folder may hold several."""
        return f"{os.path.splitext(self.spec.output.rstrip(os.sep))[0]}.{CARD}"


def _refusal(report: Optional[Report], outcome: Outcome, going_on: bool) -> str:
    """Why a checkpoint must not be written that shows every edit; empty if it may."""
    if report is None:
        return ""
    failed = [result for result in report.conditions if not result.passed]
    # --keep-going is for requests; a condition is there to be kept.
    if failed:
        return f"{len(failed)} of {len(report.conditions)} conditions failed: nothing was written"
    if not going_on and (outcome.failed or not report.passed):
        return "nothing was written; --keep-going writes the edits that hold"
    return ""
