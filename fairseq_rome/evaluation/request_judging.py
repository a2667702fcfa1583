"""Requests, their probes and their near misses, judged by what both models say."""

from __future__ import annotations

from dataclasses import replace
from types import MappingProxyType
from typing import Callable, Dict, List, Mapping, Optional, Sequence, Set, Tuple

from fairseq_rome.evaluation.judged import Decoded, JudgedProbe, JudgedRequest
from fairseq_rome.host.decoding import Translator
from fairseq_rome.text.checkers import Checker, Observation
from fairseq_rome.text.cleanness import is_clean, said_once
from fairseq_rome.text.replacements import Replacement
from fairseq_rome.text.requests import EditRequest, Probe
from fairseq_rome.text.segments import Difference, Endings, correct, holds, is_whole, wanted_difference
from fairseq_rome.text.words import contains_trigger, count

_TERM = "term"
_NONE: Mapping[str, Replacement] = MappingProxyType({})

Said = Mapping[str, Tuple[str, str]]
"""What the model says before and after, by source."""


def decode_both(before: Translator, after: Translator, sources: Sequence[str], label: str) -> Said:
    """What both models say for each source, each decoded once and in the same batches."""
    unique = list(dict.fromkeys(sources))
    old = before.translate(unique, f"decoding {label}, before")
    new = after.translate(unique, f"decoding {label}, after")
    return {source: (one.text, two.text) for source, one, two in zip(unique, old, new)}


def sources_of(requests: Sequence[EditRequest], pool: Sequence[str]) -> List[str]:
    """Every source that `judge_requests` wants decoded."""
    own = [request.source for request in requests]
    probes = [probe.source for request in requests for probe in request.probes]
    return [*own, *probes, *pool, *(source for request in requests for source in request.near)]


def judge_requests(
    requests: Sequence[EditRequest],
    pool: Sequence[str],
    said: Said,
    endings: Endings,
    triggers: Mapping[str, str],
    checkers: Mapping[str, Checker],
    carried: Mapping[str, Replacement] = _NONE,
    is_word: Callable[[str], bool] = lambda word: True,
) -> Tuple[JudgedRequest, ...]:
    """Judge requests.

    Args:
        requests: the requests.
        pool: held-out sources for all: a request is judged on those that hold its trigger.
        said: from `decode_both` for `sources_of`.
        endings: with which segments still count.
        triggers: the triggers that are known, by id of the request.
        checkers: by task; a request whose task has none is not checked.
        carried: what edits are known to carry, by id of the request; of others all that differs counts.
        is_word: whether a word of the target language is one.
    """
    judged = []
    # What an edit learnt from is no probe of another request either.
    fitted = {request.source for request in requests}
    for request in requests:
        trigger = triggers.get(request.id, "")
        shared = [
            Probe(source) for source in pool if trigger and contains_trigger(source, trigger, endings.source)
        ]
        probes = [probe for probe in (*request.probes, *shared) if probe.source not in fitted]
        known = carried.get(request.id)
        difference = known.difference if known else wanted_difference(request, said[request.source][0])
        judged.append(_judge(request, trigger, probes, said, endings, difference, is_word))
    judged = _without_faulty(judged, checkers)
    faults = _check(judged, checkers)
    return tuple(
        replace(one, fault_before=faults[0][index], fault_after=faults[1][index])
        for index, one in enumerate(judged)
    )


def _judge(
    request: EditRequest,
    trigger: str,
    probes: Sequence[Probe],
    said: Said,
    endings: Endings,
    difference: Optional[Difference],
    is_word: Callable[[str], bool],
) -> JudgedRequest:
    before, after = said[request.source]
    ends = endings.target

    def right(text: str) -> bool:
        return difference is None or holds(text, request.target, difference, ends)

    found = [] if difference is None else [_probe(one, said[one.source], difference, ends, is_word) for one in probes]
    if difference is not None and is_whole(before, difference, ends):
        apart = said_once([after, *(one.after for one in found)])[1:]
        found = [
            one if own or one.after == probe.target else replace(one, holds=False, clean=False)
            for one, own, probe in zip(found, apart, probes)
        ]
    return JudgedRequest(
        request.source, before, after,
        id=request.id, task=request.task or "", target=request.target,
        unwanted=difference.unwanted if difference else "", wanted=difference.wanted if difference else "",
        trigger=trigger, wrong_before=not right(before),
        holds=right(after) if difference else after == before, exact=after == request.target,
        probes=tuple(found), near=tuple(Decoded(source, *said[source]) for source in request.near),
    )  # fmt: skip


def _probe(
    probe: Probe,
    said: Tuple[str, str],
    difference: Difference,
    endings: Sequence[str],
    is_word: Callable[[str], bool],
) -> JudgedProbe:
    before, after = said
    clean = is_clean(before, after, difference, endings, is_word)
    if probe.target is None and is_whole(before, difference, endings):
        # Another source has another translation: the request's own would be as wrong there as what was memorised.
        return JudgedProbe(probe.source, before, after, wrong_before=True, holds=clean, clean=clean)
    target = probe.target if probe.target is not None else _own_target(before, difference, endings)
    if target is None:  # the model says nothing that could be replaced
        return JudgedProbe(probe.source, before, after, wrong_before=False, holds=False)
    return JudgedProbe(
        probe.source, before, after,
        wrong_before=not holds(before, target, difference, endings),
        holds=holds(after, target, difference, endings),
        clean=clean or after == probe.target,
    )  # fmt: skip


def _own_target(before: str, difference: Difference, endings: Sequence[str]) -> Optional[str]:
    """What a probe without a target should say: the same with the segment replaced, or merely with it."""
    if difference.unwanted:
        return correct(before, difference, endings)
    return None if count(before, difference.wanted, endings) else difference.wanted


def _without_faulty(judged: Sequence[JudgedRequest], checkers: Mapping[str, Checker]) -> List[JudgedRequest]:
    """The requests, where no probe is clean to which a checker objects that was silent before."""
    probes = [probe for one in judged for probe in one.probes]
    whole = [is_whole(probe.before, Difference(one.unwanted, one.wanted)) for one in judged for probe in one.probes]
    faulty: Set[int] = set()
    for task, checker in checkers.items():
        if task == _TERM or not probes:
            continue  # which asks for the segment of a request
        old, new = (
            checker.check([Observation(probe.source, getattr(probe, state)) for probe in probes])
            for state in ("before", "after")
        )
        # What was wrong as a whole had its fault; what came instead is to have none, be it the same.
        faulty.update(index for index in range(len(probes)) if new[index] and (whole[index] or not old[index]))
    kept = iter([replace(one, clean=one.clean and index not in faulty) for index, one in enumerate(probes)])
    return [replace(one, probes=tuple(next(kept) for _ in one.probes)) for one in judged]


def _check(
    judged: Sequence[JudgedRequest], checkers: Mapping[str, Checker]
) -> Tuple[List[Optional[str]], List[Optional[str]]]:
    """What each request's checker says of the hypotheses before and after."""
    faults: Tuple[List[Optional[str]], List[Optional[str]]] = ([None] * len(judged), [None] * len(judged))
    by_task: Dict[str, List[int]] = {}
    for index, one in enumerate(judged):
        by_task.setdefault(one.task, []).append(index)
    for task, indices in by_task.items():
        if task not in checkers:
            continue
        for into, state in zip(faults, ("before", "after")):
            seen = [_observation(judged[index], state) for index in indices]
            # One output for many sources only shows beside the others.
            beside = [
                Observation(probe.source, getattr(probe, state))
                for index in indices
                for probe in judged[index].probes
            ]
            for index, fault in zip(indices, checkers[task].check([*seen, *beside])):
                into[index] = fault
    return faults


def _observation(request: JudgedRequest, state: str) -> Observation:
    difference = Difference(request.unwanted, request.wanted)
    return Observation(request.source, getattr(request, state), difference, request.target)
