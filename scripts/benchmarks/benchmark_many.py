"""Measure one run of many edits of Multi30k: seconds an edit, what holds and what stays, and the peak of memory.

The requests are mined from the training side, in an order that the seed gives; where --requests is missing it is mined
first, by `fairseq-edit-requests mine`, which decodes the training side and takes some minutes. The time is that of the
whole run: the statistics, all edits, and the decoding of all requests before and after. Then the model with all edits
is judged by decoding: requests, 500 other sentences, and the test set.

    python scripts/benchmarks/benchmark_many.py                        1,024 edits on two cores
    python scripts/benchmarks/benchmark_many.py --count 128 --cores 1
"""

from __future__ import annotations

import argparse
import json
import os
import random
import resource
import subprocess
import sys
import time
from pathlib import Path
from typing import Any, Dict, List, Optional, Sequence

import torch
from bench_options import add_running, add_settings, settings_of
from benchmark_curves import Judge, unrelated_sources
from curve_runs import Stop
from public_models import MULTI30K_FOLDER, ROOT, multi30k_model
from result_records import append_rows, origin
from result_tables import TABLES

from fairseq_rome import read_edit_file
from fairseq_rome.workbench.evaluating import load_test_sets

_SETTINGS = ("widen=true", "edit_contexts=0")


def mine(folder: Path, out: Path) -> None:
    """Mine requests from the training side of Multi30k."""
    out.parent.mkdir(parents=True, exist_ok=True)
    words = [*multi30k_model(folder).words(), "--task", "segment", "--test-set", "train", "--probes", "2"]
    command = [sys.executable, "-W", "ignore", "-m", "fairseq_rome.cli.requests", "mine", *words, "--out", str(out)]
    subprocess.run(command, check=True)


def measure(arguments: argparse.Namespace) -> Dict[str, Any]:
    """The figures of one run."""
    bench = multi30k_model(arguments.data).open(device=arguments.device, cache=arguments.cache)
    pool = read_edit_file(str(arguments.requests), *bench.languages).without_leaks()
    order = list(pool.requests)
    random.Random(arguments.seed).shuffle(order)
    requests = order[: arguments.count]
    test, other = load_test_sets(("test", "test1"), bench.model.translator.codec)
    unrelated = unrelated_sources(arguments.data, other, pool.requests)
    hidden = sorted(pool.held_out.union(test.sources, other.sources, unrelated))
    judge = Judge(bench, unrelated, test, requests, ())
    settings = settings_of([*_SETTINGS, *arguments.settings], edit_batch=0, edit_sample=0)
    started, before = time.perf_counter(), time.process_time()
    outcome = bench.edit(requests, settings, hidden=hidden)
    wall, cpu = time.perf_counter() - started, time.process_time() - before
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    with bench.patched(outcome.patches):
        point = judge(settings.method, arguments.seed, requests, Stop(len(requests), cpu, None))
    return {
        "edits": len(requests), "cores": arguments.cores, "seconds": round(wall / len(requests), 3),
        "cpu_seconds": round(cpu / len(requests), 3), "held": point.held, "identical": point.identical,
        "unrelated": point.unrelated, "bleu_before": round(point.bleu_before, 2), "bleu": round(point.bleu, 2),
        "p": point.p_value, "peak_mb": round(peak),
    }  # fmt: skip


def main(argv: Optional[Sequence[str]] = None) -> int:
    """Run from the command line."""
    words: List[str] = list(sys.argv[1:] if argv is None else argv)
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=MULTI30K_FOLDER, help="default: %(default)s")
    parser.add_argument("--requests", type=Path, default=ROOT / "build" / "mined.jsonl", help="default: %(default)s")
    parser.add_argument("--count", type=int, default=1024, metavar="N", help="edits (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=1, help="of the order (default: %(default)s)")
    parser.add_argument("--cores", type=int, default=2, help="that the process may use (default: %(default)s)")
    parser.add_argument("--record", action="store_true", help="also append the row to the records of docs/results.md")
    add_settings(parser)
    add_running(parser)
    arguments = parser.parse_args(words)
    if not arguments.data.is_dir():
        print(f"{arguments.data} is missing: nothing is measured without it (--data names the folder)")
        return 0
    os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[: arguments.cores])
    torch.set_num_threads(arguments.cores)
    if not arguments.requests.exists():
        mine(arguments.data, arguments.requests)
    figures = measure(arguments)
    print(json.dumps(figures))
    print(TABLES["many"].drawn([{"figures": figures}]))
    if arguments.record:
        append_rows("many", [figures], origin("benchmark_many.py", words))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
