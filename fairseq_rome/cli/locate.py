"""`fairseq-edit-locate`: which layers and positions carry a behaviour, as heat maps and as a ranked list of sites."""

from __future__ import annotations

import argparse
import sys
from typing import TYPE_CHECKING, NamedTuple, Sequence

from fairseq_rome.cli.command import command, import_fairseq
from fairseq_rome.cli.parsing import add_edit_file, add_trust, command_parser, help_sections, model_spec
from fairseq_rome.errors import EditError

if TYPE_CHECKING:
    from argparse import _ActionsContainer as Group

    from fairseq_rome.host.decoding import Progress
    from fairseq_rome.workbench.locate_job import LocateSpec

PROG = "fairseq-edit-locate"
USAGE = "fairseq-edit-locate DATA --path MODEL --edit-pref PREF -s SRC -t TGT --save-dir DIR [options]"


class LocateCommand(NamedTuple):
    """One run of the command: what to trace, and how it is shown."""

    spec: LocateSpec
    progress: Progress
    as_json: bool


def own_parser() -> argparse.ArgumentParser:
    """The options that are ours; its help is the command's."""
    parser = command_parser(PROG, USAGE, help_sections("locate"), " to trace")
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
    from fairseq_rome.workbench.locate_job import LocateSpec

    spec = LocateSpec(
        model, own.edit_pref, settings, own.save_dir, own.locate_format, own.locate_figures, own.force,
        own.edit_markup,
    )
    return LocateCommand(spec, progress, as_json)


def _run(asked: LocateCommand) -> int:
    from fairseq_rome.cli.printers import printer
    from fairseq_rome.cli.trace_printing import traced_text, traces_verdict
    from fairseq_rome.workbench.locate_job import LocateJob

    job = LocateJob(asked.spec, asked.progress, printer(asked.as_json).note)
    try:
        for one in job.run():
            print(traced_text(one, asked.as_json), flush=True)
    except KeyboardInterrupt:
        told = f"requests traced into {asked.spec.folder}: {len(job.ranked)}" if job.ranked else ""
        raise KeyboardInterrupt(told) from None
    print(traces_verdict(job.requests, len(job.ranked), asked.spec.folder, asked.as_json), flush=True)
    return 0 if len(job.ranked) == job.requests else 1


main = command(PROG, lambda words: _run(parse(words)))

if __name__ == "__main__":
    sys.exit(main())
