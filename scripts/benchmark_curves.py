r"""Measure how methods hold up over many edits, and draw it: on Multi30k, at 1, 4, 16, ... edits.

`measure` makes up to 1,024 edits by one method in the order of one seed, and at each count judges all of them by
decoding: how many still hold, in how many held-out sentences they show, how many of 500 other outputs are the same,
BLEU with its interval and p-value against the unedited model, validation loss, processor seconds an edit, bytes of the
patches. Each result is a line of the output file. `draw` makes a table and a figure of such files.

    python scripts/mine_requests.py ... --task segment --test-set train --probes 2 --out mined.jsonl
    python scripts/benchmark_curves.py measure --requests mined.jsonl --method gated --seed 1 --out curves.jsonl \
        --widen --edit-contexts 0
    python scripts/benchmark_curves.py draw curves.jsonl --figure curves.svg
"""

from __future__ import annotations

import argparse
import json
import random
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Dict, List, Optional, Sequence, Tuple

from curve_figure import draw
from curve_runs import NAMES, TUNING, Remembered, Run, Stop, stops
from multi30k import DEFAULT_FOLDER, open_model, read_multi30k
from sacrebleu.metrics.bleu import BLEU
from sacrebleu.significance import PairedTest

from fairseq_rome.evaluation.sentence_sets import SentenceSet, load_test_set
from fairseq_rome.host.batches import Pair
from fairseq_rome.host.corpus import load_corpus, validation_pairs
from fairseq_rome.host.decoding import Translator, bits_a_token
from fairseq_rome.host.sites import prepared
from fairseq_rome.text.requests import EditRequest, read_edit_file
from fairseq_rome.text.segments import Endings, correct, holds, wanted_difference

COUNTS = (1, 4, 16, 64, 256, 1024)
UNRELATED = 500
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
    """Decodes with the model that the translator holds at the time, and compares with the unedited one.

    Args:
        translator: holds the unedited model now.
        unrelated: sources that are to stay as they are.
        test: the test set.
        requests: all requests there are.
        validation: pairs whose loss is measured.
        languages: source and target.
    """

    def __init__(
        self, translator: Translator, unrelated: Sequence[str], test: SentenceSet, requests: Sequence[EditRequest],
        validation: Sequence[Pair], languages: Tuple[str, str],
    ) -> None:  # fmt: skip
        self.translator = translator
        self.unrelated = unrelated
        self.test = test
        self.endings = Endings.of(*languages).target
        self.validation = validation
        self.asked = {request.source for request in requests}
        asked = [request.source for request in requests]
        asked += [probe.source for request in requests for probe in request.probes]
        self.said = dict(zip(asked, self._texts(asked)))
        self.same, self.tested = self._texts(unrelated), self._tested()
        self.loss = bits_a_token(translator, validation)

    def __call__(self, method: str, seed: int, requests: Sequence[EditRequest], stop: Stop) -> Point:
        """Judge the model as it is, after edits for some requests."""
        after = self._texts([request.source for request in requests])
        held = [self._holds(request, output) for request, output in zip(requests, after)]
        shown = self._shown(requests)
        same = [one == two for one, two in zip(self.same, self._texts(self.unrelated))]
        return Point(
            method, seed, stop.edits, sum(held), len(shown), sum(shown), len(same), sum(same),
            *compare_bleu(self.tested, self._tested(), self.test.references or ()),
            bits_a_token(self.translator, self.validation), self.loss,
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
        outputs = self._texts([source for _, source in pairs])
        found = []
        for (request, source), output in zip(pairs, outputs):
            difference = wanted_difference(request, self.said[request.source])
            target = difference and correct(self.said[source], difference, self.endings)
            if difference and target:
                found.append(holds(output, target, difference, self.endings))
        return found

    def _texts(self, sources: Sequence[str]) -> List[str]:
        return [hypothesis.text for hypothesis in self.translator.translate(sources)]

    def _tested(self) -> List[str]:
        return [hypothesis.text for hypothesis in self.translator.translate_tokens(self.test.tokens)]


def compare_bleu(
    before: Sequence[str], after: Sequence[str], references: Sequence[str]
) -> Tuple[float, Optional[float], float, Optional[float]]:
    """BLEU after with half its interval, BLEU before, and the p-value of sacrebleu's paired bootstrap."""
    metric: Any = BLEU()
    if list(before) == list(after):
        score = float(metric.corpus_score(list(after), [list(references)]).score)
        return score, None, score, None
    systems: List[Tuple[str, Sequence[str]]] = [("before", list(before)), ("after", list(after))]
    found: Any = PairedTest(systems, {"BLEU": metric}, [list(references)], test_type="bs")()[1]
    old, new = found["BLEU"]
    return float(new.score), float(new.ci), float(old.score), float(new.p_value)


def unrelated_sources(folder: Path, other: SentenceSet, requests: Sequence[EditRequest]) -> List[str]:
    """Sources that no request is about: those of the data first, then of another test set."""
    data = read_multi30k(folder)
    assert data is not None
    asked = {request.source for request in requests}
    found = dict.fromkeys((*data.unrelated, *other.sources))
    return [source for source in found if source not in asked][:UNRELATED]


def measure(arguments: argparse.Namespace, rest: Sequence[str]) -> None:
    """A curve for each method and seed, appended point by point to the output file."""
    opened, _, settings = open_model(arguments.data, *rest)
    translator = opened.translator
    languages: Tuple[str, str] = (opened.languages[0], opened.languages[1])
    pool = read_edit_file(str(arguments.requests), *languages).without_leaks()
    test, other = (load_test_set(name, translator.codec) for name in ("test", "test1"))
    unrelated = unrelated_sources(arguments.data, other, pool.requests)
    hidden = pool.held_out.union(test.sources, other.sources, unrelated)
    corpus = load_corpus(translator.codec, 1).without(hidden)
    values = Remembered()
    with prepared(translator.model):
        judge = Judge(
            translator, unrelated, test, pool.requests, validation_pairs(corpus, 1014), languages
        )
        for seed, method in ((seed, method) for seed in arguments.seed for method in arguments.method):
            order = list(pool.requests)
            random.Random(seed).shuffle(order)
            own = settings if method == TUNING else replace(settings, method=method)
            run = Run(
                translator, corpus, Endings.of(*languages), own, str(arguments.cache), arguments.counts,
                arguments.rate, values,
            )  # fmt: skip
            for stop in stops(run, method, order, seed):
                point = judge(method, seed, order[: stop.edits], stop)
                with arguments.out.open("a", encoding="utf-8") as file:
                    file.write(json.dumps(asdict(point)) + "\n")
                print(json.dumps(asdict(point)), flush=True)
                if point.bleu < COLLAPSED * point.bleu_before:
                    break


def main(argv: Optional[List[str]] = None) -> int:
    """Run from the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    commands = parser.add_subparsers(dest="command", required=True)
    one = commands.add_parser(
        "measure", help="one method in one order; other options are fairseq-edit's settings"
    )
    one.add_argument("--data", type=Path, default=DEFAULT_FOLDER, help="default: %(default)s")
    one.add_argument("--requests", type=Path, required=True, help="edit file with the requests to draw from")
    one.add_argument("--method", required=True, nargs="+", choices=NAMES)
    one.add_argument(
        "--seed", type=int, nargs="+", default=[1, 2, 3], help="of the order (default: %(default)s)"
    )
    one.add_argument(
        "--counts", type=int, nargs="+", default=COUNTS, metavar="N", help="default: %(default)s"
    )
    one.add_argument(
        "--rate", type=float, default=1e-4, help="learning rate of fine-tuning (default: %(default)s)"
    )
    one.add_argument("--cache", type=Path, default=Path(".cache"), help="folder for statistics")
    one.add_argument(
        "--out", type=Path, required=True, help="file to append results to, a JSON object a line"
    )
    two = commands.add_parser("draw", help="the table and the figure of some results")
    two.add_argument("results", type=Path, nargs="+")
    two.add_argument("--figure", type=Path, help="an .svg or .png file to draw")
    arguments, rest = parser.parse_known_args(argv)
    if arguments.command == "measure":
        if not arguments.data.is_dir():
            print(f"{arguments.data} is missing: nothing is measured without it (--data names the folder)")
            return 0
        measure(arguments, rest)
        return 0
    if rest:
        parser.error(f"unknown: {' '.join(rest)}")
    records: List[Dict[str, Any]] = [
        json.loads(line)
        for path in arguments.results
        for line in path.read_text(encoding="utf-8").splitlines()
    ]
    print(draw(records, arguments.figure))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
