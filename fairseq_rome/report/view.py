"""What the templates show of a record beyond what stands in it: states in words, orders, first figures."""

from __future__ import annotations

import re
import shlex
from typing import Any, Dict, List, Mapping, Optional

from fairseq_rome.report import number_format as figures

_LANGUAGE = re.compile(r"[A-Za-z]{2,3}(-[A-Za-z0-9]{2,8})*")
_GOOD, _BAD, _ASIDE = "good", "bad", "aside"
_SIGNS = {_GOOD: "✓", _BAD: "✗", _ASIDE: "–"}

State = Dict[str, str]
"""A word, and a tone and a sign that go with it."""


def _state(tone: str, word: str) -> State:
    return {"tone": tone, "sign": _SIGNS[tone], "word": word}


def verdict_state(record: Mapping[str, Any]) -> State:
    """The verdict; where nothing was looked at, a pass would say too much."""
    if not (record["requests"] or record["sets"] or record["gates"]):
        return _state(_ASIDE, "NOTHING JUDGED")
    return _state(_GOOD, "PASSED") if record["verdict"]["passed"] else _state(_BAD, "FAILED")


def passed_state(passed: bool) -> State:
    """What became of a condition."""
    return _state(_GOOD, "passed") if passed else _state(_BAD, "failed")


def request_state(one: Mapping[str, Any]) -> State:
    """What became of a request."""
    if one["wrong_before"]:
        return _state(_GOOD, "holds") if one["holds"] else _state(_BAD, "does not hold")
    return _state(_ASIDE, "was right before") if one["holds"] else _state(_BAD, "was right, is wrong now")


def all_requests(record: Mapping[str, Any]) -> List[Dict[str, Any]]:
    """The requests with their states and with their numbers in the record, failed ones first."""
    found = [
        {**one, "number": number, "state": request_state(one)}
        for number, one in enumerate(record["requests"], start=1)
    ]
    return sorted(found, key=lambda one: not _is_bad(one))


def probed_requests(requests: List[Dict[str, Any]]) -> List[Dict[str, Any]]:
    """Those of `all_requests` that have probes or near misses: these with states, the counts, failed ones first."""
    groups = [_group(one) for one in requests if one["probes"] or one["near"]]
    return sorted(groups, key=lambda group: not _is_bad(group))


def _group(request: Mapping[str, Any]) -> Dict[str, Any]:
    probes = [{**probe, "state": _probe_state(probe, request)} for probe in request["probes"]]
    near = [{**miss, "state": _near_state(miss)} for miss in request["near"]]
    counted = [probe for probe in probes if probe["state"]["tone"] != _ASIDE]
    state = _state(_GOOD, "all") if counted or near else _state(_ASIDE, "none counts")
    if any(map(_is_bad, [*counted, *near])):
        state = _state(_BAD, "not all")
    return {
        "request": request,
        "state": state,
        "sentences": sorted([*probes, *near], key=lambda sentence: not _is_bad(sentence)),
        "counted": len(counted),
        "held": sum(probe["holds"] for probe in counted),
        "near": len(near),
        "near_changed": sum(miss["changed"] for miss in near),
    }


def _probe_state(probe: Mapping[str, Any], request: Mapping[str, Any]) -> State:
    """Where the fault did not show before, a probe does not count."""
    if not (request["wrong_before"] and probe["wrong_before"]):
        return _state(_ASIDE, "probe, does not count")
    return _state(_GOOD, "probe holds") if probe["holds"] else _state(_BAD, "probe does not hold")


def _near_state(miss: Mapping[str, Any]) -> State:
    return _state(_BAD, "near miss changed") if miss["changed"] else _state(_GOOD, "near miss stayed")


def _is_bad(one: Mapping[str, Any]) -> bool:
    return bool(one["state"]["tone"] == _BAD)


def language(record: Mapping[str, Any], place: int) -> Optional[str]:
    """A language of the provenance, the source (0) or the target (1), as HTML names it; None if it is no such name."""
    found = "".join(record["provenance"].get("languages", ())[place : place + 1]).replace("_", "-")
    return found if _LANGUAGE.fullmatch(found) else None


def origin(record: Mapping[str, Any]) -> Dict[str, Any]:
    """The provenance, its command as one would type it."""
    found = dict(record["provenance"])
    if "command" in found:
        found["command"] = shlex.join(found["command"])
    return found


def tiles(record: Mapping[str, Any]) -> List[Dict[str, str]]:
    """The four figures to look at first: name, value and what it is in words."""
    counts, metrics = record["counts"], record["metrics"]
    shares = [
        ("efficacy", "held", "requests", "requested corrections show in the output"),
        ("clean", "probes_clean", "probes", "sentences that the edit never saw are right too, and else as they were"),
        ("generalisation", "probes_held", "probes", "of them show the correction, whatever else they say"),
        ("locality", "broken", "unrelated", "unrelated sentences changed"),
    ]
    found = [
        {
            "name": figures.label(name),
            "value": figures.percent(metrics.get(name)),
            "note": _of(counts[part], counts[whole], what),
        }
        for name, part, whole, what in shares
    ]
    if counts["as_wanted"]:
        found[-1]["note"] += f"; {counts['as_wanted']:,} more changed as wanted"
    quality = {
        "name": "BLEU change",
        "value": figures.signed(metrics.get("bleu_delta")),
        "note": _quality(record),
    }
    return [*found, quality]


def _of(part: int, whole: int, what: str) -> str:
    return f"{part:,} of {whole:,} {what}" if whole else "there was nothing to measure it on"


def _quality(record: Mapping[str, Any]) -> str:
    """BLEU on the test set where it fell most."""
    scores = [
        (one["name"], score) for one in record["sets"] for score in one["scores"] if score["name"] == "BLEU"
    ]
    if not scores:
        return "there was no test set with references"
    name, worst = min(scores, key=lambda pair: float(pair[1]["delta"]))
    return f"translation quality on {name}: {worst['before']:.2f} before, {worst['after']:.2f} after"
