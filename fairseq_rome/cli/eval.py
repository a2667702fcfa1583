"""`fairseq-edit-eval`: an edited checkpoint against the one it was made from, by decoding with both."""

from __future__ import annotations

import argparse
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, Optional, Sequence, Tuple

from fairseq_rome.cli.command import import_fairseq, run
from fairseq_rome.cli.parsing import (
    add_edit_file,
    add_evaluation,
    add_trust,
    command_parser,
    evaluation_options,
    model_spec,
)
from fairseq_rome.errors import EditError
from fairseq_rome.evaluation.conditions import METRICS

if TYPE_CHECKING:
    from fairseq_rome.host.decoding import Progress
    from fairseq_rome.workbench.compared_models import ComparedModel
    from fairseq_rome.workbench.specs import EvaluationOptions, ModelSpec
    from fairseq_rome.workbench.workbench import Workbench

USAGE = "fairseq-edit-eval DATA --path BEFORE --edited AFTER -s SRC -t TGT [--edit-pref PREF] [--test-set SET] ..."
DESCRIPTION = """\
Show what an edit did, by decoding with two checkpoints side by side.

Requests (--edit-pref) tell whether the edit holds in their own sentence, and,
where they bring probes, in sentences that it never saw. Sentences to keep,
near misses and test sets tell what else changed. All of it is real beam
search with your own search settings; on test sets with references BLEU, chrF
and TER come with sacrebleu's signatures and a paired bootstrap test.
"""
EPILOG = """\
examples:
  fairseq-edit-eval data-bin --path model.pt --edited edited.pt -s en -t de \\
      --bpe sentencepiece --sentencepiece-model spm.model \\
      --edit-pref fixes.jsonl --test-set test --report out
  fairseq-edit-eval ... --gate 'locality>=0.995' --gate 'bleu_delta>=-0.2'

A request of a .jsonl or .yaml file brings its probes as "probes": a list of
sources, or of {"source": ..., "target": ...}; near misses likewise as "near".
Of parallel text PREF.probe.SRC holds probes for all requests.

figures for --gate:
{figures}

exit status:
  0  every request that was wrong before holds, the sentences to keep stayed,
     and every condition is met
  1  one of these is not so
  2  something that you can put right, said in one line
"""
_SAMPLE = 200


@dataclass(frozen=True)
class EvalCommand:
    """One run of the command, as it was asked for.

    Args:
        model: the checkpoint before the edit.
        progress: wraps long loops.
        as_json: whether each line of output is a JSON object.
        edited: the checkpoint after the edit; None where patches make it.
        patches: patch files that make it.
        hooks: whether these are held by hooks, beside the weights.
        edit_pref: the edit file; None for none.
        task: of requests that name none.
        evaluation: what is looked at besides.
        sample: how many other sentences are decoded.
        report: folder of the report; empty for none.
        force: whether its files are replaced.
        words: the command line.
    """

    model: ModelSpec
    progress: Progress
    as_json: bool
    edited: Optional[str]
    patches: Tuple[str, ...]
    hooks: bool
    edit_pref: Optional[str]
    task: Optional[str]
    evaluation: EvaluationOptions
    sample: int
    report: str
    force: bool
    words: Tuple[str, ...]


def main(argv: Optional[Sequence[str]] = None) -> int:
    """Run the command.

    Args:
        argv: arguments; those of the process if None.

    Returns:
        Exit status: 0 all is well, 1 a request or a condition failed, 2 something the user can put right.

    Raises:
        SystemExit: after printing the help.
    """
    return run("fairseq-edit-eval", lambda words: _run(parse(words)), argv)


def own_parser() -> argparse.ArgumentParser:
    """The command's own options; its help is the command's."""
    figures = "\n".join(f"  {name:18}{meaning}" for name, meaning in METRICS.items())
    # Not by format(): the text holds braces of its own.
    epilog = EPILOG.replace("{figures}", figures)
    made = command_parser("fairseq-edit-eval", USAGE, DESCRIPTION, epilog, " before the edit")
    group = made.add_argument_group("what is compared, and on what")
    group.add_argument("--edited", metavar="FILE", help="the checkpoint after the edit")
    group.add_argument(
        "--edit-patches", metavar="FILES",
        help="instead of --edited: patch files of fairseq-edit --save-patch, joined by ':', that are applied to --path",
    )  # fmt: skip
    group.add_argument(
        "--edit-hooks", action="store_true",
        help="hold the patches by hooks beside the model instead of making them in its weights",
    )  # fmt: skip
    add_edit_file(group, required=False)
    add_evaluation(group)
    group.add_argument(
        "--edit-sample", type=int, metavar="N",
        help="also decode N sentences of DATA's training side without any trigger "
        f"(default: {_SAMPLE} if there is no --test-set, else 0)",
    )  # fmt: skip
    group.add_argument("--force", action="store_true", help="overwrite the files of --report")
    group.add_argument(
        "--seed", type=int, default=1, help="of the choice of sentences (default: %(default)s)"
    )
    add_trust(group)
    return made


def parse(argv: Sequence[str]) -> EvalCommand:
    """What the words of a command line ask for.

    Raises:
        EditError: for options that can't be.
        SystemExit: after printing the help.
    """
    own, rest = own_parser().parse_known_args(argv)
    if not own.edit_pref and not own.test_set:
        raise EditError("nothing to judge: expected --edit-pref, --test-set or both")
    if own.edit_sample is not None and own.edit_sample < 0:
        raise EditError(f"--edit-sample is {own.edit_sample}, expected a number of at least 0")
    if (own.edited is None) == (own.edit_patches is None):
        raise EditError("expected the edited model: either --edited or --edit-patches")
    if own.edit_hooks and own.edit_patches is None:
        raise EditError("--edit-hooks holds patches beside the model, expected --edit-patches with it")
    import_fairseq()
    from fairseq_rome.patch import patch_paths

    evaluation = evaluation_options(own, own.seed)
    model, progress, as_json = model_spec("fairseq-edit-eval", own, rest, own.seed)
    sample = own.edit_sample if own.edit_sample is not None else _SAMPLE * (not own.test_set)
    return EvalCommand(
        model, progress, as_json, own.edited, tuple(patch_paths(own.edit_patches)), own.edit_hooks, own.edit_pref,
        own.edit_task, evaluation, sample, own.report, own.force, ("fairseq-edit-eval", *argv),
    )  # fmt: skip


def _run(command: EvalCommand) -> int:
    from fairseq_rome.cli.rendering import JsonPrinter, Printer
    from fairseq_rome.report import check_folder, write_report
    from fairseq_rome.text.requests import EditFile, read_edit_file
    from fairseq_rome.workbench.evaluating import comparison_of_records, load_test_sets, make_report
    from fairseq_rome.workbench.opening import open_model
    from fairseq_rome.workbench.workbench import MOST_READ, Workbench

    if command.report:
        check_folder(command.report, command.force)
    bench = Workbench(open_model(command.model, command.progress))
    edited = _edited(bench, command)
    sets = load_test_sets(command.evaluation.test_sets, bench.model.translator.codec)
    edit_file = EditFile(())
    if command.edit_pref:
        edit_file = read_edit_file(command.edit_pref, *bench.languages).with_task(command.task)
    edit_file = bench.check_requests(edit_file)
    corpus = bench.background(command.evaluation.seed, most=MOST_READ)
    checkpoint = command.edited or bench.model.path
    comparison = comparison_of_records(edit_file, edited.edits, corpus, command.sample, checkpoint)
    report = make_report(bench.model, edited, comparison, sets, command.evaluation, corpus, command.words)
    say = JsonPrinter() if command.as_json else Printer()
    say.report(report)
    if command.report:
        say.wrote_files(write_report(command.report, report, command.force))
    return 0 if report.passed else 1


def _edited(bench: Workbench, command: EvalCommand) -> ComparedModel:
    from fairseq_rome.workbench.compared_models import of_checkpoint, with_files, with_hooks
    from fairseq_rome.workbench.workbench import MOST_READ

    if command.edited is not None:
        return of_checkpoint(bench.model, command.edited)
    if command.hooks:
        return with_hooks(bench.model, command.patches, bench.background(command.evaluation.seed, most=MOST_READ))
    return with_files(bench.model, command.patches)


def cli_main() -> None:
    """Entry point of the console script."""
    sys.exit(main())


if __name__ == "__main__":
    cli_main()
