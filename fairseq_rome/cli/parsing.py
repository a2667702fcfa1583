"""Options that several commands share, and what becomes of them: frozen values, in which no Namespace is left."""

from __future__ import annotations

import argparse
import hashlib
import os
import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Dict, Iterable, Mapping, NoReturn, Optional, Sequence, Tuple

from fairseq_rome.cli.interrupts import held_back
from fairseq_rome.errors import EditError
from fairseq_rome.evaluation.conditions import METRICS, Condition
from fairseq_rome.text.requests.markup import AUTO, MARKUP

if TYPE_CHECKING:
    from argparse import _ActionsContainer as Group

    from fairseq_rome.host.decoding import Progress
    from fairseq_rome.workbench.specs import EvaluationOptions, ModelSpec

# fairseq-generate itself does these around its search, or they let no two runs be compared.
_NOT_TAKEN = (
    "sampling", "prefix_size", "constraints", "lm_path", "score_reference", "replace_unk", "retain_dropout",
)  # fmt: skip


class Parser(argparse.ArgumentParser):
    """Says what is wrong in one line, as every other fault of the user's is said."""

    def error(self, message: str) -> NoReturn:
        """Raise what argparse would print and exit with."""
        raise EditError(f"{message} ({self.prog} --help explains the options)")


def help_sections(name: str) -> Dict[str, str]:
    """The texts of a command's help by their headings, from the file of its name in `help`."""
    text = (Path(__file__).parent / "help" / f"{name}.txt").read_text(encoding="utf-8")
    parts = (part.partition("\n") for part in text.split("== ")[1:])
    return {heading: body for heading, _, body in parts}


def plain_parser(prog: str, description: str, epilog: str = "", usage: Optional[str] = None) -> Parser:
    """A parser whose help keeps the lines of its texts.

    Args:
        prog: name of the command.
        description: what the command does.
        epilog: examples and exit status.
        usage: one line; None for what argparse makes of the options.
    """
    return Parser(
        prog=prog, usage=usage, description=description, epilog=epilog, allow_abbrev=False,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )  # fmt: skip


def sub_parser(commands: argparse._SubParsersAction[Parser], name: str, short: str, description: str) -> Parser:
    """The parser of a sub-command, with a help of its own."""
    return commands.add_parser(
        name, help=short, description=description, allow_abbrev=False,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )  # fmt: skip


def command_parser(prog: str, usage: str, texts: Mapping[str, str], path_role: str) -> Parser:
    """A parser whose help explains the options of fairseq that matter.

    Args:
        prog: name of the command.
        usage: one line.
        texts: its description and its epilog, from `help_sections`.
        path_role: what the checkpoint of `--path` is for, such as " to edit".
    """
    parser = plain_parser(prog, texts["description"], texts["epilog"], usage)
    told = help_sections("fairseq")["options"].format(path_role=path_role)
    parser.add_argument_group("model, data and search", told)
    return parser


def add_edit_file(group: Group, required: bool = True) -> None:
    """The options that name the edit file."""
    group.add_argument(
        "--edit-pref", metavar="PREF", required=required,
        help="prefix of parallel text: PREF.SRC and PREF.TGT, and if wanted PREF.neg.TGT (the unwanted outputs; by "
        "default what the model says now), PREF.ctx.SRC (more sources that show the behaviour) and PREF.keep.SRC "
        "(sources whose translation must stay); or the name of a .tsv, .jsonl or .yaml file",
    )  # fmt: skip
    group.add_argument(
        "--edit-input", choices=("raw", "bpe"), default="raw",
        help="raw: text goes through --tokenizer and --bpe as in fairseq-interactive; bpe: it is segmented already "
        "(default: raw)",
    )  # fmt: skip
    add_markup(group)


def add_markup(group: Group) -> None:
    """The option that says how the lines of parallel text are read."""
    group.add_argument(
        "--edit-markup", choices=MARKUP, default=AUTO,
        help="auto: [[ ]] around words in PREF.SRC and PREF.TGT mark what is carried to other sentences, and are taken "
        "off; none: brackets are text (default: auto)",
    )  # fmt: skip


def add_cache(group: Group) -> None:
    """The options that say what is kept between runs."""
    group.add_argument(
        "--edit-cache", metavar="DIR",
        help="where statistics, and what the unedited model says, are kept between runs, or none; fairseq-edit-cache "
        "shows and clears it (default: user cache)",
    )  # fmt: skip
    group.add_argument(
        "--edit-cache-size", type=int, metavar="MB", default=200,
        help="most megabytes of what the unedited model says; what was used least recently goes (default: %(default)s, "
        "which is some 800,000 sentences)",
    )  # fmt: skip


def add_trust(group: Group) -> None:
    """The option that lets a checkpoint run code."""
    group.add_argument(
        "--trust-checkpoint", action="store_true",
        help="allow a checkpoint that runs code when it is loaded; only for files from people you trust",
    )  # fmt: skip


def add_evaluation(group: Group) -> None:
    """The options of an evaluation."""
    group.add_argument(
        "--test-set", metavar="SET", action="append", default=[],
        help="decode a test set with both models: raw text by the prefix of SET.SRC and SET.TGT, or a subset of DATA "
        "such as test; may be given several times",
    )  # fmt: skip
    group.add_argument(
        "--gate", metavar="CONDITION", action="append", default=[],
        help="exit with 1 unless a figure meets a condition, such as 'locality>=0.995' or 'bleu_delta>=-0.2'; may be "
        "given several times; a figure that can't be measured fails its condition. Figures, which fairseq-edit-eval "
        "--help explains: " + ", ".join(METRICS),
    )  # fmt: skip
    group.add_argument(
        "--report", metavar="DIR", default="",
        help="write report.html, report.json and edit_card.md there, whatever the verdict",
    )  # fmt: skip
    group.add_argument(
        "--report-figures", type=int, default=8, metavar="N",
        help="trace the first N requests for the report's heat maps, some seconds each (default: %(default)s)",
    )  # fmt: skip
    group.add_argument(
        "--edit-task", metavar="TASK", choices=("term", "number", "hallucination", "untranslated"),
        help="the editing task of requests that name none: its checker looks at them before and after (term, number, "
        "hallucination, untranslated)",
    )  # fmt: skip


def evaluation_options(own: argparse.Namespace, seed: int) -> EvaluationOptions:
    """What the options of an evaluation ask for.

    Raises:
        EditError: for a condition or a number that can't be.
    """
    from fairseq_rome.workbench.specs import EvaluationOptions

    if own.report_figures < 0:
        raise EditError(f"--report-figures is {own.report_figures}, expected a number of at least 0")
    conditions = tuple(Condition.parse(text) for given in own.gate for text in given.split(","))
    figures = own.report_figures if own.report else 0
    return EvaluationOptions(tuple(dict.fromkeys(own.test_set)), conditions, figures, seed)


def model_spec(
    prog: str,
    own: argparse.Namespace,
    rest: Sequence[str],
    seed: int,
    patches: Sequence[str] = (),
) -> Tuple[ModelSpec, Progress, bool]:
    """What a command opens: the options of fairseq-generate with those of ours that concern the model.

    Args:
        prog: name of the command, for messages.
        own: the command's own options, parsed.
        rest: what was left.
        seed: of every random choice.
        patches: patch files whose edits are made in the checkpoint as it is read.

    Returns:
        The spec, the progress bar that is asked for, and whether output is JSON.

    Raises:
        EditError: for options that fairseq-generate does not take, or that are not taken here.
    """
    import torch
    from fairseq import options

    from fairseq_rome.host.configuration import FairseqOptions
    from fairseq_rome.workbench.specs import ModelSpec

    parser = Parser(prog=prog, parents=[options.get_generation_parser()], add_help=False, allow_abbrev=False)
    values = vars(options.parse_args_and_arch(parser, input_args=[*rest, "--seed", str(seed)]))
    for name in _NOT_TAKEN:
        if values.get(name):
            raise EditError(f"--{name.replace('_', '-')} is not taken here, expected plain beam search")
    found = FairseqOptions({**values, "seed": seed})
    device = "cuda" if torch.cuda.is_available() and not values["cpu"] else "cpu"
    spec = ModelSpec(
        found, device, bool(values["fp16"]), getattr(own, "edit_input", "raw") == "bpe", tuple(patches),
        own.trust_checkpoint,
    )  # fmt: skip
    with held_back():  # fairseq logs all of its settings where it is interrupted here
        _ = found.cfg
    if hasattr(own, "edit_cache"):
        folder = cache_folder(own.edit_cache, spec.overrides())
        spec = replace(spec, cache=folder, cache_size=_cache_size(own))
    return spec, progress_bar(values), values["log_format"] == "json"


def _cache_size(own: argparse.Namespace) -> int:
    if own.edit_cache_size < 0:
        raise EditError(f"--edit-cache-size is {own.edit_cache_size}, expected a number of at least 0")
    return int(own.edit_cache_size)


def cache_folder(given: Optional[str], overrides: Mapping[str, Any]) -> Optional[str]:
    """Where statistics and decodings are kept; None for `--edit-cache none`.

    Statistics are known by the model's weights. With other settings these compute something else, so overrides have a
    folder of their own within `--edit-cache`, or the user's cache folder.
    """
    if given == "none":
        return None
    home = os.environ.get("XDG_CACHE_HOME") or os.path.join(os.path.expanduser("~"), ".cache")
    folder = given or os.path.join(home, "fairseq_rome")
    if not overrides:
        return folder
    return os.path.join(folder, hashlib.sha256(repr(dict(overrides)).encode()).hexdigest()[:16])


def progress_bar(values: Mapping[str, Any]) -> Progress:
    """The progress bar of fairseq in the format asked for; silent with `--no-progress-bar` or outside a terminal."""
    from fairseq.logging import progress_bar as bars

    from fairseq_rome.host.decoding import silent

    shown = values["log_format"] or ("tqdm" if sys.stderr.isatty() else None)
    if values["no_progress_bar"] or shown is None:
        return silent

    def wrap(items: Sequence[Any], label: str) -> Iterable[Any]:
        return bars.progress_bar(items, log_format=shown, log_interval=values["log_interval"], prefix=label)

    return wrap
