"""Runs fairseq's own commands in forks of one process that has loaded fairseq, and nothing of this package."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Dict, Iterator, List, Sequence

# Reads a line of cases, and answers with a line of the names of those that did not end as they should.
RUNNER = """
import importlib, json, os, signal, sys, traceback

import torch
import fairseq_cli.generate, fairseq_cli.interactive, fairseq_cli.train


def run(case):
    signal.alarm(300)
    os.chdir(case["cwd"])
    sys.path[:0] = case["python_path"]
    for number, name in enumerate(["stdin", "out", "err"]):
        os.dup2(os.open(case[name], os.O_RDONLY if name == "stdin" else os.O_WRONLY | os.O_CREAT), number)
    sys.argv = ["fairseq-" + case["tool"], *case["arguments"]]
    importlib.import_module("fairseq_cli." + case["tool"]).cli_main()
    assert case["python_path"] or "fairseq_rome" not in sys.modules


for line in iter(sys.stdin.readline, ""):
    wrong = []
    for case in json.loads(line):
        child = os.fork()
        if not child:
            status = 1
            try:
                run(case)
                status = 0
            except BaseException:
                traceback.print_exc()
            finally:
                sys.stdout.flush()
                sys.stderr.flush()
                os._exit(status)
        if bool(os.waitpid(child, 0)[1]) != case["fails"]:
            wrong.append(case["name"])
    print(json.dumps(wrong), flush=True)
"""


@dataclass(frozen=True)
class Case:
    """One call of one of fairseq's commands."""

    name: str
    tool: str
    arguments: Sequence[Any]
    cwd: Path
    stdin: str = os.devnull
    python_path: List[str] = field(default_factory=list)
    fails: bool = False

    def record(self, folder: Path) -> Dict[str, Any]:
        texts = {"name": self.name, "tool": self.tool, "arguments": [str(argument) for argument in self.arguments]}
        ends = {end: str(folder / f"{self.name}.{end}") for end in ("out", "err")}
        rest = {"stdin": self.stdin, "python_path": self.python_path, "fails": self.fails}
        return {**texts, **ends, **rest, "cwd": str(self.cwd)}


@dataclass(frozen=True)
class Stock:
    """The process that waits for cases: loading fairseq takes longer than most of them."""

    process: subprocess.Popen[str]

    def run(self, cases: Sequence[Case], folder: Path) -> Dict[str, str]:
        """Standard output of each case by its name; of one that fails, its standard error."""
        assert self.process.stdin is not None and self.process.stdout is not None
        self.process.stdin.write(json.dumps([case.record(folder) for case in cases]) + "\n")
        self.process.stdin.flush()
        wrong = self.process.stdout.readline()
        logs = "".join(path.read_text(encoding="utf-8")[-2000:] for path in sorted(folder.glob("*.err")))
        assert wrong == "[]\n", wrong + logs
        ends = {case.name: "err" if case.fails else "out" for case in cases}
        return {name: (folder / f"{name}.{end}").read_text(encoding="utf-8") for name, end in ends.items()}


@contextmanager
def stock_fairseq() -> Iterator[Stock]:
    """The process, ended on leaving."""
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONIOENCODING": "utf-8"}
    environment.pop("PYTHONPATH", None)
    with subprocess.Popen(
        [sys.executable, "-c", RUNNER], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
        encoding="utf-8", env=environment, cwd="/",
    ) as process:  # fmt: skip
        yield Stock(process)
