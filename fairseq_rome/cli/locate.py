"""`fairseq-edit-locate`: which layers and positions carry a behaviour, as heat maps and as a ranked list of sites."""

from __future__ import annotations

import argparse
import sys
import time
from typing import Any, Dict, List, Optional, Sequence, Tuple

from fairseq_rome.cli.command import import_fairseq, run
from fairseq_rome.cli.parsing import add_edit_file, add_trust, command_parser, with_fairseq
from fairseq_rome.errors import EditError

PROG = "fairseq-edit-locate"
USAGE = "fairseq-edit-locate DATA --path MODEL --edit-pref PREF -s SRC -t TGT --save-dir DIR [options]"
DESCRIPTION = """\
Find where a behaviour sits in a trained translation model, by causal tracing.

For each request (a source sentence and the translation it should have, as for
fairseq-edit) the command decodes what the model says now, finds the segment
that differs and the trigger, the source words that it hangs on. Then it runs
the model under teacher forcing, three ways:

  clean      as it is: the segment has its full probability
  corrupted  with noise on the embeddings of the trigger: most of it is lost
  restored   corrupted, but one state keeps its clean value: the output of the
             feed-forward network (FFN), the self-attention or the
             cross-attention of one layer, at one position

The effect of a state is the probability that it brings back by itself. With
--locate-mode carry there is no noise: states are carried from a sentence of
DATA in which the model rightly says the wanted segment into the request's
sentence, and the effect is the probability that the wanted segment gains.

The model is not changed. Nothing is overwritten without --force.
"""
EPILOG = """\
what is written to DIR, numbered as the requests are:
  1-ID.json         all effects by stack and kind of state, layers x positions
  1-ID-encoder.png  heat map of the encoder: layers across, source subwords
                    down, a panel for each kind of state. Red: this state alone
                    brings the segment back; blue: it drives it away; white:
                    neither; grey: it was not restored (carry). A star marks
                    the trigger. Each panel has a scale of its own, below it.
  1-ID-decoder.png  the same of the decoder: a row is the target subword that
                    is predicted there; a star marks the segment
  sites.yaml        for each request the order in which to try sites: the
                    decoder's, where edits hold best, then the encoder's, each
                    by the effect of its FFN; for fairseq-edit --site

examples:
  fairseq-edit-locate data-bin --path model.pt --edit-pref fixes -s en -t de \\
      --bpe sentencepiece --sentencepiece-model spm.model --save-dir traces
  fairseq-edit-locate ... --locate-mode carry          without noise
  fairseq-edit-locate ... --log-format json            a line of JSON a request
  fairseq-edit ... --site traces/sites.yaml            in the order found

exit status:
  0  every request was traced
  1  some request could not be traced; the others were
  2  something that you can put right, said in one line
"""


def main(argv: Optional[Sequence[str]] = None) -> int:
    """Run the command.

    Args:
        argv: arguments; those of the process if None.

    Returns:
        Exit status: 0 all traced, 1 a request could not be traced, 2 something the user can put right.

    Raises:
        SystemExit: after printing the help.
    """
    return run(PROG, _parse_and_run, argv)


def own_parser() -> argparse.ArgumentParser:
    """The options that are ours; its help is the command's."""
    parser = command_parser(PROG, USAGE, DESCRIPTION, EPILOG, " to trace")
    files = parser.add_argument_group("requests and output")
    add_edit_file(files)
    files.add_argument("--save-dir", metavar="DIR", required=True, help="where arrays and heat maps go")
    files.add_argument(
        "--force", action="store_true", help="overwrite what an earlier run left in --save-dir"
    )
    files.add_argument(
        "--locate-format", choices=("json", "safetensors"), default="json",
        help="of the arrays (default: json)",
    )  # fmt: skip
    files.add_argument(
        "--locate-figures", choices=("png", "svg"), default="png", help="of the heat maps (default: png)"
    )
    add_trust(files)
    _add_tracing(parser.add_argument_group("tracing"))
    return parser


def _add_tracing(group: Any) -> None:
    group.add_argument(
        "--locate-mode", choices=("noise", "carry"), default="noise",
        help="noise: what restores the behaviour after noise; carry: what brings the wanted segment when it is "
        "carried over from where the model says it (default: noise)",
    )  # fmt: skip
    group.add_argument(
        "--locate-noise", type=float, default=3.0, metavar="SCALE",
        help="standard deviation of the noise, in standard deviations of the source embeddings (default: 3)",
    )  # fmt: skip
    group.add_argument(
        "--locate-samples", type=int, default=8, metavar="N",
        help="samples of noise that effects are averaged over (default: 8)",
    )  # fmt: skip
    group.add_argument(
        "--locate-batch-tokens", type=int, default=2000, metavar="N",
        help="tokens in one batch of restored runs; more suit a GPU (default: 2000)",
    )  # fmt: skip
    group.add_argument("--seed", type=int, default=1, help="seed of every random choice (default: 1)")


def _parse_and_run(argv: Optional[Sequence[str]]) -> int:
    own, rest = own_parser().parse_known_args(argv)
    if own.seed < 0:
        raise EditError(f"--seed is {own.seed}, expected at least 0")
    import_fairseq()
    return _run(with_fairseq("fairseq-edit-locate", own, rest, own.seed))


def _run(args: argparse.Namespace) -> int:
    from fairseq_rome.cli.session import check_symbols, open_checkpoint
    from fairseq_rome.cli.traces import TraceFolder
    from fairseq_rome.host.corpus import load_corpus
    from fairseq_rome.text.requests import read_edit_file
    from fairseq_rome.tracing import CARRY, LocateSettings

    settings = LocateSettings(
        args.locate_mode, args.locate_noise, args.locate_samples, args.seed, args.locate_batch_tokens
    )
    languages = (args.source_lang, args.target_lang)
    # A slip in the edit file is told before the checkpoint is opened, unless the languages are still to be found.
    edit_file = read_edit_file(args.edit_pref, *languages) if all(languages) else None
    opened = open_checkpoint(args)
    edit_file = edit_file or read_edit_file(args.edit_pref, *opened.languages)
    check_symbols(edit_file, opened.translator.codec)
    names = [request.id for request in edit_file.requests]
    folder = TraceFolder.made(args.save_dir, names, args.locate_format, args.locate_figures, args.force)
    carries = settings.mode == CARRY
    corpus = load_corpus(opened.task, opened.translator.codec, args.seed) if carries else None
    return _trace_all(
        opened.translator, edit_file.requests, settings, corpus, folder, args.log_format == "json"
    )


def _trace_all(
    translator: Any, requests: Sequence[Any], settings: Any, corpus: Any, folder: Any, as_json: bool
) -> int:
    from fairseq_rome.tracing import locate, ranked_sites

    hypotheses = translator.translate([request.source for request in requests])
    ranked: Dict[str, Any] = {}
    try:
        for request, before in zip(requests, hypotheses):
            started = time.perf_counter()
            try:
                trace = locate(translator, request, before, settings, corpus)
            except EditError as error:
                print(_failed(request.id, str(error), as_json), flush=True)
                continue
            files = folder.write(trace)
            ranked[request.id] = ranked_sites(trace)
            seconds = time.perf_counter() - started
            print(_traced(trace, before.text, ranked[request.id], files, seconds, as_json), flush=True)
    except KeyboardInterrupt:
        told = f"requests traced into {folder.path}: {len(ranked)}" if ranked else ""
        raise KeyboardInterrupt(told) from None
    if ranked:
        folder.write_sites(ranked)
    print(_verdict(len(requests), len(ranked), folder.path, as_json), flush=True)
    return 0 if len(ranked) == len(requests) else 1


def _failed(name: str, reason: str, as_json: bool) -> str:
    if as_json:
        return _json({"id": name, "traced": False, "reason": reason})
    return f"request {name}: not traced ({reason})"


def _traced(
    trace: Any, output: str, ranked: Sequence[Any], files: Sequence[str], seconds: float, as_json: bool
) -> str:
    from fairseq_rome.tracing import site_list

    if as_json:
        sites = [{"site": str(one.site), "effect": one.effect} for one in ranked]
        names = ("id", "mode", "source", "segment", "trigger", "clean", "corrupted")
        record = {name: getattr(trace, name) for name in names}
        return _json(
            {**record, "output": output, "traced": True, "details": dict(trace.details), "sites": sites,
             "files": list(files), "seconds": round(seconds, 3)}
        )  # fmt: skip
    rows = [
        ("source", trace.source),
        ("output", output),
        ("segment", trace.segment),
        ("trigger", trace.trigger),
        *_runs(trace),
        ("effects", ", ".join(f"{one.site} {one.effect:.4f}" for one in ranked)),
        ("site", site_list(ranked)),
        ("files", ", ".join(files)),
        ("time", f"{seconds:.1f} s"),
    ]
    return "\n".join([f"request {trace.id}: traced", *(f"  {name:10s}{value}" for name, value in rows)])


def _runs(trace: Any) -> List[Tuple[str, str]]:
    """The probabilities of the two runs, under the names that they have in the mode."""
    if trace.mode == "noise":
        return [("clean", f"{trace.clean:.4f}"), ("corrupted", f"{trace.corrupted:.4f}")]
    positive = f"{trace.details['positive_source']} -> {trace.details['positive_target']}"
    return [
        ("positive", positive),
        ("clean", f"{trace.clean:.4f} (first subword, in the positive sentence)"),
        ("corrupted", f"{trace.corrupted:.4f} (first subword, in the request's sentence)"),
    ]


def _verdict(requests: int, traced: int, path: str, as_json: bool) -> str:
    if as_json:
        return _json({"requests": requests, "traced": traced, "wrote": path if traced else None})
    total = f"{requests} {'request' if requests == 1 else 'requests'}: {traced} traced"
    rest = f", {requests - traced} not" if traced < requests else ""
    return f"{total}{rest}\n" + (f"wrote {path}" if traced else "nothing was written")


def _json(record: Dict[str, Any]) -> str:
    import json

    return json.dumps(record, ensure_ascii=False)


def cli_main() -> None:
    """Entry point of the console script."""
    sys.exit(main())


if __name__ == "__main__":
    cli_main()
