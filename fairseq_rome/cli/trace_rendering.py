"""What `fairseq-edit-locate` prints: lines for a person, or one JSON object a line."""

from __future__ import annotations

from typing import List, Sequence, Tuple

from fairseq_rome.cli.rendering import as_json as as_json_line
from fairseq_rome.tracing import CausalTrace, RankedSite, site_list


def failed_text(name: str, reason: str, as_json: bool) -> str:
    """A request that could not be traced."""
    if as_json:
        return as_json_line({"id": name, "traced": False, "reason": reason})
    return f"request {name}: not traced ({reason})"


def traced_text(
    trace: CausalTrace, output: str, ranked: Sequence[RankedSite], files: Sequence[str], seconds: float, as_json: bool
) -> str:
    """A request that was traced.

    Args:
        trace: what was found.
        output: what the model says.
        ranked: its sites.
        files: names of the files that were written.
        seconds: wall time.
        as_json: as one line of JSON.
    """
    if as_json:
        sites = [{"site": str(one.site), "effect": one.effect} for one in ranked]
        names = ("id", "mode", "source", "segment", "trigger", "clean", "corrupted")
        record = {name: getattr(trace, name) for name in names}
        return as_json_line(
            {**record, "output": output, "traced": True, "details": dict(trace.details), "sites": sites,
             "files": list(files), "seconds": round(seconds, 3)}
        )  # fmt: skip
    rows = [
        ("source", trace.source),
        ("output", output),
        ("segment", trace.segment),
        ("trigger", trace.trigger),
        *_runs(trace),
        ("effects", ", ".join(f"{one.site} {one.effect:.4f}" for one in ranked)),
        ("site", site_list(ranked)),
        ("files", ", ".join(files)),
        ("time", f"{seconds:.1f} s"),
    ]
    return "\n".join([f"request {trace.id}: traced", *(f"  {name:10s}{value}" for name, value in rows)])


def _runs(trace: CausalTrace) -> List[Tuple[str, str]]:
    """The probabilities of the two runs, under the names that they have in the mode."""
    if trace.mode == "noise":
        return [("clean", f"{trace.clean:.4f}"), ("corrupted", f"{trace.corrupted:.4f}")]
    positive = f"{trace.details['positive_source']} -> {trace.details['positive_target']}"
    return [
        ("positive", positive),
        ("clean", f"{trace.clean:.4f} (first subword, in the positive sentence)"),
        ("corrupted", f"{trace.corrupted:.4f} (first subword, in the request's sentence)"),
    ]


def traces_verdict(requests: int, traced: int, path: str, as_json: bool) -> str:
    """The last word on all requests."""
    if as_json:
        return as_json_line({"requests": requests, "traced": traced, "wrote": path if traced else None})
    total = f"{requests} {'request' if requests == 1 else 'requests'}: {traced} traced"
    rest = f", {requests - traced} not" if traced < requests else ""
    return f"{total}{rest}\n" + (f"wrote {path}" if traced else "nothing was written")
