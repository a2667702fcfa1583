"""`fairseq-edit`: corrected sentences in, an edited checkpoint out."""

from __future__ import annotations

import argparse
import logging
import sys
import warnings
from dataclasses import asdict
from typing import Any, Callable, Dict, Optional, Sequence

from fairseq_rome.errors import EditError
from fairseq_rome.version import __version__

_NO_FAIRSEQ = (
    "fairseq can't be imported ({error}): install fairseq_rome[fairseq], or fairseq 0.12 for your Python, "
    "into this environment"
)


def main(argv: Optional[Sequence[str]] = None) -> int:
    """Run the command.

    Args:
        argv: arguments; those of the process if None.

    Returns:
        Exit status: 0 all hold, 1 a request failed, 2 something the user can put right.
    """
    try:
        with warnings.catch_warnings():
            # fairseq and what it stands on warn of their own old habits.
            if not sys.warnoptions:
                warnings.simplefilter("ignore")
            return _parse_and_run(argv)
    except EditError as error:
        print(f"fairseq-edit: {error}", file=sys.stderr)
    except KeyboardInterrupt:
        print("fairseq-edit: interrupted; nothing was written", file=sys.stderr)
    return 2


def _parse_and_run(argv: Optional[Sequence[str]]) -> int:
    _import_fairseq()
    from fairseq_rome.cli.options import parse

    return _run(*parse(argv))


def _import_fairseq() -> None:
    # fairseq tells much of what it loads; here only its warnings matter.
    logging.getLogger("fairseq").setLevel(logging.WARNING)
    try:
        from fairseq_rome.user_dir import share_user_dir

        share_user_dir()
    except (ImportError, ValueError, AttributeError) as error:
        raise EditError(_NO_FAIRSEQ.format(error=" ".join(str(error).split()))) from error


def _run(args: argparse.Namespace, settings: Any) -> int:
    from fairseq_rome.checkpoint import check_output
    from fairseq_rome.cli import printing
    from fairseq_rome.cli.options import as_yaml
    from fairseq_rome.cli.session import cache_folder, check_symbols, open_checkpoint
    from fairseq_rome.corpus import load_corpus
    from fairseq_rome.editing import edit
    from fairseq_rome.requests import read_edit_file
    from fairseq_rome.segments import Endings

    if not args.dry_run:
        if not args.save_to:
            raise EditError("--save-to is missing, expected a file for the edited checkpoint (or --dry-run)")
        check_output(args.save_to, args.force, [args.path] if args.path else [])
    opened = open_checkpoint(args)
    edit_file = read_edit_file(args.edit_pref, *opened.languages)
    check_symbols(edit_file, opened.translator.codec)
    corpus = load_corpus(opened.task, opened.translator.codec, settings.seed)
    if corpus.subset != "train":
        print(
            f"{args.data} has no training split: statistics and contexts come from its {corpus.subset} split"
        )
    endings = Endings.of(*opened.languages)
    if args.dry_run:
        print(as_yaml(settings), end="")
        return _dry_run(opened, edit_file, corpus, settings, endings)
    as_json = args.log_format == "json"
    show = printing.result_record if as_json else printing.result_text
    outcome = edit(opened.translator, edit_file, corpus, settings, endings, cache_folder(args))
    for result in outcome.results:
        print(show(result), flush=True)
    print(printing.others_text("other sentences", outcome.sample))
    if edit_file.keep:
        print(printing.others_text("sentences to keep", outcome.keep))
    print(printing.verdict(outcome))
    if outcome.failed and not args.keep_going:
        print("nothing was written; --keep-going writes the edits that hold")
        return 1
    if not outcome.weights:
        print("nothing to write")
        return 1 if outcome.failed else 0
    _write(args, opened, outcome, settings)
    return 1 if outcome.failed else 0


def _dry_run(opened: Any, edit_file: Any, corpus: Any, settings: Any, endings: Any) -> int:
    from fairseq_rome.attempts import plan, prepare
    from fairseq_rome.sites import find_sites, prepared

    translator = opened.translator
    with prepared(translator.model) as model:
        sites = ", ".join(map(str, plan(list(find_sites(model)), settings)))
        hypotheses = translator.translate([request.source for request in edit_file.requests])
        for request, before in zip(edit_file.requests, hypotheses):
            print(f"request {request.id}\n  source  {request.source}\n  before  {before.text}")
            print(f"  wanted  {request.target}")
            case = prepare(translator, request, before, corpus, settings, endings)
            if case is None:
                print("  nothing to do")
                continue
            change = f"{case.difference.unwanted or '(nothing)'} -> {case.difference.wanted or '(nothing)'}"
            print(f"  change  {change}, where the source says: {case.trigger}")
            print(
                f"  fit     {len(case.contexts)} contexts, {len(case.held_out)} held out, sites in order: {sites}"
            )
    return 0


def _write(args: argparse.Namespace, opened: Any, outcome: Any, settings: Any) -> None:
    from fairseq_rome.checkpoint import edited_state, fingerprint, portable_state, stale_parts, write_state
    from fairseq_rome.cli.session import load_again

    base = load_again(opened, opened.state)
    portable = portable_state(base, opened.state, opened.path, opened.task, opened.overrides)
    if portable is None:
        print(
            "note: this checkpoint's settings only load with --user-dir fairseq_rome where torch is 2.6 or newer"
        )
    provenance = _provenance(args, outcome, settings, fingerprint(opened.state))
    state = edited_state(
        portable or opened.state, outcome.weights, provenance, built=base.state_dict(),
        optimizer=not args.no_save_optimizer_state,
    )  # fmt: skip
    for part in stale_parts(state):
        print(f"note: {part} holds weights from before the edit")
    write_state(state, args.save_to, args.force, [args.path], verify=_verifier(args, opened, outcome))
    print(f"wrote {args.save_to}: reloaded, and its decoding shows every edit")


def _verifier(args: argparse.Namespace, opened: Any, outcome: Any) -> Callable[[str], None]:
    """Checks a written file as a later user would meet it: reloads it, in half precision under `--fp16`, and decodes."""
    from fairseq_rome.checkpoint import read_state
    from fairseq_rome.cli.session import load_again, to_device, translator_for
    from fairseq_rome.editing import EDITED
    from fairseq_rome.segments import Endings, holds

    def verify(path: str) -> None:
        model = to_device(load_again(opened, read_state(path)), args)
        if args.fp16:
            model.half()
        translator = translator_for(model, opened.task, opened.cfg, args)
        edited = [result for result in outcome.results if result.status == EDITED]
        endings = Endings.of(*opened.languages).target
        for result, now in zip(edited, translator.translate([result.request.source for result in edited])):
            if not holds(now.text, result.request.target, result.difference, endings):
                raise EditError(
                    f"request {result.request.id}: the reloaded checkpoint says {now.text!r}, not what the edited model "
                    "said in memory; nothing was written"
                )

    return verify


def _provenance(args: argparse.Namespace, outcome: Any, settings: Any, base: str) -> Dict[str, Any]:
    import torch

    return {
        "fairseq_rome": __version__,
        "torch": str(torch.__version__),
        "base": base,
        "settings": asdict(settings),
        "edits": [_edit_record(result, not args.no_text) for result in outcome.results if result.patch],
    }


def _edit_record(result: Any, text: bool) -> Dict[str, Any]:
    record = {
        "id": result.request.id,
        "method": result.patch.method,
        "site": str(result.patch.site),
        "neurons": result.patch.neurons,
        "parameters": result.patch.names,
        "size": result.size,
    }
    if text:
        record.update(source=result.request.source, target=result.request.target, trigger=result.trigger)
    return record


def cli_main() -> None:
    """Entry point of the console script."""
    sys.exit(main())


if __name__ == "__main__":
    cli_main()
