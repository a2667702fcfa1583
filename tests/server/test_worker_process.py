"""A process for long work: its jobs in their order, its deaths, and its end with the server's."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from functools import partial
from pathlib import Path
from typing import Any, Iterator, List, Tuple

import pytest
from edit_runs import ROOT
from worker_samples import make_jobs

from fairseq_rome.errors import EditError
from fairseq_rome.server.worker_process import WorkerProcess, WorkFailed

Told = List[Tuple[str, Tuple[Any, ...], Any]]


@pytest.fixture
def told() -> Told:
    return []


@pytest.fixture
def worker(tmp_path: Path, told: Told) -> Iterator[WorkerProcess]:
    make = partial(make_jobs, str(tmp_path))
    one = WorkerProcess("worker", make, 1, lambda *one: told.append(one), lambda text: None)
    yield one
    one.close()


def test_jobs_are_done_and_told_of_and_refused(worker: WorkerProcess, told: Told) -> None:
    worker.start()
    assert worker.submit("add", 1, 2).result(60) == 3
    assert told == [("add", (1, 2), ("adding", 1, 2))]
    with pytest.raises(EditError, match="expected something else"):
        worker.submit("refused").result(60)
    with pytest.raises(WorkFailed, match="KeyError at worker_process.py") as failure:
        worker.submit("fail", "secret").result(60)
    assert "secret" not in str(failure.value)
    assert worker.submit("add", 3, 4).result(60) == 7


def test_jobs_of_a_smaller_rank_go_before(worker: WorkerProcess, told: Told) -> None:
    waiting = [worker.submit("add", number, 0, rank=rank) for number, rank in enumerate((1, 0, 1, 0))]
    worker.start()
    assert [one.result(60) for one in waiting] == [0, 1, 2, 3]
    assert [arguments[0] for _, arguments, _ in told] == [1, 3, 0, 2]


def test_a_process_that_dies_is_started_again_and_its_job_done(worker: WorkerProcess) -> None:
    worker.start()
    process = worker.submit("process").result(60)
    assert worker.submit("die", 1).result(60) == "after 1 deaths"
    assert worker.submit("process").result(60) != process


def test_a_job_that_kills_its_process_twice_fails_and_no_other(worker: WorkerProcess) -> None:
    worker.start()
    with pytest.raises(WorkFailed, match="died 2 times"):
        worker.submit("die", 9).result(60)
    assert worker.submit("add", 1, 1).result(60) == 2


def test_a_job_that_is_cancelled_is_not_begun(worker: WorkerProcess, told: Told) -> None:
    job = worker.submit("add", 1, 1)
    assert job.cancel()
    worker.start()
    assert worker.submit("add", 2, 2).result(60) == 4
    assert [arguments for _, arguments, _ in told] == [(2, 2)]


def test_the_process_ends_with_its_parent_however_that_ends(tmp_path: Path) -> None:
    program = f"""
import os, signal
from functools import partial
from worker_samples import make_jobs
from fairseq_rome.server.worker_process import WorkerProcess
if __name__ == "__main__":
    worker = WorkerProcess("worker", partial(make_jobs, {str(tmp_path)!r}), 0, print, print)
    worker.start()
    print(worker.submit("process").result(60), flush=True)
    os.kill(os.getpid(), signal.SIGKILL)
"""
    script = tmp_path / "server.py"
    script.write_text(program, encoding="utf-8")
    paths = os.pathsep.join([str(ROOT), str(ROOT / "tests")])
    run = subprocess.run(
        [sys.executable, script], env={**os.environ, "PYTHONPATH": paths}, capture_output=True, text=True
    )
    process, end = int(run.stdout), time.monotonic() + 20
    while Path(f"/proc/{process}").exists() and time.monotonic() < end:
        time.sleep(0.05)
    assert not Path(f"/proc/{process}").exists()
