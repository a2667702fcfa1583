"""A process beside the server that does long work, one job after the other, and is started again if it dies."""

from __future__ import annotations

import itertools
import multiprocessing
import os
import queue
import signal
import threading
import traceback
import warnings
from concurrent.futures import Future
from contextlib import suppress
from dataclasses import dataclass, field
from multiprocessing.connection import Connection, wait
from pathlib import Path
from typing import Any, Callable, Optional, Tuple

from fairseq_rome.errors import EditError

# How often one job may kill the process that works on it before it counts as failed.
_DEATHS = 2
# Seconds between two looks whether the server ends, while a process is silent.
_LOOKS = 0.5
READY, PROGRESS, DONE, REFUSED, FAILED = "ready", "progress", "done", "refused", "failed"
"""What a worker tells, each with one value."""


class WorkFailed(Exception):
    """A job failed by a fault of the program, or killed its process twice; the text says which, and holds no other."""


@dataclass(order=True)
class _Job:
    rank: int
    number: int
    name: str = field(compare=False)
    arguments: Tuple[Any, ...] = field(compare=False)
    future: Future[Any] = field(default_factory=Future, compare=False)
    deaths: int = field(default=0, compare=False)


class WorkerProcess:
    """Runs jobs in a process of its own.

    Args:
        name: of the process, for logs.
        make: makes the object whose methods are the jobs, in the process; takes what tells progress.
        niceness: how far the process stands back where processors are short, 0 to 19.
        tell: is told (job's name, its arguments, progress) while a job goes on, in a thread of this object's.
        log: is told of deaths, in a line without any text of a client.
    """

    def __init__(
        self, name: str, make: Callable[[Callable[[Any], None]], Any], niceness: int,
        tell: Callable[[str, Tuple[Any, ...], Any], None], log: Callable[[str], None],
    ) -> None:  # fmt: skip
        self._name, self._make, self._niceness = name, make, niceness
        self._tell, self._log = tell, log
        self._jobs: queue.PriorityQueue[_Job] = queue.PriorityQueue()
        self._numbers = itertools.count()
        self._process: Optional[multiprocessing.process.BaseProcess] = None
        self._connection: Optional[Connection] = None
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self.ready = threading.Event()

    def start(self) -> None:
        """Start the process; jobs wait until it is ready."""
        self._thread.start()

    def submit(self, name: str, *arguments: Any, rank: int = 0) -> Future[Any]:
        """Let a job be done after those of its rank that wait.

        Args:
            name: of the job, a method of the object that was made.
            arguments: of the method.
            rank: jobs of a smaller one go before.
        """
        job = _Job(rank, next(self._numbers), name, arguments)
        self._jobs.put(job)
        return job.future

    def close(self) -> None:
        """End the process, whatever it does."""
        self._closing.set()
        self.submit("", rank=-1)  # wakes the thread
        process = self._process
        if process is not None:
            process.kill()
        if self._thread.ident is not None:
            self._thread.join()

    def _run(self) -> None:
        while not self._closing.is_set():
            try:
                self._started()
            except _Died:
                continue
            job = self._jobs.get()
            while not self._closing.is_set() and not self._done(job):
                pass
        self._end()

    def _done(self, job: _Job) -> bool:
        """Work on a job; whether it is done, be it without success."""
        if job.deaths == 0 and not job.future.set_running_or_notify_cancel():
            return True
        try:
            self._started()
            self._sent((job.name, job.arguments))
            while True:
                kind, value = self._received()
                if kind != PROGRESS:
                    break
                self._tell(job.name, job.arguments, value)
        except _Died:
            job.deaths += 1
            if job.deaths < _DEATHS and not self._closing.is_set():
                return False
            job.future.set_exception(WorkFailed(f"the process that worked on it died {job.deaths} times"))
            return True
        if kind == REFUSED:
            job.future.set_exception(EditError(value))
        elif kind == FAILED:
            self._log(f"{self._name}: failed: {value}")
            job.future.set_exception(WorkFailed(f"failed by a fault of the program: {value}"))
        else:
            job.future.set_result(value)
        return True

    def _started(self) -> None:
        """See to it that the process is ready.

        Raises:
            _Died: if it dies before it is.
        """
        if self._connection is not None and self._process is not None and self._process.is_alive():
            return
        self._end()
        context = multiprocessing.get_context("spawn")
        ours, theirs = context.Pipe()
        self._process = context.Process(
            target=serve_jobs, args=(theirs, self._niceness), name=self._name, daemon=True
        )
        self._process.start()
        theirs.close()
        self._connection = ours
        self._sent(self._make)
        kind, value = self._received()
        if kind == REFUSED:
            self._log(f"{self._name}: {value}")
            self._end()
            raise _Died
        self.ready.set()

    def _sent(self, value: Any) -> None:
        """Send something to the process.

        Raises:
            _Died: if it is no more.
        """
        assert self._connection is not None
        try:
            self._connection.send(value)
        except OSError as error:
            self._end()
            raise _Died from error

    def _received(self) -> Tuple[str, Any]:
        """What the process tells next.

        Raises:
            _Died: if it tells no more.
        """
        assert self._connection is not None
        try:
            while not self._connection.poll(_LOOKS):
                if self._closing.is_set():
                    raise EOFError
            kind, value = self._connection.recv()
        except (EOFError, OSError) as error:
            self._end()
            if not self._closing.is_set():
                self._log(f"{self._name}: the process died, and is started again")
                self._closing.wait(0.2)  # a process that always dies at once must not take all time
            raise _Died from error
        return str(kind), value

    def _end(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.join()
            self._process = None
        if self._connection is not None:
            self._connection.close()
            self._connection = None


class _Died(Exception):
    """The process is no more."""


def serve_jobs(connection: Connection, niceness: int) -> None:
    """What a worker's process does: make the object whose methods are the jobs, and call them one by one.

    What makes the object comes by the connection, since its modules take seconds to be imported, in which the server
    may end already.

    Args:
        connection: to the server; when it ends, so does the process.
        niceness: as for `WorkerProcess`.
    """
    _end_with_parent()
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the server ends its workers itself
    os.nice(niceness)
    warnings.simplefilter("ignore")  # fairseq and what it stands on warn of their own old habits
    with suppress(EOFError, OSError):
        try:
            jobs = connection.recv()(lambda value: connection.send((PROGRESS, value)))
        except EditError as error:
            connection.send((REFUSED, str(error)))
            return
        connection.send((READY, None))
        while True:
            name, arguments = connection.recv()
            connection.send(_told(getattr(jobs, name), arguments))


def _told(job: Callable[..., Any], arguments: Tuple[Any, ...]) -> Tuple[str, Any]:
    """What is told of a job that was worked on."""
    try:
        return DONE, job(*arguments)
    except EditError as error:
        return REFUSED, str(error)
    except Exception as error:  # the process lives on, for the jobs of others
        return FAILED, told_without_texts(error)


def told_without_texts(error: BaseException) -> str:
    """The kind of an exception and the places that it came through; its message may hold what a client sent."""
    places = [f"{Path(one.filename).name}:{one.lineno}" for one in traceback.extract_tb(error.__traceback__)[-4:]]
    return f"{type(error).__name__} at {', '.join(places)}"


def _end_with_parent() -> None:
    """End this process once its parent has ended, however that ended."""
    parent = multiprocessing.parent_process()

    def watch() -> None:
        if parent is not None:
            wait([parent.sentinel])
            os.kill(os.getpid(), signal.SIGKILL)

    threading.Thread(target=watch, daemon=True).start()
