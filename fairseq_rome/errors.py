"""The one exception that a user can act on."""

from __future__ import annotations

from contextlib import contextmanager
from typing import Iterator


class EditError(ValueError):
    """What a user can put right.

    The message is one line that names the file, the line, the value and what was expected. The command line
    prints it and exits with status 2; any other exception is a fault of the program and keeps its traceback.
    """


@contextmanager
def naming(path: str) -> Iterator[None]:
    """Put the name of a file before the message of an `EditError` that is raised inside, unless it is there already."""
    try:
        yield
    except EditError as error:
        if str(error).startswith(f"{path}: "):
            raise
        raise EditError(f"{path}: {error}") from error
