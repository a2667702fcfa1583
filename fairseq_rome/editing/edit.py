"""Requests in, patches and outcome out: every request fitted in order, all of them judged again at the end."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from typing import Callable, Dict, FrozenSet, Iterator, List, Mapping, Optional, Sequence, Tuple

from torch import Tensor

from fairseq_rome.attempts import Attempt, Case, attempt, plan, prepare, sites_for
from fairseq_rome.batching import Pair
from fairseq_rome.checkpoint import fingerprint
from fairseq_rome.corpus import Corpus
from fairseq_rome.decoding import Translator
from fairseq_rome.errors import EditError
from fairseq_rome.patch import Patch, apply_, preserved
from fairseq_rome.requests import EditFile, EditRequest
from fairseq_rome.segments import Difference, Endings, holds
from fairseq_rome.settings import EditSettings, with_settings
from fairseq_rome.sites import Site, find_sites, prepared
from fairseq_rome.statistics import Background, background

_WHOLE_RUN = ("edit_sample", "seed")

EDITED, FAILED, NOTHING = "edited", "failed", "nothing to do"


@dataclass(frozen=True)
class Result:
    """What became of one request.

    Args:
        request: the request.
        status: `edited`, `failed` or `nothing to do`.
        before: what the model said before all edits.
        after: what it says with all edits.
        difference: the unwanted and the wanted segment; None where there was nothing to do.
        trigger: the source segment that the change hangs on; empty where there was nothing to do.
        contexts: sentences that the fit saw besides the example.
        held_out: sentences that it did not see.
        general: share of `held_out` in which the change holds by decoding right after the fit; None if there are none.
        patch: the edit; None where there is none.
        size: largest relative size of the change of a weight matrix, ||dW|| / ||W||.
        tries: attempts made.
        seconds: wall time.
        reason: why it failed; empty otherwise.
    """

    request: EditRequest
    status: str
    before: str
    after: str
    difference: Optional[Difference] = None
    trigger: str = ""
    contexts: int = 0
    held_out: int = 0
    general: Optional[float] = None
    patch: Optional[Patch] = None
    size: float = 0.0
    tries: int = 0
    seconds: float = 0.0
    reason: str = ""


@dataclass(frozen=True)
class Unchanged:
    """Sentences that no request speaks of, or that are to stay as they are, decoded before and after.

    Args:
        sources: the sentences.
        before: hypotheses of the model as it was.
        after: hypotheses of the edited model.
    """

    sources: Tuple[str, ...]
    before: Tuple[str, ...]
    after: Tuple[str, ...]

    @property
    def changed(self) -> List[int]:
        """Indices of the sentences whose hypothesis differs."""
        return [i for i, (old, new) in enumerate(zip(self.before, self.after)) if old != new]


@dataclass(frozen=True)
class Outcome:
    """All that an edit did.

    Args:
        results: one for each request, in their order.
        weights: new values of the changed parameters by name, float as the model had them.
        sample: sentences without any trigger.
        keep: the sentences that the edit file wants kept.
    """

    results: Tuple[Result, ...]
    weights: Mapping[str, Tensor]
    sample: Unchanged
    keep: Unchanged

    @property
    def failed(self) -> List[Result]:
        """The requests that do not hold."""
        return [result for result in self.results if result.status == FAILED]


def edit(
    translator: Translator,
    edit_file: EditFile,
    corpus: Corpus,
    settings: EditSettings,
    endings: Endings,
    cache: Optional[str] = None,
    taken: Optional[Mapping[Site, FrozenSet[int]]] = None,
    observe: Callable[[Result], None] = lambda result: None,
) -> Outcome:
    """Fit every request in order and judge all of them by decoding; the model is left bit for bit as it was.

    Args:
        translator: the model and what decodes with it.
        edit_file: the requests, and the sentences to keep.
        corpus: background sentences.
        settings: of the edit; a request's own settings go before them.
        endings: with which segments still count.
        cache: folder for statistics; None for none.
        taken: neurons that earlier edits of this checkpoint own: dormant by the look of them, but not to spare.
        observe: called with each result as soon as it is there, before the final judgement.

    Raises:
        EditError: for settings or sites that the model can't have.
    """
    model = translator.model
    requests = edit_file.requests
    with prepared(model):
        chosen = [_own_settings(request, settings) for request in requests]
        for own in chosen:
            plan(list(find_sites(model)), own)
        with preserved(model):
            session = _Session(translator, corpus, endings, cache, edit_file.keep, taken or {})
            results = []
            for request, own in zip(requests, chosen):
                results.append(session.work_on(request, own))
                observe(results[-1])
            changed = dict.fromkeys(name for result in results if result.patch for name in result.patch.names)
            weights = {name: model.get_parameter(name).detach().clone() for name in changed}
            sources = _sample(corpus, requests, results, settings.edit_sample)
            groups = ([request.source for request in requests], sources, edit_file.keep)
            after = [_texts(translator, group) for group in groups]
        before = [_texts(translator, group) for group in groups]
    sample, keep = (Unchanged(*map(tuple, parts)) for parts in list(zip(groups, before, after))[1:])
    final = [_judged(*parts, endings) for parts in zip(results, before[0], after[0])]
    return Outcome(tuple(final), weights, sample, keep)


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
        they would be tried; None where there is nothing to do.

    Raises:
        EditError: for settings or sites that the model can't have.
    """
    requests = edit_file.requests
    with prepared(translator.model) as model:
        chosen = [_own_settings(request, settings) for request in requests]
        for own in chosen:
            plan(list(find_sites(model)), own)
        hypotheses = translator.translate([request.source for request in requests])
        for request, own, before in zip(requests, chosen, hypotheses):
            case = prepare(translator, request, before, corpus, own, endings)
            planned = None if case is None else (case, own, sites_for(translator, case, own))
            yield request, before.text, planned


class _Session:
    """The edits so far: statistics by site, neurons that are taken."""

    def __init__(
        self,
        translator: Translator,
        corpus: Corpus,
        endings: Endings,
        cache: Optional[str],
        keep: Sequence[str],
        taken: Mapping[Site, FrozenSet[int]],
    ) -> None:
        self.translator = translator
        self.corpus = corpus
        self.endings = endings
        self.cache = cache
        said = translator.translate(keep, "decoding sentences to keep")
        self.keep = tuple(Pair(translator.codec.source(s), h.tokens) for s, h in zip(keep, said))
        self.fingerprint = fingerprint({"model": translator.model.state_dict()})
        self.statistics: Dict[Tuple[Site, int], Background] = {}
        self.taken: Dict[Site, FrozenSet[int]] = dict(taken)
        self.edited = False

    def work_on(self, request: EditRequest, settings: EditSettings) -> Result:
        """Fit one request to the model as it is now, and leave its patch in the model if it holds."""
        started = time.perf_counter()
        before = self.translator.translate([request.source])[0]
        case = prepare(self.translator, request, before, self.corpus, settings, self.endings)
        if case is None:
            return Result(request, NOTHING, before.text, before.text, seconds=time.perf_counter() - started)
        best = attempt(
            self.translator, case, self.corpus, settings,
            lambda site: self._background(site, settings), lambda site: self.taken.get(site, frozenset()),
            self.endings, self.keep,
        )  # fmt: skip
        if best.held and best.patch is not None:
            apply_(self.translator.model, best.patch)
            site, self.edited = best.patch.site, True
            self.taken[site] = self.taken.get(site, frozenset()) | frozenset(best.patch.neurons)
        return _result(case, best, time.perf_counter() - started)

    def _background(self, site: Site, settings: EditSettings) -> Background:
        # Measured once, with the edits that are in the model then: a few neurons more do not move it.
        tokens = settings.edit_stats_tokens
        if (site, tokens) not in self.statistics:
            cache = None if self.edited else self.cache
            self.statistics[site, tokens] = background(
                self.translator, self.corpus, site, tokens, cache, self.fingerprint
            )
        return self.statistics[site, tokens]


def _own_settings(request: EditRequest, settings: EditSettings) -> EditSettings:
    origin = request.origin or f"request {request.id}"
    for name in request.settings:
        if name.replace("-", "_") in _WHOLE_RUN:
            raise EditError(
                f"{origin}: {name!r} is a setting of the whole run, expected it outside the request"
            )
    return with_settings(settings, request.settings, origin)


def _result(case: Case, best: Attempt, seconds: float) -> Result:
    return Result(
        case.request,
        EDITED if best.held else FAILED,
        before=case.before.text,
        after=best.output,
        difference=case.difference,
        trigger=case.trigger,
        contexts=len(case.contexts),
        held_out=len(case.held_out),
        general=best.general if case.held_out else None,
        patch=best.patch if best.held else None,
        size=best.size,
        tries=best.tries,
        seconds=seconds,
        reason=best.reason,
    )


def _texts(translator: Translator, sources: Sequence[str]) -> List[str]:
    return [hypo.text for hypo in translator.translate(sources, "decoding other sentences")]


def _judged(result: Result, before: str, after: str, endings: Endings) -> Result:
    """The result with what the model says under all edits; a request that a later edit undid has failed."""
    status, reason = result.status, result.reason
    request, difference = result.request, result.difference
    if status == EDITED and difference and not holds(after, request.target, difference, endings.target):
        status, reason = FAILED, f"held at first, but a later edit changed it to {after!r}"
    if status == NOTHING and after not in (result.after, request.target):
        status, reason = FAILED, f"needed no edit of its own, but a later edit changed it to {after!r}"
    return replace(result, status=status, before=before, after=after, reason=reason)


def _sample(
    corpus: Corpus, requests: Sequence[EditRequest], results: Sequence[Result], most: int
) -> List[str]:
    """Sentences of the corpus without any trigger and no request themselves."""
    triggers = [result.trigger for result in results if result.trigger]
    others = corpus.without([request.source for request in requests])
    return others.without_triggers(triggers, most)
