"""`fairseq-edit`: corrected sentences in, an edited checkpoint out."""

from __future__ import annotations

import argparse
import os
import sys
from typing import Any, Optional, Sequence

from fairseq_rome.cli.command import import_fairseq, naming, run
from fairseq_rome.cli.parsing import with_fairseq
from fairseq_rome.errors import EditError


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


def _parse_and_run(argv: Optional[Sequence[str]]) -> int:
    from fairseq_rome.cli.options import parse

    own, rest, settings = parse(argv)
    own.argv = list(sys.argv[1:] if argv is None else argv)
    import_fairseq()
    return _run(with_fairseq("fairseq-edit", own, rest, settings.seed), settings)


def _run(args: argparse.Namespace, settings: Any) -> int:
    from fairseq_rome.cli import judging, printing
    from fairseq_rome.cli.interrupts import telling_if_written
    from fairseq_rome.cli.proving import Proof
    from fairseq_rome.cli.running import kept_by, run_requests
    from fairseq_rome.cli.session import check_symbols, open_checkpoint
    from fairseq_rome.host.corpus import load_corpus
    from fairseq_rome.patch import base_weights, patch_paths, read_stack
    from fairseq_rome.text.requests import read_edit_file
    from fairseq_rome.text.segments import Endings

    gates = judging.check_options(args)
    _check_output(args)
    languages = (args.source_lang, args.target_lang)
    # A slip in the edit file is told before the checkpoint is opened, unless the languages are still to be found.
    edit_file = read_edit_file(args.edit_pref, *languages) if all(languages) else None
    opened = open_checkpoint(args, patch_paths(args.edit_patches))
    with naming(args.path):
        base_weights(opened.state, read_stack(opened.state))
    edit_file = edit_file or read_edit_file(args.edit_pref, *opened.languages)
    edit_file = judging.with_sites(judging.with_task(edit_file, args.edit_task), args.sites).without_leaks()
    check_symbols(edit_file, opened.translator.codec)
    wishes = judging.wishes_of(args, gates, opened)
    # What is to judge the edit must not teach it.
    judging_it = edit_file.held_out.union(*(one.sources for one in wishes.test_sets))
    corpus = load_corpus(opened.task, opened.translator.codec, settings.seed).without(judging_it)
    if not corpus.pairs:
        raise EditError(
            f"{args.data}: every sentence is in a test set or a probe, expected others to learn from"
        )
    endings = Endings.of(*opened.languages)
    if args.dry_run:
        return _dry_run(args, opened, edit_file, corpus, settings, endings)
    say = printing.JSON if args.log_format == "json" else printing.TEXT
    if corpus.subset != "train":
        print(say.note(_no_training(args, corpus)), flush=True)
    outcome, journal = run_requests(args, opened, edit_file, corpus, settings, say)
    proof = Proof(args, opened, edit_file, corpus, outcome, wishes) if wishes.any else None
    try:
        with telling_if_written(args.save_to):
            status = _finish(args, opened, outcome, settings, journal, proof, say)
    except KeyboardInterrupt as interrupt:
        raise KeyboardInterrupt(str(interrupt) or kept_by(journal)) from None
    if journal.done:
        print(say.note(kept_by(journal)))
    return status


def _check_output(args: argparse.Namespace) -> None:
    from fairseq_rome.cli.patch_folder import check_folder, is_folder
    from fairseq_rome.cli.saving import card_beside, inputs_of
    from fairseq_rome.host.checkpoint import check_output

    if args.dry_run:
        return
    if not args.save_to:
        raise EditError("--save-to is missing, expected a file for the edited checkpoint (or --dry-run)")
    inputs = inputs_of(args, (args.source_lang, args.target_lang))
    check_output(args.save_to, args.force, inputs)
    if args.report and not _reports_beside(args):
        check_output(card_beside(args.save_to), args.force)
    if args.save_patch and is_folder(args.save_patch):
        check_folder(args.save_patch, args.force)
    elif args.save_patch:
        check_output(args.save_patch, args.force, inputs)
        if os.path.realpath(args.save_patch) == os.path.realpath(args.save_to):
            raise EditError(f"{args.save_patch}: is what --save-to names as well, expected another file")


def _reports_beside(args: argparse.Namespace) -> bool:
    """Whether the report goes into the checkpoint's folder, where its card then is already."""
    return os.path.realpath(args.report) == os.path.dirname(os.path.realpath(args.save_to))


def _finish(
    args: argparse.Namespace, opened: Any, outcome: Any, settings: Any, journal: Any, proof: Any, say: Any
) -> int:
    from fairseq_rome.cli.saving import NotHeldError, save

    status = 1 if outcome.failed or outcome.keep.changed else 0
    # What was good before a bound was passed is kept.
    going_on = args.keep_going or (outcome.stopped and not outcome.keep.changed)
    if not outcome.holding:
        if proof is not None and not proof.of_nothing():
            status = 1
        journal.remove()
        print(say.note("nothing holds, and nothing was written" if status else "nothing to write"))
        return status
    if status and not going_on and proof is None:
        print(say.note("nothing was written; --keep-going writes the edits that hold"))
        return status
    try:
        save(args, opened, outcome, settings, lambda text: print(say.note(text)), proof or _no_judge)
    except NotHeldError as error:
        print(say.note(str(error)))
        return 1
    print(say.wrote(args.save_to), flush=True)
    _write_besides(args, opened, outcome, settings, proof, say)
    journal.remove()
    return status


def _write_besides(
    args: argparse.Namespace, opened: Any, outcome: Any, settings: Any, proof: Any, say: Any
) -> None:
    """Write what is wished for besides the checkpoint: the patch, and the report's card."""
    from fairseq_rome.cli.saving import write_card_beside, write_patch

    if args.save_patch:
        write_patch(args, opened, outcome, settings)
        print(say.note(f"wrote {args.save_patch}"))
    if proof is not None and proof.report is not None and args.report and not _reports_beside(args):
        print(say.note(f"wrote {write_card_beside(args.save_to, proof.report, args.force)}"))


def _no_judge(translator: Any, state: Any) -> None:
    """Nothing more is asked of the reloaded file than that every edit shows."""


def _no_training(args: argparse.Namespace, corpus: Any) -> str:
    return f"{args.data} has no training split: statistics and contexts come from its {corpus.subset} split"


def _dry_run(
    args: argparse.Namespace, opened: Any, edit_file: Any, corpus: Any, settings: Any, endings: Any
) -> int:
    """Print the settings as YAML, and as comments in it what would be done: the whole can be fed back."""
    from fairseq_rome.cli.options import as_yaml
    from fairseq_rome.editing.run import preview

    print(as_yaml(settings), end="")
    if corpus.subset != "train":
        print(f"# {_no_training(args, corpus)}")
    for request, before, plan in preview(opened.translator, edit_file, corpus, settings, endings):
        print(f"# request {request.id}\n#   source  {request.source}\n#   before  {before}")
        print(f"#   wanted  {request.target}")
        print("\n".join(f"#   {line}" for line in _plan_lines(plan)), flush=True)
    return 0


def _plan_lines(plan: Any) -> Sequence[str]:
    from fairseq_rome.cli.printing import change_text

    if plan is None:
        return ["nothing to do"]
    case, settings, sites = plan
    return [
        f"change  {change_text(case.difference, case.trigger)}",
        f"fit     {settings.method}, {len(case.contexts)} contexts, {len(case.held_out)} held out, "
        f"sites in order: {', '.join(map(str, sites))}",
    ]


def cli_main() -> None:
    """Entry point of the console script."""
    sys.exit(main())


if __name__ == "__main__":
    cli_main()
