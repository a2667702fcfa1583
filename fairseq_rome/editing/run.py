"""Requests in, patches and outcome out: every request fitted in order, all of them judged again at the end."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Callable, Iterator, List, Optional, Sequence, Tuple

from fairseq_rome.cases.case import Case, prepare
from fairseq_rome.editing.attempts import plan, sites_for
from fairseq_rome.editing.batch_edit import edit_together, range_of
from fairseq_rome.editing.guards import Guard, watched
from fairseq_rome.editing.journal import Journal
from fairseq_rome.editing.model_under_edit import ModelUnderEdit
from fairseq_rome.editing.outcome import EDITED, FAILED, NOTHING, Check, Outcome, Result, Unchanged
from fairseq_rome.editing.sharing import share_changes
from fairseq_rome.errors import EditError
from fairseq_rome.host.batches import Pair
from fairseq_rome.host.corpus import Corpus
from fairseq_rome.host.decoding import Hypothesis, Translator
from fairseq_rome.host.sites import Site, find_sites, prepared
from fairseq_rome.methods import TOGETHER
from fairseq_rome.patch import Patch, preserved
from fairseq_rome.settings import EditSettings, with_settings
from fairseq_rome.text.requests import EditFile, EditRequest
from fairseq_rome.text.segments import Endings, holds, wanted_difference

_WHOLE_RUN = (
    "edit_sample", "seed", "edit_batch", "edit_max_loss", "edit_min_held", "edit_dormant", "widen", "edit_stats_tokens",
)  # fmt: skip
# With a batch method a request has its own examples, and all else in common with the others.
_OF_ONE_AMONG_MANY = ("edit_scope", "edit_contexts", "edit_references", "edit_mine")


@dataclass(frozen=True)
class Surroundings:
    """What a run works with besides the model and the requests.

    Args:
        corpus: background sentences.
        endings: with which segments still count.
        validation: pairs whose loss is watched over.
        cache: folder for statistics; None for none.
        earlier: edits that the model has already, whose neurons and keys are theirs.
        journal: keeps what is done, and knows what an interrupted run did; None for no such thing.
        observe: called with each result as soon as it is there, before the final judgement.
    """

    corpus: Corpus
    endings: Endings
    validation: Tuple[Pair, ...] = ()
    cache: Optional[str] = None
    earlier: Tuple[Patch, ...] = ()
    journal: Optional[Journal] = None
    observe: Callable[[Result], None] = lambda result: None


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
        EditError: for settings or sites that the model can't have.
    """
    model, endings = translator.model, surroundings.endings
    requests = edit_file.requests
    with prepared(model):
        chosen = _settings_of(translator, requests, settings)
        before = translator.translate([request.source for request in requests], "decoding the requests")
        shared = share_changes(translator, requests, before, endings)
        with preserved(model) as saved:
            session = ModelUnderEdit(
                translator, saved, surroundings.corpus, endings, settings, surroundings.cache, edit_file.keep,
                surroundings.earlier,
            )  # fmt: skip
            results, checks = _run(session, shared, before, chosen, settings, surroundings)
            sources = _sample(surroundings.corpus, requests, settings.edit_sample)
            groups = ([request.source for request in requests], sources, edit_file.keep)
            after = [_texts(translator, group) for group in groups]
            room = session.room_left(settings)
        old = [
            [hypothesis.text for hypothesis in before],
            *(_texts(translator, group) for group in groups[1:]),
        ]
    sample, keep = (Unchanged(*map(tuple, parts)) for parts in list(zip(groups, old, after))[1:])
    spread = [one.trigger for one in results if one.patch and one.trigger and one.contexts + one.held_out]
    sample = replace(sample, triggers=tuple(dict.fromkeys(spread)))
    final = [_judged(*parts, endings) for parts in zip(results, requests, old[0], after[0])]
    return Outcome(tuple(final), sample, keep, tuple(checks), room)


def preview(
    translator: Translator, edit_file: EditFile, corpus: Corpus, settings: EditSettings, endings: Endings
) -> Iterator[Tuple[EditRequest, str, Optional[Tuple[Case, EditSettings, List[Site]]]]]:
    """What `edit` would set out to do, request by request, each on the unedited model.

    Args:
        translator: as for `edit`, like all that follow.
        edit_file: the requests.
        corpus: background sentences.
        settings: of the edit.
        endings: with which segments still count.

    Yields:
        The request, what the model says now, and the case with its settings and its sites in the order in which
        they would be tried, or changed together by a batch method; None where there is nothing to do.

    Raises:
        EditError: for settings or sites that the model can't have.
    """
    requests = edit_file.requests
    with prepared(translator.model):
        chosen = _settings_of(translator, requests, settings)
        hypotheses = translator.translate([request.source for request in requests])
        for request, own, before in zip(requests, chosen, hypotheses):
            case = prepare(translator, request, before, corpus, own, endings)
            planned = None if case is None else (case, own, _sites_of(translator, case, own))
            yield request, before.text, planned


def _sites_of(translator: Translator, case: Case, settings: EditSettings) -> List[Site]:
    if settings.method in TOGETHER:
        return range_of(list(find_sites(translator.model)), settings)
    return sites_for(translator, case, settings)


def _settings_of(
    translator: Translator, requests: Sequence[EditRequest], settings: EditSettings
) -> List[EditSettings]:
    """The settings of each request, checked."""
    chosen = []
    for request in requests:
        origin = request.origin or f"request {request.id}"
        for name, value in request.settings.items():
            if not _may_differ(name.replace("-", "_"), value, settings):
                raise EditError(
                    f"{origin}: {name!r} is a setting of the whole run, expected one for all requests"
                )
        chosen.append(with_settings(settings, request.settings, origin))
        plan(list(find_sites(translator.model)), chosen[-1])
    return chosen


def _may_differ(name: str, value: Any, settings: EditSettings) -> bool:
    """Whether a request may have a setting of its own, with this value."""
    if settings.method in TOGETHER:
        return name in _OF_ONE_AMONG_MANY
    return name not in _WHOLE_RUN and not (name == "method" and str(value) in TOGETHER)


def _run(
    session: ModelUnderEdit,
    requests: Sequence[EditRequest],
    before: Sequence[Hypothesis],
    chosen: Sequence[EditSettings],
    settings: EditSettings,
    surroundings: Surroundings,
) -> Tuple[List[Result], List[Check]]:
    """The results of all requests in order, and the checks on the way."""
    together = settings.method in TOGETHER
    guard = None
    if watched(settings, len(requests)):
        guard = Guard(session.translator, surroundings.validation, settings, surroundings.endings)
    if together:
        results = edit_together(session, requests, before, chosen, settings)
        for result in results:
            surroundings.observe(result)
        check = guard.check(results) if guard else None
        return _kept(session, results, requests, [], check), [check] if check else []
    return _one_by_one(session, requests, chosen, settings, surroundings, guard)


def _one_by_one(
    session: ModelUnderEdit,
    requests: Sequence[EditRequest],
    chosen: Sequence[EditSettings],
    settings: EditSettings,
    surroundings: Surroundings,
    guard: Optional[Guard],
) -> Tuple[List[Result], List[Check]]:
    results: List[Result] = []
    good: List[Result] = []
    checks: List[Check] = []
    steps = list(zip(requests, chosen))
    for request, own in session.translator.progress(steps, "requests"):
        results.append(_next(session, len(results), request, own, surroundings.journal))
        surroundings.observe(results[-1])
        if guard and (len(results) % settings.edit_batch == 0 or len(results) == len(requests)):
            checks.append(guard.check(results))
            if checks[-1].fault:
                break
            good = list(results)
    return _kept(session, results, requests, good, checks[-1] if checks else None), checks


def _next(
    session: ModelUnderEdit, number: int, request: EditRequest, settings: EditSettings, journal: Optional[Journal]
) -> Result:
    """The result of one request: recalled with its patch made again, or worked out and kept."""
    known = journal.recall(number, request) if journal else None
    if known is not None:
        if known.patch is not None:
            session.add(known.patch)
        return known
    result = session.work_on(request, settings)
    if journal:
        journal.keep(number, result)
    return result


def _kept(
    session: ModelUnderEdit,
    results: List[Result],
    requests: Sequence[EditRequest],
    good: Sequence[Result],
    check: Optional[Check],
) -> List[Result]:
    """All results, or after a bound was passed those up to the last good check, with the other edits failed."""
    if check is None or not check.fault:
        return results
    session.roll_back(sum(result.patch is not None for result in good))
    kept = list(good)
    for number, request in enumerate(requests[len(good) :], start=len(good)):
        done = results[number] if number < len(results) else Result(request, FAILED, "", "")
        if done.status == NOTHING:
            kept.append(done)
            continue
        why = "taken out again" if done.patch else "not begun" if number >= len(results) else "stopped"
        own = done.reason if done.status == FAILED and not done.patch else ""
        kept.append(replace(done, status=FAILED, patch=None, reason=own or f"{why}: {check.fault}"))
    return kept


def _texts(translator: Translator, sources: Sequence[str]) -> List[str]:
    return [hypo.text for hypo in translator.translate(sources, "decoding other sentences")]


def _judged(result: Result, request: EditRequest, before: str, after: str, endings: Endings) -> Result:
    """The result with what the model says under all edits; a request that a later edit undid has failed."""
    status, reason, difference = result.status, result.reason, result.difference
    if status == NOTHING and before != result.before:
        # It was wrong, and another edit has set it right.
        status, reason, difference = (
            EDITED,
            "by the edit of another request",
            wanted_difference(request, before),
        )
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


def _sample(corpus: Corpus, requests: Sequence[EditRequest], most: int) -> List[str]:
    """Sentences of the corpus without any trigger that a request names, and no request themselves."""
    triggers = [request.trigger for request in requests if request.trigger]
    others = corpus.without([request.source for request in requests])
    return others.without_triggers(triggers, most)
