r"""Measure how methods hold up over many edits, and draw it: on Multi30k, at 1, 4, 16, ... edits.

`measure` makes up to 1,024 edits by one method in the order of one seed, and at each count judges all of them by
decoding: how many still hold, in how many held-out sentences they show, how many of 500 other outputs are the same,
BLEU with its interval and p-value against the unedited model, validation loss, processor seconds an edit, bytes of the
patches. Each result is a line of the output file, and a method and seed that has all its lines there is not run again.
`draw` makes a table and a figure of such files.

    fairseq-edit-requests mine ... --task segment --test-set train --probes 2 --out mined.jsonl
    python scripts/benchmarks/benchmark_curves.py measure --requests mined.jsonl --method gated --seed 1 \
        --set widen=true --set edit_contexts=0 --out curves.jsonl
    python scripts/benchmarks/benchmark_curves.py draw curves.jsonl --figure curves.svg
"""

from __future__ import annotations

import argparse
import json
import random
import sys
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Dict, List, Mapping, Optional, Sequence, Tuple

from bench_options import add_running, add_settings, settings_of
from curve_figure import draw, figures_with_origin
from curve_runs import NAMES, TUNING, Run, Stop, follow
from multi30k import read_multi30k
from public_models import MULTI30K_FOLDER, multi30k_model, records_of
from result_records import append_rows, origin
from sacrebleu.metrics.bleu import BLEU
from sacrebleu.significance import PairedTest

from fairseq_rome import EditRequest, Workbench, read_edit_file
from fairseq_rome.evaluation.sentence_sets import SentenceSet
from fairseq_rome.host.batches import Pair
from fairseq_rome.host.corpus import validation_pairs
from fairseq_rome.host.decoding import bits_a_token
from fairseq_rome.text.segments import Endings, correct, holds, wanted_difference
from fairseq_rome.workbench.evaluating import load_test_sets

COUNTS = (1, 4, 16, 64, 256, 1024)
UNRELATED = 500
_VALIDATION = 1014
COLLAPSED = 0.25
"""Below this share of the unedited model's BLEU a curve is not followed any further."""


@dataclass(frozen=True)
class Point:
    """A method after some edits, judged by decoding.

    Args:
        method: the method.
        seed: of the order of the requests.
        edits: requests so far.
        held: how many of them hold.
        probes: held-out sentences of these requests.
        shown: how many of the probes show the change.
        unrelated: other sentences.
        identical: how many of their outputs are the same.
        bleu: on the test set; `bleu_interval` is half of its 95% interval.
        bleu_before: of the unedited model.
        p_value: of the paired bootstrap between the two; None where they say the same.
        loss: validation loss, bits a token.
        loss_before: of the unedited model.
        seconds: processor time an edit.
        patch_bytes: of all patches; None where the whole model has changed.
        fault: why the method gave up; empty if it did not.
    """

    method: str
    seed: int
    edits: int
    held: int
    probes: int
    shown: int
    unrelated: int
    identical: int
    bleu: float
    bleu_interval: Optional[float]
    bleu_before: float
    p_value: Optional[float]
    loss: float
    loss_before: float
    seconds: float
    patch_bytes: Optional[int]
    fault: str


class Judge:
    """Decodes with the edits that the workbench has at the time, and compares with the unedited model.

    Args:
        bench: with the unedited model.
        unrelated: sources that are to stay as they are.
        test: the test set.
        requests: all requests there are.
        validation: pairs whose loss is measured.
    """

    def __init__(
        self, bench: Workbench, unrelated: Sequence[str], test: SentenceSet, requests: Sequence[EditRequest],
        validation: Sequence[Pair],
    ) -> None:  # fmt: skip
        self.bench = bench
        self.unrelated = unrelated
        self.test = test
        self.endings = Endings.of(*bench.languages).target
        self.validation = validation
        self.asked = {request.source for request in requests}
        asked = [request.source for request in requests]
        asked += [probe.source for request in requests for probe in request.probes]
        self.said = dict(zip(asked, bench.translate(asked)))
        self.same, self.tested = bench.translate(unrelated), self._tested()
        self.loss = self._loss()

    def __call__(self, method: str, seed: int, requests: Sequence[EditRequest], stop: Stop) -> Point:
        """Judge the model as it is, after edits for some requests."""
        after = self.bench.translate([request.source for request in requests])
        held = [self._holds(request, output) for request, output in zip(requests, after)]
        shown = self._shown(requests)
        same = [one == two for one, two in zip(self.same, self.bench.translate(self.unrelated))]
        return Point(
            method, seed, stop.edits, sum(held), len(shown), sum(shown), len(same), sum(same),
            *compare_bleu(self.tested, self._tested(), self.test.references or ()),
            self._loss(), self.loss,
            stop.seconds / stop.edits, stop.patch_bytes, stop.fault,
        )  # fmt: skip

    def _holds(self, request: EditRequest, after: str) -> bool:
        difference = wanted_difference(request, self.said[request.source])
        return difference is None or holds(after, request.target, difference, self.endings)

    def _shown(self, requests: Sequence[EditRequest]) -> List[bool]:
        # A probe that another request asks for would be judged by an edit that was fitted on it.
        pairs = [
            (request, probe.source)
            for request in requests
            for probe in request.probes
            if probe.source not in self.asked
        ]
        outputs = self.bench.translate([source for _, source in pairs])
        found = []
        for (request, source), output in zip(pairs, outputs):
            difference = wanted_difference(request, self.said[request.source])
            target = difference and correct(self.said[source], difference, self.endings)
            if difference and target:
                found.append(holds(output, target, difference, self.endings))
        return found

    def _tested(self) -> List[str]:
        with self.bench.prepared():
            return [one.text for one in self.bench.model.translator.translate_tokens(self.test.tokens)]

    def _loss(self) -> float:
        with self.bench.prepared():
            return bits_a_token(self.bench.model.translator, self.validation)


def compare_bleu(
    before: Sequence[str], after: Sequence[str], references: Sequence[str], tokenize: Optional[str] = None
) -> Tuple[float, Optional[float], float, Optional[float]]:
    """BLEU after with half its interval, BLEU before, and the p-value of sacrebleu's paired bootstrap."""
    metric: Any = BLEU(tokenize=tokenize)
    if list(before) == list(after):
        score = float(metric.corpus_score(list(after), [list(references)]).score)
        return score, None, score, None
    systems: List[Tuple[str, Sequence[str]]] = [("before", list(before)), ("after", list(after))]
    found: Any = PairedTest(systems, {"BLEU": metric}, [list(references)], test_type="bs")()[1]
    old, new = found["BLEU"]
    # No difference would get the smallest p-value there is.
    p_value = None if new.score == old.score else float(new.p_value)
    return float(new.score), float(new.ci), float(old.score), p_value


def unrelated_sources(folder: Path, other: SentenceSet, requests: Sequence[EditRequest]) -> List[str]:
    """Sources that no request is about: those of the data first, then of another test set."""
    data = read_multi30k(folder)
    assert data is not None
    asked = {request.source for request in requests}
    found = dict.fromkeys((*data.unrelated, *other.sources))
    return [source for source in found if source not in asked][:UNRELATED]


def finished(known: Sequence[Mapping[str, Any]], method: str, seed: int, counts: Sequence[int]) -> bool:
    """Whether results hold the whole curve of a method and a seed, or all of it until it broke down."""
    own = [one for one in known if (one["method"], one["seed"]) == (method, seed)]
    broken = any(one["bleu"] < COLLAPSED * one["bleu_before"] for one in own)
    return broken or set(counts) <= {one["edits"] for one in own}


def measure(arguments: argparse.Namespace, told: Mapping[str, str]) -> None:
    """A curve for each method and seed, appended point by point to the output file."""
    bench = multi30k_model(arguments.data).open(device=arguments.device, cache=arguments.cache)
    pool = read_edit_file(str(arguments.requests), *bench.languages).without_leaks()
    test, other = load_test_sets(("test", "test1"), bench.model.translator.codec)
    unrelated = unrelated_sources(arguments.data, other, pool.requests)
    hidden = sorted(pool.held_out.union(test.sources, other.sources, unrelated))
    validation = validation_pairs(bench.background(1, hidden), _VALIDATION)
    judge = Judge(bench, unrelated, test, pool.requests, validation)
    known = records_of(arguments.out) if arguments.out.exists() else []
    for seed, method in ((seed, method) for seed in arguments.seed for method in arguments.method):
        if finished(known, method, seed, arguments.counts):
            continue
        order = list(pool.requests)
        random.Random(seed).shuffle(order)
        named = {} if method == TUNING else {"method": method}
        # Whoever judges looks at the model on the way and at other sentences: the run need not do so too.
        settings = settings_of(arguments.settings, edit_batch=0, edit_sample=0, **named)

        def judged(stop: Stop, seed: int = seed, method: str = method, order: Sequence[EditRequest] = order) -> bool:
            point = judge(method, seed, order[: stop.edits], stop)
            with arguments.out.open("a", encoding="utf-8") as file:
                file.write(json.dumps({**asdict(point), "origin": told}) + "\n")
            print(json.dumps(asdict(point)), flush=True)
            return point.bleu >= COLLAPSED * point.bleu_before

        follow(Run(bench, settings, hidden, arguments.counts, arguments.rate), method, order, seed, judged)


def main(argv: Optional[Sequence[str]] = None) -> int:
    """Run from the command line."""
    words: List[str] = list(sys.argv[1:] if argv is None else argv)
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True)
    one = commands.add_parser("measure", help="some methods in some orders")
    one.add_argument("--data", type=Path, default=MULTI30K_FOLDER, help="default: %(default)s")
    one.add_argument("--requests", type=Path, required=True, help="edit file with the requests to draw from")
    one.add_argument("--method", required=True, nargs="+", choices=NAMES)
    one.add_argument("--seed", type=int, nargs="+", default=[1, 2, 3], help="of the order (default: %(default)s)")
    one.add_argument("--counts", type=int, nargs="+", default=COUNTS, metavar="N", help="default: %(default)s")
    one.add_argument("--rate", type=float, default=1e-4, help="learning rate of fine-tuning (default: %(default)s)")
    one.add_argument("--out", type=Path, required=True, help="file to append results to, a JSON object a line")
    add_settings(one)
    add_running(one)
    two = commands.add_parser("draw", help="the table and the figure of some results")
    two.add_argument("results", type=Path, nargs="+")
    two.add_argument("--figure", type=Path, help="an .svg or .png file to draw")
    two.add_argument("--record", action="store_true", help="also append the rows to the records of docs/results.md")
    arguments = parser.parse_args(words)
    if arguments.command == "measure":
        if not arguments.data.is_dir():
            print(f"{arguments.data} is missing: nothing is measured without it (--data names the folder)")
            return 0
        measure(arguments, origin("benchmark_curves.py", words))
        return 0
    records: List[Dict[str, Any]] = [
        json.loads(line)
        for path in arguments.results
        for line in path.read_text(encoding="utf-8").splitlines()
    ]
    print(draw(records, arguments.figure))
    if arguments.record:
        for figures, told in figures_with_origin(records):
            append_rows("curves", [figures], told)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
