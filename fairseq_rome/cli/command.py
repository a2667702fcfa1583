"""What every command does around its own work: quiet libraries, and faults of the user's told in one line."""

from __future__ import annotations

import logging
import sys
import warnings
from typing import Callable, Optional, Sequence

from fairseq_rome.cli.interrupts import held_back
from fairseq_rome.errors import EditError

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
        What `work` returns, or 2 after something that the user can put right.
    """
    try:
        with warnings.catch_warnings():
            # fairseq and what it stands on warn of their own old habits.
            if not sys.warnoptions:
                warnings.simplefilter("ignore")
            return work(argv)
    except EditError as error:
        print(f"{prog}: {error}", file=sys.stderr)
    except KeyboardInterrupt as interrupt:
        print(f"{prog}: interrupted; {str(interrupt) or 'nothing was written'}", file=sys.stderr)
    return 2


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
