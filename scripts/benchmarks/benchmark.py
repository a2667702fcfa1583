"""Measure single edits on Multi30k: each from the unedited model, judged by beam search, as a table of method and site.

A request is one corrected sentence; term requests also name their trigger and bring unlabelled contexts. Probes and
unrelated sources are taken out of the corpus before anything is fitted. One JSON line a request goes to --out, and what
is there already is not done again, so that a run can be cut off and taken up. A request that fails leads to no edit.

    python scripts/benchmarks/benchmark.py                               every request with the default settings
    python scripts/benchmarks/benchmark.py --task term --method gated rome --site decoder.3 encoder.0 --every 3
    python scripts/benchmarks/benchmark.py --set edit_contexts=16        with another setting of the edits
    python scripts/benchmarks/benchmark.py --table                       only print the table again
"""

from __future__ import annotations

import argparse
import hashlib
import json
import sys
import time
from itertools import product
from pathlib import Path
from typing import Any, Dict, List, Optional, Sequence, Set, TextIO, Tuple

from bench_options import add_running, add_settings, settings_of
from benchmark_table import key_of, read_records, table
from multi30k import Judge, Multi30k, Verdict, Wish, read_multi30k
from public_models import MULTI30K_FOLDER, ROOT, multi30k_model
from tqdm import tqdm

import fairseq_rome
from fairseq_rome import EditSettings, Outcome, Workbench
from fairseq_rome.errors import EditError
from fairseq_rome.methods.registry import all_methods

TASKS = ("term", "segment")


class Benchmark:
    """The open model, the sources that no edit may learn from, and the judge.

    Args:
        data: the requests.
        bench: the model; statistics are kept in its cache.
        out: where results go.
    """

    def __init__(self, data: Multi30k, bench: Workbench, out: TextIO) -> None:
        self.bench = bench
        self.hidden = data.judged
        self.out = out
        self.stamp = {"code": code_digest()}
        self.judge = Judge(bench, data.unrelated)

    def warm_up(self, wish: Wish, settings: EditSettings) -> None:
        """Read the corpus and measure the statistics, so that they are not on the account of the first request."""
        started = time.perf_counter()
        self._edit(wish, settings)
        write_line(self.out, {"kind": "warm-up", **self.stamp, "seconds": time.perf_counter() - started})

    def measure(self, wish: Wish, settings: EditSettings) -> Optional[Dict[str, Any]]:
        """Edit for one request, judge the edited model, and give the record; None if nothing was wrong."""
        if wish.shown(self.bench.translate([wish.source])[0]):
            return None
        started = time.perf_counter(), time.process_time()
        outcome, reason = self._edit(wish, settings)
        spent = time.perf_counter() - started[0], time.process_time() - started[1]
        with self.bench.patched(outcome.patches if outcome else ()):
            verdict = self.judge(self.bench, wish)
        return record_of(wish, settings, outcome, reason, verdict, spent, self.stamp)

    def _edit(self, wish: Wish, settings: EditSettings) -> Tuple[Optional[Outcome], str]:
        try:
            outcome = self.bench.edit(wish.request, settings, hidden=self.hidden)
        except EditError as error:
            return None, str(error)
        return outcome, outcome.results[0].reason


def record_of(
    wish: Wish, settings: EditSettings, outcome: Optional[Outcome], reason: str, verdict: Verdict,
    spent: Tuple[float, float], stamp: Dict[str, Any],
) -> Dict[str, Any]:  # fmt: skip
    """All that is known of one edit, as it goes to the results."""
    result = outcome.results[0] if outcome else None
    patch = result.patch if result else None
    return {
        "kind": "edit", **stamp, **key_fields(wish.task, settings), "id": wish.id,
        "held": verdict.held, "exact": verdict.exact, "claimed": bool(outcome and outcome.holding),
        "probes": verdict.probes, "probes_held": verdict.probes - len(verdict.missed),
        "unrelated": verdict.unrelated, "identical": verdict.unrelated - len(verdict.changed),
        "seconds": spent[0], "cpu_seconds": spent[1], "tries": result.tries if result else 0,
        "at": str(patch.site) if patch else None, "notes": dict(patch.notes) if patch else {},
        "size": result.size if result else 0.0, "reason": reason,
        "output": verdict.output, "missed": verdict.missed, "changed": verdict.changed,
    }  # fmt: skip


def key_fields(task: str, settings: EditSettings) -> Dict[str, Any]:
    """Task, method, site, and the settings that are not the default."""
    usual = EditSettings().as_plain()
    own = {name: value for name, value in settings.as_plain().items() if value != usual[name]}
    for name in ("method", "site", "edit_sample"):
        own.pop(name, None)
    return {"task": task, "method": settings.method, "site": settings.site, "settings": own}


def code_digest() -> str:
    """Eight digits that stand for the package's source, so that results of different versions stay apart."""
    digest = hashlib.sha256()
    folder = Path(fairseq_rome.__file__).parent
    for path in sorted(folder.rglob("*.py")):
        digest.update(str(path.relative_to(folder)).encode() + path.read_bytes())
    return digest.hexdigest()[:8]


def write_line(out: TextIO, record: Dict[str, Any]) -> None:
    """Append one result, at once."""
    out.write(json.dumps(record, ensure_ascii=False) + "\n")
    out.flush()


def run(data: Multi30k, arguments: argparse.Namespace) -> None:
    """Measure what is not in the results yet."""
    bench = multi30k_model(data.folder).open(device=arguments.device, cache=arguments.cache)
    done: Set[Tuple[str, ...]] = {key_of(record) for record in read_records(arguments.out)}
    arguments.out.parent.mkdir(parents=True, exist_ok=True)
    with arguments.out.open("a", encoding="utf-8") as out:
        benchmark = Benchmark(data, bench, out)
        for task, method, site in product(arguments.task, arguments.method, arguments.site):
            # The unrelated sources of the judge take the place of the run's own sample.
            settings = settings_of(arguments.settings, method=method, site=site, edit_sample=0)
            wishes = [wish for wish in data.wishes if wish.task == task][:: arguments.every][: arguments.limit]
            fields = {"kind": "edit", **benchmark.stamp, **key_fields(task, settings)}
            todo = [wish for wish in wishes if key_of({**fields, "id": wish.id}) not in done]
            if todo:
                benchmark.warm_up(todo[0], settings)
            for wish in tqdm(todo, desc=f"{task} {method} {site}"):
                record = benchmark.measure(wish, settings)
                if record is None:
                    tqdm.write(f"{wish.id}: the model says it already, not counted")
                    continue
                write_line(out, record)
                tqdm.write(_summary(record))


def _summary(record: Dict[str, Any]) -> str:
    probes = f"probes {record['probes_held']}/{record['probes']}, " if record["probes"] else ""
    return (
        f"{record['id']}: {'holds' if record['held'] else 'FAILS'}, {probes}"
        f"identical {record['identical']}/{record['unrelated']}, {record['seconds']:.1f} s, "
        f"{record['tries']} tries, {record['at']}"
    )


def main(argv: Optional[Sequence[str]] = None) -> int:
    """Run from the command line."""
    words: List[str] = list(sys.argv[1:] if argv is None else argv)
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=MULTI30K_FOLDER, help="default: %(default)s")
    parser.add_argument("--out", type=Path, default=ROOT / "build" / "benchmark.jsonl", help="default: %(default)s")
    parser.add_argument("--task", nargs="+", choices=TASKS, default=list(TASKS))
    alone = [name for name, method in all_methods().items() if not method.together]
    parser.add_argument("--method", nargs="+", choices=alone, default=[EditSettings().method])
    parser.add_argument("--site", nargs="+", default=[EditSettings().site])
    parser.add_argument("--limit", type=int, metavar="N", help="the first N requests of a task")
    parser.add_argument("--every", type=int, default=1, metavar="N", help="every Nth request of a task")
    parser.add_argument("--table", action="store_true", help="only print the table of --out")
    add_settings(parser)
    add_running(parser)
    arguments = parser.parse_args(words)
    if not arguments.table:
        data = read_multi30k(arguments.data)
        if data is None:
            return 0
        run(data, arguments)
    records = read_records(arguments.out)
    print(table(records))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
