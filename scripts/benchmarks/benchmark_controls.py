"""Controls and hard negatives of single term edits on Multi30k: what an edit must not do, and what must not be claimed.

Each term of the requests is edited three times, each time from the unedited model: as it is; with a random frequent
noun as what is wanted; and with a random word of its sentence as the trigger. An edit that does not hold in its own
sentence is no edit, and is left out. Figures with their 95% intervals (Wilson):

- random word: the edit is asked for, and may well be made. Of all probes, the share that the report of the library
  calls clean although a stricter judge does not: it lets nothing but endings, articles and the replaced word differ.
  Beside it the share that the report calls clean at all.
- random trigger: probes hold the named trigger and not the term. Of them the share that the report calls clean. None
  can rightly be: the word that should go does not belong to that trigger.
- kept: sentences that have to stay as they were, to the byte: those in which another source word rightly gives the
  unwanted word; those with the trigger in another sense, in a longer word or beside a word with which it is translated
  otherwise, whose output says neither word; and, of the request with the random trigger, the probes of the term.
- negation: probes with a negation behind them, by a template. The wanted word is right in them; the output has to
  negate by the same words, however often. Beside it the share that is clean: the model knows hardly any negation, and
  most outputs are out of order without an edit ("nicht nicht nicht zu sein"), so that this one says little.

One JSON line a term goes to --out, and what is there already is not done again.

    python scripts/benchmarks/benchmark_controls.py
    python scripts/benchmarks/benchmark_controls.py --table                       only print the table again
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any, Dict, List, Optional, Sequence, TextIO, Tuple

from bench_options import add_running, add_settings, settings_of
from correction_judge import Correction, interval, otherwise_same
from hard_negatives import HardNegatives, negations, read_pairs, says
from public_models import MULTI30K_FOLDER, ROOT, multi30k_model, records_of
from result_records import append_rows, origin
from tqdm import tqdm

from fairseq_rome.cases.association import word_check
from fairseq_rome.editing.outcome import Outcome
from fairseq_rome.errors import EditError
from fairseq_rome.evaluation.judged import JudgedProbe
from fairseq_rome.text.requests import EditFile, Probe
from fairseq_rome.workbench.compared_models import with_edits
from fairseq_rome.workbench.evaluating import comparison_of_outcome, make_report
from fairseq_rome.workbench.specs import EvaluationOptions

_CONTEXTS = 60

FIGURES = {
    "word_wrong": ("random word: called clean, and is not", "<= 0.02"),
    "word_clean": ("random word: called clean", ""),
    "trigger_wrong": ("random trigger: called clean", "<= 0.02"),
    "trigger_kept": ("random trigger: the term elsewhere kept", ">= 0.95"),
    "other_word_kept": ("another source word gives the unwanted word: kept", ">= 0.95"),
    "sense_kept": ("the trigger in another sense: kept", ">= 0.95"),
    "negation_kept": ("a negation behind the term: kept", ">= 0.95"),
    "negation_clean": ("a negation behind the term: clean", ""),
}
"""Each figure: what it is called, and what it should be."""

Said = Dict[str, str]
Found = Dict[str, List[Tuple[bool, Tuple[str, str, str]]]]
"""By figure, each sentence that counts: whether it is what the figure counts; and source, output before and after."""


class Bed:
    """The model with the terms, and what they are judged on.

    Args:
        arguments: of the command line.
    """

    def __init__(self, arguments: argparse.Namespace) -> None:
        self.arguments = arguments
        self.bench = multi30k_model(arguments.multi30k).open(device=arguments.device, cache=arguments.cache)
        records = records_of(arguments.multi30k / "requests" / "requests.jsonl")
        corrections = [Correction(one, "de") for one in records if one["task"] == "term"]
        own = {source for one in corrections for source in (one.record["source"], *one.probes)}
        pairs = [pair for pair in read_pairs(arguments.multi30k) if pair[0] not in own]
        self.terms = [HardNegatives(one, pairs, arguments.seed) for one in corrections][:: arguments.every]
        self.hidden = sorted({source for one in self.terms for source in one.hidden})
        self.corpus = self.bench.background(1, self.hidden)
        self.is_word = word_check(self.corpus)

    def translate(self, sources: Sequence[str]) -> Said:
        """What the model says now, by source."""
        return dict(zip(sources, self.bench.translate(list(sources))))

    def edit(self, correction: Correction) -> Optional[Outcome]:
        """The edit of a request that names its trigger, with its probes; None where it does not hold."""
        request = correction.request("trigger", _CONTEXTS, self.hidden)
        request = replace(request, probes=tuple(map(Probe, correction.probes)))
        settings = settings_of(self.arguments.settings, edit_sample=0)
        try:
            outcome = self.bench.edit(request, settings, hidden=self.hidden)
        except EditError:
            return None
        return outcome if outcome.holding else None

    def reported(self, outcome: Outcome) -> Sequence[JudgedProbe]:
        """The probes of an edit as a report of the library judges them."""
        model = self.bench.model
        edit_file = EditFile(tuple(result.request for result in outcome.results))
        comparison = comparison_of_outcome(edit_file, outcome, model.path)
        edited = with_edits(model, outcome.patches)
        report = make_report(model, edited, comparison, (), EvaluationOptions(), self.corpus)
        return report.evaluation.requests[0].probes


def measure(bed: Bed, term: HardNegatives) -> Dict[str, Any]:
    """Make the three edits of a term, judge them, and give the record."""
    started = time.perf_counter()
    real = bed.edit(term.correction)
    changed = bed.edit(term.with_random_word())
    wrong = bed.edit(term.with_wrong_trigger()) if term.wrong_trigger else None
    found: Found = {
        **(_of_real(bed, term, real) if real else {}),
        **(_of_word(bed, term.with_random_word(), changed) if changed else {}),
        **(_of_trigger(bed, term, wrong) if wrong else {}),
    }
    return {
        "id": term.correction.id, "settings": bed.arguments.settings, "seed": bed.arguments.seed,
        "word": term.random_word, "trigger": term.wrong_trigger,
        "held": [name for name, one in (("real", real), ("word", changed), ("trigger", wrong)) if one],
        "counts": {name: [sum(good for good, _ in rows), len(rows)] for name, rows in found.items()},
        # What is told of a figure that should be large is what it lacks.
        "examples": {
            name: [told for good, told in rows if good is name.endswith("wrong")] for name, rows in found.items()
        },
        "seconds": time.perf_counter() - started,
    }  # fmt: skip


def _before_and_after(bed: Bed, outcome: Outcome, sources: Sequence[str]) -> List[Tuple[str, str, str]]:
    """Each source with what the model says without the edit and with it."""
    before = bed.translate(sources)
    with bed.bench.patched(outcome.patches):
        after = bed.translate(sources)
    return [(source, before[source], after[source]) for source in dict.fromkeys(sources)]


def _of_real(bed: Bed, term: HardNegatives, outcome: Outcome) -> Found:
    """The hard negatives of the term as it is."""
    one = term.correction
    words, senses, negated = (
        _before_and_after(bed, outcome, sources) for sources in (term.other_words, term.other_senses, term.negated)
    )
    denied = [told for told in negated if one.concerned(told[1]) and negations(told[1])]
    return {
        "other_word_kept": [(told[1] == told[2], told) for told in words if one.concerned(told[1])],
        "sense_kept": [(told[1] == told[2], told) for told in senses if not says(told[1], one)],
        "negation_kept": [(negations(told[1]) == negations(told[2]), told) for told in denied],
        "negation_clean": [(one.clean(told[1], told[2], bed.is_word), told) for told in denied],
    }


def _of_word(bed: Bed, correction: Correction, outcome: Outcome) -> Found:
    """What the report says of an edit to a random word, held against the independent judge."""
    probes = [one for one in bed.reported(outcome) if correction.concerned(one.before)]
    found: Found = {"word_wrong": [], "word_clean": []}
    for one in probes:
        told = (one.source, one.before, one.after)
        right = correction.clean(one.before, one.after, bed.is_word) and otherwise_same(
            one.before, one.after, correction.difference, correction.endings
        )
        found["word_wrong"].append((one.clean and not right, told))
        found["word_clean"].append((one.clean, told))
    return found


def _of_trigger(bed: Bed, term: HardNegatives, outcome: Outcome) -> Found:
    """What the report says of an edit with a random trigger; and the sentences of the term, which it must not reach."""
    elsewhere = [source for source in term.correction.probes if term.wrong_trigger not in source.lower()]
    return {
        "trigger_wrong": [(one.clean, (one.source, one.before, one.after)) for one in bed.reported(outcome)],
        "trigger_kept": [
            (told[1] == told[2], told)
            for told in _before_and_after(bed, outcome, elsewhere)
            if term.correction.concerned(told[1])
        ],
    }


def figures(records: Sequence[Dict[str, Any]]) -> List[Dict[str, Any]]:
    """A row for each figure, over all terms."""
    rows = []
    for name, (told, target) in FIGURES.items():
        counts = [one["counts"][name] for one in records if name in one["counts"]]
        part, whole = (sum(column) for column in zip(*counts)) if counts else (0, 0)
        low, high = interval(part, whole)
        rows.append({
            "figure": told, "edits": len(counts), "part": part, "sentences": whole,
            "share": round(part / whole, 4) if whole else None, "low": round(low, 3), "high": round(high, 3),
            "target": target,
        })  # fmt: skip
    return rows


def table(records: Sequence[Dict[str, Any]]) -> str:
    """The figures as a table."""
    lines = ["| figure | edits | sentences | share | target |", "|---|---|---|---|---|"]
    for row in figures(records):
        share = "" if row["share"] is None else f"{row['share']:.4f} ({row['low']:.3f} to {row['high']:.3f})"
        told = f"{row['part']} of {row['sentences']}"
        lines.append(f"| {row['figure']} | {row['edits']} | {told} | {share} | {row['target']} |")
    return "\n".join(lines)


def run(arguments: argparse.Namespace, out: TextIO, done: Sequence[Dict[str, Any]]) -> None:
    """Measure what is not in the results yet."""
    known = {(one["id"], tuple(one["settings"]), one["seed"]) for one in done}
    bed = Bed(arguments)
    for term in tqdm(bed.terms, desc="terms"):
        if (term.correction.id, tuple(arguments.settings), arguments.seed) in known:
            continue
        record = measure(bed, term)
        out.write(json.dumps(record, ensure_ascii=False) + "\n")
        out.flush()
        told = ", ".join(f"{name} {part}/{whole}" for name, (part, whole) in record["counts"].items())
        tqdm.write(f"{record['id']} ({record['word']}, {record['trigger']}): {told}, {record['seconds']:.0f} s")


def main(argv: Optional[Sequence[str]] = None) -> int:
    """Run from the command line."""
    given = sys.argv[1:] if argv is None else list(argv)
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--multi30k", type=Path, default=MULTI30K_FOLDER, help="default: %(default)s")
    parser.add_argument("--every", type=int, default=1, metavar="N", help="every Nth term")
    parser.add_argument("--seed", type=int, default=1, metavar="N", help="of what is random (default: %(default)s)")
    parser.add_argument("--out", type=Path, default=ROOT / "build" / "controls.jsonl", help="default: %(default)s")
    parser.add_argument("--table", action="store_true", help="only print the table of --out")
    parser.add_argument("--record", action="store_true", help="add the rows to scripts/benchmarks/records")
    add_settings(parser)
    add_running(parser)
    arguments = parser.parse_args(given)
    if not arguments.table and not (arguments.multi30k / "requests").is_dir():
        print(f"{arguments.multi30k / 'requests'} is missing: nothing is measured without it")
        return 0
    arguments.out.parent.mkdir(parents=True, exist_ok=True)
    if not arguments.table:
        done = records_of(arguments.out) if arguments.out.exists() else []
        with arguments.out.open("a", encoding="utf-8") as out:
            run(arguments, out, done)
    records = records_of(arguments.out) if arguments.out.exists() else []
    print(table(records))
    if arguments.record:
        append_rows("controls", figures(records), origin("benchmark_controls.py", given))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
