"""Batch methods: all requests of a run in one change, spread over a range of sites."""

from __future__ import annotations

import time
from typing import List, Optional, Sequence, Tuple

from fairseq_rome.cases.case import Case
from fairseq_rome.editing.attempts import plan, problem_at
from fairseq_rome.editing.model_under_edit import ModelUnderEdit
from fairseq_rome.editing.outcome import EDITED, FAILED, NOTHING, Result
from fairseq_rome.host.decoding import Hypothesis
from fairseq_rome.host.sites import Site, find_sites
from fairseq_rome.methods import TOGETHER
from fairseq_rome.patch import Patch, relative_size
from fairseq_rome.settings import EditSettings
from fairseq_rome.text.requests import EditRequest
from fairseq_rome.text.segments import holds

_SITES = 3


def edit_together(
    session: ModelUnderEdit,
    requests: Sequence[EditRequest],
    before: Sequence[Hypothesis],
    chosen: Sequence[EditSettings],
    settings: EditSettings,
) -> List[Result]:
    """Fit all requests at once and leave the one patch in the model; each is then judged by decoding.

    Args:
        session: the run.
        requests: the requests.
        before: what the model says for each.
        chosen: the settings of each.
        settings: of the run.

    Raises:
        EditError: if no request has a value, or the solve fails.
    """
    started = time.perf_counter()
    parts = list(zip(requests, before, chosen))
    prepared = session.translator.progress(parts, "preparing")
    cases = [session.prepare(request, said, own) for request, said, own in prepared]
    wanted = [(case, own) for case, own in zip(cases, chosen) if case is not None]
    if not wanted:
        return [Result(request, NOTHING, said.text, said.text) for request, said in zip(requests, before)]
    patch = _patch(session, wanted, settings)
    size, most = max(relative_size(session.translator.model, patch).values()), settings.edit_max_size
    too_large = "" if size <= most else f"the change is {size:.3g} of a weight, expected at most {most:g}"
    if not too_large:
        session.add(patch)
    after = session.translator.translate([request.source for request in requests], "decoding the requests")
    seconds = (time.perf_counter() - started) / len(wanted)
    return [
        Result(request, NOTHING, said.text, said.text)
        if case is None
        else _result(session, case, None if too_large else patch, now.text, size, seconds, too_large)
        for request, said, case, now in zip(requests, before, cases, after)
    ]


def range_of(model_sites: Sequence[Site], settings: EditSettings) -> List[Site]:
    """The sites of the range, the shallowest first: those asked for, or the decoder's last three."""
    sites = plan(model_sites, settings)
    chosen = sites if settings.sites else sites[:_SITES]
    return sorted(chosen, key=model_sites.index)


def _patch(session: ModelUnderEdit, wanted: Sequence[Tuple[Case, EditSettings]], settings: EditSettings) -> Patch:
    sites = range_of(list(find_sites(session.translator.model)), settings)
    resources = {site: session.resources(site, settings) for site in sites}
    # There is no second try with more of the tokens pushed: push all that need it.
    problems = [
        problem_at(session.translator, sites[-1], case, session.corpus, resources[sites[-1]], session.keep, True)
        for case, _ in wanted
    ]
    return TOGETHER[settings.method](problems, resources, settings)


def _result(
    session: ModelUnderEdit,
    case: Case,
    patch: Optional[Patch],
    after: str,
    size: float,
    seconds: float,
    too_large: str,
) -> Result:
    held = holds(after, case.request.target, case.difference, session.endings.target)
    return Result(
        case.request, EDITED if held else FAILED, case.before.text, after, case.difference, case.trigger,
        len(case.contexts), len(case.held_out), None, patch, size, 1, seconds,
        "" if held else too_large or f"with the edit the model says {after!r}",
    )  # fmt: skip
