"""Methods of one request at a time: every request in order, checked on the way, kept in a journal."""

from __future__ import annotations

from typing import List, Optional, Sequence, Tuple

from fairseq_rome.editing.edit_settings import EditSettings
from fairseq_rome.editing.guards import Guard
from fairseq_rome.editing.journal import AnyJournal
from fairseq_rome.editing.model_under_edit import ModelUnderEdit
from fairseq_rome.editing.outcome import Check, Result
from fairseq_rome.editing.surroundings import Surroundings
from fairseq_rome.text.requests import EditRequest


def edit_one_by_one(
    edited: ModelUnderEdit,
    requests: Sequence[EditRequest],
    chosen: Sequence[EditSettings],
    surroundings: Surroundings,
    guard: Optional[Guard],
    every: int,
) -> Tuple[List[Result], List[Check]]:
    """Work on the requests until all are done or a bound is passed, and leave the patches in the model.

    Args:
        edited: the model under edit.
        requests: the requests.
        chosen: the settings of each.
        surroundings: what the run works with.
        guard: looks at the model on the way; None for no checks.
        every: requests between two checks.

    Returns:
        The results of the requests that were worked on, and the checks; the last may have found a fault.
    """
    results: List[Result] = []
    checks: List[Check] = []
    steps = list(zip(requests, chosen))
    for request, own in edited.translator.progress(steps, "requests"):
        result = _next(edited, len(results), request, own, surroundings.journal)
        results.append(result)
        edited.settle(result)
        surroundings.observe(result)
        if guard and (len(results) % every == 0 or len(results) == len(requests)):
            checks.append(guard.check(results))
            if checks[-1].fault:
                break
    return results, checks


def _next(
    edited: ModelUnderEdit, number: int, request: EditRequest, settings: EditSettings, journal: Optional[AnyJournal]
) -> Result:
    """The result of one request: recalled with its patch made again, or worked out and kept."""
    alike = edited.alike(request) if journal else ()
    known = journal.recall(number, request, alike) if journal else None
    if known is not None:
        if known.patch is not None:
            edited.add(known.patch)
        return known
    result = edited.work_on(request, settings)
    if journal:
        journal.keep(number, result)
    return result
