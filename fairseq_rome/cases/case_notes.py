"""What a user should know of how a request was understood: why its contexts are of no use."""

from __future__ import annotations

from typing import Collection, Iterator

from fairseq_rome.text.requests import EditRequest
from fairseq_rome.text.segments import Difference, contains_trigger


def notes_on_case(
    request: EditRequest, difference: Difference, trigger: str, learnt: Collection[str]
) -> Iterator[str]:
    """What is to be known of a request that is about to be edited, a sentence each.

    Args:
        request: the request.
        difference: the unwanted and the wanted segment.
        trigger: the source segment that a context has to hold; empty if any source will do.
        learnt: the other sentences that the edit learns from or is tried on.
    """
    given = [source for source in request.contexts if source != request.source]
    if given and not set(given).intersection(learnt):
        yield f"contexts: none of {len(given)} is used, because {_why_unused(given, difference, trigger)}"


def _why_unused(given: Collection[str], difference: Difference, trigger: str) -> str:
    if not difference.unwanted:
        return "the request only adds words, and without words that go nothing shows where they belong in a context"
    if trigger and not any(contains_trigger(source, trigger) for source in given):
        return f"none holds the trigger {trigger!r}"
    return f"the model says {difference.unwanted!r} in none of them, or more often than the trigger stands there"
