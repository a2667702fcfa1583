"""Does tracing find the site that works best? Rankings of sites against what decoding shows, on Multi30k.

--results holds what `benchmark.py` measured of the same requests at several sites, one by one:

    python scripts/benchmarks/benchmark.py --every 3 --site decoder.3 decoder.2 ... encoder.0 --out build/sites.jsonl
    python scripts/benchmarks/benchmark_locate.py --results build/sites.jsonl

A site is among the best of a request if none holds it and its probes more often, leaves more of the unrelated outputs
identical, or is more exact, in this order of importance. One JSON line a request goes to --out.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections import defaultdict
from pathlib import Path
from typing import Any, Callable, Dict, List, Optional, Sequence, Tuple

from bench_options import add_running
from benchmark_table import read_records
from multi30k import Multi30k, Wish, read_multi30k
from public_models import MULTI30K_FOLDER, ROOT, multi30k_model
from result_records import append_rows, origin
from result_tables import TABLES
from tqdm import tqdm

from fairseq_rome import EditRequest, LocateSettings, Workbench
from fairseq_rome.errors import EditError
from fairseq_rome.host.sites import FFN, Site
from fairseq_rome.tracing import CARRY, NOISE, ranked_sites

Record = Dict[str, Any]
Known = Tuple[Record, Dict[str, bool]]
"""A trace, and of each measured site whether it is among the best."""


def trace(bench: Workbench, wish: Wish, hidden: Sequence[str]) -> Record:
    """The rankings of both modes, empty where a request can't be traced, and the seconds that they took."""
    request = EditRequest(wish.source, wish.target, trigger=wish.trigger, id=wish.id)
    found: Record = {"id": wish.id, "task": wish.task}
    for mode in (NOISE, CARRY):
        started = time.perf_counter()
        try:
            traced = bench.locate(request, LocateSettings(mode, kinds=(FFN,)), hidden=hidden)
            ranking = [(str(one.site), one.effect) for one in ranked_sites(traced)]
        except EditError as error:
            ranking, found[f"{mode}_reason"] = [], str(error)
        found.update({mode: ranking, f"{mode}_seconds": time.perf_counter() - started})
    return found


def worth(record: Record) -> Tuple[Any, ...]:
    """How well an edit at a site did; larger is better."""
    return (record["held"], record["probes_held"], record["identical"], record["exact"])


def best_sites(records: Sequence[Record]) -> Dict[Tuple[str, str], Dict[str, bool]]:
    """For each request (task, id) the sites that were measured, with whether none did better."""
    groups: Dict[Tuple[str, str], List[Record]] = defaultdict(list)
    for record in records:
        if record["kind"] == "edit":
            groups[record["task"], record["id"]].append(record)
    most = max(map(len, groups.values()), default=0)
    return {
        key: {one["site"]: worth(one) == max(map(worth, group)) for one in group}
        for key, group in groups.items()
        if len(group) == most
    }


def _first(mode: str, decoder: bool = False) -> Callable[[Record], Optional[str]]:
    def choose(traced: Record) -> Optional[str]:
        sites = [site for site, _ in traced[mode] if not decoder or Site.parse(site).in_decoder]
        return sites[0] if sites else None

    return choose


RULES: Dict[str, Callable[[Record], Optional[str]]] = {
    "noise, first of all sites": _first(NOISE),
    "noise, first of the decoder's": _first(NOISE, decoder=True),
    "carry, first of all sites": _first(CARRY),
    "carry, first of the decoder's": _first(CARRY, decoder=True),
}


def figures(traces: Sequence[Record], results: Sequence[Record], last: str) -> List[Record]:
    """How often each rule's first choice is among the best sites, a row for each rule."""
    best = best_sites(results)
    known = [(traced, best[key]) for traced in traces for key in [(traced["task"], traced["id"])] if key in best]
    rows = []
    for name, choose in RULES.items():
        mode = name.split(",")[0]
        seconds = sorted(traced[f"{mode}_seconds"] for traced, _ in known)
        rows.append({"choice": name, **_hits(known, choose), "seconds": round(seconds[len(seconds) // 2], 2)})
    rows.append({"choice": f"always {last}", **_hits(known, lambda traced: last), "seconds": 0})
    rows.append({"choice": "a random site", **_expected(known, ""), "seconds": 0})
    rows.append({"choice": "a random site of the decoder", **_expected(known, "decoder"), "seconds": 0})
    return rows


def _hits(known: Sequence[Known], choose: Callable[[Record], Optional[str]]) -> Record:
    counts: Record = {}
    for task in ("term", "segment"):
        chosen = [(choose(traced), sites) for traced, sites in known if traced["task"] == task]
        hits = [_is_best(site, sites) for site, sites in chosen if site]
        counts.update({f"{task}_best": sum(hits), task: len(hits)})
    return counts


def _is_best(site: str, sites: Dict[str, bool]) -> bool:
    if site not in sites:
        raise SystemExit(f"--results: nothing was measured at {site}, expected results of every site of the model")
    return sites[site]


def _expected(known: Sequence[Known], stack: str) -> Record:
    counts: Record = {}
    for task in ("term", "segment"):
        shares = []
        for traced, sites in known:
            flags = [flag for site, flag in sites.items() if site.startswith(stack)]
            if traced["task"] == task:
                shares.append(sum(flags) / len(flags))
        counts.update({f"{task}_best": round(sum(shares), 1), task: len(shares)})
    return counts


def run(data: Multi30k, results: Sequence[Record], arguments: argparse.Namespace) -> None:
    """Trace what is not traced yet."""
    bench = multi30k_model(data.folder).open(device=arguments.device)
    measured, done = best_sites(results), {record["id"] for record in read_records(arguments.out)}
    todo = [wish for wish in data.wishes if (wish.task, wish.id) in measured and wish.id not in done]
    arguments.out.parent.mkdir(parents=True, exist_ok=True)
    with arguments.out.open("a", encoding="utf-8") as file:
        for wish in tqdm(todo, desc="tracing"):
            file.write(json.dumps(trace(bench, wish, data.judged), ensure_ascii=False) + "\n")
            file.flush()


def main(argv: Optional[Sequence[str]] = None) -> int:
    """Run from the command line."""
    words: List[str] = list(sys.argv[1:] if argv is None else argv)
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=MULTI30K_FOLDER, help="default: %(default)s")
    parser.add_argument("--results", type=Path, required=True, help="the results of benchmark.py")
    parser.add_argument("--out", type=Path, default=ROOT / "build" / "locate.jsonl", help="default: %(default)s")
    parser.add_argument("--last", default="decoder.3", help="the last decoder layer (default: %(default)s)")
    parser.add_argument("--record", action="store_true", help="also append the rows to the records of docs/results.md")
    add_running(parser)
    arguments = parser.parse_args(words)
    data = read_multi30k(arguments.data)
    if data is None:
        return 0
    results = read_records(arguments.results)
    run(data, results, arguments)
    rows = figures(read_records(arguments.out), results, arguments.last)
    print(TABLES["locating"].drawn([{"figures": row} for row in rows]))
    if arguments.record:
        append_rows("locating", rows, origin("benchmark_locate.py", words))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
