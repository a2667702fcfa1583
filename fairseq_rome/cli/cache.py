"""`fairseq-edit-cache`: what is kept between runs, shown and cleared."""

from __future__ import annotations

import argparse
import sys
from dataclasses import asdict
from typing import TYPE_CHECKING, Sequence

from fairseq_rome.cli.command import command, import_fairseq
from fairseq_rome.cli.parsing import Parser, cache_folder, help_sections, plain_parser, sub_parser
from fairseq_rome.errors import EditError

if TYPE_CHECKING:
    from fairseq_rome.workbench.kept_files import KeptFiles

PROG = "fairseq-edit-cache"


def own_parser() -> argparse.ArgumentParser:
    """The command's options; each sub-command has a help of its own."""
    texts = help_sections("cache")
    parser = plain_parser(PROG, texts["description"], texts["epilog"])
    commands = parser.add_subparsers(
        dest="command", required=True, metavar="COMMAND", parser_class=Parser, title="commands",
        description=f"{PROG} COMMAND --help explains each.",
    )  # fmt: skip
    show = sub_parser(commands, "show", "tell what is kept", texts["show"])
    show.add_argument("--json", action="store_true", help="one JSON object")
    clear = sub_parser(commands, "clear", "delete what is kept", texts["clear"])
    for one in (show, clear):
        one.add_argument(
            "--edit-cache", metavar="DIR", help="the folder, as for fairseq-edit (default: user cache)"
        )
    return parser


def _parse_and_run(argv: Sequence[str]) -> int:
    own = own_parser().parse_args(argv)
    folder = cache_folder(own.edit_cache, {})
    if folder is None:
        raise EditError("--edit-cache none: keeps nothing, expected a folder")
    import_fairseq()
    from fairseq_rome.cli.printers import as_json
    from fairseq_rome.workbench.kept_files import clear_kept, kept_files

    found = kept_files(folder)
    if own.command == "clear":
        clear_kept(found)
        print(f"cleared {folder}: {_count(found)}")
        return 0
    print(as_json(asdict(found)) if own.json else _text(found))
    return 1 if found.unreadable else 0


def _text(found: KeptFiles) -> str:
    models = [f"  {one.sentences:>9,}  {one.told}" for one in (*found.models, *found.sites)]
    broken = [
        f"{path}: can't be read, and runs go on as if it were empty; clear deletes it"
        for path in found.unreadable
    ]
    return "\n".join([f"{found.folder}: {_count(found)}", *models, *broken])


def _count(found: KeptFiles) -> str:
    megabytes = found.size / 2**20
    return f"{len(found.statistics)} files of statistics, {found.sentences:,} decodings, {megabytes:,.1f} MB"


main = command(PROG, _parse_and_run)

if __name__ == "__main__":
    sys.exit(main())
