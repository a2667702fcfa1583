"""Requests that ask for different translations of the same thing, which is told before anything is fitted.

Two requests of one run that do so are refused: whichever came last would undo the other. A request that asks for
something else than an earlier edit of the model is taken for a correction of that edit, and a note says so. What a
request carries to other sentences is known once it is understood, without any fit.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import combinations
from typing import FrozenSet, Optional, Sequence, Tuple, Union

from fairseq_rome.cases.case import Case
from fairseq_rome.cases.case_settings import CaseSettings
from fairseq_rome.cases.forms import akin
from fairseq_rome.cases.hunk_reading import Sides
from fairseq_rome.cases.same_changes import SameChanges
from fairseq_rome.cases.understanding import Understanding, understand
from fairseq_rome.errors import EditError
from fairseq_rome.host.codec import TextCodec
from fairseq_rome.host.decoding import Hypothesis
from fairseq_rome.text.replacements import Replacement
from fairseq_rome.text.requests import EditRequest
from fairseq_rome.text.requests.same_source import named
from fairseq_rome.text.segments import Difference, holds, is_whole


@dataclass(frozen=True)
class Claim:
    """What a request asks for, as far as another one can ask for something else.

    Args:
        name: how a message names the request, or the edit that was made for it.
        source: its sentence; empty where that is not known.
        target: the translation that it should have.
        carried: what is replaced in other sentences too, and where; None where nothing is.
        anywhere: whether that holds whatever the source says.
    """

    name: str
    source: str
    target: str
    carried: Optional[Replacement] = None
    anywhere: bool = False


def claim_of(
    request: EditRequest, before: str, known: Union[Understanding, Case, None], settings: CaseSettings
) -> Claim:
    """What a request asks for.

    Args:
        request: the request.
        before: what the model says.
        known: how it was understood; None where nothing is carried.
        settings: of its case.
    """
    carried = None
    # Where an output is wrong as a whole, every other sentence gets one of its own, and not that of the request.
    if known is not None and known.evidence and known.trigger and not is_whole(before, known.difference):
        carried = Replacement(known.triggers or (known.trigger,), known.difference)
    return Claim(named(request), request.source, request.target, carried, settings.edit_scope == "target")


def check_agreement(
    codec: TextCodec,
    requests: Sequence[EditRequest],
    before: Sequence[Hypothesis],
    sides: Sides,
    settings: Sequence[CaseSettings],
    same: Optional[SameChanges] = None,
) -> None:
    """Refuse requests of which one undoes in other sentences what another is to do there.

    A request that names its words but not its trigger is not compared where the training side does not tell it.

    Args:
        codec: text to tokens.
        requests: of one run.
        before: what the model says for each.
        sides: the languages, and the training side.
        settings: of the case of each.
        same: what the requests have in common.

    Raises:
        EditError: naming both requests, what each asks for, and where.
    """
    if len(requests) < 2:
        return
    claims = []
    for request, said, own in zip(requests, before, settings):
        # Without contexts nothing is carried, and the training side need not be read.
        known = understand(codec, request, said.text, sides, own, same) if own.edit_contexts else None
        claims.append(claim_of(request, said.text, known, own))
    found = [(one, other) for one, other in combinations(claims, 2) if _clash(one, other)]
    if found:
        raise EditError(_refusal(*found[0], found[1:]))


def _refusal(one: Claim, other: Claim, more: Sequence[Tuple[Claim, Claim]]) -> str:
    assert one.carried is not None and other.carried is not None
    rest = "; likewise " + ", ".join(f"{two.name} and {first.name}" for first, two in more) if more else ""
    return (
        f"{other.name} asks for {_told(other.carried)}, and {one.name} for {_told(one.carried)}, both in other "
        "sentences too; expected one of them: take one out, name a longer 'trigger' in one, or give it the setting "
        f"edit_contexts: 0, with which it holds in its own sentence alone{rest}"
    )


def noted(case: Case, earlier: Sequence[Claim], settings: CaseSettings) -> Case:
    """A case with a note for each earlier edit that asks for something else.

    Args:
        case: the case.
        earlier: what the edits ask for that the model had when it was opened.
        settings: of the case.
    """
    own = claim_of(case.request, case.before.text, case, settings)
    notes = filter(None, (_note(own, one, case) for one in earlier))
    return replace(case, notes=(*case.notes, *notes))


def _note(own: Claim, earlier: Claim, case: Case) -> str:
    """What is told of an earlier edit that asks for something else; empty where it does not."""
    told = ""
    if own.carried is not None and earlier.carried is not None and _clash(own, earlier):
        told = f"asks for {_told(earlier.carried)}, this for {_told(own.carried)}"
    elif _other_target(own, earlier, case):
        told = f"asks for {earlier.target!r}, this for {own.target!r} of the same source"
    return f"is to replace {earlier.name}: that {told}" if told else ""


def _other_target(own: Claim, earlier: Claim, case: Case) -> bool:
    """Whether the target for a source no longer shows what an earlier edit of this source was for."""
    if not earlier.source or own.source.split() != earlier.source.split():
        return False
    if earlier.carried is not None:
        return not holds(own.target, earlier.target, earlier.carried.difference, case.endings.target)
    return own.target.split() != earlier.target.split()


def _clash(one: Claim, other: Claim) -> bool:
    """Whether two requests carry changes to the same sentences that can't both be there."""
    if one.carried is None or other.carried is None:
        return False
    meet = one.anywhere or other.anywhere or bool(_triggers(one.carried) & _triggers(other.carried))
    return meet and _contradict(one.carried.difference, other.carried.difference)


def _triggers(carried: Replacement) -> FrozenSet[str]:
    several = (carried.trigger,) if isinstance(carried.trigger, str) else carried.trigger
    return frozenset(" ".join(one.casefold().split()) for one in several)


def _contradict(one: Difference, other: Difference) -> bool:
    """Whether two changes want different words for one, or one takes away what the other puts there.

    Forms of one word are no different words: requests may show it in the singular and in the plural.
    """
    if one.unwanted in other.unwanted_forms or other.unwanted in one.unwanted_forms:
        alike = bool(set(one.wanted_forms) & set(other.wanted_forms)) or akin(one.wanted, other.wanted)
        return not alike
    return one.wanted in other.unwanted_forms or other.wanted in one.unwanted_forms


def _told(carried: Replacement) -> str:
    trigger = carried.trigger if isinstance(carried.trigger, str) else carried.trigger[0]
    return (
        f"{carried.difference.unwanted!r} -> {carried.difference.wanted!r} where the source says {trigger!r}"
    )
