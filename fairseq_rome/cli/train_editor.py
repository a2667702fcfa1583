"""`fairseq-edit-train-editor`: an editor for one model, for `--method mend`."""

from __future__ import annotations

import argparse
import sys
from typing import TYPE_CHECKING, NamedTuple, Sequence

from fairseq_rome.cli.command import command, import_fairseq
from fairseq_rome.cli.interrupts import telling_if_written
from fairseq_rome.cli.parsing import add_cache, add_trust, command_parser, help_sections, model_spec
from fairseq_rome.errors import EditError
from fairseq_rome.text.checkers import TASKS

if TYPE_CHECKING:
    from fairseq_rome.host.decoding import Progress
    from fairseq_rome.workbench.editor_job import EditorSpec

PROG = "fairseq-edit-train-editor"
USAGE = "fairseq-edit-train-editor DATA --path MODEL -s SRC -t TGT --out FILE [options]"


class TrainCommand(NamedTuple):
    """One run of the command: what to train, and how it is shown."""

    spec: EditorSpec
    progress: Progress


def own_parser() -> argparse.ArgumentParser:
    """The options that are ours; its help is the command's."""
    parser = command_parser(PROG, USAGE, help_sections("train_editor"), " to be edited later")
    group = parser.add_argument_group("output")
    group.add_argument("--out", metavar="FILE", required=True, help="the .safetensors file of the editor")
    group.add_argument("--force", action="store_true", help="overwrite FILE if it exists")
    add_cache(group)
    add_trust(group)
    group = parser.add_argument_group("lessons")
    group.add_argument(
        "--task", choices=(*TASKS, "segment"), default="segment",
        help="what requests are mined for on the training side, as by fairseq-edit-requests mine (default: segment)",
    )  # fmt: skip
    group.add_argument(
        "--sentences", type=int, default=5000, metavar="N",
        help="sentences of the training side that are decoded to find them (default: %(default)s)",
    )  # fmt: skip
    group = parser.add_argument_group("training")
    group.add_argument(
        "--layers", type=int, default=2, metavar="N",
        help="last layers of the encoder, and of the decoder, whose fc1 and fc2 are edited (default: %(default)s)",
    )  # fmt: skip
    group.add_argument(
        "--rank", type=int, default=64, metavar="N",
        help="of the two layers of each network; more can learn more, and overfit sooner (default: %(default)s)",
    )  # fmt: skip
    group.add_argument("--steps", type=int, default=300, metavar="N", help="steps of Adam (default: %(default)s)")
    group.add_argument(
        "--every", type=int, default=50, metavar="N",
        help="steps after which the editor is judged, and all is kept on disk (default: %(default)s)",
    )  # fmt: skip
    group.add_argument("--seed", type=int, default=1, help="seed of every random choice (default: %(default)s)")
    return parser


def parse(argv: Sequence[str]) -> TrainCommand:
    """What the words of a command line ask for.

    Raises:
        EditError: for options that can't be.
        SystemExit: after printing the help.
    """
    own, rest = own_parser().parse_known_args(argv)
    for name, least in (("sentences", 1), ("layers", 1), ("rank", 1), ("steps", 1), ("every", 1), ("seed", 0)):
        if getattr(own, name) < least:
            raise EditError(f"--{name} is {getattr(own, name)}, expected a number of at least {least}")
    if not own.out.endswith(".safetensors"):
        raise EditError(f"--out {own.out}: expected a name that ends in .safetensors")
    import_fairseq()
    from fairseq_rome.workbench.editor_job import EditorSpec
    from fairseq_rome.workbench.editor_lessons import Mining

    model, progress, _ = model_spec(PROG, own, rest, own.seed)
    mining = Mining(own.task, own.sentences, own.seed)
    spec = EditorSpec(model, mining, own.out, own.force, own.layers, own.rank, own.steps, own.every)
    return TrainCommand(spec, progress)


def _run(asked: TrainCommand) -> int:
    from fairseq_rome.workbench.editor_job import EditorJob

    with telling_if_written(asked.spec.out):
        EditorJob(asked.spec, asked.progress, lambda text: print(text, flush=True)).run()
    return 0


main = command(PROG, lambda words: _run(parse(words)))

if __name__ == "__main__":
    sys.exit(main())
