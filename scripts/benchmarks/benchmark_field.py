"""Measure single edits by one method with all that it costs: a row of the table of all ways to correct a model.

Each request is edited from the unedited model and judged by beam search, as `benchmark_corrections.py` does. Besides:
sentences in which another source word rightly gives the unwanted one (terms of Multi30k), BLEU on a test set against
the unedited model, decoding time, the size of the edit. The first request is edited once more before all else, with
nothing kept from before, for what the first edit takes. Memory is that of the process, so each method has one of its
own. Seconds are those of the processor.

One JSON line a request goes to --out, and what is there already is not done again. A request that was refused is a line
as any other: of the unedited model.

    python scripts/benchmarks/benchmark_field.py multi30k --set method=rome --every 9
    python scripts/benchmarks/benchmark_field.py es --set method=knn --limit 2
    python scripts/benchmarks/benchmark_field.py --table                       only print the table again
"""

from __future__ import annotations

import argparse
import gzip
import json
import resource
import sys
import tempfile
import time
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from statistics import mean, median
from typing import Any, Dict, List, Mapping, Optional, Sequence, Tuple

import benchmark_corrections
from bench_options import add_settings, settings_of
from benchmark_corrections import MULTI30K, Bed, Made, chosen_settings, corrections_of, judged, make, model_of
from benchmark_curves import compare_bleu
from correction_judge import Correction, interval
from hard_negatives import HardNegatives, read_pairs
from public_models import DOCS_DATA, DOCS_FOLDER, LANGUAGES, MULTI30K_FOLDER, ROOT, records_of
from result_records import append_rows, origin, read_records
from result_tables import TABLES
from tqdm import tqdm

from fairseq_rome.errors import EditError

FORMS = {"term": "trigger", "natural": "contexts", "segment": "bare"}
"""How requests of a file are given."""
_TOKENIZERS = {"zh": "zh", "ja": "char"}
"""Of sacrebleu, for languages without spaces."""
Record = Dict[str, Any]
SHARES = {
    "efficacy": ("held", ""), "exact": ("exact", ""), "generalisation": ("general", "probes"),
    "clean": ("clean", "probes"), "near": ("near_same", "near"), "identical": ("identical", "unrelated"),
}  # fmt: skip
"""What is recorded of each request: the name of a figure, with the fields of part and whole."""
NOISE = 0.05
"""Two runs on one machine say the same; on others rounding may choose between hypotheses that are as good as equal."""
_FIRST = ("first_seconds", "first_mb")
_KEY = ("bed", "file", "settings")


def tested_pairs(name: str, arguments: argparse.Namespace) -> List[Tuple[str, str]]:
    """Sources of the test set with their references, the first ones."""
    prefix, target = (arguments.multi30k / "test_2016_flickr", "de") if name == MULTI30K else (
        arguments.docs / f"test.en-{name}", name
    )
    sides = [
        gzip.decompress(Path(f"{prefix}.{language}.gz").read_bytes()).decode("utf-8").split("\n")
        for language in ("en", target)
    ]
    return [pair for pair in zip(*sides) if pair[0].strip()][: arguments.test]


class Field:
    """A bed with what this table asks for besides.

    Args:
        name: of the bed.
        arguments: of the command line.
    """

    def __init__(self, name: str, arguments: argparse.Namespace) -> None:
        self.arguments = arguments
        self.bed = Bed(name, arguments)
        self.test = tested_pairs(name, arguments)
        self.chosen = self.bed.corrections[:: arguments.every][: arguments.limit]
        self.near: Dict[str, List[str]] = {}
        if name == MULTI30K and arguments.file == "term":
            own = {source for one in self.bed.corrections for source in (one.record["source"], *one.probes)}
            pairs = [pair for pair in read_pairs(arguments.multi30k) if pair[0] not in own]
            self.near = {one.id: HardNegatives(one, pairs).other_words for one in self.chosen}
        near = [source for sources in self.near.values() for source in sources]
        self.bed.hidden = list(dict.fromkeys([*self.bed.hidden, *near, *(source for source, _ in self.test)]))
        self.said, self.pace = self._tested()

    def _tested(self) -> Tuple[List[str], float]:
        """What the model says of the test set now, and the processor seconds that it takes."""
        started = time.process_time()
        said = self.bed.bench.translate([source for source, _ in self.test])
        return said, time.process_time() - started

    def measure(self, correction: Correction) -> Record:
        """Edit for one request, judge the edited model, and give the record."""
        near = self.near.get(correction.id, [])
        before = self.bed.translate([correction.record["source"], *correction.probes, *near])
        started = time.process_time()
        made = replace(make(self.bed, correction, self.arguments), seconds=time.process_time() - started)
        record = judged(self.bed, correction, self.arguments, before, made)
        return {**record, **self._kept(correction, near, before, made)}

    def _kept(self, correction: Correction, near: Sequence[str], before: Mapping[str, str], made: Made) -> Record:
        concerned = [source for source in near if correction.concerned(before[source])]
        with self.bed.bench.patched(made.patches):
            after = self.bed.translate(concerned)
            said, pace = self._tested()
        references = [reference for _, reference in self.test]
        bleu, _, bleu_before, p = compare_bleu(self.said, said, references, _TOKENIZERS.get(self.bed.name))
        return {
            "near": len(concerned), "near_same": sum(before[source] == after[source] for source in concerned),
            "delta_bleu": bleu - bleu_before, "p": p, "slower": pace / self.pace,
            "bytes": sum(patch.size_bytes for patch in made.patches), "edited": bool(made.patches),
        }  # fmt: skip


def first_edit(name: str, arguments: argparse.Namespace) -> Record:
    """The seconds of a first edit with nothing kept from before, and by how many MB memory grows at its peak."""
    model = model_of(name, arguments)
    bench = model.open(device=arguments.device, cache=arguments.cache)
    request = corrections_of(model, arguments.file)[0].request(arguments.form, arguments.contexts, ())
    settings = chosen_settings(name, arguments)
    before, started = _peak(), time.process_time()
    with suppress(EditError):  # the same request is measured below, where the reason is told
        bench.edit(request, settings)
    return {"first_seconds": time.process_time() - started, "first_mb": _peak() - before}


def _peak() -> float:
    """The largest memory of this process so far, in MB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def figures(records: Sequence[Record]) -> List[Record]:
    """A row for each bed, file and method; requests that were right before do not count."""
    groups: Dict[Tuple[Any, ...], List[Record]] = {}
    for one in records:
        if one["wrong_before"]:
            groups.setdefault(tuple(str(one[name]) for name in _KEY), []).append(one)
    return [_row(group) for group in groups.values()]


def _row(group: Sequence[Record]) -> Record:
    (shares,) = benchmark_corrections.figures(group)
    first = group[0]
    near = sum(one["near_same"] for one in group), sum(one["near"] for one in group)
    worst = [one["p"] for one in group if one["p"] is not None]
    # The first edit did what the same one did later, and besides what is kept.
    start = max(first["first_seconds"] - first["seconds"], 0.0)
    settings = [text for text in first["settings"] if not text.startswith(("method=", "edit_editor="))]
    each = {
        one["id"]: [
            round(one[part] / (one[whole] if whole else 1), 3) if not whole or one[whole] else None
            for part, whole in SHARES.values()
        ]
        for one in group
    }
    return {
        **shares, "method": " ".join([first["method"], *(f"--set {text}" for text in settings)]),
        "unedited": sum(not one["edited"] for one in group),
        "near": [round(one, 4) for one in (near[0] / near[1], *interval(*near))] if near[1] else None,
        "delta_bleu": round(mean(one["delta_bleu"] for one in group), 2), "p": round(min(worst), 3) if worst else None,
        "seconds": round(median(one["seconds"] for one in group), 1),
        "first_seconds": round(start, 1), "first_mb": round(first["first_mb"]),
        "each": each, "slower": round(median(one["slower"] for one in group), 2),
        "kib": round(median(one["bytes"] for one in group) / 1024, 1),
    }  # fmt: skip


def table(records: Sequence[Record]) -> str:
    """The rows as they are drawn on the page of results."""
    return TABLES["field"].drawn([{"figures": row} for row in figures(records)])


def apart(rows: Sequence[Record], recorded: Sequence[Mapping[str, Any]]) -> List[str]:
    """How many requests the records have too, and each of their shares that is another by more than `NOISE`.

    Args:
        rows: from `figures`.
        recorded: records of the table.
    """
    key = TABLES["field"].key
    kept = {tuple(one[name] for name in key): one["each"] for one in TABLES["field"].rows(recorded)}
    found, shared = [], 0
    for row in rows:
        name = tuple(row[part] for part in key)
        for request in sorted(row["each"].keys() & kept.get(name, {}).keys()):
            shared += 1
            for figure, now, then in zip(SHARES, row["each"][request], kept[name][request]):
                if None not in (now, then) and abs(now - then) > NOISE:
                    found.append(f"{' '.join(name)}, {request}: {figure} is {now}, and {then} in the records")
    told = f"{shared} requests are in the records too, {len(found)} of their shares differ by more than {NOISE}"
    return [told, *found]


def run(name: str, arguments: argparse.Namespace, about: Mapping[str, Any], done: Sequence[Record]) -> None:
    """Measure what is not in the results yet."""
    method = settings_of(arguments.settings).method
    known = {one["id"]: one for one in done if about.items() <= one.items()}
    asked = corrections_of(model_of(name, arguments), arguments.file)[:: arguments.every][: arguments.limit]
    if all(one.id in known for one in asked):
        return
    with tempfile.TemporaryDirectory() as folder:
        arguments.cache = folder
        costs = next(({key: one[key] for key in _FIRST} for one in known.values()), None)
        costs = costs or first_edit(name, arguments)
        field = Field(name, arguments)
        for correction in tqdm(field.chosen, desc=f"{name} {arguments.file} {method}"):
            if correction.id in known:
                continue
            record = {**field.measure(correction), "method": method, **costs}
            with arguments.out.open("a", encoding="utf-8") as out:
                out.write(json.dumps(record, ensure_ascii=False) + "\n")


def main(argv: Optional[Sequence[str]] = None) -> int:
    """Run from the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("bed", nargs="?", choices=(MULTI30K, *LANGUAGES))
    parser.add_argument("--multi30k", type=Path, default=MULTI30K_FOLDER, help="default: %(default)s")
    parser.add_argument("--docs", type=Path, default=DOCS_FOLDER, help="default: %(default)s")
    parser.add_argument("--data", type=Path, default=DOCS_DATA, help="default: %(default)s")
    parser.add_argument("--file", choices=tuple(FORMS), default="term", help="default: %(default)s")
    parser.add_argument("--device", default="cpu", help="where the model computes (default: %(default)s)")
    parser.add_argument("--contexts", type=int, default=40, metavar="N", help="context sentences at most")
    parser.add_argument("--unrelated", type=int, default=200, metavar="N", help="sentences without the word")
    parser.add_argument("--others", type=int, default=50, metavar="N", help="sentences of other directions")
    parser.add_argument("--test", type=int, default=1000, metavar="N", help="sentences of the test set at most")
    parser.add_argument("--every", type=int, default=1, metavar="N", help="every Nth request")
    parser.add_argument("--limit", type=int, metavar="N", help="the first N of these")
    parser.add_argument("--out", type=Path, default=ROOT / "build" / "field.jsonl", help="default: %(default)s")
    parser.add_argument("--table", action="store_true", help="only print the table of --out")
    parser.add_argument("--record", action="store_true", help="add this command's row to the records, if it is new")
    parser.add_argument("--compare", action="store_true", help="tell which shares differ from those of the records")
    add_settings(parser)
    given = sys.argv[1:] if argv is None else list(argv)
    arguments = parser.parse_args(given)
    arguments.form = FORMS[arguments.file]
    arguments.out.parent.mkdir(parents=True, exist_ok=True)
    done = records_of(arguments.out) if arguments.out.exists() else []
    about = {"bed": arguments.bed, "file": arguments.file, "settings": arguments.settings}
    if not arguments.table:
        if arguments.bed is None:
            parser.error("BED is missing, expected what to measure")
        folder = arguments.multi30k if arguments.bed == MULTI30K else arguments.docs
        if not (folder / "requests").is_dir():
            print(f"{folder / 'requests'} is missing: nothing is measured without it")
            return 0
        run(arguments.bed, arguments, about, done)
    records = records_of(arguments.out) if arguments.out.exists() else []
    print(table(records))
    if arguments.compare:
        own = [one for one in records if about.items() <= one.items()]
        print("\n".join(apart(figures(own), read_records().get("field", []))))
    if arguments.record and len(records) > len(done):
        own = [one for one in records if about.items() <= one.items()]
        append_rows("field", figures(own), origin("benchmark_field.py", given))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
