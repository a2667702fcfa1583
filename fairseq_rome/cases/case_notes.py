"""What a user should know of how a request was understood: why contexts are of no use, and that it is a bare term."""

from __future__ import annotations

import re
from typing import Collection, Iterator, Optional

from fairseq_rome.cases.case_settings import CaseSettings
from fairseq_rome.cases.hunk_reading import Reading
from fairseq_rome.text.requests import EditRequest
from fairseq_rome.text.segments import Difference
from fairseq_rome.text.tags import without_tags
from fairseq_rome.text.words import contains_trigger

# Words of a source that may be a bare term, as in a glossary. More would take short sentences for terms.
_MOST_BARE = 3
_ENDS_SENTENCE = re.compile(r"[.!?\u2026\u3002\uff01\uff1f\u061f\u0964]\W*$")

_FOR_ITSELF = "with edit_carry none the request is for its own sentence alone"


def notes_on_case(
    request: EditRequest,
    difference: Difference,
    trigger: str,
    learnt: Collection[str],
    settings: CaseSettings,
    likely: Optional[Reading] = None,
) -> Iterator[str]:
    """What is to be known of a request that is about to be edited, a sentence each.

    Args:
        request: the request.
        difference: the unwanted and the wanted segment.
        trigger: the source segment that a context has to hold; empty if any source will do.
        learnt: the other sentences that the edit learns from or is tried on.
        settings: of the case.
        likely: the hunk that most likely is a choice, where none is carried.
    """
    kept = likely is None or request.keeps(likely.unwanted, likely.wanted, likely.trigger)
    if likely is not None and settings.generalises and not kept:
        yield (
            f"nothing is carried to other sentences; to carry {likely.unwanted!r} -> {likely.wanted!r}, where the "
            f"source says {likely.trigger!r} ({likely.dice:.2f}), name that as 'trigger', give sentences with it as "
            "contexts, or use --edit-carry all"
        )
    if not learnt and _is_bare(request):
        yield (
            "a bare term: the edit holds for this input alone; to carry it to sentences, give one that holds the term "
            "as the source, with the term as 'trigger', or give 'contexts'"
        )
    given = [source for source in request.contexts if source != request.source]
    if settings.edit_contexts and given and not set(given).intersection(learnt):
        why = _why_unused(given, difference, trigger) if settings.generalises else _FOR_ITSELF
        yield f"contexts: none of {len(given)} is used, because {why}"


def _is_bare(request: EditRequest) -> bool:
    """Whether a request is a pair of words rather than of sentences."""
    if request.is_its_trigger:
        return True
    ends = any(map(_ENDS_SENTENCE.search, (request.source, request.target)))
    return not ends and len(without_tags(request.source).split()) <= _MOST_BARE


def _why_unused(given: Collection[str], difference: Difference, trigger: str) -> str:
    if not difference.unwanted:
        return "the request only adds words, and without words that go nothing shows where they belong in a context"
    if trigger and not any(contains_trigger(source, trigger) for source in given):
        return f"none holds the trigger {trigger!r}"
    return f"the model says {difference.unwanted!r} in none of them, or more often than the trigger stands there"
