"""A process beside the server that does long work, one job after the other, and is started again if it dies."""

from __future__ import annotations

import itertools
import multiprocessing
import os
import queue
import signal
import threading
import warnings
from concurrent.futures import Future
from contextlib import suppress
from dataclasses import dataclass, field
from multiprocessing.connection import Connection, wait
from typing import Any, Callable, Optional, Tuple

from fairseq_rome.errors import EditError

# How often one job may kill the process that works on it before it counts as failed.
_DEATHS = 2
READY, PROGRESS, DONE, REFUSED = "ready", "progress", "done", "refused"
"""What a worker tells, each with one value."""


class WorkerDied(Exception):
    """A job killed its process, twice."""


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
        target: what runs in the process, as `serve_jobs` with a way to make its jobs; called with a connection and
            `arguments`.
        arguments: of the target.
        tell: is told (job's name, its arguments, progress) while a job goes on, in a thread of this object's.
        log: is told of deaths, in a line without any text of a client.
    """

    def __init__(
        self, name: str, target: Callable[..., None], arguments: Tuple[Any, ...],
        tell: Callable[[str, Tuple[Any, ...], Any], None], log: Callable[[str], None],
    ) -> None:  # fmt: skip
        self._name, self._target, self._arguments = name, target, arguments
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
            name: of the job, a method of what the target makes.
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
            self._started().send((job.name, job.arguments))
            while True:
                kind, value = self._received()
                if kind != PROGRESS:
                    break
                self._tell(job.name, job.arguments, value)
        except _Died:
            job.deaths += 1
            if job.deaths < _DEATHS and not self._closing.is_set():
                return False
            job.future.set_exception(WorkerDied(f"the process that worked on it died {job.deaths} times"))
            return True
        if kind == REFUSED:
            job.future.set_exception(EditError(value))
        else:
            job.future.set_result(value)
        return True

    def _started(self) -> Connection:
        """The connection to a process that is ready.

        Raises:
            _Died: if it dies before it is.
        """
        if self._connection is not None and self._process is not None and self._process.is_alive():
            return self._connection
        self._end()
        context = multiprocessing.get_context("spawn")
        ours, theirs = context.Pipe()
        self._process = context.Process(
            target=self._target, args=(theirs, *self._arguments), name=self._name, daemon=True
        )
        self._process.start()
        theirs.close()
        self._connection = ours
        kind, value = self._received()
        if kind == REFUSED:
            self._log(f"{self._name}: {value}")
            self._end()
            raise _Died
        self.ready.set()
        return ours

    def _received(self) -> Tuple[str, Any]:
        """What the process tells next.

        Raises:
            _Died: if it tells no more.
        """
        assert self._connection is not None
        try:
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


def serve_jobs(connection: Connection, make: Callable[[Callable[[Any], None]], Any], niceness: int = 0) -> None:
    """What a worker's process does: make the object whose methods are the jobs, and call them one by one.

    Args:
        connection: to the server; when it ends, so does the process.
        make: makes the object; takes what tells progress.
        niceness: how far the process stands back where processors are short, 0 to 19.
    """
    os.nice(niceness)
    warnings.simplefilter("ignore")  # fairseq and what it stands on warn of their own old habits
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the server ends its workers itself
    _end_with_parent()
    try:
        jobs = make(lambda value: connection.send((PROGRESS, value)))
    except EditError as error:
        connection.send((REFUSED, str(error)))
        return
    connection.send((READY, None))
    with suppress(EOFError, OSError):
        while True:
            name, arguments = connection.recv()
            try:
                told = (DONE, getattr(jobs, name)(*arguments))
            except EditError as error:
                told = (REFUSED, str(error))
            connection.send(told)


def _end_with_parent() -> None:
    """End this process once its parent has ended, however that ended."""
    parent = multiprocessing.parent_process()

    def watch() -> None:
        if parent is not None:
            wait([parent.sentinel])
            os.kill(os.getpid(), signal.SIGKILL)

    threading.Thread(target=watch, daemon=True).start()
