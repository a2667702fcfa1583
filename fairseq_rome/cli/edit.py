"""`fairseq-edit`: corrected sentences in, an edited checkpoint out."""

from __future__ import annotations

import argparse
import sys
from typing import Any, Optional, Sequence

from fairseq_rome.cli.command import import_fairseq, run
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
    import_fairseq()
    return _run(with_fairseq(own, rest, settings.seed), settings)


def _run(args: argparse.Namespace, settings: Any) -> int:
    from fairseq_rome.checkpoint import check_output
    from fairseq_rome.cli import printing
    from fairseq_rome.cli.session import cache_folder, check_symbols, open_checkpoint, taken_neurons
    from fairseq_rome.corpus import load_corpus
    from fairseq_rome.editing import edit
    from fairseq_rome.requests import read_edit_file
    from fairseq_rome.segments import Endings

    if not args.dry_run:
        if not args.save_to:
            raise EditError("--save-to is missing, expected a file for the edited checkpoint (or --dry-run)")
        check_output(args.save_to, args.force, [args.path] if args.path else [])
    languages = (args.source_lang, args.target_lang)
    # A slip in the edit file is told before the checkpoint is opened, unless the languages are still to be found.
    edit_file = read_edit_file(args.edit_pref, *languages) if all(languages) else None
    opened = open_checkpoint(args)
    edit_file = edit_file or read_edit_file(args.edit_pref, *opened.languages)
    check_symbols(edit_file, opened.translator.codec)
    # What is to judge the edit must not teach it.
    corpus = load_corpus(opened.task, opened.translator.codec, settings.seed).without(edit_file.held_out)
    endings = Endings.of(*opened.languages)
    if args.dry_run:
        return _dry_run(args, opened, edit_file, corpus, settings, endings)
    say = printing.JSON if args.log_format == "json" else printing.TEXT
    if corpus.subset != "train":
        print(say.note(_no_training(args, corpus)), flush=True)
    taken = taken_neurons(opened.state)
    cache = cache_folder(args)
    outcome = edit(opened.translator, edit_file, corpus, settings, endings, cache, taken, _show_progress)
    for result in outcome.results:
        print(say.result(result))
    print(say.others("other sentences", outcome.sample))
    if edit_file.keep:
        print(say.others("sentences to keep", outcome.keep))
    print(say.verdict(outcome), flush=True)
    return _finish(args, opened, outcome, settings, say)


def _show_progress(result: Any) -> None:
    """Tell a person who waits which requests are done; the results proper come at the end, judged again."""
    if sys.stderr.isatty():
        print(f"request {result.request.id}: {result.status} ({result.seconds:.1f} s)", file=sys.stderr)


def _finish(args: argparse.Namespace, opened: Any, outcome: Any, settings: Any, say: Any) -> int:
    from fairseq_rome.cli.saving import NotHeldError, save

    status = 1 if outcome.failed or outcome.keep.changed else 0
    if status and not args.keep_going:
        print(say.note("nothing was written; --keep-going writes the edits that hold"))
        return status
    if not outcome.weights:
        print(say.note("nothing to write"))
        return status
    try:
        save(args, opened, outcome, settings, lambda text: print(say.note(text)))
    except NotHeldError as error:
        print(say.note(str(error)))
        return 1
    print(say.wrote(args.save_to))
    return status


def _no_training(args: argparse.Namespace, corpus: Any) -> str:
    return f"{args.data} has no training split: statistics and contexts come from its {corpus.subset} split"


def _dry_run(
    args: argparse.Namespace, opened: Any, edit_file: Any, corpus: Any, settings: Any, endings: Any
) -> int:
    """Print the settings as YAML, and as comments in it what would be done: the whole can be fed back."""
    from fairseq_rome.cli.options import as_yaml
    from fairseq_rome.editing import preview

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
