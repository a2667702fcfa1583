"""What every command does around its own work: quiet libraries, and faults of the user's told in one line."""

from __future__ import annotations

import logging
import os
import sys
import warnings
from contextlib import contextmanager
from typing import Callable, Iterator, Optional, Sequence

from fairseq_rome.cli.interrupts import held_back
from fairseq_rome.errors import EditError

# As a shell tells of a process that a closed pipe has ended.
_PIPE_CLOSED = 141

_NO_FAIRSEQ = (
    "fairseq can't be imported ({error}): install fairseq_rome[fairseq], or fairseq 0.12 for your Python, "
    "into this environment"
)


def run(prog: str, work: Callable[[Optional[Sequence[str]]], int], argv: Optional[Sequence[str]]) -> int:
    """Run the work of a command.

    Args:
        prog: the command's name, for messages.
        work: takes the arguments and returns the exit status.
        argv: arguments; those of the process if None.

    Returns:
        What `work` returns, 2 after something that the user can put right, or 141 where nobody reads the output on.
    """
    try:
        with warnings.catch_warnings():
            # fairseq and what it stands on warn of their own old habits.
            if not sys.warnoptions:
                warnings.simplefilter("ignore")
            status = work(argv)
            sys.stdout.flush()
            return status
    except EditError as error:
        print(f"{prog}: {error}", file=sys.stderr)
    except KeyboardInterrupt as interrupt:
        print(f"{prog}: interrupted; {str(interrupt) or 'nothing was written'}", file=sys.stderr)
    except BrokenPipeError:
        # What is left in the buffer would be written, and fail again, as Python exits.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return _PIPE_CLOSED
    return 2


@contextmanager
def naming(path: str) -> Iterator[None]:
    """Begin what is wrong with the name of the file, where it does not."""
    try:
        yield
    except EditError as error:
        if str(error).startswith(f"{path}: "):
            raise
        raise EditError(f"{path}: {error}") from error


def import_fairseq() -> None:
    """Import fairseq, with this package as its user directory.

    Raises:
        EditError: if it is missing or broken.
    """
    # fairseq turns on the talk of every library; here only warnings matter.
    for name in ("fairseq", "hydra", "sacrebleu", "matplotlib", "PIL"):
        logging.getLogger(name).setLevel(logging.WARNING)
    try:
        with held_back():
            from fairseq_rome.user_dir import share_user_dir

            share_user_dir()
    except (ImportError, ValueError, AttributeError) as error:
        raise EditError(_NO_FAIRSEQ.format(error=" ".join(str(error).split()))) from error
