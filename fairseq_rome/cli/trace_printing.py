"""What `fairseq-edit-locate` prints: lines for a person, or one JSON object a line."""

from __future__ import annotations

from typing import List, Tuple, Union

from fairseq_rome.cli.printers import as_json as as_json_line
from fairseq_rome.tracing import CausalTrace, site_list
from fairseq_rome.workbench.locate_job import NotTraced, Traced


def traced_text(one: Union[Traced, NotTraced], as_json: bool) -> str:
    """One request, as lines or as one line of JSON."""
    if isinstance(one, NotTraced):
        failed = {"id": one.id, "traced": False, "reason": one.reason}
        return as_json_line(failed) if as_json else f"request {one.id}: not traced ({one.reason})"
    trace = one.trace
    if as_json:
        names = ("id", "mode", "source", "segment", "trigger", "clean", "corrupted")
        return as_json_line({
            **{name: getattr(trace, name) for name in names},
            "output": one.said,
            "traced": True,
            "details": dict(trace.details),
            "sites": [{"site": str(each.site), "effect": each.effect} for each in one.ranked],
            "files": list(one.files),
            "seconds": round(one.seconds, 3),
        })  # fmt: skip
    rows = [
        ("source", trace.source),
        ("output", one.said),
        ("segment", trace.segment),
        ("trigger", trace.trigger),
        *_runs(trace),
        ("effects", ", ".join(f"{each.site} {each.effect:.4f}" for each in one.ranked)),
        ("site", site_list(one.ranked)),
        ("files", ", ".join(one.files)),
        ("time", f"{one.seconds:.1f} s"),
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
