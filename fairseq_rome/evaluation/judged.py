"""What an evaluation found, frozen: each sentence with what the model said before the edit and what it says after."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Dict, List, Mapping, Optional, Sequence, Tuple

KEEP, SAMPLE, TEST, DIRECTION = "keep", "sample", "test", "direction"
"""Kinds of sets: sentences that must stay, sentences that no request speaks of, test sets, other directions."""


@dataclass(frozen=True)
class Decoded:
    """A source with the hypotheses of the model before and after the edit."""

    source: str
    before: str
    after: str

    @property
    def changed(self) -> bool:
        """Whether the hypotheses differ in a single byte."""
        return self.before != self.after


@dataclass(frozen=True)
class JudgedProbe(Decoded):
    """A held-out sentence that shows the behaviour.

    Args:
        wrong_before: whether the model without the edit shows the fault; only such probes count.
        holds: whether the edited model shows the wanted segment and no longer the unwanted one.
        clean: whether the hypothesis is otherwise what it was: no damage, no word that is none, no new fault.
    """

    wrong_before: bool
    holds: bool
    clean: bool = False


@dataclass(frozen=True)
class JudgedRequest(Decoded):
    """A request, judged by decoding its own source, its probes and its near misses.

    Args:
        id: the request's id.
        task: its task; empty if it names none.
        target: the translation it should have.
        unwanted: the segment that should go.
        wanted: the segment that should come.
        trigger: the source segment that the change hangs on; empty if unknown.
        wrong_before: whether the model without the edit shows the fault; only such requests count.
        holds: whether the edited model shows the wanted segment and no longer the unwanted one.
        exact: whether the edited model says the target itself.
        probes: held-out sentences with the behaviour.
        near: near misses, which should not change.
        fault_before: what the task's checker says of the hypothesis before; None for nothing, or without a checker.
        fault_after: the same of the hypothesis after.
    """

    id: str
    task: str
    target: str
    unwanted: str
    wanted: str
    trigger: str
    wrong_before: bool
    holds: bool
    exact: bool
    probes: Tuple[JudgedProbe, ...] = ()
    near: Tuple[Decoded, ...] = ()
    fault_before: Optional[str] = None
    fault_after: Optional[str] = None


@dataclass(frozen=True)
class Score:
    """One corpus metric of both models.

    Args:
        name: `BLEU`, `chrF2` or `TER`, as sacrebleu names it.
        signature: sacrebleu's signature.
        before: of the model without the edit.
        after: of the edited model.
        interval_before: half of the 95% bootstrap interval; None where there is no test.
        interval_after: the same of the edited model.
        p_value: of the paired bootstrap test; None where there is no test.
        untested: why there is no test: identical outputs, or too few sentences; empty where there is one.
    """

    name: str
    signature: str
    before: float
    after: float
    interval_before: Optional[float] = None
    interval_after: Optional[float] = None
    p_value: Optional[float] = None
    untested: str = ""

    @property
    def delta(self) -> float:
        """After less before."""
        return self.after - self.before


@dataclass(frozen=True)
class Change(Decoded):
    """A sentence with another hypothesis than before.

    Args:
        reference: its reference translation; None if there is none.
        chrf_before: sentence chrF against the reference (0 to 100); None without one.
        chrf_after: of the hypothesis after: against the reference, without one against the hypothesis before.
        related: whether the source is a request's or holds a trigger that a request names: a change may be wanted.
        as_wanted: whether an edit's segment was replaced, and nothing else, where the source holds its trigger.
    """

    reference: Optional[str]
    chrf_before: Optional[float]
    chrf_after: float
    related: bool
    as_wanted: bool = False

    @property
    def gain(self) -> float:
        """How much better the sentence became, in chrF; without a reference how little it moved, 0 or below."""
        return self.chrf_after - (100.0 if self.chrf_before is None else self.chrf_before)


@dataclass(frozen=True)
class JudgedSet:
    """Sentences that both models decoded.

    Args:
        name: the set's name.
        kind: `keep`, `sample`, `test` or `direction`, which is a set of a multilingual model's other direction.
        sentences: their number.
        unrelated: how many of them no edit was to change: without the sources of requests, those that hold a trigger
            that a request names, and those that changed as wanted.
        changes: those with another hypothesis, worst first.
        repetition: share of hypotheses that repeat what their source does not, before and after.
        faults: how many hypotheses each reference-free checker objects to, before and after.
        scores: corpus metrics; empty without references.
        length_ratio: hypotheses' length over references', before and after; None without references.
        loss: negative log-likelihood of the references under teacher forcing in bits a token, before and after.
        proven: how many sentences a certificate of locality proves to be the same, without decoding them again.
    """

    name: str
    kind: str
    sentences: int
    unrelated: int
    changes: Tuple[Change, ...]
    repetition: Tuple[float, float]
    faults: Mapping[str, Tuple[int, int]] = field(default_factory=dict)
    scores: Tuple[Score, ...] = ()
    length_ratio: Optional[Tuple[float, float]] = None
    loss: Optional[Tuple[float, float]] = None
    proven: int = 0

    @property
    def broken(self) -> List[Change]:
        """The changes that nothing asked for, worst first."""
        return [change for change in self.changes if not (change.related or change.as_wanted)]

    @property
    def wanted(self) -> List[Change]:
        """The changes as wanted, worst first."""
        return [change for change in self.changes if change.as_wanted]

    def score(self, name: str) -> Optional[Score]:
        """The metric of that name, if it was measured."""
        return next((score for score in self.scores if score.name == name), None)


@dataclass(frozen=True)
class Evaluation:
    """All that was found.

    Args:
        requests: the judged requests.
        sets: the judged sets.
        seconds: wall time of the evaluation.
    """

    requests: Tuple[JudgedRequest, ...]
    sets: Tuple[JudgedSet, ...]
    seconds: float = 0.0

    @property
    def own_sets(self) -> List[JudgedSet]:
        """The sets of the edited direction."""
        return [one for one in self.sets if one.kind != DIRECTION]

    @property
    def directions(self) -> List[JudgedSet]:
        """The sets of other directions, each named like `en-fr`."""
        return [one for one in self.sets if one.kind == DIRECTION]

    @property
    def counted(self) -> List[JudgedRequest]:
        """The requests that were wrong before."""
        return [request for request in self.requests if request.wrong_before]

    @property
    def probes(self) -> List[JudgedProbe]:
        """The probes that were wrong before, of all requests."""
        return [probe for request in self.counted for probe in request.probes if probe.wrong_before]

    def metrics(self) -> Dict[str, float]:
        """The figures that conditions are set on, by name; what could not be measured is left out.

        Of several test sets the worst counts.
        """
        near = [not one.changed for request in self.requests for one in request.near]
        kept = [one for one in self.sets if one.kind == KEEP]
        shares = {
            "efficacy": _share([request.holds for request in self.counted]),
            "exact": _share([request.exact for request in self.counted]),
            "clean": _share([probe.clean for probe in self.probes]),
            "generalisation": _share([probe.holds for probe in self.probes]),
            "near": _share(near),
            "keep": _identical(kept),
            "locality": _identical(self.own_sets),
            "other_directions": _identical(self.directions),
        }
        found = {**shares, **_worst(self.own_sets)}
        return {name: value for name, value in found.items() if value is not None}


def _share(flags: Sequence[bool]) -> Optional[float]:
    return sum(flags) / len(flags) if flags else None


def _identical(sets: Sequence[JudgedSet]) -> Optional[float]:
    total = sum(one.unrelated for one in sets)
    return 1 - sum(len(one.broken) for one in sets) / total if total else None


def _worst(sets: Sequence[JudgedSet]) -> Dict[str, Optional[float]]:
    scores = {name: [one.score(name) for one in sets] for name in ("BLEU", "chrF2", "TER")}
    deltas = {name: [score.delta for score in found if score] for name, found in scores.items()}
    ratios = [one.length_ratio for one in sets if one.length_ratio and one.length_ratio[0]]
    return {
        "bleu_delta": min(deltas["BLEU"], default=None),
        "chrf_delta": min(deltas["chrF2"], default=None),
        "ter_delta": max(deltas["TER"], default=None),
        "loss_delta": max((one.loss[1] - one.loss[0] for one in sets if one.loss), default=None),
        "length_change": max((abs(after / before - 1) for before, after in ratios), default=None),
        "repetition_delta": max((one.repetition[1] - one.repetition[0] for one in sets), default=None),
        "fault_delta": _fault_delta(sets),
    }


def _fault_delta(sets: Sequence[JudgedSet]) -> Optional[float]:
    """The largest growth in the share of sentences that a reference-free checker objects to."""
    growths = [
        (after - before) / one.sentences
        for one in sets
        for before, after in one.faults.values()
        if one.sentences
    ]
    return max(growths, default=None)
