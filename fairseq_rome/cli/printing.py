"""What `fairseq-edit` prints."""

from __future__ import annotations

import json
from typing import Any, Dict

from fairseq_rome.editing import EDITED, NOTHING, Outcome, Result, Unchanged


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
        change = f"{result.difference.unwanted or '(nothing)'} -> {result.difference.wanted or '(nothing)'}"
        lines.append(f"  change  {change}, where the source says: {result.trigger}")
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


def result_record(result: Result) -> str:
    """One request, as a line of JSON."""
    difference = result.difference
    record: Dict[str, Any] = {
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
        "general": result.general,
        "tries": result.tries,
        "seconds": round(result.seconds, 3),
        "reason": result.reason,
    }
    return json.dumps(record, ensure_ascii=False)


def others_text(label: str, others: Unchanged, most: int = 5) -> str:
    """How many other sentences still decode identically, and the first that do not."""
    changed = others.changed
    lines = [f"{label}: {len(others.sources) - len(changed)} of {len(others.sources)} decode identically"]
    for index in changed[:most]:
        lines += [f"  source  {others.sources[index]}", f"  before  {others.before[index]}"]
        lines.append(f"  after   {others.after[index]}")
    if len(changed) > most:
        lines.append(f"  ... and {len(changed) - most} more")
    return "\n".join(lines)


def verdict(outcome: Outcome) -> str:
    """The last word on all requests."""
    counts = {
        status: sum(result.status == status for result in outcome.results) for status in (EDITED, NOTHING)
    }
    parts = [f"{counts[EDITED]} edited"]
    if counts[NOTHING]:
        parts.append(f"{counts[NOTHING]} with nothing to do")
    if outcome.failed:
        parts.append(f"{len(outcome.failed)} failed")
    return f"{len(outcome.results)} requests: {', '.join(parts)}"
