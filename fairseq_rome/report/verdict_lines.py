"""A report as lines of text for a person, and as plain records for programs."""

from __future__ import annotations

from typing import Any, Dict, Iterator, List, Mapping, Sequence

_MOST_CHANGED = 5


def verdict_lines(record: Mapping[str, Any]) -> Iterator[str]:
    """A report's record (`report_record`) as lines for a person."""
    for request in record["requests"]:
        yield from _request_lines(request)
    directions = [one for one in record["sets"] if one["other_direction"]]
    for one in record["sets"]:
        if not one["other_direction"]:
            yield from _set_lines(one)
    if directions:
        yield from _direction_lines(directions)
    settings = ", ".join(f"{name} {value}" for name, value in record["generation"].items())
    yield f"search: {settings}; {record['cost']['evaluation_seconds']:.1f} s"
    for gate in record["gates"]:
        yield gate["text"]
    verdict = record["verdict"]
    yield f"{'PASSED' if verdict['passed'] else 'FAILED'}: {verdict['headline']}"
    for reason in verdict["reasons"]:
        yield f"  {reason}"


def _request_lines(request: Mapping[str, Any]) -> List[str]:
    counted = [probe for probe in request["probes"] if probe["wrong_before"]]
    parts = [_state(request)]
    if counted:
        held, clean = (sum(probe[name] for probe in counted) for name in ("holds", "clean"))
        parts.append(f"{held} of {len(counted)} probes hold, {clean} cleanly")
    if request["near"]:
        same = sum(not one["changed"] for one in request["near"])
        parts.append(f"{same} of {len(request['near'])} near misses identical")
    if request["fault_after"]:
        parts.append(f"{request['task']} checker: {request['fault_after']}")
    lines = [f"request {request['id']}: {'; '.join(parts)}"]
    if request["wrong_before"] and request["exact"]:
        return lines
    lines += [f"  source  {request['source']}", f"  before  {request['before']}"]
    return [*lines, f"  wanted  {request['target']}", f"  after   {request['after']}"]


def _state(request: Mapping[str, Any]) -> str:
    if not request["wrong_before"]:
        return "was right before, not counted" if request["holds"] else "was right before, is wrong now"
    if request["exact"]:
        return "holds, word for word"
    return "holds" if request["holds"] else "FAILS"


def verdict_records(record: Mapping[str, Any]) -> Iterator[Dict[str, Any]]:
    """A report's record in parts: one for each request, set and condition, then the verdict with all figures."""
    for kind, name in (("request", "requests"), ("set", "sets"), ("gate", "gates")):
        for one in record[name]:
            yield {kind: _bare(one)}
    yield {"verdict": record["verdict"], "metrics": record["metrics"], "generation": record["generation"]}


def _bare(value: Any) -> Any:
    """Without what is for the page alone."""
    if isinstance(value, dict):
        return {name: _bare(part) for name, part in value.items() if name not in ("marked", "heat_maps")}
    return [_bare(part) for part in value] if isinstance(value, (list, tuple)) else value


def _set_lines(record: Mapping[str, Any]) -> List[str]:
    lines = [f"{record['name']}: {record['changed']:,} of {record['sentences']:,} changed{_told_apart(record)}"]
    lines += [f"  {_score_text(score)}" for score in record["scores"]]
    if record["length_ratio"]:
        lines.append("  length ratio {:.4f} -> {:.4f}".format(*record["length_ratio"]))
    lines.append("  repetition {:.2%} -> {:.2%}".format(*record["repetition"]))
    if record["loss"]:
        lines.append("  loss {:.4f} -> {:.4f} bits a token".format(*record["loss"]))
    faults = ", ".join(f"{task} {old} -> {new}" for task, (old, new) in record["faults"].items())
    lines += [f"  checkers object to: {faults}"] if faults else []
    return lines + _change_lines(sorted(record["changes"], key=lambda change: change["as_wanted"]))


def _change_lines(changes: Sequence[Mapping[str, Any]]) -> List[str]:
    lines = []
    for change in changes[:_MOST_CHANGED]:
        lines += [f"  in      {change['in']}"] if "in" in change else []
        lines += [
            f"  source  {change['source']}",
            f"  before  {change['before']}",
            f"  after   {change['after']}",
        ]
    if len(changes) > _MOST_CHANGED:
        lines.append(f"  ... and {len(changes) - _MOST_CHANGED:,} more")
    return lines


def _direction_lines(records: Sequence[Mapping[str, Any]]) -> List[str]:
    """The sets of all other directions: there may be many, and nothing is to be told of them but what changed."""
    told = ", ".join(f"{one['name']} {one['changed']:,} of {one['sentences']:,}" for one in records)
    changed, total = (sum(one[count] for one in records) for count in ("changed", "sentences"))
    changes = [{**change, "in": one["name"]} for one in records for change in one["changes"]]
    return [f"other directions: {changed:,} of {total:,} changed ({told})", *_change_lines(changes)]


def _told_apart(record: Mapping[str, Any]) -> str:
    """What the changed sentences of a set are, where not all of them are damage."""
    aside = record["changed"] - record["broken"] - record["as_wanted"]
    parts = [f"{record['as_wanted']:,} as wanted"] if record["as_wanted"] else []
    parts += [f"{aside:,} otherwise where a named trigger stands"] if aside else []
    return f": {', '.join(parts)}, {record['broken']:,} that should have stayed" if parts else ""


def _score_text(score: Mapping[str, Any]) -> str:
    if score["p_value"] is None:
        figures = dict.fromkeys(f"{score[name]:.2f}" for name in ("before", "after"))
        return f"{score['name']:5} {' -> '.join(figures)}, {score['untested']} ({score['signature']})"
    return (
        f"{score['name']:5} {score['before']:.2f} ± {score['interval_before']:.2f} -> {score['after']:.2f} ± "
        f"{score['interval_after']:.2f}, p = {score['p_value']:.4f} ({score['signature']})"
    )
