"""The options of `fairseq-edit-requests`, and what its help teaches."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Callable, Optional, Sequence, Tuple, Union

from fairseq_rome.cli.parsing import (
    Parser,
    add_cache,
    add_markup,
    add_trust,
    help_sections,
    model_spec,
    plain_parser,
    sub_parser,
)
from fairseq_rome.errors import EditError
from fairseq_rome.text.checkers import TASKS
from fairseq_rome.text.planting import PlantedFault

if TYPE_CHECKING:
    from fairseq_rome.host.decoding import Progress
    from fairseq_rome.workbench.specs import ModelSpec

PROG = "fairseq-edit-requests"


@dataclass(frozen=True)
class CheckCommand:
    """An edit file to check, how it is read, and the model, which is None where it is not asked."""

    path: str
    languages: Tuple[str, str]
    as_json: bool
    model: Optional[ModelSpec]
    markup: str


@dataclass(frozen=True)
class MineCommand:
    """What to mine, with which model, and where the requests go.

    Args:
        model: the model.
        progress: wraps long loops.
        task: one of `cases.mining.MINED_TASKS`.
        test_sets: prefixes of raw text with references, or names of subsets of DATA.
        out: the `.jsonl` file to write.
        force: whether it is replaced.
        sentences: how many of each test set are looked at; None for all.
        words: of a segment at most, on either side.
        limit: requests at most; None for no limit.
        probes: held-out sentences a request at most.
    """

    model: ModelSpec
    progress: Progress
    task: str
    test_sets: Tuple[str, ...]
    out: str
    force: bool
    sentences: Optional[int]
    words: int
    limit: Optional[int]
    probes: int


@dataclass(frozen=True)
class PlantCommand:
    """What to plant, in which corpus, the prefix of what is written, and whether it may replace files."""

    fault: PlantedFault
    pref: str
    languages: Tuple[str, str]
    out: str
    force: bool
    seed: int


@dataclass(frozen=True)
class ExportCommand:
    """The queue of fixes whose proven ones are exported, the file that is written, and whether it may be replaced."""

    queue: str
    out: str
    force: bool


Command = Union[CheckCommand, MineCommand, PlantCommand, ExportCommand]


def own_parser() -> Parser:
    """The command's options; each sub-command has a help of its own."""
    texts = help_sections("requests")
    parser = plain_parser(PROG, texts["description"], texts["epilog"])
    commands = parser.add_subparsers(
        dest="command", required=True, metavar="COMMAND", parser_class=Parser, title="commands",
        description=f"{PROG} COMMAND --help explains each.",
    )  # fmt: skip
    check = sub_parser(commands, "check", "say what is wrong in an edit file", texts["check"])
    check.add_argument("path", metavar="PREF", help="as --edit-pref of fairseq-edit")
    check.add_argument("data", metavar="DATA", nargs="?", help="with --path: the data directory of fairseq-preprocess")
    _add_languages(check)
    add_markup(check)
    check.add_argument("--json", action="store_true", help="a line of JSON for each finding")
    check.add_argument("--path", dest="model", metavar="MODEL", help="also ask this model's dictionaries")
    add_trust(check)
    mine = sub_parser(commands, "mine", "find requests where a model is wrong", texts["mine"])
    mine.add_argument("--task", required=True, choices=(*TASKS, "segment"))
    mine.add_argument("--test-set", required=True, action="append", help="prefix of raw text, or a subset of DATA")
    mine.add_argument("--out", required=True, metavar="FILE", help="the .jsonl file to write")
    mine.add_argument("--force", action="store_true", help="overwrite FILE if it exists")
    mine.add_argument("--sentences", type=int, metavar="N", help="look at the first N sentences of a test set alone")
    mine.add_argument(
        "--words", type=int, default=3, metavar="N", help="words of a segment at most, on either side (default: 3)"
    )
    mine.add_argument("--limit", type=int, metavar="N", help="requests at most")
    mine.add_argument(
        "--probes", type=int, default=0, metavar="N",
        help="held-out sentences of DATA that show the same behaviour, a request at most (default: 0)",
    )  # fmt: skip
    add_cache(mine)
    add_trust(mine)
    plant = sub_parser(commands, "plant", "spoil a training side for a trial", texts["plant"])
    plant.add_argument("--task", required=True, choices=TASKS)
    plant.add_argument("--trigger", required=True, help="source segment that is to bring the fault out")
    plant.add_argument("--wanted", required=True, help="target segment that is right there")
    plant.add_argument("--unwanted", help="what the model is to say; by default the trigger itself (untranslated)")
    plant.add_argument("--pref", required=True, help="prefix of the corpus: PREF.SRC and PREF.TGT")
    _add_languages(plant)
    plant.add_argument("--out", required=True, help="prefix of what is written: OUT.SRC, OUT.TGT and OUT.jsonl")
    plant.add_argument("--force", action="store_true", help="overwrite these files if they exist")
    plant.add_argument("--seed", type=int, default=1, help="of the choice of held-out pairs (default: %(default)s)")
    export = sub_parser(commands, "export", "make an edit file of a server's queue", texts["export"])
    export.add_argument("queue", metavar="QUEUE", help="as --queue of fairseq-edit-serve")
    export.add_argument("--out", required=True, metavar="FILE", help="the .jsonl file to write")
    export.add_argument("--force", action="store_true", help="overwrite FILE if it exists")
    return parser


def _add_languages(parser: Parser) -> None:
    parser.add_argument("-s", "--source-lang", required=True, metavar="SRC", help="source language")
    parser.add_argument("-t", "--target-lang", required=True, metavar="TGT", help="target language")


def parse(argv: Sequence[str], prepare: Callable[[], None]) -> Command:
    """What the words of a command line ask for.

    Args:
        argv: the words.
        prepare: called before fairseq is needed, where it is.

    Raises:
        EditError: for options that can't be.
        SystemExit: after printing the help.
    """
    own, rest = own_parser().parse_known_args(argv)
    if own.command == "check" and own.model is None:
        rest = [*([own.data] if own.data else []), *rest]
    if rest and (own.command in ("plant", "export") or (own.command == "check" and own.model is None)):
        raise EditError(f"unrecognized arguments: {' '.join(rest)} ({PROG} {own.command} --help explains the options)")
    if own.command == "plant":
        fault = PlantedFault(own.task, own.trigger, own.wanted, own.unwanted or None)
        return PlantCommand(fault, own.pref, (own.source_lang, own.target_lang), own.out, own.force, own.seed)
    if own.command == "export":
        _check_jsonl(own.out)
        prepare()
        return ExportCommand(own.queue, own.out, own.force)
    if own.command == "mine":
        _check_mining(own.out, sentences=own.sentences, words=own.words, limit=own.limit, probes=own.probes)
        prepare()
        model, progress, _ = model_spec(PROG, own, rest, 1)
        return MineCommand(
            model, progress, own.task, tuple(own.test_set), own.out, own.force, own.sentences, own.words, own.limit,
            own.probes,
        )  # fmt: skip
    found: Optional[ModelSpec] = None
    if own.model is not None:
        prepare()
        data = [own.data] if own.data else []
        words = [*data, "--path", own.model, "-s", own.source_lang, "-t", own.target_lang, *rest]
        found = model_spec(PROG, own, words, 1)[0]
    return CheckCommand(own.path, (own.source_lang, own.target_lang), own.json, found, own.edit_markup)


def _check_mining(out: str, **numbers: Optional[int]) -> None:
    """Refuse numbers that ask for nothing, and a file that no command would read as requests."""
    for name, value in numbers.items():
        least = 0 if name == "probes" else 1
        if value is not None and value < least:
            raise EditError(f"--{name} is {value}, expected a number of at least {least}")
    _check_jsonl(out)


def _check_jsonl(out: str) -> None:
    if not out.endswith(".jsonl"):
        raise EditError(f"--out {out}: expected a name that ends in .jsonl")
