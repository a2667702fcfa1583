"""`fairseq-edit-serve`: translations while corrections come in, go live, are proven and wait to be baked."""

from __future__ import annotations

import logging
import sys
from typing import Sequence

from fairseq_rome.cli.command import command, import_fairseq
from fairseq_rome.cli.serve_options import PROG, parse
from fairseq_rome.errors import EditError


def _parse_and_run(argv: Sequence[str]) -> int:
    asked = parse(argv, import_fairseq)
    try:
        from fairseq_rome.server.running import WebServer, address_of, listening, open_service
    except ImportError as error:
        raise EditError(
            f"{error.name} can't be imported, expected the extra of the server: pip install 'fairseq-rome[serve]'"
        ) from error
    # What a library would print of a failed request may hold what a client sent.
    for name in ("uvicorn", "asyncio"):
        logging.getLogger(name).setLevel(logging.CRITICAL)
    with listening(asked.host, asked.port) as listener:
        service = open_service(asked.spec, _log, asked.force, asked.progress)

        def answers() -> None:
            print(f"{PROG}: {address_of(listener)} answers, and keeps fixes in {asked.spec.queue}", flush=True)
            if asked.made_token is not None:
                print(f"{PROG}: token {asked.made_token}", flush=True)

        WebServer(service, listener, asked.host, answers, _log).serve_until_told()
    return 0


def _log(text: str) -> None:
    print(text, flush=True)


main = command(PROG, _parse_and_run)

if __name__ == "__main__":
    sys.exit(main())
