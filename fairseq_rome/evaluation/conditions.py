"""Conditions on an evaluation's figures, such as `locality>=0.995`, on which a pipeline can stop."""

from __future__ import annotations

import operator
import re
from dataclasses import dataclass
from typing import Callable, Dict, List, Mapping, Optional, Sequence

from fairseq_rome.errors import EditError

METRICS: Dict[str, str] = {
    "efficacy": "share of the requests that hold, of those that were wrong before",
    "exact": "share of the requests whose output is the corrected translation itself",
    "clean": "share of the probes that hold and are otherwise what they were, of those that were wrong before",
    "generalisation": "share of the probes that hold, of those that were wrong before",
    "near": "share of the near misses whose output is identical",
    "keep": "share of the sentences to keep whose output is identical",
    "locality": "share of all other sentences whose output is identical; those that hold a named trigger, and those "
    "that changed as wanted, are left out",
    "other_directions": "share of the sentences of a multilingual model's other directions whose output is identical",
    "bleu_delta": "BLEU after less before, on the test set where it is least",
    "chrf_delta": "chrF after less before, on the test set where it is least",
    "ter_delta": "TER after less before, on the test set where it is largest",
    "loss_delta": "growth of the loss on references, in bits a token, where it is largest",
    "length_change": "relative change of the outputs' length, where it is largest",
    "repetition_delta": "growth of the share of outputs with repetition, where it is largest",
    "fault_delta": "growth of the share of outputs that a task's checker objects to, where it is largest",
}
"""The figures that a condition can be set on, with their meaning."""

_OPERATORS: Dict[str, Callable[[float, float], bool]] = {
    ">=": operator.ge,
    "<=": operator.le,
    ">": operator.gt,
    "<": operator.lt,
}
_FORM = re.compile(r"\s*(\w+)\s*(>=|<=|>|<)\s*(\S+)\s*")


@dataclass(frozen=True)
class Condition:
    """A condition on one figure.

    Args:
        metric: a name of `METRICS`.
        comparison: `>=`, `<=`, `>` or `<`.
        bound: what the figure is compared with.
    """

    metric: str
    comparison: str
    bound: float

    def __str__(self) -> str:
        return f"{self.metric}{self.comparison}{self.bound:g}"

    @classmethod
    def parse(cls, text: str) -> Condition:
        """Read `locality>=0.995` and the like.

        Raises:
            EditError: if the text has another form, or names no figure that is measured.
        """
        found = _FORM.fullmatch(text)
        if found is None:
            raise EditError(f"condition {text!r}: expected FIGURE>=NUMBER, for example locality>=0.995")
        metric, comparison, number = found.groups()
        if metric not in METRICS:
            raise EditError(f"condition {text!r}: no figure {metric!r}, expected one of: {', '.join(METRICS)}")
        try:
            bound = float(number)
        except ValueError:
            raise EditError(f"condition {text!r}: {number!r} is no number") from None
        if bound != bound:
            raise EditError(f"condition {text!r}: nothing compares with NaN, expected a number")
        return cls(metric, comparison, bound)


@dataclass(frozen=True)
class ConditionResult:
    """What became of a condition.

    Args:
        condition: the condition.
        value: the figure; None if it could not be measured, and then the condition is not met.
    """

    condition: Condition
    value: Optional[float]

    @property
    def passed(self) -> bool:
        """Whether the figure was measured and meets the condition."""
        return self.value is not None and _OPERATORS[self.condition.comparison](self.value, self.condition.bound)

    def __str__(self) -> str:
        if self.value is None:
            return f"condition {self.condition}: failed, nothing to measure {self.condition.metric} on"
        state = "met" if self.passed else "failed"
        return f"condition {self.condition}: {state}, {self.condition.metric} is {self.value:.6g}"


def check_conditions(conditions: Sequence[Condition], metrics: Mapping[str, float]) -> List[ConditionResult]:
    """Hold conditions against an evaluation's figures (`Evaluation.metrics`)."""
    return [ConditionResult(one, metrics.get(one.metric)) for one in conditions]
