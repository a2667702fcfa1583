"""`fairseq-edit-cache`: what is kept between runs, shown, cleared, and filled beforehand."""

from __future__ import annotations

import argparse
import sys
from dataclasses import asdict
from typing import TYPE_CHECKING, Sequence

from fairseq_rome.cli.command import command, import_fairseq
from fairseq_rome.cli.parsing import (
    Parser,
    add_cache,
    add_trust,
    cache_folder,
    help_sections,
    model_spec,
    plain_parser,
    sub_parser,
)
from fairseq_rome.editing.edit_settings import EditSettings, all_settings
from fairseq_rome.errors import EditError
from fairseq_rome.settings import with_settings

if TYPE_CHECKING:
    from fairseq_rome.workbench.kept_files import KeptFiles

PROG = "fairseq-edit-cache"
_OF_EDITS = ("method", "site", "edit_stats_tokens", "edit_directions", "edit_direction_sample", "seed")


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
    _add_fill(sub_parser(commands, "fill", "decode and measure beforehand", texts["fill"]))
    return parser


def _add_fill(fill: Parser) -> None:
    fill.add_argument(
        "--test-set", metavar="SET", action="append", default=[],
        help="decode a test set: raw text by the prefix of SET.SRC, or a subset of DATA such as test; may be given "
        "several times",
    )  # fmt: skip
    fill.add_argument(
        "--sentences", type=int, default=1000, metavar="N",
        help="decode N other sentences of DATA's training side, those that edits and evaluations take first (default: "
        "%(default)s)",
    )  # fmt: skip
    fill.add_argument(
        "--states", action="store_true", help="keep the states that beam search visits too, for certificates"
    )
    group = fill.add_argument_group("as for the edits to come")
    for name in _OF_EDITS:
        one = all_settings()[name]
        group.add_argument(
            one.flag, type=one.type, choices=one.choices or None, metavar=None if one.choices else "VALUE",
            help=f"{one.help} (default: {one.default})",
        )  # fmt: skip
    add_cache(fill)
    add_trust(fill)


def _parse_and_run(argv: Sequence[str]) -> int:
    own, rest = own_parser().parse_known_args(argv)
    if own.command == "fill":
        return _fill(own, rest)
    if rest:
        raise EditError(f"unrecognized arguments: {' '.join(rest)} ({PROG} {own.command} --help explains the options)")
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


def _fill(own: argparse.Namespace, rest: Sequence[str]) -> int:
    if own.sentences < 0:
        raise EditError(f"--sentences is {own.sentences}, expected a number of at least 0")
    if own.edit_cache == "none":
        raise EditError("--edit-cache none: keeps nothing, expected a folder")
    given = {name: getattr(own, name) for name in _OF_EDITS if getattr(own, name) is not None}
    settings = with_settings(EditSettings(), given, "command line")
    import_fairseq()
    from fairseq_rome.cli.joining import joined
    from fairseq_rome.workbench.filling import Filling, fill_cache
    from fairseq_rome.workbench.opening import open_model
    from fairseq_rome.workbench.workbench import Workbench

    model, shown, _ = model_spec(PROG, own, rest, settings.seed)
    with joined(model, shown) as (ranks, progress):
        wanted = Filling(tuple(own.test_set), own.sentences, own.states, settings)
        done = fill_cache(Workbench(open_model(model, progress, ranks)), wanted)
        if ranks.first:
            sites = ", ".join(map(str, done.sites)) or "none"
            print(f"{model.cache}: {done.sentences:,} sentences, {done.decoded:,} decoded now; statistics of {sites}")
    return 0


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
