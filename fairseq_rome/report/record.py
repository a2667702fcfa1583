"""A report as plain values: the JSON file, and what the page and the card are rendered from."""

from __future__ import annotations

import base64
import math
from dataclasses import asdict
from typing import Any, Dict, List, Mapping

from fairseq_rome.evaluation.judged import DIRECTION, KEEP, Evaluation, JudgedRequest, JudgedSet
from fairseq_rome.report.report import Report
from fairseq_rome.text.marking import marked

FORMAT = 1
"""Version of the record."""


def report_record(report: Report) -> Dict[str, Any]:
    """All of a report in types that JSON knows."""
    evaluation = report.evaluation
    record = {
        "format": FORMAT,
        "notes": report.notes,
        "verdict": {"passed": report.passed, "headline": _headline(evaluation), "reasons": report.reasons},
        "gates": [
            {
                "gate": str(one.condition),
                "metric": one.condition.metric,
                "value": one.value,
                "passed": one.passed,
                "text": str(one),
            }
            for one in report.conditions
        ],
        "metrics": evaluation.metrics(),
        "counts": _counts(evaluation),
        "requests": [_request(one, report) for one in evaluation.requests],
        "sets": [_set(one) for one in evaluation.sets],
        "generation": dict(report.generation),
        "cost": {**report.cost, "evaluation_seconds": evaluation.seconds},
        "provenance": dict(report.provenance),
    }
    return {name: _plain(value) for name, value in record.items()}


def _plain(value: Any) -> Any:
    """A value as JSON gives it back: lists for tuples, None for what is no finite number, text for what it lacks."""
    if isinstance(value, Mapping):
        return {str(name): _plain(inner) for name, inner in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(inner) for inner in value]
    if isinstance(value, float):
        return float(value) if math.isfinite(value) else None
    return value if value is None or isinstance(value, (str, int)) else str(value)


def _headline(evaluation: Evaluation) -> str:
    """The verdict's figures in one sentence."""
    counts = _counts(evaluation)
    parts = []
    if counts["requests"]:
        parts.append(f"{counts['held']:,} of {counts['requests']:,} requests hold")
    elif counts["right_before"]:
        parts.append(f"all {counts['right_before']:,} requests were right before the edit")
    if counts["probes"]:
        parts.append(
            f"{counts['probes_held']:,} of {counts['probes']:,} held-out probes hold, "
            f"{counts['probes_clean']:,} cleanly"
        )
    if counts["unrelated"]:
        parts.append(f"{counts['broken']:,} of {counts['unrelated']:,} other sentences changed")
    if counts["as_wanted"]:
        parts.append(f"{counts['as_wanted']:,} more changed as wanted")
    if counts["elsewhere"]:
        share = f"{counts['elsewhere_changed']:,} of {counts['elsewhere']:,}"
        parts.append(f"{share} sentences of other directions changed")
    for one in evaluation.sets:
        score = one.score("BLEU")
        if score:
            parts.append(f"BLEU on {one.name} {score.before:.1f} to {score.after:.1f}")
    return "; ".join(parts) or "nothing was judged"


def _counts(evaluation: Evaluation) -> Dict[str, int]:
    counted, probes = evaluation.counted, evaluation.probes
    near = [one for request in evaluation.requests for one in request.near]
    checked = [request for request in evaluation.requests if request.fault_before or request.fault_after]
    return {
        "requests": len(counted),
        "held": sum(request.holds for request in counted),
        "exact": sum(request.exact for request in counted),
        "right_before": len(evaluation.requests) - len(counted),
        "probes": len(probes),
        "probes_held": sum(probe.holds for probe in probes),
        "probes_clean": sum(probe.clean for probe in probes),
        "near": len(near),
        "near_changed": sum(one.changed for one in near),
        "unrelated": sum(one.unrelated for one in evaluation.own_sets),
        "broken": sum(len(one.broken) for one in evaluation.own_sets),
        "as_wanted": sum(len(one.wanted) for one in evaluation.own_sets),
        "compared": sum(one.sentences for one in evaluation.sets),
        "proven": sum(one.proven for one in evaluation.sets),
        "elsewhere": sum(one.sentences for one in evaluation.directions),
        "elsewhere_changed": sum(len(one.changes) for one in evaluation.directions),
        "faults_before": sum(request.fault_before is not None for request in checked),
        "faults_after": sum(request.fault_after is not None for request in checked),
    }


def _request(request: JudgedRequest, report: Report) -> Dict[str, Any]:
    details = report.edits.get(request.id)
    return {
        **asdict(request),
        "marked": marked(request.before, request.after),
        "probes": [
            {**asdict(probe), "marked": marked(probe.before, probe.after)} for probe in request.probes
        ],
        "near": [
            {**asdict(one), "changed": one.changed, "marked": marked(one.before, one.after)}
            for one in request.near
        ],
        "edit": asdict(details) if details else None,
        "heat_maps": [
            {
                "title": one.title,
                "description": one.description,
                "png": base64.b64encode(one.png).decode("ascii"),
            }
            for one in report.heat_maps.get(request.id, ())
        ],
    }


def _set(judged: JudgedSet) -> Dict[str, Any]:
    return {
        "name": judged.name,
        "kind": judged.kind,
        "must_stay": judged.kind == KEEP,
        "other_direction": judged.kind == DIRECTION,
        "sentences": judged.sentences,
        "unrelated": judged.unrelated,
        "proven": judged.proven,
        "changed": len(judged.changes),
        "broken": len(judged.broken),
        "as_wanted": len(judged.wanted),
        "changes": [
            {**asdict(one), "gain": one.gain, "marked": marked(one.before, one.after)}
            for one in judged.changes
        ],
        "scores": [{**asdict(score), "delta": score.delta} for score in judged.scores],
        "length_ratio": _pair(judged.length_ratio),
        "repetition": _pair(judged.repetition),
        "loss": _pair(judged.loss),
        "faults": {task: list(counts) for task, counts in judged.faults.items()},
    }


def _pair(values: Any) -> Any:
    return None if values is None else list(values)


def changed_rows(record: Dict[str, Any]) -> List[Dict[str, Any]]:
    """Every changed sentence of all sets with the name of its set, worst first.

    Those without a reference come last, and behind them all those that changed as wanted.
    """
    rows = [{**change, "set": one["name"]} for one in record["sets"] for change in one["changes"]]
    return sorted(rows, key=lambda row: (row["as_wanted"], row["chrf_before"] is None, float(row["gain"])))
