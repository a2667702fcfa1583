"""What every command does around its own work: quiet libraries, and faults of the user's told in one line."""

from __future__ import annotations

import gc
import logging
import os
import sys
import warnings
from contextlib import contextmanager
from typing import Any, Callable, Iterator, Optional, Sequence, TextIO

from fairseq_rome.cli.interrupts import held_back
from fairseq_rome.errors import EditError

_NO_FAIRSEQ = (
    "fairseq can't be imported ({error}): install fairseq_rome[fairseq], or fairseq 0.12 for your Python, "
    "into this environment"
)


def command(prog: str, work: Callable[[Sequence[str]], int]) -> Callable[..., int]:
    """The `main` of a command.

    Args:
        prog: the command's name, for messages.
        work: takes the words of the command line and returns the exit status, which the command's help explains.
    """

    def main(argv: Optional[Sequence[str]] = None) -> int:
        """Run the command.

        Args:
            argv: the words of the command line; those of the process if None.

        Returns:
            Exit status, 2 after something that the user can put right.

        Raises:
            SystemExit: after printing the help.
        """
        return _run(prog, work, list(sys.argv[1:] if argv is None else argv))

    return main


def _run(prog: str, work: Callable[[Sequence[str]], int], words: Sequence[str]) -> int:
    try:
        with _read_or_not(), warnings.catch_warnings():
            # fairseq and what it stands on warn of their own old habits.
            if not sys.warnoptions:
                warnings.simplefilter("ignore")
            return work(words)
    except EditError as error:
        print(f"{prog}: {error}", file=sys.stderr)
    except KeyboardInterrupt as interrupt:
        print(f"{prog}: interrupted; {str(interrupt) or 'nothing was written'}", file=sys.stderr)
    finally:
        gc.unfreeze()
    return 2


@contextmanager
def _read_or_not() -> Iterator[None]:
    """Go on with the work where nobody reads on what it prints, as in `| head`: its files are wanted all the same."""
    read = sys.stdout
    if read is None:  # closed from the start, which print knows
        yield
        return
    sys.stdout = _Patient(read)
    try:
        yield
        sys.stdout.flush()
    finally:
        sys.stdout = read


class _Patient:
    """A stream that drops what can't be written once its pipe is closed."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    def write(self, text: str) -> int:
        """As the stream's."""
        try:
            return self._stream.write(text)
        except BrokenPipeError:
            self._drop()
            return len(text)

    def flush(self) -> None:
        """As the stream's."""
        try:
            self._stream.flush()
        except BrokenPipeError:
            self._drop()

    def _drop(self) -> None:
        # What is in the buffer would fail again, as Python exits too.
        os.dup2(os.open(os.devnull, os.O_WRONLY), self._stream.fileno())


def import_fairseq() -> None:
    """Import fairseq, with this package as its user directory.

    Raises:
        EditError: if it is missing or broken.
    """
    # fairseq turns on the talk of every library; here only warnings matter.
    for name in ("fairseq", "hydra", "sacrebleu", "matplotlib", "PIL"):
        logging.getLogger(name).setLevel(logging.WARNING)
    try:
        with held_back(), _plain_tables(), _kept_for_good():
            from fairseq_rome.host.user_dir import share_user_dir

            share_user_dir()
    except (ImportError, ValueError, AttributeError) as error:
        raise EditError(_NO_FAIRSEQ.format(error=" ".join(str(error).split()))) from error


@contextmanager
def _plain_tables() -> Iterator[None]:
    """Inside the context nothing finds wcwidth, unless it is imported already.

    fairseq imports sacrebleu, which imports tabulate for tables that no command prints, which takes wcwidth if it is
    there: widths of all characters there are, as long as a third of fairseq's own imports.
    """
    missing: Any = None
    if "wcwidth" in sys.modules:
        yield
        return
    sys.modules["wcwidth"] = missing
    try:
        yield
    finally:
        del sys.modules["wcwidth"]


@contextmanager
def _kept_for_good() -> Iterator[None]:
    """Inside the context Python looks for no garbage, nor later among what was made there, until a command ends.

    Half a million objects of imported modules stay as long as the process does; to go over them again and again took a
    tenth of all the time of an edit.
    """
    collects = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        if collects:
            gc.enable()
