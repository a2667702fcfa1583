"""The options of `fairseq-edit-patch`, and what its help teaches."""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from typing import TYPE_CHECKING, Callable, Sequence, Tuple

from fairseq_rome.cli.parsing import Parser, add_trust

if TYPE_CHECKING:
    from fairseq_rome.workbench.patching import OutputSpec

PROG = "fairseq-edit-patch"
DESCRIPTION = """\
Look at the patches of fairseq-edit, and put them in and out of checkpoints.

A patch is one edit as data, some kilobytes: new values of a few neurons
(--method gated), or a low-rank change of a weight. fairseq-edit --save-patch
writes patches to a file, and every edited checkpoint holds its own in a list,
with what it takes to undo them. So each edit can be reviewed, shipped, and
taken back alone, also from the middle of a stack: what is left is bit for bit
what the other patches make of the unedited weights.

A file knows which weights it is for, by their hash. Nothing is ever applied
to others, and nothing is overwritten without --force. No data directory is
needed, and the model is not built; that an edit still holds in a new
combination is for fairseq-edit-eval to show.
"""
EPILOG = """\
examples:
  fairseq-edit ... --save-to edited.pt --save-patch fixes/    a file a request
  fairseq-edit-patch show fixes/*.safetensors
  fairseq-edit-patch apply model.pt fixes/*.safetensors --save-to edited.pt
  fairseq-edit-patch revert edited.pt --id 7 --save-to without-7.pt
  fairseq-edit-patch merge fixes/*.safetensors --save-to release.safetensors
  fairseq-edit-patch diff model.pt edited.pt --save-to all.safetensors

exit status:
  0  done
  1  diff found a difference that no patch can tell; nothing is written
  2  something that you can put right, said in one line; nothing is written
"""
SHOW = """\
Tell of each patch in patch files and edited checkpoints which request it is
for, where it edits and how much, and which weights it needs: their type,
shape, and the start of the SHA-256 that they have before any patch.
"""
APPLY = """\
Make the changes of patch files in a checkpoint, one after the other.

All files are checked before anything is changed: every weight has to be the
one that the patch was made for, no patch may be there already, no neuron be
taken by two, and a low-rank change has to come after just those patches of its
weight that it was computed on top of. Patches of neurons go in any order.
BASE may have patches already. The file that is written is of BASE's own form.
"""
REVERT = """\
Take patches out of an edited checkpoint.

They are named by their files, or by the request that they are for (--id). The
weights are made again from what the checkpoint keeps of the unedited ones and
from the patches that remain, and are checked against its hashes: they are bit
for bit what those patches make of the unedited weights. A checkpoint that
something else has changed since, such as training or a change of type, is
refused.
"""
MERGE = """\
Put the patches of several files into one, each as it is, in the order given.

The files have to be for the same checkpoint and fit one after the other, as
for apply: a low-rank change after just those patches that it was computed on.
"""
DIFF = """\
Make a patch of what B has and A has not.

Patches that B holds in its list are taken as they are. Without such a list
weights are compared: where few neurons differ they are taken over exactly;
where many do and the difference is of low rank, by its singular values in
double precision, it becomes a low-rank change, and the command says whether A
with the patch is B bit for bit, or by how many units in the last place it is
off. A difference of another kind is told weight by weight, and nothing is
written.
"""


@dataclass(frozen=True)
class PatchCommand:
    """One run of the command, as it was asked for.

    Args:
        name: `show`, `apply`, `revert`, `merge` or `diff`.
        files: checkpoints and patch files, in the order given.
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
    files = [given[name] for name in ("base", "edited", "first", "second") if name in given]
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
    parser = Parser(
        prog=PROG, description=DESCRIPTION, epilog=EPILOG, allow_abbrev=False,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )  # fmt: skip
    commands = parser.add_subparsers(
        dest="command", required=True, metavar="COMMAND", parser_class=Parser, title="commands",
        description=f"{PROG} COMMAND --help explains each.",
    )  # fmt: skip

    show = _command(commands, "show", "tell what patch files and edited checkpoints hold", SHOW)
    show.add_argument("files", nargs="+", metavar="FILE", help="a patch file, or a checkpoint")
    show.add_argument("--json", action="store_true", help="a line of JSON for each file")
    add_trust(show)

    apply = _command(commands, "apply", "make the changes of patch files in a checkpoint", APPLY)
    apply.add_argument("base", metavar="BASE", help="the checkpoint; it stays as it is")
    apply.add_argument("patches", nargs="+", metavar="PATCH", help="patch files, in the order to apply")
    _add_output(apply, "the edited checkpoint")
    add_trust(apply)

    revert = _command(commands, "revert", "take patches out of an edited checkpoint", REVERT)
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

    merge = _command(commands, "merge", "put the patches of several files into one", MERGE)
    merge.add_argument("patches", nargs="+", metavar="PATCH", help="patch files, in the order to apply")
    _add_output(merge, "the patch file of all")

    diff = _command(commands, "diff", "make a patch of the difference of two checkpoints", DIFF)
    diff.add_argument("first", metavar="A", help="the checkpoint before")
    diff.add_argument("second", metavar="B", help="the checkpoint after")
    _add_output(diff, "the patch file")
    add_trust(diff)
    return parser


def _command(commands: argparse._SubParsersAction[Parser], name: str, short: str, description: str) -> Parser:
    return commands.add_parser(
        name, help=short, description=description, allow_abbrev=False,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )  # fmt: skip


def _add_output(parser: Parser, what: str) -> None:
    parser.add_argument("--save-to", metavar="FILE", required=True, help=f"where {what} goes")
    parser.add_argument("--force", action="store_true", help="overwrite FILE if it exists")
