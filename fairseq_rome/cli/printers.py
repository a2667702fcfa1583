"""What the commands print: lines for a person, or with `--log-format json` one JSON object a line."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import TYPE_CHECKING, Any, Dict, List, Mapping, Optional, Sequence, Set, Tuple

from fairseq_rome.editing.outcome import EDITED, FAILED, NOTHING, Check, Outcome, Result, Unchanged
from fairseq_rome.report import Report, report_record, verdict_lines, verdict_records
from fairseq_rome.workbench.listening import Listener

if TYPE_CHECKING:
    from fairseq_rome.cases.hunk_reading import Reading
    from fairseq_rome.editing.edit_settings import EditSettings
    from fairseq_rome.editing.run import Plan, Preview
    from fairseq_rome.text.segments import Difference

_STATUSES = (EDITED, NOTHING, FAILED)
_MOST_CHANGED = 5
_EVIDENCE = {
    "named": "as the request names it",
    "contexts": "its context sentences share it",
    "training side": "the training side ties the two words",
    "asked for": "--edit-carry all",
}

OTHERWISE = (
    "say     otherwise by the fields hunks, or trigger, unwanted and wanted; by [[words]] in parallel text; or by "
    "--edit-carry"
)
"""How a user overrules what was understood."""


def as_json(record: Mapping[str, Any]) -> str:
    """A record as one line."""
    return json.dumps(record, ensure_ascii=False)


def printer(json_lines: bool, settings: Optional[EditSettings] = None) -> Printer:
    """What prints for a person, or as JSON.

    Args:
        json_lines: print JSON.
        settings: of an edit; where layers may grow, it is of no interest how many dormant neurons are left.
    """
    widen = settings is not None and settings.widen
    return JsonPrinter(widen) if json_lines else Printer(widen)


class Printer(Listener):
    """Prints each thing as soon as it is known, as lines for a person.

    Args:
        widen: whether the layers of the model may grow.
    """

    def __init__(self, widen: bool = False) -> None:
        self._widen = widen
        self._told: Set[str] = set()

    def result(self, result: Result) -> None:
        """One request; nothing where just that was printed before."""
        text = self.result_text(result)
        if text not in self._told:
            self._told.add(text)
            self.line(text)

    def outcome(self, outcome: Outcome) -> None:
        """What is known when all requests are done; of the results those that are no longer what was printed."""
        for result in outcome.results:
            self.result(result)
        self.others("other sentences", outcome.sample)
        if outcome.keep.sources:
            self.others("sentences to keep", outcome.keep)
        if outcome.directions:
            self.directions(outcome.directions)
        for check in outcome.checks:
            self.check(check)
        for site, (left, total) in {} if self._widen else outcome.room.items():
            self.room(site, left, total)
        for site, (count, change) in outcome.merged.items():
            self.merged(site, count, change)
        self.verdict(outcome)

    def line(self, text: str) -> None:
        """Print at once."""
        print(text, flush=True)

    def note(self, text: str) -> None:
        """Anything else that the user should know."""
        self.line(text)

    def wrote(self, path: str) -> None:
        """Where the checkpoint went."""
        self.line(f"wrote {path}: reloaded, and its decoding shows every edit")

    def wrote_files(self, paths: Sequence[str]) -> None:
        """Where other files went."""
        self.line(f"wrote {', '.join(paths)}")

    def report(self, report: Report) -> None:
        """What an evaluation found."""
        for line in verdict_lines(report_record(report)):
            self.line(line)

    def result_text(self, result: Result) -> str:
        """One request, as lines."""
        request = result.request
        lines = [
            f"request {request.id}: {result.status}" + (f" ({result.reason})" if result.reason else ""),
            f"  source  {request.source}",
            f"  before  {result.before}",
            f"  wanted  {request.target}",
        ]
        if result.status == NOTHING:
            return "\n".join(lines)
        lines.append(f"  after   {result.after}")
        if result.difference:
            told = understood_lines(result.difference, result.trigger, result.evidence, result.readings)
            lines += [f"  {line}" for line in told]
        if result.patch:
            general = ""
            if result.general is not None and result.clean is not None:
                general = (
                    f", holds in {result.general:.0%} of {result.held_out} sentences that the fit did not see, cleanly "
                    f"in {result.clean:.0%}"
                )
            made = f"at {result.patch.site}, |dW|/|W| {result.size:.4f}"
            if not result.patch.changes:
                made = f"beside the model, {result.patch.describe()}"
            lines.append(
                f"  edit    {result.patch.method} {made}, "
                f"{result.contexts} contexts{general}"
            )
        lines += [f"  note    {note}" for note in result.notes]
        tries = "1 try" if result.tries == 1 else f"{result.tries} tries"
        lines.append(f"  time    {result.seconds:.1f} s, {tries}")
        return "\n".join(lines)

    def others(self, label: str, others: Unchanged) -> None:
        """How many sentences still decode identically, and how many changed as wanted; damage is listed first."""
        changed = [*others.damaged, *others.wanted]
        text = f"{label}: {len(others.sources) - len(changed)} of {len(others.sources)} decode identically"
        if others.wanted:
            text += f", {len(others.wanted)} changed as wanted, {len(others.damaged)} otherwise"
        text += _by_certificate(others.proven)
        self.line(text)
        self.changed([("", others, index) for index in changed])

    def directions(self, directions: Mapping[str, Unchanged]) -> None:
        """How many sentences of other directions still decode identically, over all and direction by direction."""
        counts = {name: (len(one.sources) - len(one.changed), len(one.sources)) for name, one in directions.items()}
        told = ", ".join(f"{name} {same} of {total}" for name, (same, total) in counts.items())
        same, total = (sum(column) for column in zip(*counts.values()))
        proven = _by_certificate(sum(one.proven for one in directions.values()))
        self.line(f"other directions: {same} of {total} decode identically ({told}){proven}")
        self.changed([(name, one, index) for name, one in directions.items() for index in one.changed])

    def changed(self, sentences: Sequence[Tuple[str, Unchanged, int]]) -> None:
        """The first of some sentences that changed, each as its direction (if it is another), its set and its index."""
        for direction, others, index in sentences[:_MOST_CHANGED]:
            if direction:
                self.line(f"  in      {direction}")
            self.line(f"  source  {others.sources[index]}\n  before  {others.before[index]}")
            self.line(f"  after   {others.after[index]}")
        if len(sentences) > _MOST_CHANGED:
            self.line(f"  ... and {len(sentences) - _MOST_CHANGED} more")

    def check(self, check: Check) -> None:
        """How the model stood on the way."""
        state = f"; stopped there: {check.fault}" if check.fault else ""
        self.line(
            f"after {check.requests} requests: validation loss {check.loss:.3f} ({check.rise:+.4f}) bits a token, "
            f"{check.held:.0%} of {check.sampled} edits so far hold{state}"
        )

    def room(self, site: str, left: int, total: int) -> None:
        """A site, with its neurons that gates may still take, and how many there were."""
        self.line(f"room at {site}: {left} of {total} dormant neurons left")

    def merged(self, site: str, count: int, change: float) -> None:
        """A site with merged neurons, and by which share what it writes moves."""
        one = "1 neuron was" if count == 1 else f"{count} neurons were"
        self.line(f"merged at {site}: {one} merged with others: what the site writes moves by {change:.1%}")

    def verdict(self, outcome: Outcome) -> None:
        """The last word on all requests."""
        counts = _counts(outcome)
        parts = [f"{counts[EDITED]} edited"]
        more = counts[EDITED] - _as_wanted(outcome)
        if more:
            parts[0] += f" ({more} of them not word for word as wanted)"
        if counts[NOTHING]:
            parts.append(f"{counts[NOTHING]} with nothing to do")
        if counts[FAILED]:
            parts.append(f"{counts[FAILED]} failed")
        total = len(outcome.results)
        self.line(f"{total} {'request' if total == 1 else 'requests'}: {', '.join(parts)}")


class JsonPrinter(Printer):
    """Prints the same as JSON, an object a line."""

    def note(self, text: str) -> None:
        """As for every printer."""
        self.line(as_json({"note": text}))

    def wrote(self, path: str) -> None:
        """As for every printer."""
        self.line(as_json({"wrote": path}))

    def wrote_files(self, paths: Sequence[str]) -> None:
        """As for every printer."""
        self.line(as_json({"wrote": list(paths)}))

    def report(self, report: Report) -> None:
        """As for every printer."""
        for record in verdict_records(report_record(report)):
            self.line(as_json(record))

    def result_text(self, result: Result) -> str:
        """As for every printer."""
        difference, patch = result.difference, result.patch
        return as_json({
            "id": result.request.id,
            "status": result.status,
            "source": result.request.source,
            "before": result.before,
            "wanted": result.request.target,
            "after": result.after,
            "unwanted_segment": difference.unwanted if difference else None,
            "wanted_segment": difference.wanted if difference else None,
            "trigger": result.trigger,
            "method": patch.method if patch else None,
            "site": str(patch.site) if patch else None,
            "size": result.size,
            "contexts": result.contexts,
            "held_out": result.held_out,
            "general": result.general,
            "clean": result.clean,
            "evidence": result.evidence,
            "hunks": [asdict(reading) for reading in result.readings],
            "tries": result.tries,
            "seconds": round(result.seconds, 3),
            "reason": result.reason,
            "notes": list(result.notes),
        })  # fmt: skip

    def others(self, label: str, others: Unchanged) -> None:
        """As for every printer."""
        self.line(as_json({label: _set_record(others)}))

    def directions(self, directions: Mapping[str, Unchanged]) -> None:
        """As for every printer."""
        records = {name: _set_record(one) for name, one in directions.items()}
        counts = {count: sum(one[count] for one in records.values()) for count in ("total", "identical")}
        self.line(as_json({"other directions": {**counts, "directions": records}}))

    def check(self, check: Check) -> None:
        """As for every printer."""
        self.line(as_json({"check": asdict(check)}))

    def room(self, site: str, left: int, total: int) -> None:
        """As for every printer."""
        self.line(as_json({"room": site, "left": left, "total": total}))

    def verdict(self, outcome: Outcome) -> None:
        """As for every printer."""
        counts = _counts(outcome)
        self.line(as_json({"requests": len(outcome.results), **counts, "as_wanted": _as_wanted(outcome)}))


class PreviewPrinter(Listener):
    """Prints what an edit would do as comments of a YAML file."""

    def note(self, text: str) -> None:
        """As for every listener."""
        print(f"# {text}")

    def preview(self, one: Preview) -> None:
        """What would be done for one request."""
        lines = [f"request {one.request.id}", f"  source  {one.request.source}", f"  before  {one.before}"]
        lines += [f"  wanted  {one.request.target}", *(f"  {line}" for line in _plan_lines(one.plan))]
        print("\n".join(f"# {line}" for line in lines), flush=True)


def evidence_text(evidence: str) -> str:
    """What speaks for carrying a change, as it is told; of requests it says how many."""
    return _EVIDENCE.get(evidence) or f"{evidence} of the file make the same change"


def change_text(difference: Difference, trigger: str) -> str:
    """What is replaced by what, and where."""
    change = f"{difference.unwanted or '(nothing)'} -> {difference.wanted or '(nothing)'}"
    return f"{change}, where the source says: {trigger}"


def understood_lines(
    difference: Difference, trigger: str, evidence: str, readings: Sequence[Reading]
) -> List[str]:
    """What a request was understood to change: what is carried to other sentences, what is for its own, what to do."""
    carried = f", carried to other sentences ({evidence_text(evidence)})" if evidence else ", for this sentence alone"
    lines = [f"change  {change_text(difference, trigger)}{carried}"]
    lines += [f"form    {old} -> {new}" for old, new in difference.forms]
    parts = [one.within for one in readings if one.carried and one.within]
    lines += [f"hunk    the rest of {whole}, for this sentence alone" for whole in parts]
    change = (difference.unwanted, difference.wanted)
    others = [one for one in readings if not one.carried and (one.unwanted, one.wanted) != change]
    lines += [
        f"hunk    {one.replacement}"
        + (f", where the source says: {one.trigger} ({one.dice:.2f})" if one.trigger else "")
        + (f", a part of {one.within}" if one.within else "")
        + (", agreement" if one.agrees else "")
        + ", for this sentence alone"
        for one in (others if len(readings) > 1 else ())
    ]
    return [*lines, OTHERWISE]


def _plan_lines(plan: Optional[Plan]) -> List[str]:
    """What an edit would set out to do for one request."""
    if plan is None:
        return ["nothing to do"]
    case = plan.case
    return [
        *understood_lines(case.difference, case.trigger, case.evidence, case.readings),
        f"fit     {plan.settings.method}, {len(case.contexts)} contexts, {len(case.held_out)} held out, "
        f"sites in order: {', '.join(map(str, plan.sites))}",
        *(f"note    {note}" for note in case.notes),
    ]


def _by_certificate(proven: int) -> str:
    """How many sentences were not decoded again; empty for none."""
    return f"; {proven} by certificate" if proven else ""


def _set_record(others: Unchanged) -> Dict[str, Any]:
    """Sentences before and after, as JSON tells them."""
    changed = [
        {
            "source": others.sources[i],
            "before": others.before[i],
            "after": others.after[i],
            "as_wanted": i in others.wanted,
        }
        for i in others.changed
    ]
    counts = {"total": len(others.sources), "identical": len(others.sources) - len(changed)}
    return {**counts, "proven": others.proven, "changed_as_wanted": len(others.wanted), "changed": changed}


def _counts(outcome: Outcome) -> Dict[str, int]:
    return {status: sum(result.status == status for result in outcome.results) for status in _STATUSES}


def _as_wanted(outcome: Outcome) -> int:
    """How many requests were edited and say just what was wanted."""
    return sum(
        result.status == EDITED and result.after == result.request.target for result in outcome.results
    )
