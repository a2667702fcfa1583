"""The options of `fairseq-edit-serve`, and what becomes of them."""

from __future__ import annotations

import argparse
import secrets
from pathlib import Path
from typing import TYPE_CHECKING, Any, Callable, NamedTuple, Optional, Sequence

from fairseq_rome.cli.parsing import add_cache, add_trust, command_parser, help_sections, model_spec
from fairseq_rome.errors import EditError

if TYPE_CHECKING:
    from argparse import _ActionsContainer as Group

    from fairseq_rome.host.decoding import Progress
    from fairseq_rome.server.server_spec import Limits, ServerSpec

PROG = "fairseq-edit-serve"
USAGE = f"{PROG} DATA --path MODEL -s SRC -t TGT [--queue FILE] [--bake-to FILE] [options]"
_LOOPBACK = ("127.0.0.1", "localhost", "::1")
# Shorter ones can be tried out.
_LEAST_TOKEN = 16


class ServeCommand(NamedTuple):
    """What to serve and where, and how it is shown."""

    spec: ServerSpec
    host: str
    port: int
    force: bool
    progress: Progress
    made_token: Optional[str]


def own_parser() -> argparse.ArgumentParser:
    """The options that are ours; its help is the command's."""
    parser = command_parser(PROG, USAGE, help_sections("serve"), " to translate with")
    _add_serving(parser.add_argument_group("serving"))
    _add_fixes(parser.add_argument_group("fixes"))
    return parser


def _add_serving(group: Group) -> None:
    group.add_argument("--host", default="127.0.0.1", help="address to listen on (default: %(default)s)")
    group.add_argument("--port", type=int, default=5000, help="port; 0: any that is free (default: %(default)s)")
    group.add_argument(
        "--token-file", metavar="FILE",
        help="the first line is the token that clients must show to change something; by default none is needed on "
        "127.0.0.1, and one is made and printed for any other --host",
    )  # fmt: skip
    group.add_argument(
        "--serve-batch", type=int, default=32, metavar="N",
        help="sentences that are translated together at most; more are quicker, and a new request waits longer "
        "(default: %(default)s)",
    )  # fmt: skip
    group.add_argument(
        "--most-characters", type=int, default=2000, metavar="N", help="of a sentence (default: %(default)s)"
    )
    group.add_argument(
        "--most-sentences", type=int, default=100, metavar="N", help="of a request (default: %(default)s)"
    )
    group.add_argument(
        "--rate", type=int, default=600, metavar="N",
        help="requests of a client a minute; of those that change something a tenth (default: %(default)s)",
    )  # fmt: skip


def _add_fixes(group: Group) -> None:
    group.add_argument(
        "--queue", metavar="FILE", default="fixes.db", help="where corrections are kept (default: %(default)s)"
    )
    group.add_argument(
        "--bake-to", metavar="FILE", help="checkpoint that the bake button writes; without it nobody bakes"
    )
    group.add_argument("--force", action="store_true", help="let a bake overwrite FILE if it exists at the start")
    group.add_argument(
        "--failed-fixes", choices=("keep", "drop"), default="keep",
        help="a live fix whose proof fails stays for its sentence alone, or goes (default: %(default)s)",
    )  # fmt: skip
    group.add_argument(
        "--least-unchanged", type=float, default=0.95, metavar="SHARE",
        help="share of other sentences that a proof wants unchanged, or changed as wanted (default: %(default)s)",
    )  # fmt: skip
    group.add_argument("--edit-config", metavar="YAML", help="settings of the edits, as for fairseq-edit")
    add_cache(group)
    add_trust(group)


def parse(argv: Sequence[str], prepare: Callable[[], None] = lambda: None) -> ServeCommand:
    """What the words of a command line ask for.

    Args:
        argv: the words.
        prepare: called once our own options are known to be right, before fairseq is needed.

    Raises:
        EditError: for options that can't be.
        SystemExit: after printing the help.
    """
    own, rest = own_parser().parse_known_args(argv)
    numbers = {"--serve-batch": own.serve_batch, "--most-characters": own.most_characters}
    numbers.update({"--most-sentences": own.most_sentences, "--rate": own.rate})
    for name, value in numbers.items():
        if value < 1:
            raise EditError(f"{name} is {value}, expected a number of at least 1")
    if not 0 <= own.least_unchanged <= 1:
        raise EditError(f"--least-unchanged is {own.least_unchanged:g}, expected a share from 0 to 1")
    if not 0 <= own.port < 2**16:
        raise EditError(f"--port is {own.port}, expected 0 to {2**16 - 1}")
    token, made = _token(own.token_file, own.host)
    prepare()
    from fairseq_rome.cli.edit_options import read_settings
    from fairseq_rome.methods.registry import method_named
    from fairseq_rome.server.server_spec import ServerSpec

    settings = read_settings(own.edit_config)
    model, progress, _ = model_spec(PROG, own, rest, settings.seed)
    if model.cache is None:
        raise EditError("--edit-cache none: the server's processes share what is kept there, expected a folder")
    if method_named(settings.method).together:
        raise EditError(f"method {settings.method} fits all requests together, expected one that takes them one by one")
    if not method_named(settings.method).changes_weights:
        raise EditError(f"method {settings.method} changes no weights, expected one whose edits a checkpoint can hold")
    spec = ServerSpec(
        model, own.queue, settings, own.failed_fixes, own.least_unchanged, own.bake_to, token, own.serve_batch,
        _limits(own.most_characters, own.most_sentences, own.rate),
    )  # fmt: skip
    return ServeCommand(spec, own.host, own.port, own.force, progress, made)


def _limits(characters: int, sentences: int, rate: int) -> Limits:
    from fairseq_rome.server.server_spec import Limits

    return Limits(characters=characters, sentences=sentences, requests=rate)


def _token(path: Optional[str], host: str) -> Any:
    """The token that clients must show, and the same if it was made here; None for none.

    Raises:
        EditError: if the file can't be read, or its token is too short.
    """
    if path is None:
        made = None if host in _LOOPBACK else secrets.token_urlsafe(24)
        return made, made
    try:
        token = Path(path).read_text(encoding="utf-8").partition("\n")[0].strip()
    except (OSError, UnicodeDecodeError) as error:
        raise EditError(f"{path}: cannot be read ({error}), expected a file with a token") from error
    if len(token) < _LEAST_TOKEN or not token.isascii():
        raise EditError(
            f"{path}: a token of {len(token)} characters, expected at least {_LEAST_TOKEN}, ASCII, on the first line"
        )
    return token, None
