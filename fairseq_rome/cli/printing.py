"""What `fairseq-edit` prints: lines for a person, or with `--log-format json` one JSON object a line."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from typing import Any, Callable, Dict

from fairseq_rome.editing.outcome import EDITED, FAILED, NOTHING, Check, Outcome, Result, Unchanged

_STATUSES = (EDITED, NOTHING, FAILED)
_MOST_CHANGED = 5


@dataclass(frozen=True)
class Printer:
    """How each thing is said.

    Args:
        result: one request.
        others: how many other sentences still decode identically; takes a label and the sentences.
        verdict: the last word on all requests.
        note: anything else the user should know.
        wrote: where the checkpoint went.
        check: how the model stood on the way.
        room: a site, with its neurons that gates may still take, and how many there were.
    """

    result: Callable[[Result], str]
    others: Callable[[str, Unchanged], str]
    verdict: Callable[[Outcome], str]
    note: Callable[[str], str]
    wrote: Callable[[str], str]
    check: Callable[[Check], str]
    room: Callable[[str, int, int], str]


def result_text(result: Result) -> str:
    """One request, as lines for a person."""
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
        lines.append(f"  change  {change_text(result.difference, result.trigger)}")
    if result.patch:
        general = ""
        if result.general is not None:
            general = (
                f", holds in {result.general:.0%} of {result.held_out} sentences that the fit did not see"
            )
        lines.append(
            f"  edit    {result.patch.method} at {result.patch.site}, |dW|/|W| {result.size:.4f}, "
            f"{result.contexts} contexts{general}"
        )
    tries = "1 try" if result.tries == 1 else f"{result.tries} tries"
    lines.append(f"  time    {result.seconds:.1f} s, {tries}")
    return "\n".join(lines)


def change_text(difference: Any, trigger: str) -> str:
    """What is replaced by what, and where."""
    change = f"{difference.unwanted or '(nothing)'} -> {difference.wanted or '(nothing)'}"
    return f"{change}, where the source says: {trigger}"


def _result_record(result: Result) -> Dict[str, Any]:
    difference = result.difference
    return {
        "id": result.request.id,
        "status": result.status,
        "source": result.request.source,
        "before": result.before,
        "wanted": result.request.target,
        "after": result.after,
        "unwanted_segment": difference.unwanted if difference else None,
        "wanted_segment": difference.wanted if difference else None,
        "trigger": result.trigger,
        "method": result.patch.method if result.patch else None,
        "site": str(result.patch.site) if result.patch else None,
        "size": result.size,
        "contexts": result.contexts,
        "held_out": result.held_out,
        "general": result.general,
        "tries": result.tries,
        "seconds": round(result.seconds, 3),
        "reason": result.reason,
    }


def _others_text(label: str, others: Unchanged) -> str:
    changed = others.changed
    lines = [f"{label}: {len(others.sources) - len(changed)} of {len(others.sources)} decode identically"]
    if others.triggered:
        lines[0] += f"; {others.triggered} of the {len(changed)} others hold the trigger of an edit"
    for index in changed[:_MOST_CHANGED]:
        lines += [f"  source  {others.sources[index]}", f"  before  {others.before[index]}"]
        lines.append(f"  after   {others.after[index]}")
    if len(changed) > _MOST_CHANGED:
        lines.append(f"  ... and {len(changed) - _MOST_CHANGED} more")
    return "\n".join(lines)


def _others_record(label: str, others: Unchanged) -> Dict[str, Any]:
    changed = [
        {"source": others.sources[i], "before": others.before[i], "after": others.after[i]}
        for i in others.changed
    ]
    return {
        label: {
            "total": len(others.sources),
            "identical": len(others.sources) - len(changed),
            "changed": changed,
        }
    }


def _counts(outcome: Outcome) -> Dict[str, int]:
    return {status: sum(result.status == status for result in outcome.results) for status in _STATUSES}


def _as_wanted(result: Result) -> bool:
    return result.status == EDITED and result.after == result.request.target


def _verdict_text(outcome: Outcome) -> str:
    counts = _counts(outcome)
    parts = [f"{counts[EDITED]} edited"]
    more = counts[EDITED] - sum(_as_wanted(result) for result in outcome.results)
    if more:
        parts[0] += f" ({more} of them not word for word as wanted)"
    if counts[NOTHING]:
        parts.append(f"{counts[NOTHING]} with nothing to do")
    if counts[FAILED]:
        parts.append(f"{counts[FAILED]} failed")
    total = len(outcome.results)
    return f"{total} {'request' if total == 1 else 'requests'}: {', '.join(parts)}"


def _check_text(check: Check) -> str:
    state = f"; stopped there: {check.fault}" if check.fault else ""
    return (
        f"after {check.requests} requests: validation loss {check.loss:.3f} ({check.rise:+.4f}) bits a token, "
        f"{check.held:.0%} of {check.sampled} edits so far hold{state}"
    )


def _json(record: Dict[str, Any]) -> str:
    return json.dumps(record, ensure_ascii=False)


TEXT = Printer(
    result=result_text,
    others=_others_text,
    verdict=_verdict_text,
    note=lambda text: text,
    wrote=lambda path: f"wrote {path}: reloaded, and its decoding shows every edit",
    check=_check_text,
    room=lambda site, left, total: f"room at {site}: {left} of {total} dormant neurons left",
)
JSON = Printer(
    result=lambda result: _json(_result_record(result)),
    others=lambda label, others: _json(_others_record(label, others)),
    verdict=lambda outcome: _json({
        "requests": len(outcome.results), **_counts(outcome), "as_wanted": sum(map(_as_wanted, outcome.results)),
    }),
    note=lambda text: _json({"note": text}),
    wrote=lambda path: _json({"wrote": path}),
    check=lambda check: _json({"check": asdict(check)}),
    room=lambda site, left, total: _json({"room": site, "left": left, "total": total}),
)
