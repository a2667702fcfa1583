"""Measure what one edit costs beside importing, loading and saving, as whole processes, and where its time goes.

For each model and number of cores: a process that imports fairseq, loads the checkpoint and saves it; `fairseq-edit` of
one term with an empty cache; the same again, with what it remembered; and another term after that. Medians of --repeat
runs, taken in turns, so that a machine that gets slower slows all alike. Another time the edit runs under a clock that
tells its processor time by stage. With --before both are measured of another tree of this repository too.

    python scripts/benchmarks/benchmark_stages.py                                  Multi30k and English-Spanish
    python scripts/benchmarks/benchmark_stages.py multi30k --cores 1 --repeat 1
    python scripts/benchmarks/benchmark_stages.py --before ../other-tree --record
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any, Dict, List, Mapping, Optional, Sequence, Tuple

from benchmark_cost import LOAD_AND_SAVE
from public_models import LANGUAGES, ROOT, PublicModel, docs_model, multi30k_model, records_of
from result_records import append_rows, origin
from result_tables import TABLES
from stage_clock import STAGES
from tqdm import tqdm

LOAD, FIRST, AGAIN, ANOTHER = "import fairseq, load, save", "an edit, the first time", "the same again", "another edit"
"""The processes. What is remembered of a model serves the last two."""
_CLOCK = Path(__file__).resolve().with_name("stage_clock.py")
_EDIT = "fairseq_rome.cli.edit"
# The two requests, of which the first attempt holds; of a model that has others, the first two.
_TERMS = ("term-wall", "term-beach")


@dataclass(frozen=True)
class Seconds:
    """Of a whole process."""

    wall: float
    cpu: float


class Runs:
    """The processes for one model on some cores.

    Args:
        model: what is edited.
        tree: the repository whose package edits.
        cores: how many there are for a process.
        work: scratch folder, of its own.
    """

    def __init__(self, model: PublicModel, tree: Path, cores: int, work: Path) -> None:
        self._model, self._tree, self._work = model, tree, work
        self._cores = sorted(os.sched_getaffinity(0))[:cores]
        self._cache = work / "cache"
        work.mkdir()
        terms = {one["id"]: one for one in records_of(model.requests) if one["task"] == "term"}
        chosen = [one for one in _TERMS if one in terms]
        for name, one in zip((AGAIN, ANOTHER), (terms[one] for one in [*chosen, *terms][:2])):
            told = {field: one[field] for field in ("source", "target", "trigger", "contexts")}
            self._requests(name).write_text(json.dumps(told) + "\n", encoding="utf-8")

    def _requests(self, process: str) -> Path:
        return self._work / ("another.jsonl" if process == ANOTHER else "one.jsonl")

    def take(self, process: str) -> Seconds:
        """Run one of the processes."""
        if process == FIRST:
            shutil.rmtree(self._cache, ignore_errors=True)
        if process == LOAD:
            paths = [str(self._model.path), str(self._model.data), str(self._work / "copy.pt")]
            return self._timed(["-c", LOAD_AND_SAVE, *paths])
        return self._timed(["-m", _EDIT, *self._words(process)])

    def stages(self, process: str) -> Dict[str, float]:
        """Processor seconds of an edit by stage."""
        if process == FIRST:
            shutil.rmtree(self._cache, ignore_errors=True)
        out = self._work / "stages.json"
        self._timed([str(_CLOCK), str(out), _EDIT, *self._words(process)])
        return dict(json.loads(out.read_text(encoding="utf-8")))

    def _words(self, process: str) -> List[str]:
        return [
            *self._model.words(), "--edit-pref", str(self._requests(process)), "--save-to",
            str(self._work / "edited.pt"), "--force", "--edit-cache", str(self._cache), "--no-progress-bar", "--cpu",
        ]  # fmt: skip

    def _timed(self, words: Sequence[str]) -> Seconds:
        """The cost of one process.

        Raises:
            SystemExit: it fails; its last words are shown.
        """
        surroundings = {**os.environ, "PYTHONPATH": str(self._tree), "OMP_NUM_THREADS": str(len(self._cores))}
        started, before = time.perf_counter(), resource.getrusage(resource.RUSAGE_CHILDREN)
        # From a folder without a package: Python looks where it is started before it looks in the tree.
        done = subprocess.run(
            [sys.executable, "-W", "ignore", *words], env=surroundings, text=True, stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT, preexec_fn=lambda: os.sched_setaffinity(0, self._cores), cwd=self._work,
        )  # fmt: skip
        wall, after = time.perf_counter() - started, resource.getrusage(resource.RUSAGE_CHILDREN)
        if done.returncode:
            raise SystemExit(f"{' '.join(words[:4])} ... failed:\n{done.stdout[-3000:]}")
        return Seconds(wall, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)


def measured(runs: Sequence[Runs], repeat: int) -> List[Dict[str, Seconds]]:
    """Medians of each process, for each of some runs (this tree's, and that of the one before)."""
    found: List[Dict[str, List[Seconds]]] = [defaultdict(list) for _ in runs]
    for _ in tqdm(range(repeat), leave=False):
        for one, told in zip(runs, found):
            for process in (LOAD, FIRST, AGAIN, ANOTHER):
                told[process].append(one.take(process))
    return [
        {
            process: Seconds(median(one.wall for one in several), median(one.cpu for one in several))
            for process, several in told.items()
        }
        for told in found
    ]


def process_rows(name: str, cores: int, medians: Sequence[Mapping[str, Seconds]]) -> List[Dict[str, Any]]:
    """Rows of the table of processes."""
    now, *before = medians
    return [
        {
            "model": name, "cores": cores, "process": process, "seconds": round(cost.wall, 2),
            "cpu_seconds": round(cost.cpu, 2), "times": round(cost.cpu / now[LOAD].cpu, 2),
            "cpu_seconds_before": round(before[0][process].cpu, 2) if before else None,
            "times_before": round(before[0][process].cpu / before[0][LOAD].cpu, 2) if before else None,
        }
        for process, cost in now.items()
    ]  # fmt: skip


def stage_rows(name: str, runs: Sequence[Runs], repeat: int) -> List[Dict[str, Any]]:
    """Rows of the table of stages: medians of processor seconds, of the first time and again, now and before."""
    columns: Dict[Tuple[str, str], List[Dict[str, float]]] = defaultdict(list)
    for _ in tqdm(range(repeat), leave=False):
        for one, when in zip(runs, ("", "_before")):
            for process, column in ((FIRST, "first"), (AGAIN, "again")):
                columns[column, when].append(one.stages(process))
    return [
        {
            "model": name, "stage": stage,
            **{
                f"{column}{when}": round(median(one.get(stage, 0.0) for one in several), 2)
                for (column, when), several in columns.items()
            },
        }
        for stage in STAGES
    ]  # fmt: skip


def main(argv: Optional[Sequence[str]] = None) -> int:
    """Run from the command line."""
    words: List[str] = list(sys.argv[1:] if argv is None else argv)
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("models", nargs="*", default=["multi30k", "es"], help=f"of multi30k, {', '.join(LANGUAGES)}")
    parser.add_argument("--cores", type=int, nargs="+", default=[1, 2], help="default: 1 2")
    parser.add_argument("--repeat", type=int, default=5, metavar="N", help="default: %(default)s")
    parser.add_argument("--before", type=Path, metavar="TREE", help="another tree of the repository, to compare with")
    parser.add_argument("--no-stages", action="store_true", help="only the processes")
    parser.add_argument("--record", action="store_true", help="also append the rows to the records of docs/results.md")
    arguments = parser.parse_args(words)
    told = origin("benchmark_stages.py", words)

    def told_of(table: str, rows: List[Dict[str, Any]]) -> None:
        print(TABLES[table].drawn([{"figures": one} for one in rows]), end="\n\n", flush=True)
        if arguments.record:
            append_rows(table, rows, told)

    trees = [ROOT, *([arguments.before.resolve()] if arguments.before else [])]
    for name in arguments.models:
        model = multi30k_model() if name == "multi30k" else docs_model(name)
        if not (model.path.exists() and model.data.exists()):
            parser.error(f"{model.path}, {model.data}: missing, expected the model and its unpacked data directory")
        title = "Multi30k" if name == "multi30k" else f"docs, en-{name}"
        for cores in arguments.cores:
            with tempfile.TemporaryDirectory() as work:
                runs = [Runs(model, tree, cores, Path(work) / str(number)) for number, tree in enumerate(trees)]
                told_of("processes", process_rows(title, cores, measured(runs, arguments.repeat)))
                if cores == arguments.cores[0] and not arguments.no_stages:
                    told_of("stages", stage_rows(title, runs, arguments.repeat))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
