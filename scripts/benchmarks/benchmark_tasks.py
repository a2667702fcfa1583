r"""Measure the four editing tasks: each request edited by itself, from the unedited model, and judged by decoding.

The edited checkpoint is written, reloaded and decoded. One JSON line a request goes to --out, and what is there already
is not done again. Planted and mined requests get a row of their own by --label. A request that was refused or led to no
edit is not fixed; its near misses and other sentences, which nothing could have changed, are not counted.

    python scripts/benchmarks/benchmark_tasks.py --data scripts/demo/data-bin --path scripts/demo/model.pt \
        --bpe sentencepiece --sentencepiece-model scripts/demo/spm.model --edit-pref planted.jsonl --label planted
    python scripts/benchmarks/benchmark_tasks.py --table   only print the table again
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from pathlib import Path
from typing import Any, Dict, List, Optional, Sequence, Tuple

from bench_options import add_model, add_settings, open_named, settings_of
from result_records import append_rows, origin
from tqdm import tqdm

from fairseq_rome import EditFile, EditRequest, EditSettings, Outcome, Workbench, read_edit_file
from fairseq_rome.errors import EditError
from fairseq_rome.evaluation.judged import Evaluation
from fairseq_rome.workbench.compared_models import ComparedModel, unedited
from fairseq_rome.workbench.evaluating import comparison_of_outcome, make_report
from fairseq_rome.workbench.specs import EvaluationOptions

ROOT = Path(__file__).resolve().parents[2]
Record = Dict[str, Any]
_HEADER = (
    "task", "requests", "wrong before", "fixed", "checker objects", "probes hold", "and cleanly", "near misses same",
    "others same", "s an edit",
)  # fmt: skip
_SUMMED = ("fixed", "probes_held", "probes_clean", "probes", "near_same", "near", "others_same", "others")


class Tasks:
    """The open model and the requests, each of which is edited by itself.

    Args:
        bench: the unedited model.
        requests: the requests.
        settings: of the edits.
    """

    def __init__(self, bench: Workbench, requests: EditFile, settings: EditSettings) -> None:
        self.bench = bench
        self.requests = requests.requests
        self.hidden = requests.held_out
        self.settings = settings

    def measure(self, request: EditRequest) -> Record:
        """Edit for one request alone, write, reload and judge; the unedited model where there is no edit."""
        started = time.perf_counter()
        try:
            outcome = self.bench.edit(request, self.settings, hidden=self.hidden)
            seconds = outcome.results[0].seconds
            judged, reason = self._written(request, outcome)
        except EditError as error:
            judged, reason, seconds = None, str(error), time.perf_counter() - started
        if judged is None:
            judged = self.bench.evaluate(unedited(self.bench.model), [request], sample=0).evaluation
        return record_of(judged, seconds, reason)

    def _written(self, request: EditRequest, outcome: Outcome) -> Tuple[Optional[Evaluation], str]:
        """What the reloaded checkpoint shows; or None, and why there is none."""
        [result] = outcome.results
        if not outcome.holding:
            return None, result.reason or result.status
        with tempfile.TemporaryDirectory() as folder:
            path = str(Path(folder) / "edited.pt")
            with self.bench.stage(path, outcome, self.settings) as staged:
                reloaded = staged.reload()
                failures = staged.failures(reloaded)
                return (None, failures[0]) if failures else (self._evaluated(request, outcome, reloaded), "")

    def _evaluated(self, request: EditRequest, outcome: Outcome, edited: ComparedModel) -> Evaluation:
        model = self.bench.model
        edit_file = EditFile((request,))
        corpus = self.bench.background(self.settings.seed, edit_file.held_out.union(self.hidden))
        comparison = comparison_of_outcome(edit_file, outcome, model.path)
        return make_report(model, edited, comparison, (), EvaluationOptions(), corpus).evaluation


def record_of(judged: Evaluation, seconds: float, unedited: str) -> Record:
    """What is counted of one request.

    Args:
        judged: the evaluation.
        seconds: what the edit took.
        unedited: why there is no edit; empty where there is one.
    """
    [request] = judged.requests
    near, sets = ((), ()) if unedited else (request.near, judged.sets)
    probes = [probe for probe in request.probes if probe.wrong_before]
    return {
        "id": request.id, "task": request.task, "wrong": request.wrong_before, "fixed": request.holds,
        "exact": request.exact, "fault_before": request.fault_before, "fault_after": request.fault_after,
        "probes": len(probes), "probes_held": sum(probe.holds for probe in probes),
        "probes_clean": sum(probe.holds and probe.clean for probe in probes),
        "near": len(near), "near_same": sum(not one.changed for one in near),
        "others": sum(one.unrelated for one in sets),
        "others_same": sum(one.unrelated - len(one.broken) for one in sets),
        "after": request.after, "seconds": seconds, "unedited": unedited,
    }  # fmt: skip


def figures(records: Sequence[Record]) -> List[Record]:
    """A row of docs/results.md for each row of the table."""
    rows = []
    for (label, task), group in sorted(_groups(records).items()):
        wrong = [record for record in group if record["wrong"]]
        sums: Record = {name: _sum(wrong, name) for name in _SUMMED}
        for whole in ("probes", "near"):
            if not sums[whole]:
                sums.update((name, None) for name in _SUMMED if name.startswith(whole))
        rows.append({
            "task": task, "origin": label, "requests": len(wrong), **sums,
            "objections": _objections(wrong, "fault_before"), "objections_after": _objections(wrong, "fault_after"),
            "seconds": round(_median(group), 1),
        })  # fmt: skip
    return rows


def table(records: Sequence[Record]) -> str:
    """The results by label and task, as a Markdown table."""
    rows = [_HEADER, ("---",) * len(_HEADER), *(_row(*key, group) for key, group in sorted(_groups(records).items()))]
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


def _row(label: str, task: str, group: Sequence[Record]) -> Tuple[str, ...]:
    wrong = [record for record in group if record["wrong"]]
    objects = [_objections(wrong, name) for name in ("fault_before", "fault_after")]
    return (
        f"{task}, {label}", str(len(group)), str(len(wrong)), _of(wrong, "fixed", len(wrong)),
        f"{objects[0]}, then {objects[1]}", _of(wrong, "probes_held", _sum(wrong, "probes")),
        _of(wrong, "probes_clean", _sum(wrong, "probes")),
        _of(wrong, "near_same", _sum(wrong, "near")), _of(wrong, "others_same", _sum(wrong, "others")),
        f"{_median(group):.1f}",
    )  # fmt: skip


def _groups(records: Sequence[Record]) -> Dict[Tuple[str, str], List[Record]]:
    groups: Dict[Tuple[str, str], List[Record]] = {}
    for record in records:
        groups.setdefault((record["label"], record["task"]), []).append(record)
    return groups


def _objections(group: Sequence[Record], name: str) -> int:
    return sum(record[name] is not None for record in group)


def _median(group: Sequence[Record]) -> float:
    seconds = sorted(float(record["seconds"]) for record in group)
    return seconds[len(seconds) // 2]


def _sum(group: Sequence[Record], name: str) -> int:
    return sum(int(record[name]) for record in group)


def _of(group: Sequence[Record], name: str, total: int) -> str:
    part = _sum(group, name)
    return f"{part} of {total} ({part / total:.1%})" if total else ""


def read_records(path: Path) -> List[Record]:
    """The results so far."""
    lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
    return [json.loads(line) for line in lines]


def run(arguments: argparse.Namespace) -> None:
    """Measure what is not in the results yet."""
    bench = open_named(arguments)
    requests = read_edit_file(arguments.edit_pref, *bench.languages)
    tasks = Tasks(bench, requests, settings_of(arguments.settings))
    done = {(record["label"], record["id"]) for record in read_records(arguments.out)}
    arguments.out.parent.mkdir(parents=True, exist_ok=True)
    with arguments.out.open("a", encoding="utf-8") as out:
        for request in tqdm(tasks.requests[:: arguments.every], desc=arguments.label):
            if (arguments.label, request.id) in done:
                continue
            record = tasks.measure(request)
            if record["unedited"]:
                tqdm.write(f"{request.id}: {record['unedited']}")
            out.write(json.dumps({"label": arguments.label, **record}, ensure_ascii=False) + "\n")
            out.flush()


def main(argv: Optional[Sequence[str]] = None) -> int:
    """Run from the command line."""
    words: List[str] = list(sys.argv[1:] if argv is None else argv)
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add_model(parser)
    add_settings(parser)
    parser.add_argument("--edit-pref", metavar="PREF", help="the requests, as for fairseq-edit")
    parser.add_argument("--label", default="mined", help="planted or mined (default: %(default)s)")
    parser.add_argument("--every", type=int, default=1, metavar="N", help="every Nth request")
    parser.add_argument("--out", type=Path, default=ROOT / "build" / "tasks.jsonl", help="default: %(default)s")
    parser.add_argument("--table", action="store_true", help="only print the table of --out")
    parser.add_argument("--record", action="store_true", help="also append the rows to the records of docs/results.md")
    arguments = parser.parse_args(words)
    if not arguments.table:
        if not arguments.edit_pref:
            parser.error("--edit-pref is missing, expected the requests to measure")
        run(arguments)
    records = read_records(arguments.out)
    print(table(records))
    if arguments.record:
        append_rows("tasks", figures(records), origin("benchmark_tasks.py", words))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
