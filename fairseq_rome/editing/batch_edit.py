"""Batch methods: all requests of a run in one change, spread over a range of sites."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import List, Sequence

from fairseq_rome.cases.case import Case
from fairseq_rome.editing.edit_settings import EditSettings
from fairseq_rome.editing.edit_size import too_large
from fairseq_rome.editing.model_under_edit import ModelUnderEdit
from fairseq_rome.editing.outcome import NOTHING, Result
from fairseq_rome.editing.site_plan import range_of
from fairseq_rome.editing.verdicts import result_of, verdict_on
from fairseq_rome.host.decoding import Hypothesis
from fairseq_rome.host.sites import find_sites
from fairseq_rome.methods.base import EditProblem
from fairseq_rome.methods.registry import method_named
from fairseq_rome.patch import Patch, relative_size
from fairseq_rome.text.requests import EditRequest


def edit_together(
    edited: ModelUnderEdit,
    requests: Sequence[EditRequest],
    before: Sequence[Hypothesis],
    chosen: Sequence[EditSettings],
    settings: EditSettings,
) -> List[Result]:
    """Fit all requests at once and leave the one patch in the model; each is then judged by decoding.

    Args:
        edited: the model under edit.
        requests: the requests.
        before: what the model says for each.
        chosen: the settings of each.
        settings: of the run.

    Raises:
        EditError: if no request has a value, or the solve fails.
    """
    started = time.perf_counter()
    asked = edited.translator.progress(list(zip(requests, before, chosen)), "preparing")
    prepared = [edited.prepare(request, said, own) for request, said, own in asked]
    cases = {number: case for number, case in enumerate(prepared) if case is not None}
    results = [Result(request, NOTHING, said.text, said.text) for request, said in zip(requests, before)]
    if not cases:
        return results
    patch = _fit_all(edited, list(cases.values()), settings)
    size = max(relative_size(edited.translator.model, patch).values(), default=0.0)
    fault = too_large(size, f"the change is {size:.3g} of a weight", settings)
    if not fault:
        edited.add(patch)
    after = edited.translator.translate([request.source for request in requests], "decoding the requests")
    seconds = (time.perf_counter() - started) / len(cases)
    for number, case in cases.items():
        verdict = verdict_on(case, after[number].text, size)
        if fault and not verdict.held:
            verdict = replace(verdict, reason=fault)
        results[number] = result_of(case, verdict, None if fault else patch, 1, seconds)
    return results


def _fit_all(edited: ModelUnderEdit, cases: Sequence[Case], settings: EditSettings) -> Patch:
    """The one patch of all cases."""
    sites = range_of(list(find_sites(edited.translator.model)), settings)
    resources = {site: edited.resources(site, settings) for site in sites}
    deepest = sites[-1]
    # There is no second try with more of the tokens pushed: push all that need it.
    problems = [
        EditProblem(edited.translator, case, deepest, resources[deepest], edited.corpus, edited.keep, thorough=True)
        for case in cases
    ]
    return method_named(settings.method).fit_all(problems, resources, settings.of_method())
