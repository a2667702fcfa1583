"""Measure corrections as people hand them in, on Multi30k and on the directions of a multilingual model.

Each request is edited from the unedited model and judged by beam search on its own sentence, on held-out sentences with
the same word, on sentences without it, and in another direction. One JSON line a request goes to --out, and what is
there already is not done again.

    python scripts/benchmarks/benchmark_corrections.py es zh --limit 4             docs, triggers named
    python scripts/benchmarks/benchmark_corrections.py multi30k --file natural --form contexts
    python scripts/benchmarks/benchmark_corrections.py multi30k --every 3 --limit 6 --examples 5
    python scripts/benchmarks/benchmark_corrections.py --table                    only print the table again
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Dict, List, Optional, Sequence, TextIO, Tuple

from bench_options import add_running, add_settings, settings_of
from correction_judge import FORMS, Correction, interval
from public_models import (
    DOCS_DATA,
    DOCS_FOLDER,
    LANGUAGES,
    MULTI30K_FOLDER,
    ROOT,
    PublicModel,
    docs_model,
    multi30k_model,
    records_of,
)
from result_records import append_rows, origin
from tqdm import tqdm

from fairseq_rome import EditSettings, Outcome, Result
from fairseq_rome.cases.association import word_check
from fairseq_rome.editing.other_sentences import before_and_after
from fairseq_rome.errors import EditError
from fairseq_rome.host.certificate import Certificate
from fairseq_rome.patch import Patch

MULTI30K = "multi30k"
RIGHTLY, WRONGLY = "rightly", "wrongly"
_CONTEXTS = 40
# Megabytes of what the unedited model says and visits: all that a run of this script decodes.
_REMEMBERED = 1000
_SHARES = (
    ("efficacy", "held", ""), ("exact", "exact", ""), ("generalisation", "general", "probes"),
    ("clean", "clean", "probes"), ("identical", "identical", "unrelated"),
    ("elsewhere", "elsewhere_identical", "elsewhere"),
)  # fmt: skip
_HEADER = (
    "", "requests", "carried", "efficacy", "exact", "generalisation", "clean", "unrelated", "other directions",
    "s an edit",
)  # fmt: skip


def model_of(name: str, arguments: argparse.Namespace) -> PublicModel:
    """The model of a bed."""
    multi30k = name == MULTI30K
    return multi30k_model(arguments.multi30k) if multi30k else docs_model(name, arguments.docs, arguments.data)


def corrections_of(model: PublicModel, file: str) -> List[Correction]:
    """The requests of a kind that there are for a model."""
    records = records_of(model.natural if file == "natural" else model.requests)
    return [Correction(one, model.target) for one in records if file == "natural" or one["task"] == file]


class Bed:
    """A model with its requests, and what they are judged on.

    Args:
        name: `multi30k`, or the target language of the documents.
        arguments: of the command line.
    """

    def __init__(self, name: str, arguments: argparse.Namespace) -> None:
        self.name = name
        model = model_of(name, arguments)
        self.bench = model.open(device=arguments.device, cache=arguments.cache, cache_size=_REMEMBERED)
        self.corrections = corrections_of(model, arguments.file)
        self.unrelated = [one["source"] for one in records_of(model.unrelated)][: arguments.unrelated]
        self.hidden = [source for one in self.corrections for source in one.probes] + self.unrelated
        self.is_word = word_check(self.bench.background(1, self.hidden))
        self.before = self.translate(self.unrelated)

    def translate(self, sources: Sequence[str]) -> Dict[str, str]:
        """What the model says now, by source."""
        return dict(zip(sources, self.bench.translate(list(sources))))

    def unrelated_after(self, patches: Sequence[Patch]) -> Dict[str, str]:
        """What the model says with edits of each unrelated sentence; only what may have changed is decoded again."""
        translator = self.bench.model.translator
        with self.bench.prepared():
            old = {name: one.detach().clone() for name, one in translator.model.named_parameters()}
            with self.bench.patched(patches):
                certificate = Certificate.between(translator.model, old)
            [found] = before_and_after([(translator, self.unrelated)], certificate, patches)
        return dict(zip(found.sources, found.after))


@dataclass(frozen=True)
class Made:
    """What came of the edit for one request.

    Args:
        outcome: None where the edit was refused.
        reason: why it was; empty otherwise.
        seconds: what it took.
    """

    outcome: Optional[Outcome]
    reason: str
    seconds: float

    @property
    def patches(self) -> Sequence[Patch]:
        """What is to be put on the model."""
        return self.outcome.patches if self.outcome else ()


def chosen_settings(name: str, arguments: argparse.Namespace) -> EditSettings:
    """The settings of the edits of a bed; other sentences are looked at by whoever judges."""
    others = 0 if name == MULTI30K else arguments.others
    return settings_of(arguments.settings, edit_sample=0, edit_direction_sample=others)


def make(bed: Bed, correction: Correction, arguments: argparse.Namespace) -> Made:
    """Edit for one request, from the unedited model."""
    settings = chosen_settings(bed.name, arguments)
    request = correction.request(arguments.form, arguments.contexts, bed.hidden)
    started = time.perf_counter()
    reason, outcome = "", None
    try:
        outcome = bed.bench.edit(request, settings, hidden=bed.hidden)
    except EditError as error:
        reason = str(error)
    return Made(outcome, reason, time.perf_counter() - started)


def measure(bed: Bed, correction: Correction, arguments: argparse.Namespace) -> Dict[str, Any]:
    """Edit for one request, judge the edited model, and give the record."""
    sources = [correction.record["source"], *correction.probes]
    before = bed.translate(sources)
    return judged(bed, correction, arguments, before, make(bed, correction, arguments))


def judged(
    bed: Bed, correction: Correction, arguments: argparse.Namespace, before: Dict[str, str], made: Made
) -> Dict[str, Any]:
    """The record of an edit, by what the edited model says.

    Args:
        bed: the unedited model.
        correction: the request.
        arguments: of the command line.
        before: what the unedited model says of the request's own sentence and of its probes.
        made: the edit.
    """
    source, outcome, patches = correction.record["source"], made.outcome, made.patches
    result = outcome.results[0] if outcome else None
    with bed.bench.patched(patches):
        after = bed.translate([source, *correction.probes])
    others = bed.unrelated_after(patches)
    probes = [one for one in correction.probes if correction.concerned(before[one])]
    elsewhere = outcome.directions.values() if outcome else ()
    return {
        "bed": bed.name, "file": arguments.file, "form": arguments.form, "id": correction.id,
        "settings": arguments.settings, "wrong_before": correction.concerned(before[source]),
        "held": correction.shown(before[source], after[source], correction.record["target"]),
        "exact": after[source] == correction.record["target"],
        "probes": len(probes),
        "general": sum(correction.shown(before[one], after[one]) for one in probes),
        "clean": sum(correction.clean(before[one], after[one], bed.is_word) for one in probes),
        "unrelated": len(others), "identical": sum(bed.before[one] == said for one, said in others.items()),
        "elsewhere": sum(len(one.sources) for one in elsewhere),
        "elsewhere_identical": sum(len(one.sources) - len(one.changed) for one in elsewhere),
        "seconds": made.seconds, "reason": made.reason or (result.reason if result else ""),
        "understood": [result.difference.unwanted, result.difference.wanted] if result and result.difference else None,
        "trigger": result.trigger if result else "", "evidence": result.evidence if result else "",
        "carried": _carried(correction, result),
        "said": after[source],
        "unclean": [
            (one, before[one], after[one])
            for one in probes
            if not correction.clean(before[one], after[one], bed.is_word)
        ],
        "changed": [(one, bed.before[one], said) for one, said in others.items() if bed.before[one] != said],
    }  # fmt: skip


def _carried(correction: Correction, result: Optional[Result]) -> str:
    """Whether a change was carried to other sentences, and whether that was the point of the correction."""
    if result is None or not result.evidence or result.difference is None:
        return ""
    return RIGHTLY if correction.is_point(result.difference) else WRONGLY


def table(records: Sequence[Dict[str, Any]]) -> str:
    """A row for each direction, file, form and settings; requests that were right before do not count."""
    lines = ["| " + " | ".join(_HEADER) + " |", "|---" * len(_HEADER) + "|"]
    counted = [one for one in records if one["wrong_before"]]
    keys = list(dict.fromkeys(map(_key, counted)))
    for key in keys:
        lines.append(_row(" ".join(key), [one for one in counted if _key(one) == key]))
    for kind in dict.fromkeys(key[1:] for key in keys if key[0] != MULTI30K):
        group = [one for one in counted if one["bed"] != MULTI30K and _key(one)[1:] == kind]
        lines.append(_row(f"all directions {' '.join(kind)}", group))
    return "\n".join(lines)


def _key(record: Dict[str, Any]) -> Tuple[str, str, str]:
    """What a row of a table is told by: the direction, the file, and how a request is given and edited."""
    return record["bed"], record["file"], " ".join((record["form"], *record["settings"]))


def figures(records: Sequence[Dict[str, Any]]) -> List[Dict[str, Any]]:
    """The figures of each row of the table of results: shares with their intervals, None where nothing was counted."""
    counted = [one for one in records if one["wrong_before"]]
    rows = []
    for key in dict.fromkeys(map(_key, counted)):
        group = [one for one in counted if _key(one) == key]
        row: Dict[str, Any] = {**dict(zip(("bed", "file", "form"), key)), "requests": len(group)}
        # What has no probes concerns its own sentence: there is no point that should be carried.
        counts = [sum(one["carried"] == way for one in group) for way in (RIGHTLY, WRONGLY)]
        row["carried"] = counts if any(one["probes"] for one in group) else None
        for name, part, whole in _SHARES:
            found = sum(one[part] for one in group), sum(one[whole] for one in group) if whole else len(group)
            row[name] = [round(one, 4) for one in (found[0] / found[1], *interval(*found))] if found[1] else None
        rows.append({**row, "seconds": round(sum(one["seconds"] for one in group) / len(group))})
    return rows


def spread(records: Sequence[Dict[str, Any]]) -> str:
    """A row for each request that was shown by several examples: the worst and the best of what they carry to."""
    groups: Dict[Tuple[str, str, str], List[Dict[str, Any]]] = {}
    for one in records:
        if one["wrong_before"] and one["probes"]:
            groups.setdefault((one["bed"], _key(one)[2], one["id"].partition("@")[0]), []).append(one)
    several = {key: group for key, group in groups.items() if len(group) > 1}
    if not several:
        return ""
    lines = ["| | examples | hold | generalisation, worst to best | clean, worst to best |", "|---|---|---|---|---|"]
    for key, group in several.items():
        shares = [sorted(one[part] / one["probes"] for one in group) for part in ("general", "clean")]
        told = " | ".join(f"{part[0]:.2f} to {part[-1]:.2f}" for part in shares)
        lines.append(f"| {' '.join(key)} | {len(group)} | {sum(one['held'] for one in group)} | {told} |")
    return "\n".join(lines)


def _row(name: str, group: Sequence[Dict[str, Any]]) -> str:
    def share(part: str, whole: str = "") -> str:
        found = sum(one[part] for one in group), sum(one[whole] for one in group) if whole else len(group)
        low, high = interval(*found)
        return f"{found[0] / found[1]:.4f} ({low:.3f} to {high:.3f})" if found[1] else ""

    shares = [share(part, whole) for _, part, whole in _SHARES]
    seconds = sum(one["seconds"] for one in group) / len(group)
    carried = ", ".join(f"{sum(one['carried'] == way for one in group)} {way}" for way in (RIGHTLY, WRONGLY))
    cells: Tuple[str, ...] = (name, str(len(group)), carried, *shares, f"{seconds:.0f}")
    return "| " + " | ".join(cells) + " |"


def run(arguments: argparse.Namespace, out: TextIO, done: Sequence[Dict[str, Any]]) -> None:
    """Measure what is not in the results yet."""
    known = {(one["bed"], one["file"], one["form"], one["id"], tuple(one["settings"])) for one in done}
    for name in arguments.beds:
        bed = Bed(name, arguments)
        chosen = bed.corrections[:: arguments.every][: arguments.limit]
        if arguments.examples > 1:
            chosen = [
                one
                for first in chosen
                for one in (first, *first.shown_by_others(bed.translate, arguments.examples - 1))
            ]
        for correction in tqdm(chosen, desc=name):
            if (name, arguments.file, arguments.form, correction.id, tuple(arguments.settings)) in known:
                continue
            record = measure(bed, correction, arguments)
            out.write(json.dumps(record, ensure_ascii=False) + "\n")
            out.flush()
            tqdm.write(
                f"{record['id']}: {'holds' if record['held'] else 'FAILS'}, probes {record['general']} and cleanly "
                f"{record['clean']} of {record['probes']}, unrelated {record['identical']}/{record['unrelated']}, "
                f"other directions {record['elsewhere_identical']}/{record['elsewhere']}, {record['seconds']:.0f} s"
            )


def main(argv: Optional[Sequence[str]] = None) -> int:
    """Run from the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("beds", nargs="*", metavar="BED", help=f"of {', '.join((MULTI30K, *LANGUAGES))}")
    parser.add_argument("--multi30k", type=Path, default=MULTI30K_FOLDER, help="default: %(default)s")
    parser.add_argument("--docs", type=Path, default=DOCS_FOLDER, help="default: %(default)s")
    parser.add_argument("--data", type=Path, default=DOCS_DATA, help="default: %(default)s")
    parser.add_argument("--file", choices=("term", "segment", "natural"), default="term")
    parser.add_argument(
        "--form", choices=tuple(FORMS), default="trigger", help="how a request is given (default: %(default)s)"
    )
    parser.add_argument("--contexts", type=int, default=_CONTEXTS, metavar="N", help="context sentences at most")
    parser.add_argument("--unrelated", type=int, default=200, metavar="N", help="sentences without the word")
    parser.add_argument("--others", type=int, default=100, metavar="N", help="sentences of other directions")
    parser.add_argument("--examples", type=int, default=1, metavar="N", help="sentences to show each by, in turn")
    parser.add_argument("--every", type=int, default=1, metavar="N", help="every Nth request")
    parser.add_argument("--limit", type=int, metavar="N", help="the first N of these")
    parser.add_argument("--out", type=Path, default=ROOT / "build" / "corrections.jsonl", help="default: %(default)s")
    parser.add_argument("--table", action="store_true", help="only print the table of --out")
    parser.add_argument("--record", action="store_true", help="add the rows of --out to scripts/benchmarks/records")
    add_settings(parser)
    add_running(parser)
    given = sys.argv[1:] if argv is None else list(argv)
    arguments = parser.parse_args(given)
    for name in set(arguments.beds) - {MULTI30K, *LANGUAGES}:  # argparse takes no choices where there may be none
        parser.error(f"{name!r} is no BED; expected some of {', '.join((MULTI30K, *LANGUAGES))}")
    needed = [arguments.multi30k if name == MULTI30K else arguments.docs for name in arguments.beds]
    missing = next((folder for folder in needed if not (folder / "requests").is_dir()), None)
    if missing is not None:
        print(f"{missing / 'requests'} is missing: nothing is measured without it")
        return 0
    arguments.out.parent.mkdir(parents=True, exist_ok=True)
    done = records_of(arguments.out) if arguments.out.exists() else []
    if not arguments.table:
        with arguments.out.open("a", encoding="utf-8") as out:
            run(arguments, out, done)
    records = records_of(arguments.out) if arguments.out.exists() else []
    print("\n\n".join(filter(None, (table(records), spread(records)))))
    if arguments.record:
        append_rows("corrections", figures(records), origin("benchmark_corrections.py", given))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
