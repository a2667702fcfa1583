"""`fairseq-edit-eval`: an edited checkpoint against the one it was made from, by decoding with both."""

from __future__ import annotations

import argparse
import sys
from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple, Sequence

from fairseq_rome.cli.command import command, import_fairseq
from fairseq_rome.cli.parsing import (
    add_cache,
    add_edit_file,
    add_evaluation,
    add_trust,
    command_parser,
    evaluation_options,
    help_sections,
    model_spec,
)
from fairseq_rome.errors import EditError
from fairseq_rome.evaluation.conditions import METRICS

if TYPE_CHECKING:
    from fairseq_rome.host.decoding import Progress
    from fairseq_rome.workbench.eval_job import EvalSpec

USAGE = "fairseq-edit-eval DATA --path BEFORE --edited AFTER -s SRC -t TGT [--edit-pref PREF] [--test-set SET] ..."
_SAMPLE = 200


class EvalCommand(NamedTuple):
    """One run of the command: what to compare, and how it is shown."""

    spec: EvalSpec
    report: str
    force: bool
    progress: Progress
    as_json: bool


def own_parser() -> argparse.ArgumentParser:
    """The command's own options; its help is the command's."""
    figures = "\n".join(f"  {name:18}{meaning}" for name, meaning in METRICS.items())
    texts = help_sections("eval")
    # Not by format(): the text holds braces of its own.
    texts["epilog"] = texts["epilog"].replace("{figures}", figures)
    made = command_parser("fairseq-edit-eval", USAGE, texts, " before the edit")
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
    group.add_argument(
        "--edit-directions", metavar="DIRECTIONS", default="all",
        help="of models for several directions, the others in which sentences are decoded too: such as en-fr,en-de; "
        "all: those of --lang-pairs that DATA has sentences of; or none (default: all)",
    )  # fmt: skip
    group.add_argument(
        "--edit-direction-sample", type=int, metavar="N", default=50,
        help="how many sentences of the other directions, over all of them (default: %(default)s)",
    )  # fmt: skip
    group.add_argument("--force", action="store_true", help="overwrite the files of --report")
    group.add_argument(
        "--seed", type=int, default=1, help="of the choice of sentences (default: %(default)s)"
    )
    add_cache(group)
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
    if own.edit_direction_sample < 0:
        raise EditError(f"--edit-direction-sample is {own.edit_direction_sample}, expected a number of at least 0")
    if (own.edited is None) == (own.edit_patches is None):
        raise EditError("expected the edited model: either --edited or --edit-patches")
    if own.edit_hooks and own.edit_patches is None:
        raise EditError("--edit-hooks holds patches beside the model, expected --edit-patches with it")
    import_fairseq()
    from fairseq_rome.patch import patch_paths

    looked_at = {"directions": own.edit_directions, "direction_sample": own.edit_direction_sample}
    evaluation = replace(evaluation_options(own, own.seed), **looked_at)
    model, progress, as_json = model_spec("fairseq-edit-eval", own, rest, own.seed)
    sample = own.edit_sample if own.edit_sample is not None else _SAMPLE * (not own.test_set)
    from fairseq_rome.workbench.eval_job import EvalSpec

    spec = EvalSpec(
        model, own.edited, tuple(patch_paths(own.edit_patches)), own.edit_hooks, own.edit_pref, own.edit_task,
        evaluation, sample, ("fairseq-edit-eval", *argv), own.edit_markup,
    )  # fmt: skip
    return EvalCommand(spec, own.report, own.force, progress, as_json)


def _run(asked: EvalCommand) -> int:
    from fairseq_rome.cli.joining import joined
    from fairseq_rome.cli.printers import printer
    from fairseq_rome.report import check_folder, write_report
    from fairseq_rome.workbench.eval_job import compare_models

    if asked.report:
        check_folder(asked.report, asked.force)
    with joined(asked.spec.model, asked.progress) as (ranks, progress):
        report = compare_models(asked.spec, progress, ranks)
        if ranks.first:
            say = printer(asked.as_json)
            for note in report.notes:
                say.note(note)
            say.report(report)
            if asked.report:
                say.wrote_files(write_report(asked.report, report, asked.force))
    return 0 if report.passed else 1


main = command("fairseq-edit-eval", lambda words: _run(parse(words)))

if __name__ == "__main__":
    sys.exit(main())
