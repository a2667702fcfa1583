"""`fairseq-edit-locate`: which layers and positions carry a behaviour, as heat maps and as a ranked list of sites."""

from __future__ import annotations

import argparse
import sys
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Dict, List, Optional, Sequence

from fairseq_rome.cli.command import import_fairseq, run
from fairseq_rome.cli.parsing import add_edit_file, add_trust, command_parser, model_spec
from fairseq_rome.errors import EditError

if TYPE_CHECKING:
    from argparse import _ActionsContainer as Group

    from fairseq_rome.host.decoding import Progress
    from fairseq_rome.text.requests import EditRequest
    from fairseq_rome.tracing import LocateSettings, RankedSite
    from fairseq_rome.tracing.trace_folder import TraceFolder
    from fairseq_rome.workbench.specs import ModelSpec
    from fairseq_rome.workbench.workbench import Workbench

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


@dataclass(frozen=True)
class LocateCommand:
    """One run of the command, as it was asked for.

    Args:
        model: what to trace.
        progress: wraps long loops.
        as_json: whether each line of output is a JSON object.
        edit_pref: the edit file.
        settings: of the trace.
        folder: where arrays and heat maps go.
        arrays: format of the arrays.
        images: format of the heat maps.
        force: whether files of an earlier run are replaced.
    """

    model: ModelSpec
    progress: Progress
    as_json: bool
    edit_pref: str
    settings: LocateSettings
    folder: str
    arrays: str
    images: str
    force: bool


def main(argv: Optional[Sequence[str]] = None) -> int:
    """Run the command.

    Args:
        argv: arguments; those of the process if None.

    Returns:
        Exit status: 0 all traced, 1 a request could not be traced, 2 something the user can put right.

    Raises:
        SystemExit: after printing the help.
    """
    return run(PROG, lambda words: _run(parse(words)), argv)


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


def _add_tracing(group: Group) -> None:
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


def parse(argv: Sequence[str]) -> LocateCommand:
    """What the words of a command line ask for.

    Raises:
        EditError: for options that can't be.
        SystemExit: after printing the help.
    """
    own, rest = own_parser().parse_known_args(argv)
    if own.seed < 0:
        raise EditError(f"--seed is {own.seed}, expected at least 0")
    import_fairseq()
    from fairseq_rome.tracing import LocateSettings

    model, progress, as_json = model_spec(PROG, own, rest, own.seed)
    settings = LocateSettings(
        own.locate_mode, own.locate_noise, own.locate_samples, own.seed, own.locate_batch_tokens
    )
    return LocateCommand(
        model, progress, as_json, own.edit_pref, settings, own.save_dir, own.locate_format, own.locate_figures,
        own.force,
    )  # fmt: skip


def _run(command: LocateCommand) -> int:
    from fairseq_rome.text.requests import read_edit_file
    from fairseq_rome.tracing.trace_folder import TraceFolder
    from fairseq_rome.workbench.opening import open_model
    from fairseq_rome.workbench.workbench import Workbench

    values = command.model.options.values
    languages = [code for code in (values["source_lang"], values["target_lang"]) if code]
    # A slip in the edit file is told before the checkpoint is opened, unless the languages are still to be found.
    edit_file = read_edit_file(command.edit_pref, *languages) if len(languages) == 2 else None
    bench = Workbench(open_model(command.model, command.progress))
    edit_file = bench.check_requests(edit_file or read_edit_file(command.edit_pref, *bench.languages))
    names = [request.id for request in edit_file.requests]
    folder = TraceFolder.made(command.folder, names, command.arrays, command.images, command.force)
    return _trace_all(bench, edit_file.requests, command.settings, folder, command.as_json)


def _trace_all(
    bench: Workbench, requests: Sequence[EditRequest], settings: LocateSettings, folder: TraceFolder, as_json: bool
) -> int:
    from fairseq_rome.cli.trace_rendering import failed_text, traced_text, traces_verdict
    from fairseq_rome.tracing import ranked_sites

    ranked: Dict[str, List[RankedSite]] = {}
    try:
        for request in requests:
            started = time.perf_counter()
            try:
                trace, said = bench.traced(request, settings)
            except EditError as error:
                print(failed_text(request.id, str(error), as_json), flush=True)
                continue
            files = folder.write(trace)
            ranked[request.id] = ranked_sites(trace)
            seconds = time.perf_counter() - started
            print(traced_text(trace, said, ranked[request.id], files, seconds, as_json), flush=True)
    except KeyboardInterrupt:
        told = f"requests traced into {folder.path}: {len(ranked)}" if ranked else ""
        raise KeyboardInterrupt(told) from None
    if ranked:
        folder.write_sites(ranked)
    print(traces_verdict(len(requests), len(ranked), folder.path, as_json), flush=True)
    return 0 if len(ranked) == len(requests) else 1


def cli_main() -> None:
    """Entry point of the console script."""
    sys.exit(main())


if __name__ == "__main__":
    cli_main()
