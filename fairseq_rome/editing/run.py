"""Requests in, patches and outcome out: every request fitted in order, all of them judged again at the end."""

from __future__ import annotations

from dataclasses import replace
from typing import Iterator, List, NamedTuple, Optional, Sequence, Tuple

from fairseq_rome.cases.case import Case, prepare
from fairseq_rome.cases.contradictions import Claim, check_agreement, noted
from fairseq_rome.cases.hunk_reading import Sides
from fairseq_rome.cases.same_changes import SameChanges
from fairseq_rome.cases.understanding import same_changes
from fairseq_rome.editing.batch_edit import edit_together
from fairseq_rome.editing.edit_settings import EditSettings
from fairseq_rome.editing.guards import Guard, kept_results, watched
from fairseq_rome.editing.model_under_edit import ModelUnderEdit
from fairseq_rome.editing.one_by_one import edit_one_by_one
from fairseq_rome.editing.other_sentences import before_and_after, with_wanted
from fairseq_rome.editing.outcome import EDITED, FAILED, NOTHING, Check, Outcome, Result
from fairseq_rome.editing.sharing import share_changes
from fairseq_rome.editing.site_plan import plan, sites_of
from fairseq_rome.editing.surroundings import Surroundings
from fairseq_rome.host.certificate import Certificate
from fairseq_rome.host.corpus import Corpus
from fairseq_rome.host.decoding import Hypothesis, Translator
from fairseq_rome.host.sites import Site, find_sites, prepared
from fairseq_rome.methods.registry import method_named
from fairseq_rome.patch import Patch, preserved
from fairseq_rome.text.requests import EditFile, EditRequest
from fairseq_rome.text.segments import Endings, holds, wanted_difference

__all__ = ["Plan", "Preview", "Surroundings", "edit", "edit_on_top", "preview"]


class Plan(NamedTuple):
    """What an edit would set out to do for one request.

    Args:
        case: the request with its examples.
        settings: of the request.
        sites: in the order in which they would be tried, or all that a batch method changes together.
    """

    case: Case
    settings: EditSettings
    sites: List[Site]


class Preview(NamedTuple):
    """One request, before any edit.

    Args:
        request: the request.
        before: what the model says now.
        plan: what would be done; None where there is nothing to do.
    """

    request: EditRequest
    before: str
    plan: Optional[Plan]


def edit(
    translator: Translator, edit_file: EditFile, settings: EditSettings, surroundings: Surroundings
) -> Outcome:
    """Fit every request in order and judge all of them by decoding; the model is left bit for bit as it was.

    Args:
        translator: the model and what decodes with it.
        edit_file: the requests, and the sentences to keep.
        settings: of the edit.
        surroundings: all else.

    Raises:
        EditError: for settings or sites that the model can't have, or requests that contradict one another.
    """
    requests = edit_file.requests
    sources = [request.source for request in requests]
    with prepared(translator.model):
        chosen = _settings_of(translator, requests, settings)
        before = translator.translate(sources, "decoding the requests")
        sides = Sides(translator.adapter.languages, surroundings.corpus)
        same = _in_common(translator, requests, before, sides, chosen)
        shared = share_changes(translator, requests, before, surroundings.endings)
        check_agreement(translator.codec, shared, before, sides, chosen, same)
        others = _others(surroundings.corpus, requests, settings.edit_sample)
        with preserved(translator.model) as saved:
            edited = ModelUnderEdit(translator, saved, surroundings, settings, sides, same, edit_file.keep)
            results, checks = _run(edited, shared, before, chosen, settings, surroundings)
            after = [hypothesis.text for hypothesis in translator.translate(sources, "decoding the requests")]
            certificate = Certificate.between(translator.model, saved)
            neurons_left, merged = edited.neurons_left(settings), edited.neurons.made()
        sets = [(translator, others), (translator, edit_file.keep)]
        sets += [(one.translator, one.sources) for one in surroundings.directions]
        sample, keep, *directions = before_and_after(sets, certificate, edited.own_patches)
    final = [
        _judged(result, request, said.text, says, surroundings.endings)
        for result, request, said, says in zip(results, requests, before, after)
    ]
    sample = with_wanted(sample, final, surroundings.endings)
    named = {one.name: found for one, found in zip(surroundings.directions, directions) if one.sources}
    return Outcome(tuple(final), sample, keep, tuple(checks), neurons_left, named, merged)


def edit_on_top(
    translator: Translator, request: EditRequest, settings: EditSettings, surroundings: Surroundings,
    patches: Sequence[Patch],
) -> Result:  # fmt: skip
    """Fit one request to a model that has some patches of other runs, without a look at anything but its examples.

    Args:
        translator: the model without the patches, and what decodes with it; left bit for bit as it was.
        request: the request.
        settings: of the edit.
        surroundings: all else.
        patches: are in the weights while the request is fitted, and what they take stays theirs.

    Raises:
        EditError: for settings or sites that the model can't have.
    """
    sides = Sides(translator.adapter.languages, surroundings.corpus)
    with prepared(translator.model):
        (own,) = _settings_of(translator, [request], settings)
        with preserved(translator.model) as saved:
            edited = ModelUnderEdit(translator, saved, surroundings, settings, sides, SameChanges(sides))
            for patch in patches:
                edited.add(patch)
            return edited.work_on(request, own)


def preview(
    translator: Translator, edit_file: EditFile, corpus: Corpus, settings: EditSettings, endings: Endings,
    earlier: Sequence[Claim] = (),
) -> Iterator[Preview]:  # fmt: skip
    """What `edit` would set out to do, request by request, each on the unedited model.

    Args:
        translator: as for `edit`, like all that follow.
        edit_file: the requests.
        corpus: background sentences.
        settings: of the edit.
        endings: with which segments still count.
        earlier: what earlier edits ask for.

    Raises:
        EditError: as for `edit`.
    """
    requests = edit_file.requests
    sides = Sides(translator.adapter.languages, corpus)
    with prepared(translator.model):
        chosen = _settings_of(translator, requests, settings)
        hypotheses = translator.translate([request.source for request in requests])
        same = _in_common(translator, requests, hypotheses, sides, chosen)
        check_agreement(translator.codec, requests, hypotheses, sides, chosen, same)
        for request, own, before in zip(requests, chosen, hypotheses):
            case = prepare(translator, request, before, sides, own, endings, same)
            planned = None
            if case is not None:
                planned = Plan(noted(case, earlier, own), own, sites_of(translator, case, own))
            yield Preview(request, before.text, planned)


def _settings_of(
    translator: Translator, requests: Sequence[EditRequest], settings: EditSettings
) -> List[EditSettings]:
    """The settings of each request, checked.

    Raises:
        EditError: for settings or sites that the model can't have.
    """
    chosen = [settings.for_request(request) for request in requests]
    for own in chosen:
        plan(list(find_sites(translator.model)), own)
    return chosen


def _in_common(
    translator: Translator, requests: Sequence[EditRequest], before: Sequence[Hypothesis], sides: Sides,
    chosen: Sequence[EditSettings],
) -> SameChanges:  # fmt: skip
    """What the requests of a run have in common, once the hunks that they name are found in what the model says.

    Raises:
        EditError: for a hunk that is none.
    """
    said = [one.text for one in before]
    for request, text in zip(requests, said):
        request.check_hunks(text)
    return same_changes(translator.codec, requests, said, sides, chosen)


def _run(
    edited: ModelUnderEdit,
    requests: Sequence[EditRequest],
    before: Sequence[Hypothesis],
    chosen: Sequence[EditSettings],
    settings: EditSettings,
    surroundings: Surroundings,
) -> Tuple[List[Result], List[Check]]:
    """The results of all requests in order, and the checks on the way; the patches are in the model."""
    guard = None
    if watched(settings, len(requests)):
        guard = Guard(edited.translator, surroundings.validation, settings, surroundings.endings)
    if method_named(settings.method).together:
        results = edit_together(edited, requests, before, chosen, settings)
        for result in results:
            surroundings.observe(result)
        checks = [guard.check(results)] if guard else []
    else:
        results, checks = edit_one_by_one(edited, requests, chosen, surroundings, guard, settings.edit_batch)
    return kept_results(edited, requests, results, checks), checks


def _others(corpus: Corpus, requests: Sequence[EditRequest], most: int) -> List[str]:
    """Sentences of the corpus without any trigger that a request names, and no request themselves."""
    if not most:
        return []  # reading the whole corpus as text takes seconds
    triggers = [request.trigger for request in requests if request.trigger]
    others = corpus.without([request.source for request in requests])
    return others.without_triggers(triggers, most)


def _judged(result: Result, request: EditRequest, before: str, after: str, endings: Endings) -> Result:
    """The result with what the model says under all edits; a request that a later edit undid has failed."""
    status, reason, difference = result.status, result.reason, result.difference
    if status == NOTHING and before != result.before:
        # It was wrong, and another edit has set it right.
        status, reason = EDITED, "by the edit of another request"
        difference = wanted_difference(request, before)
    if status == EDITED and difference and not holds(after, request.target, difference, endings.target):
        status, reason = FAILED, f"held at first, but in the end the model says {after!r}"
    if status == NOTHING and after not in (result.after, request.target):
        status, reason = FAILED, f"needed no edit of its own, but a later edit changed it to {after!r}"
    return replace(
        result,
        request=request,
        status=status,
        before=before,
        after=after,
        reason=reason,
        difference=difference,
    )
