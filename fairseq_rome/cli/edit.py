"""`fairseq-edit`: corrected sentences in, an edited checkpoint out."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, List, Optional, Sequence, Set, Tuple

from fairseq_rome.cli.command import import_fairseq, run
from fairseq_rome.cli.edit_options import EditCommand, as_yaml, parse
from fairseq_rome.cli.interrupts import telling_if_written
from fairseq_rome.errors import EditError

if TYPE_CHECKING:
    from fairseq_rome.editing.journal import Journal
    from fairseq_rome.editing.outcome import Outcome
    from fairseq_rome.evaluation.sentence_sets import SentenceSet
    from fairseq_rome.report import Report
    from fairseq_rome.text.requests import EditFile
    from fairseq_rome.workbench.compared_models import ComparedModel
    from fairseq_rome.workbench.workbench import Workbench


def main(argv: Optional[Sequence[str]] = None) -> int:
    """Run the command.

    Args:
        argv: arguments; those of the process if None.

    Returns:
        Exit status: 0 all hold, 1 a request failed, 2 something the user can put right.

    Raises:
        SystemExit: after printing the help.
    """
    return run("fairseq-edit", _parse_and_run, argv)


def _parse_and_run(argv: Sequence[str]) -> int:
    command = parse(argv, import_fairseq)
    with telling_if_written(command.save_to):
        return Edit(command).run()


class Edit:
    """One run of the command: opens, edits, stages, proves, commits, and prints on the way.

    Args:
        command: what is asked for.
    """

    def __init__(self, command: EditCommand) -> None:
        from fairseq_rome.cli.rendering import JsonPrinter, Printer

        self.command = command
        self.say = JsonPrinter() if command.as_json else Printer()

    def run(self) -> int:
        """Do all that is asked for, and give the exit status."""
        from fairseq_rome.workbench.evaluating import load_test_sets
        from fairseq_rome.workbench.journals import done_by, journal_of, keeps_journal, kept_by

        command, settings = self.command, self.command.settings
        bench, edit_file = self._opened()
        sets = load_test_sets(command.evaluation.test_sets, bench.model.translator.codec)
        hidden = {source for one in sets for source in one.sources}
        if command.dry_run:
            return self._preview(bench, edit_file, hidden)
        corpus = bench.background(settings.seed, edit_file.held_out.union(hidden))
        if corpus.subset != "train":
            self.say.note(_no_training(bench, corpus.subset))
        journal = journal_of(bench.model, edit_file, corpus, settings, command.save_to)
        if journal.done:
            self.say.note(f"going on after {done_by(journal)} that an interrupted run has done")
        kept = journal if keeps_journal(edit_file, settings) else None
        try:
            outcome = bench.edit(edit_file, settings, hidden=hidden, observe=self.say.result, journal=kept)
            self.say.outcome(outcome, settings.widen)
            status = self._finish(bench, edit_file, outcome, sets, journal)
        except KeyboardInterrupt:
            raise KeyboardInterrupt(kept_by(journal)) from None
        if journal.done:
            self.say.note(kept_by(journal))
        return status

    def _opened(self) -> Tuple[Workbench, EditFile]:
        from fairseq_rome.text.requests import read_edit_file
        from fairseq_rome.workbench.opening import open_model
        from fairseq_rome.workbench.workbench import Workbench

        command = self.command
        values = command.model.options.values
        languages = [code for code in (values["source_lang"], values["target_lang"]) if code]
        self._check_outputs(languages)
        # A slip in the edit file is told before the checkpoint is opened, unless the languages are still to be found.
        edit_file = read_edit_file(command.edit_pref, *languages) if len(languages) == 2 else None
        bench = Workbench(open_model(command.model, command.progress))
        bench.check_history()
        edit_file = edit_file or read_edit_file(command.edit_pref, *bench.languages)
        return bench, bench.check_requests(edit_file.with_task(command.task).with_sites(command.sites))

    def _inputs(self, languages: Sequence[str]) -> List[str]:
        from fairseq_rome.workbench.inputs import input_files

        command = self.command
        prefixes = [command.edit_pref, *command.evaluation.test_sets]
        return input_files(command.model, prefixes, languages, [command.edit_config, command.site_file])

    def _check_outputs(self, languages: Sequence[str]) -> None:
        """Refuse outputs that can't be written, before the long work."""
        from fairseq_rome.host.checkpoint import check_output
        from fairseq_rome.patch import check_patch_folder, is_folder
        from fairseq_rome.report import check_folder

        command = self.command
        if command.report:
            check_folder(command.report, command.force)
        if command.dry_run:
            return
        inputs = self._inputs(languages)
        check_output(command.save_to, command.force, inputs)
        if command.report and not self._reports_beside():
            check_output(self._card(), command.force)
        if command.save_patch and is_folder(command.save_patch):
            check_patch_folder(command.save_patch, command.force)
        elif command.save_patch:
            check_output(command.save_patch, command.force, inputs)
            if os.path.realpath(command.save_patch) == os.path.realpath(command.save_to):
                raise EditError(f"{command.save_patch}: is what --save-to names as well, expected another file")

    def _finish(
        self, bench: Workbench, edit_file: EditFile, outcome: Outcome, sets: Sequence[SentenceSet], journal: Journal
    ) -> int:
        """Prove what was edited, and write it if it holds."""
        from fairseq_rome.workbench.compared_models import unedited

        command = self.command
        status = 1 if outcome.failed or outcome.keep.changed else 0
        # What was good before a bound was passed is kept.
        going_on = command.keep_going or bool(outcome.stopped and not outcome.keep.changed)
        report: Optional[Report] = None
        if not outcome.holding:
            if command.proves and not self._report(bench, unedited(bench.model), edit_file, outcome, sets).passed:
                status = 1
            journal.remove()
            self.say.note("nothing holds, and nothing was written" if status else "nothing to write")
            return status
        if status and not going_on and not command.proves:
            self.say.note("nothing was written; --keep-going writes the edits that hold")
            return status
        optimizer = not command.model.options.values["no_save_optimizer_state"]
        inputs = self._inputs(bench.languages)
        with bench.stage(
            command.save_to, outcome, command.settings, force=command.force, inputs=inputs, text=command.text,
            optimizer=optimizer,
        ) as staged:  # fmt: skip
            for note in staged.notes:
                self.say.note(note)
            reloaded = staged.reload()
            for failure in staged.failures(reloaded)[:1]:
                self.say.note(f"{failure}; nothing was written")
                return 1
            if command.proves:
                report = self._report(bench, reloaded, edit_file, outcome, sets)
                refusal = _refusal(report, outcome, going_on)
                if refusal:
                    self.say.note(refusal)
                    return 1
            staged.commit()
        self.say.wrote(command.save_to)
        self._write_besides(bench, outcome, report, [*inputs, command.save_to])
        journal.remove()
        return status

    def _report(
        self,
        bench: Workbench,
        edited: ComparedModel,
        edit_file: EditFile,
        outcome: Outcome,
        sets: Sequence[SentenceSet],
    ) -> Report:
        """The proof of an outcome, printed and written."""
        from fairseq_rome.report import write_report
        from fairseq_rome.workbench.evaluating import comparison_of_outcome, make_report

        command, model = self.command, bench.model
        comparison = comparison_of_outcome(edit_file, outcome, model.path)
        hidden = {source for one in sets for source in one.sources}
        corpus = bench.background(command.settings.seed, edit_file.held_out.union(hidden))
        report = make_report(model, edited, comparison, sets, command.evaluation, corpus, command.words)
        self.say.report(report)
        if command.report:
            self.say.wrote_files(write_report(command.report, report, command.force))
        return report

    def _write_besides(
        self, bench: Workbench, outcome: Outcome, report: Optional[Report], inputs: Sequence[str]
    ) -> None:
        """Write what is wished for besides the checkpoint: the patch, and the report's card."""
        from fairseq_rome.report import write_card

        command = self.command
        if command.save_patch:
            bench.save_patches(
                command.save_patch, outcome, command.settings, force=command.force, inputs=inputs, text=command.text
            )
            self.say.note(f"wrote {command.save_patch}")
        if report is not None and command.report and not self._reports_beside():
            write_card(self._card(), report, command.force)
            self.say.note(f"wrote {self._card()}")

    def _card(self) -> str:
        """Where the card of the checkpoint goes."""
        return os.path.join(os.path.dirname(self.command.save_to), "edit_card.md")

    def _reports_beside(self) -> bool:
        """Whether the report goes into the checkpoint's folder, where its card then is already."""
        return os.path.realpath(self.command.report) == os.path.dirname(os.path.realpath(self.command.save_to))

    def _preview(self, bench: Workbench, edit_file: EditFile, hidden: Set[str]) -> int:
        """Print the settings as YAML, and as comments in it what would be done: the whole can be fed back."""
        from fairseq_rome.cli.rendering import plan_lines

        print(as_yaml(self.command.settings), end="")
        subset = bench.background(self.command.settings.seed, edit_file.held_out.union(hidden)).subset
        if subset != "train":
            print(f"# {_no_training(bench, subset)}")
        for one in bench.preview(edit_file, self.command.settings, hidden=hidden):
            print(f"# request {one.request.id}\n#   source  {one.request.source}\n#   before  {one.before}")
            print(f"#   wanted  {one.request.target}")
            print("\n".join(f"#   {line}" for line in plan_lines(one.plan)), flush=True)
        return 0


def _refusal(report: Report, outcome: Outcome, going_on: bool) -> str:
    """Why a proven checkpoint must not be written; empty if it may."""
    failed = [result for result in report.conditions if not result.passed]
    # --keep-going is for requests; a condition is there to be kept.
    if failed:
        return f"{len(failed)} of {len(report.conditions)} gates failed: nothing was written"
    if not going_on and (outcome.failed or not report.passed):
        return "nothing was written; --keep-going writes the edits that hold"
    return ""


def _no_training(bench: Workbench, subset: str) -> str:
    data = bench.model.adapter.data
    return f"{data} has no training split: statistics and contexts come from its {subset} split"


def cli_main() -> None:
    """Entry point of the console script."""
    sys.exit(main())


if __name__ == "__main__":
    cli_main()
