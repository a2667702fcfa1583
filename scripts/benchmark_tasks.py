r"""Measure the four editing tasks: each request edited by itself, from the unedited model, and judged by decoding.

The edited checkpoint is written, reloaded and decoded. One JSON line a request goes to --out, and what is there already
is not done again. Planted and mined requests get a row of their own by --label. Unknown options go to fairseq-edit.
A request that was refused or led to no edit is not fixed; its near misses and other sentences, which nothing could have
changed, are not counted.

    python scripts/benchmark_tasks.py scripts/demo/data-bin --path scripts/demo/model.pt -s en -t de \
        --bpe sentencepiece --sentencepiece-model scripts/demo/spm.model --edit-pref planted.jsonl --label planted
    python scripts/benchmark_tasks.py --table              only print the table again
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
import warnings
from pathlib import Path
from typing import Any, Dict, List, Optional, Sequence, Tuple

from fairseq_rome.cli.options import parse
from tqdm import tqdm

from fairseq_rome.cli.command import import_fairseq
from fairseq_rome.cli.parsing import with_fairseq
from fairseq_rome.errors import EditError
from fairseq_rome.text.requests import EditFile, EditRequest

ROOT = Path(__file__).resolve().parent.parent
Record = Dict[str, Any]
_HEADER = (
    "task", "requests", "wrong before", "fixed", "checker objects", "probes hold", "near misses same", "others same",
    "s an edit",
)  # fmt: skip


class Bench:
    """The open model and what judges an edit of it.

    Args:
        args: the parsed options of fairseq-edit.
        settings: of the edits.
    """

    def __init__(self, args: argparse.Namespace, settings: Any) -> None:
        from fairseq_rome.cli.session import open_checkpoint

        from fairseq_rome.evaluation.evaluate import checkers_for
        from fairseq_rome.host.corpus import load_corpus
        from fairseq_rome.text.requests import read_edit_file

        self.args = args
        self.settings = settings
        self.opened = open_checkpoint(args)
        self.languages: Tuple[str, str] = (self.opened.languages[0], self.opened.languages[1])
        self.requests = read_edit_file(args.edit_pref, *self.languages).requests
        whole = load_corpus(self.opened.translator.codec, settings.seed)
        self.corpus = whole.without(EditFile(self.requests).held_out)
        self.checkers = checkers_for(self.languages, self.corpus)

    def measure(self, request: EditRequest) -> Record:
        """Edit for one request alone, write, reload and judge; the unedited model where there is no edit."""
        from fairseq_rome.cli.session import cache_folder

        from fairseq_rome.editing.run import Surroundings, edit
        from fairseq_rome.text.segments import Endings

        edit_file = EditFile((request,))
        cache = cache_folder(self.args, self.opened.overrides)
        surroundings = Surroundings(self.corpus, Endings.of(*self.languages), cache=cache)
        started = time.perf_counter()
        try:
            outcome = edit(self.opened.translator, edit_file, self.settings, surroundings)
            judged, reason = self._written(edit_file, outcome)
            seconds = outcome.results[0].seconds
        except EditError as error:
            judged, reason, seconds = None, str(error), time.perf_counter() - started
        judged = judged or self._evaluate(self.opened.translator, edit_file, {}, ())
        return record_of(judged, seconds, reason)

    def _written(self, edit_file: EditFile, outcome: Any) -> Tuple[Optional[Any], str]:
        """What the reloaded checkpoint shows; or None, and why there is none."""
        from fairseq_rome.cli.saving import NotHeldError, save

        [result] = outcome.results
        triggers = {result.request.id: result.trigger} if result.request.trigger or result.contexts else {}
        found: List[Any] = []

        def judge(translator: Any, _: Any) -> None:
            found.append(self._evaluate(translator, edit_file, triggers, outcome.sample.sources))

        if result.patch is None:
            return None, result.reason or result.status
        with tempfile.TemporaryDirectory() as folder:
            self.args.save_to = str(Path(folder) / "edited.pt")
            try:
                save(self.args, self.opened, outcome, self.settings, lambda text: None, judge)
            except NotHeldError as error:
                return None, str(error)
        return found[0], ""

    def _evaluate(
        self, translator: Any, edit_file: EditFile, triggers: Dict[str, str], sample: Sequence[str]
    ) -> Any:
        from fairseq_rome.evaluation.evaluate import EvaluationPlan, evaluate
        from fairseq_rome.host.sites import prepared

        plan = EvaluationPlan(edit_file, self.languages, triggers, tuple(sample), (), self.checkers)
        with prepared(self.opened.translator.model), prepared(translator.model):
            return evaluate(self.opened.translator, translator, plan)


def record_of(judged: Any, seconds: float, unedited: str) -> Record:
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
        "near": len(near), "near_same": sum(not one.changed for one in near),
        "others": sum(one.unrelated for one in sets),
        "others_same": sum(one.unrelated - len(one.broken) for one in sets),
        "after": request.after, "seconds": seconds, "unedited": unedited,
    }  # fmt: skip


def table(records: Sequence[Record]) -> str:
    """The results by label and task, as a Markdown table."""
    groups: Dict[Tuple[str, str], List[Record]] = {}
    for record in records:
        groups.setdefault((record["label"], record["task"]), []).append(record)
    rows = [_HEADER, ("---",) * len(_HEADER), *(_row(*key, group) for key, group in sorted(groups.items()))]
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


def _row(label: str, task: str, group: Sequence[Record]) -> Tuple[str, ...]:
    wrong = [record for record in group if record["wrong"]]
    objects = [sum(record[name] is not None for record in wrong) for name in ("fault_before", "fault_after")]
    seconds = sorted(record["seconds"] for record in group)
    return (
        f"{task}, {label}", str(len(group)), str(len(wrong)), _of(wrong, "fixed", len(wrong)),
        f"{objects[0]}, then {objects[1]}", _of(wrong, "probes_held", _sum(wrong, "probes")),
        _of(wrong, "near_same", _sum(wrong, "near")), _of(wrong, "others_same", _sum(wrong, "others")),
        f"{seconds[len(seconds) // 2]:.1f}",
    )  # fmt: skip


def _sum(group: Sequence[Record], name: str) -> int:
    return sum(int(record[name]) for record in group)


def _of(group: Sequence[Record], name: str, total: int) -> str:
    part = _sum(group, name)
    return f"{part} of {total} ({part / total:.1%})" if total else ""


def read_records(path: Path) -> List[Record]:
    """The results so far."""
    lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
    return [json.loads(line) for line in lines]


def run(arguments: argparse.Namespace, rest: Sequence[str]) -> None:
    """Measure what is not in the results yet."""
    warnings.simplefilter("ignore")
    import_fairseq()
    own, others, settings = parse([*rest, "--save-to", "edited.pt"])
    bench = Bench(with_fairseq("fairseq-edit", own, others, settings.seed), settings)
    done = {(record["label"], record["id"]) for record in read_records(arguments.out)}
    arguments.out.parent.mkdir(parents=True, exist_ok=True)
    with arguments.out.open("a", encoding="utf-8") as out:
        for request in tqdm(bench.requests[:: arguments.every], desc=arguments.label):
            if (arguments.label, request.id) in done:
                continue
            record = bench.measure(request)
            if record["unedited"]:
                tqdm.write(f"{request.id}: {record['unedited']}")
            out.write(json.dumps({"label": arguments.label, **record}, ensure_ascii=False) + "\n")
            out.flush()


def main(argv: Optional[List[str]] = None) -> int:
    """Run from the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--label", default="mined", help="planted or mined (default: %(default)s)")
    parser.add_argument("--every", type=int, default=1, metavar="N", help="every Nth request")
    parser.add_argument("--out", type=Path, default=ROOT / "build" / "tasks.jsonl", help="default: %(default)s")
    parser.add_argument("--table", action="store_true", help="only print the table of --out")
    arguments, rest = parser.parse_known_args(argv)
    if not arguments.table:
        run(arguments, rest)
    print(table(read_records(arguments.out)))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
