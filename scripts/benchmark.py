"""Measure single edits on Multi30k: each from the unedited model, judged by beam search, as a table of method and site.

A request is one corrected sentence; term requests also name their trigger and bring unlabelled contexts. Probes and
unrelated sources are taken out of the corpus before anything is fitted. One JSON line a request goes to --out, and what
is there already is not done again, so that a run can be cut off and taken up. Unknown options go to fairseq-edit.

    python scripts/benchmark.py                                          every request with the default settings
    python scripts/benchmark.py --task term --method gated rome --site decoder.3 encoder.0 --every 3
    python scripts/benchmark.py --table                                  only print the table again
"""

from __future__ import annotations

import argparse
import hashlib
import json
import time
from itertools import product
from pathlib import Path
from typing import Any, Dict, List, Optional, Sequence, Set, TextIO, Tuple

from benchmark_table import key_of, read_records, table
from multi30k import DEFAULT_FOLDER, ROOT, Judge, Multi30k, Verdict, Wish, open_model, read_multi30k
from tqdm import tqdm

import fairseq_rome
from fairseq_rome.cases.case import prepare
from fairseq_rome.editing.attempts import BestAttempt, attempt
from fairseq_rome.editing.edit_settings import EditSettings
from fairseq_rome.editing.neuron_pool import NeuronPool
from fairseq_rome.errors import EditError
from fairseq_rome.host.corpus import Corpus, load_corpus
from fairseq_rome.host.decoding import Translator
from fairseq_rome.host.sites import Site, parameter_names, prepared
from fairseq_rome.methods.base import SiteResources
from fairseq_rome.methods.registry import all_methods
from fairseq_rome.patch import applied
from fairseq_rome.settings import with_settings
from fairseq_rome.statistics import Background, collect
from fairseq_rome.text.requests import EditRequest
from fairseq_rome.text.segments import Endings

TASKS = ("term", "segment")


class Statistics:
    """Background of each site, measured once; `spent` adds up the seconds (wall, CPU) that it took.

    Args:
        translator: holds the unedited model.
        corpus: background sentences.
        out: where a line with the cost of each goes.
        stamp: what that line says besides.
    """

    def __init__(self, translator: Translator, corpus: Corpus, out: TextIO, stamp: Dict[str, Any]) -> None:
        self.translator = translator
        self.corpus = corpus
        self.out = out
        self.stamp = stamp
        self.found: Dict[Tuple[Site, int], Background] = {}
        self.spent = (0.0, 0.0)

    def of(self, site: Site, tokens: int) -> Background:
        """The background of a site over so many tokens."""
        if (site, tokens) not in self.found:
            started = _now()
            self.found[site, tokens] = collect(self.translator, self.corpus, site, tokens)
            wall, cpu = _since(started)
            self.spent = (self.spent[0] + wall, self.spent[1] + cpu)
            write_line(self.out, {"kind": "statistics", **self.stamp, "site": str(site), "seconds": wall})
        return self.found[site, tokens]


class Benchmark:
    """The open model, the corpus without what is judged, and the judge.

    Args:
        data: the requests.
        opened: the model, as `open_model` gives it.
        seed: of the corpus sample.
        out: where results go.
    """

    def __init__(self, data: Multi30k, opened: Any, seed: int, out: TextIO) -> None:
        self.translator: Translator = opened.translator
        self.endings = Endings.of(*opened.languages)
        self.out = out
        self.stamp = {"code": code_digest()}
        started = _now()
        whole = load_corpus(self.translator.codec, seed)
        self.corpus = whole.without(data.judged)
        # Read as text once, here, and not on the account of the first request.
        lengths = len(self.corpus.sources), len(self.corpus.targets)
        dropped = len(whole.pairs) - lengths[0]
        cost = {"seconds": _since(started)[0], "sentences": lengths[0], "dropped": dropped}
        write_line(out, {"kind": "corpus", **self.stamp, **cost})
        self.statistics = Statistics(self.translator, self.corpus, out, self.stamp)
        self.judge = Judge(self.translator, data.unrelated)

    def measure(self, wish: Wish, settings: EditSettings) -> Optional[Dict[str, Any]]:
        """Edit for one request, judge the edited model, and give the record; None if nothing was wrong."""
        aside = self.statistics.spent
        started = _now()
        before = self.translator.translate([wish.source])[0]
        if wish.shown(before.text):
            return None
        best, reason = self._fit(wish, before, settings)
        wall, cpu = (now - old + was for now, old, was in zip(_since(started), self.statistics.spent, aside))
        if best is None or best.patch is None:
            verdict = self.judge(self.translator, wish)
        else:
            # The best attempt is judged even where it fails: what it breaks counts.
            with applied(self.translator.model, best.patch):
                verdict = self.judge(self.translator, wish)
        return record_of(wish, settings, best, reason, verdict, wall, cpu, self.stamp)

    def _fit(self, wish: Wish, before: Any, settings: EditSettings) -> Tuple[Optional[BestAttempt], str]:
        request = EditRequest(wish.source, wish.target, trigger=wish.trigger, contexts=wish.contexts, id=wish.id)
        try:
            case = prepare(self.translator, request, before, self.corpus, settings, self.endings)
            if case is None:
                return None, "nothing to do"
            best = attempt(
                self.translator, case, self.corpus, settings, lambda site: self._resources(site, settings)
            )
        except EditError as error:
            return None, str(error)
        return best, best.verdict.reason

    def _resources(self, site: Site, settings: EditSettings) -> SiteResources:
        """What an edit may use of a site of the unedited model."""
        model = self.translator.model
        measured = self.statistics.of(site, settings.edit_stats_tokens)
        columns = model.get_parameter(parameter_names(model, site)["fc2.weight"]).detach().float().square().sum(0)
        neurons = NeuronPool((), settings.edit_dormant, settings.widen)
        return SiteResources(measured, neurons.spare(site, measured, columns.cpu()))


def record_of(
    wish: Wish, settings: EditSettings, best: Optional[BestAttempt], reason: str, verdict: Verdict, wall: float,
    cpu: float, stamp: Dict[str, Any],
) -> Dict[str, Any]:  # fmt: skip
    """All that is known of one edit, as it goes to the results."""
    patch = best.patch if best else None
    return {
        "kind": "edit", **stamp, **key_fields(wish.task, settings), "id": wish.id,
        "held": verdict.held, "exact": verdict.exact, "claimed": bool(best and best.verdict.held),
        "probes": verdict.probes, "probes_held": verdict.probes - len(verdict.missed),
        "unrelated": verdict.unrelated, "identical": verdict.unrelated - len(verdict.changed),
        "seconds": wall, "cpu_seconds": cpu, "tries": best.tries if best else 0,
        "at": str(patch.site) if patch else None, "notes": dict(patch.notes) if patch else {},
        "size": best.verdict.size if best else 0.0, "reason": reason,
        "output": verdict.output, "missed": verdict.missed, "changed": verdict.changed,
    }  # fmt: skip


def key_fields(task: str, settings: EditSettings) -> Dict[str, Any]:
    """Task, method, site, and the settings that are not the default."""
    usual = EditSettings().as_plain()
    own = {name: value for name, value in settings.as_plain().items() if value != usual[name]}
    own.pop("method", None)
    own.pop("site", None)
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


def _now() -> Tuple[float, float]:
    return time.perf_counter(), time.process_time()


def _since(started: Tuple[float, float]) -> Tuple[float, float]:
    return time.perf_counter() - started[0], time.process_time() - started[1]


def run(data: Multi30k, arguments: argparse.Namespace, rest: Sequence[str]) -> None:
    """Measure what is not in the results yet."""
    opened, _, base = open_model(data.folder, *rest)
    done: Set[Tuple[str, ...]] = {key_of(record) for record in read_records(arguments.out)}
    arguments.out.parent.mkdir(parents=True, exist_ok=True)
    with arguments.out.open("a", encoding="utf-8") as out, prepared(opened.translator.model):
        bench = Benchmark(data, opened, base.seed, out)
        for task, method, site in product(arguments.task, arguments.method, arguments.site):
            settings = with_settings(base, {"method": method, "site": site}, "command line")
            wishes = [wish for wish in data.wishes if wish.task == task][:: arguments.every][: arguments.limit]
            fields = {"kind": "edit", **bench.stamp, **key_fields(task, settings)}
            todo = [wish for wish in wishes if key_of({**fields, "id": wish.id}) not in done]
            for wish in tqdm(todo, desc=f"{task} {method} {site}"):
                record = bench.measure(wish, settings)
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


def main(argv: Optional[List[str]] = None) -> int:
    """Run from the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=DEFAULT_FOLDER, help="default: %(default)s")
    parser.add_argument("--out", type=Path, default=ROOT / "build" / "benchmark.jsonl", help="default: %(default)s")
    parser.add_argument("--task", nargs="+", choices=TASKS, default=list(TASKS))
    alone = [name for name, method in all_methods().items() if not method.together]
    parser.add_argument("--method", nargs="+", choices=alone, default=[EditSettings().method])
    parser.add_argument("--site", nargs="+", default=[EditSettings().site])
    parser.add_argument("--limit", type=int, metavar="N", help="the first N requests of a task")
    parser.add_argument("--every", type=int, default=1, metavar="N", help="every Nth request of a task")
    parser.add_argument("--table", action="store_true", help="only print the table of --out")
    arguments, rest = parser.parse_known_args(argv)
    if not arguments.table:
        data = read_multi30k(arguments.data)
        if data is None:
            return 0
        run(data, arguments, rest)
    print(table(read_records(arguments.out)))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
