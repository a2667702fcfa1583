"""Options that the benchmarks share: the settings of an edit, and the model that is edited."""

from __future__ import annotations

import argparse
import warnings
from typing import Any, Dict, Sequence

import fairseq_rome
from fairseq_rome import EditSettings, Workbench
from fairseq_rome.errors import EditError

_TRUTH = {"true": True, "false": False}


def add_settings(parser: Any) -> None:
    """The option that sets one setting of the edits."""
    parser.add_argument(
        "--set", action="append", default=[], metavar="NAME=VALUE", dest="settings",
        help="a setting of the edits, such as edit_contexts=0 or widen=true; may be given several times",
    )  # fmt: skip


def settings_of(given: Sequence[str], **others: Any) -> EditSettings:
    """The settings that `--set` gives.

    Args:
        given: as `NAME=VALUE`.
        others: values of settings that are not given.

    Raises:
        EditError: for an unknown name, or a value that can't be.
    """
    values: Dict[str, Any] = dict(others)
    for text in given:
        name, equals, value = text.partition("=")
        name = name.replace("-", "_")
        if not equals:
            raise EditError(f"--set {text}: expected NAME=VALUE")
        values[name] = _typed(name, value)
    return EditSettings.of(**values)


def _typed(name: str, value: str) -> Any:
    known = EditSettings.known()
    if name not in known or known[name].type is str:
        return value  # an unknown name is refused with the known ones
    if known[name].type is bool:
        return _TRUTH.get(value.lower(), value)
    try:
        return known[name].type(value)
    except ValueError:
        return value


def add_model(parser: Any) -> None:
    """The options that name the model."""
    parser.add_argument("--data", help="data directory of fairseq-preprocess")
    parser.add_argument("--path", help="the checkpoint")
    parser.add_argument("-s", "--source-lang", default="en", help="default: %(default)s")
    parser.add_argument("-t", "--target-lang", default="de", help="default: %(default)s")
    parser.add_argument("--bpe", help="such as sentencepiece")
    parser.add_argument("--sentencepiece-model", help="its file")
    parser.add_argument("--beam", type=int, default=5, help="default: %(default)s")
    add_running(parser)


def add_running(parser: Any) -> None:
    """The options that say where the model runs, and where its statistics are kept."""
    parser.add_argument("--device", default="cpu", help="where the model computes (default: %(default)s)")
    parser.add_argument("--cache", default="build/cache", help="folder for statistics (default: %(default)s)")


def open_named(arguments: argparse.Namespace) -> Workbench:
    """The model that the options of `add_model` name.

    Raises:
        EditError: for whatever a user can put right.
    """
    if not (arguments.data and arguments.path):
        raise EditError("expected a model: --data, --path and what else it is translated with")
    warnings.simplefilter("ignore")  # fairseq and torch warn of one another
    more = {"sentencepiece_model": arguments.sentencepiece_model} if arguments.sentencepiece_model else {}
    return fairseq_rome.open(
        arguments.path, data=arguments.data, source=arguments.source_lang, target=arguments.target_lang,
        bpe=arguments.bpe, device=arguments.device, cache=arguments.cache,
        cache_size=0, beam=arguments.beam, **more,  # decodings are never remembered, since their time is told
    )  # fmt: skip
