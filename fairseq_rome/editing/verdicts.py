"""What real decoding shows of a patch for a case."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Optional, Sequence

from fairseq_rome.cases.case import Case
from fairseq_rome.editing.outcome import EDITED, FAILED, Result
from fairseq_rome.host.decoding import Translator
from fairseq_rome.patch import Patch, applied


@dataclass(frozen=True)
class Verdict:
    """What decoding shows of a patch for a case.

    Args:
        output: what the model says with the patch.
        held: whether the output shows the wanted segment and no longer the unwanted one.
        general: share of the held-out sentences that show it too; None where none was decoded.
        clean: share of them that are otherwise what they were; None likewise.
        size: largest relative size of the change of a weight matrix, ||dW|| / ||W||.
        reason: why it failed; empty if it held.
    """

    output: str
    held: bool
    general: Optional[float]
    clean: Optional[float]
    size: float
    reason: str

    @property
    def reach(self) -> float:
        """`clean`, where nothing was decoded 1.0."""
        return 1.0 if self.clean is None else self.clean


def judge(translator: Translator, case: Case, patch: Patch, size: float) -> Verdict:
    """Decode the example and the held-out sentences of a case with a patch.

    Args:
        translator: the model without the patch; unchanged on return.
        case: the request with all its examples.
        patch: the edit.
        size: its relative size.
    """
    with applied(translator.model, patch):
        others = [example.source for example in case.held_out]
        output, *rest = (hypo.text for hypo in translator.translate([case.request.source, *others]))
    shown = case.shown_in_held_out(output, rest)
    general, clean = (_share([one[kind] for one in shown]) for kind in (0, 1))
    return replace(verdict_on(case, output, size), general=general, clean=clean)


def _share(flags: Sequence[bool]) -> Optional[float]:
    return sum(flags) / len(flags) if flags else None


def verdict_on(case: Case, output: str, size: float) -> Verdict:
    """The verdict on what a model with a patch says of a case's source.

    Args:
        case: the request.
        output: what the model says.
        size: relative size of the patch.
    """
    held = case.shown_by(output)
    reason = "" if held else f"with the edit the model says {output!r}"
    return Verdict(output, held, None, None, size, reason)


def failure(case: Case, reason: str) -> Verdict:
    """The verdict where there is no patch to decode with."""
    none = 0.0 if case.held_out else None
    return Verdict(case.before.text, False, none, none, 0.0, reason)


def result_of(case: Case, verdict: Verdict, patch: Optional[Patch], tries: int, seconds: float) -> Result:
    """The result of a case.

    Args:
        case: the request with its examples.
        verdict: what decoding shows.
        patch: the edit that stays in the model; None if none does.
        tries: attempts made.
        seconds: for all of it.
    """
    return Result(
        case.request,
        EDITED if verdict.held else FAILED,
        before=case.before.text,
        after=verdict.output,
        difference=case.difference,
        trigger=case.trigger,
        contexts=len(case.contexts),
        held_out=len(case.held_out),
        general=verdict.general,
        clean=verdict.clean,
        triggers=case.triggers,
        evidence=case.evidence,
        readings=case.readings,
        patch=patch,
        size=verdict.size,
        tries=tries,
        seconds=seconds,
        reason=verdict.reason,
        notes=case.notes,
    )
