"""Options that several commands share, and fairseq's own beside them."""

from __future__ import annotations

import argparse
from typing import Any, NoReturn, Sequence

from fairseq_rome.errors import EditError
from fairseq_rome.evaluation.conditions import METRICS

FAIRSEQ = """\
The options of fairseq-generate are taken, and mean the same (fairseq-generate
--help), but for sampling, prefixes, constraints and rescoring. You need those
that you translate with:

  DATA                 data directory of fairseq-preprocess: dictionaries, and
                       a training side, from which an edit learns what has to
                       stay as it is (without one, another split is used)
  --path MODEL         the checkpoint{path_role}
  -s SRC, -t TGT       source and target language
  --bpe, --tokenizer   how text becomes subwords, for instance
                       --bpe sentencepiece --sentencepiece-model spm.model
  --beam, --lenpen     and other search settings: decoding with these decides
                       whether an edit holds
  --cpu, --fp16, --batch-size, --user-dir, --model-overrides, --log-format json
"""


class Parser(argparse.ArgumentParser):
    """Says what is wrong in one line, as every other fault of the user's is said."""

    def error(self, message: str) -> NoReturn:
        """Raise what argparse would print and exit with."""
        raise EditError(f"{message} ({self.prog} --help explains the options)")


def command_parser(prog: str, usage: str, description: str, epilog: str, path_role: str) -> Parser:
    """A parser whose help explains the options of fairseq that matter.

    Args:
        prog: name of the command.
        usage: one line.
        description: what the command does.
        epilog: examples and exit status.
        path_role: what the checkpoint of `--path` is for, such as " to edit".
    """
    parser = Parser(
        prog=prog, usage=usage, description=description, epilog=epilog, allow_abbrev=False,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )  # fmt: skip
    parser.add_argument_group("model, data and search", FAIRSEQ.format(path_role=path_role))
    return parser


def add_edit_file(group: Any, required: bool = True) -> None:
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


def add_trust(group: Any) -> None:
    """The option that lets a checkpoint run code."""
    group.add_argument(
        "--trust-checkpoint", action="store_true",
        help="allow a checkpoint that runs code when it is loaded; only for files from people you trust",
    )  # fmt: skip


def add_evaluation(group: Any) -> None:
    """The options of an evaluation."""
    group.add_argument(
        "--test-set", metavar="SET", action="append", default=[],
        help="decode a test set with both models: raw text by the prefix of SET.SRC and SET.TGT, or a subset of DATA "
        "such as test; may be given several times",
    )  # fmt: skip
    group.add_argument(
        "--gate", metavar="CONDITION", action="append", default=[],
        help="exit with 1 unless a figure meets a condition, such as 'locality>=0.995' or 'bleu_delta>=-0.2'; may be "
        "given several times; a figure that can't be measured fails its gate. Figures, which fairseq-edit-eval --help "
        "explains: " + ", ".join(METRICS),
    )  # fmt: skip
    group.add_argument(
        "--report",
        metavar="DIR",
        help="write report.html, report.json and edit_card.md there, whatever the verdict",
    )
    group.add_argument(
        "--report-figures", type=int, default=8, metavar="N",
        help="trace the first N requests for the report's heat maps, some seconds each (default: %(default)s)",
    )  # fmt: skip
    group.add_argument(
        "--edit-task", metavar="TASK", choices=("term", "number", "hallucination", "untranslated"),
        help="the editing task of requests that name none: its checker looks at them before and after (term, number, "
        "hallucination, untranslated)",
    )  # fmt: skip


def with_fairseq(prog: str, own: argparse.Namespace, rest: Sequence[str], seed: int) -> argparse.Namespace:
    """The options of fairseq-generate, with a command's own beside them.

    Args:
        prog: name of the command, for messages.
        own: the command's own options, parsed.
        rest: what was left.
        seed: of every random choice.

    Raises:
        EditError: for options that fairseq-generate does not take.
    """
    from fairseq import options

    parser = Parser(prog=prog, parents=[options.get_generation_parser()], add_help=False, allow_abbrev=False)
    found = options.parse_args_and_arch(parser, input_args=[*rest, "--seed", str(seed)])
    return argparse.Namespace(**{**vars(found), **vars(own), "seed": seed})
