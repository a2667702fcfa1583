"""The options of `fairseq-edit-patch`, and what its help teaches."""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from typing import TYPE_CHECKING, Callable, Sequence, Tuple

from fairseq_rome.cli.parsing import Parser, add_trust, help_sections, plain_parser, sub_parser

if TYPE_CHECKING:
    from fairseq_rome.workbench.patching import OutputSpec

PROG = "fairseq-edit-patch"
_FILES = ("base", "edited", "first", "second", "rules", "source", "output")


@dataclass(frozen=True)
class PatchCommand:
    """One run of the command, as it was asked for.

    Args:
        name: `show`, `apply`, `revert`, `merge`, `diff` or `try`.
        files: checkpoints, patch files and texts, in the order given.
        output: where the new file goes; its path is empty where none is written.
        ids: requests whose patches to take out.
        everything: whether every patch is to be taken out.
        as_json: whether each line of output is a JSON object.
    """

    name: str
    files: Tuple[str, ...]
    output: OutputSpec
    ids: Tuple[str, ...]
    everything: bool
    as_json: bool


def parse(argv: Sequence[str], prepare: Callable[[], None]) -> PatchCommand:
    """What the words of a command line ask for.

    Args:
        argv: the words.
        prepare: called once the options are known to be right, before fairseq is needed.

    Raises:
        EditError: for options that can't be.
        SystemExit: after printing the help.
    """
    own = own_parser().parse_args(argv)
    given = vars(own)
    files = [given[name] for name in _FILES if name in given]
    files += [*given.get("files", ()), *given.get("patches", ())]
    prepare()
    from fairseq_rome.workbench.patching import OutputSpec

    output = OutputSpec(
        given.get("save_to", ""), given.get("force", False), given.get("trust_checkpoint", False)
    )
    return PatchCommand(
        own.command, tuple(files), output, tuple(given.get("id", ())), given.get("all", False), given.get("json", False)
    )


def own_parser() -> argparse.ArgumentParser:
    """The command's options; each sub-command has a help of its own."""
    texts = help_sections("patch")
    parser = plain_parser(PROG, texts["description"], texts["epilog"])
    commands = parser.add_subparsers(
        dest="command", required=True, metavar="COMMAND", parser_class=Parser, title="commands",
        description=f"{PROG} COMMAND --help explains each.",
    )  # fmt: skip

    show = sub_parser(commands, "show", "tell what patch files and edited checkpoints hold", texts["show"])
    show.add_argument("files", nargs="+", metavar="FILE", help="a patch file, or a checkpoint")
    show.add_argument("--json", action="store_true", help="a line of JSON for each file")
    add_trust(show)

    apply = sub_parser(commands, "apply", "make the changes of patch files in a checkpoint", texts["apply"])
    apply.add_argument("base", metavar="BASE", help="the checkpoint; it stays as it is")
    apply.add_argument("patches", nargs="+", metavar="PATCH", help="patch files, in the order to apply")
    _add_output(apply, "the edited checkpoint")
    add_trust(apply)

    revert = sub_parser(commands, "revert", "take patches out of an edited checkpoint", texts["revert"])
    revert.add_argument("edited", metavar="EDITED", help="the checkpoint; it stays as it is")
    revert.add_argument(
        "patches", nargs="*", metavar="PATCH", help="files of the patches to take out; the order is no matter"
    )
    revert.add_argument(
        "--id", action="append", default=[], metavar="ID",
        help="take out the patch of this request, or whose hash begins so (12 letters, as show tells it); may be given "
        "several times",
    )  # fmt: skip
    revert.add_argument("--all", action="store_true", help="take out every patch that it holds")
    _add_output(revert, "the checkpoint without them")
    add_trust(revert)

    merge = sub_parser(commands, "merge", "put the patches of several files into one", texts["merge"])
    merge.add_argument("patches", nargs="+", metavar="PATCH", help="patch files, in the order to apply")
    _add_output(merge, "the patch file of all")

    diff = sub_parser(commands, "diff", "make a patch of the difference of two checkpoints", texts["diff"])
    diff.add_argument("first", metavar="A", help="the checkpoint before")
    diff.add_argument("second", metavar="B", help="the checkpoint after")
    _add_output(diff, "the patch file")
    add_trust(diff)

    trial = sub_parser(commands, "try", "tell what rules would change in a corpus of outputs", texts["try"])
    trial.add_argument("rules", metavar="RULES", help="a table of rules (.tsv, .yaml), or a patch file that holds some")
    trial.add_argument("--source", metavar="FILE", required=True, help="source sentences, one a line")
    trial.add_argument("--output", metavar="FILE", required=True, help="what a model says of them, line by line")
    trial.add_argument("--json", action="store_true", help="a line of JSON for each change, and one for each rule")
    return parser


def _add_output(parser: Parser, what: str) -> None:
    parser.add_argument("--save-to", metavar="FILE", required=True, help=f"where {what} goes")
    parser.add_argument("--force", action="store_true", help="overwrite FILE if it exists")
