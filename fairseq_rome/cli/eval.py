"""`fairseq-edit-eval`: an edited checkpoint against the one it was made from, by decoding with both."""

from __future__ import annotations

import argparse
import os
import sys
from typing import Any, Dict, List, Optional, Sequence, Tuple

from fairseq_rome.cli.command import import_fairseq, run
from fairseq_rome.cli.parsing import add_edit_file, add_evaluation, add_trust, command_parser, with_fairseq
from fairseq_rome.errors import EditError
from fairseq_rome.evaluation.conditions import METRICS

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
     and every gate passed
  1  one of these is not so
  2  something that you can put right, said in one line
"""
_SAMPLE = 200


def main(argv: Optional[Sequence[str]] = None) -> int:
    """Run the command.

    Args:
        argv: arguments; those of the process if None.

    Returns:
        Exit status: 0 all is well, 1 a request or a gate failed, 2 something the user can put right.

    Raises:
        SystemExit: after printing the help.
    """
    return run("fairseq-edit-eval", _parse_and_run, argv)


def parser() -> argparse.ArgumentParser:
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


def _parse_and_run(argv: Optional[Sequence[str]]) -> int:
    own, rest = parser().parse_known_args(argv)
    own.argv = list(sys.argv[1:] if argv is None else argv)
    if not own.edit_pref and not own.test_set:
        raise EditError("nothing to judge: expected --edit-pref, --test-set or both")
    if own.edit_sample is not None and own.edit_sample < 0:
        raise EditError(f"--edit-sample is {own.edit_sample}, expected a number of at least 0")
    if (own.edited is None) == (own.edit_patches is None):
        raise EditError("expected the edited model: either --edited or --edit-patches")
    import_fairseq()
    return _run(with_fairseq("fairseq-edit-eval", own, rest, own.seed))


def _run(args: argparse.Namespace) -> int:
    from fairseq_rome.cli import judging
    from fairseq_rome.cli.pictures import heat_maps
    from fairseq_rome.cli.session import check_symbols, open_checkpoint, unedited
    from fairseq_rome.cli.verdict import verdict_lines
    from fairseq_rome.evaluation.evaluate import Plan, checkers_for, evaluate
    from fairseq_rome.host.corpus import load_corpus
    from fairseq_rome.host.sites import prepared
    from fairseq_rome.report import report_record, write_report

    gates = judging.check_options(args)
    opened = open_checkpoint(args)
    edited, records, models = _edited(args, opened)
    wishes = judging.wishes_of(args, gates, opened)
    languages: Tuple[str, str] = (opened.languages[0], opened.languages[1])
    edit_file = _edit_file(args, languages)
    check_symbols(edit_file, opened.translator.codec)
    triggers = judging.known_triggers(edit_file, records)
    corpus = load_corpus(opened.task, opened.translator.codec, args.seed, judging.MOST_READ)
    size = args.edit_sample if args.edit_sample is not None else _SAMPLE * (not wishes.test_sets)
    hidden = [request.source for request in edit_file.requests] + sorted(edit_file.held_out)
    sample = corpus.without(hidden).without_triggers(triggers.values(), size)
    plan = Plan(
        edit_file, languages, triggers, tuple(sample), wishes.test_sets, checkers_for(languages, corpus)
    )
    before = unedited(opened, args)
    with prepared(before.model), prepared(edited.model):
        found = evaluate(before, edited, plan)
    cost = {"checkpoint_bytes": float(os.path.getsize(args.edited or args.path))}
    edits = judging.told_edits(edit_file, records)
    figures = args.report_figures if wishes.report else 0
    pictures = heat_maps(opened.translator, edit_file.requests, figures, args.seed)
    report = judging.make_report(found, wishes.gates, opened, models, args, cost, edits, pictures)
    as_json = args.log_format == "json"
    for line in verdict_lines(report_record(report), as_json):
        print(line)
    if wishes.report:
        print(judging.wrote_text(write_report(wishes.report, report, args.force), as_json))
    return 0 if report.passed else 1


def _edited(args: argparse.Namespace, opened: Any) -> Tuple[Any, List[Any], Dict[str, Any]]:
    """The edited model, the records of its edits, and what the report tells of it."""
    from fairseq_rome.cli.history import with_patch_files
    from fairseq_rome.cli.judging import edits_in
    from fairseq_rome.cli.session import reopened
    from fairseq_rome.host.checkpoint import fingerprint, read_state
    from fairseq_rome.patch import patch_paths

    if args.edited:
        state = read_state(args.edited, trust=args.trust_checkpoint)
        told = {"edited": {"path": args.edited, "fingerprint": fingerprint(state)}}
        return reopened(opened, state, args), edits_in(state), told
    paths = patch_paths(args.edit_patches)
    state, _ = with_patch_files(args.path, opened.state, paths, opened.translator.model.state_dict())
    return reopened(opened, state, args), edits_in(state), {"patches": paths}


def _edit_file(args: argparse.Namespace, languages: Tuple[str, str]) -> Any:
    from fairseq_rome.cli.judging import with_task
    from fairseq_rome.text.requests import EditFile, read_edit_file

    if not args.edit_pref:
        return EditFile(())
    return with_task(read_edit_file(args.edit_pref, *languages), args.edit_task)


def cli_main() -> None:
    """Entry point of the console script."""
    sys.exit(main())


if __name__ == "__main__":
    cli_main()
