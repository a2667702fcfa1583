"""Attempts at one case, site by site and with growing strength, until decoding shows the change."""

from __future__ import annotations

import time
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Callable, List, Optional, Sequence, Tuple

from fairseq_rome.cases.case import Case
from fairseq_rome.editing.edit_settings import EditSettings
from fairseq_rome.editing.edit_size import fault_of_size
from fairseq_rome.editing.site_plan import early_site, sites_for
from fairseq_rome.editing.verdicts import Verdict, failure, judge
from fairseq_rome.errors import EditError
from fairseq_rome.host.batches import Pair
from fairseq_rome.host.corpus import Corpus
from fairseq_rome.host.decoding import Translator
from fairseq_rome.host.other_directions import OtherDirection
from fairseq_rome.host.sites import Site
from fairseq_rome.methods.base import EditProblem, SiteResources
from fairseq_rome.methods.registry import method_named
from fairseq_rome.patch import Patch, relative_size
from fairseq_rome.statistics import ReadPairs

# Shares of the held-out sentences in which an attempt must show, and show cleanly, for the next one not to be made.
# Higher generalises better, and makes more attempts, which take a fit and a decoding each.
_GENERAL_ENOUGH, _CLEAN_ENOUGH = 0.8, 0.5
# Sentences with the trigger of all other directions together on which a gate must stay shut. More hold it shut there in
# more of what the trigger can stand beside, and take time: each is read at the site.
_MOST_ELSEWHERE = 100


@dataclass(frozen=True)
class BestAttempt:
    """The best attempt at a case.

    Args:
        patch: the edit; None if no attempt could be computed.
        verdict: what decoding shows of it.
        tries: attempts made.
        seconds: for all attempts.
    """

    patch: Optional[Patch]
    verdict: Verdict
    tries: int = 0
    seconds: float = 0.0

    @property
    def good_enough(self) -> bool:
        """Whether it holds on the example and in most held-out sentences, and cleanly so."""
        return self.clean_enough and self.general >= _GENERAL_ENOUGH

    @property
    def clean_enough(self) -> bool:
        """Whether it holds on the example, and half of the held-out sentences show it cleanly."""
        return self.verdict.held and self.verdict.reach >= _CLEAN_ENOUGH

    @property
    def general(self) -> float:
        """Share of the held-out sentences in which it shows, where nothing was decoded 1.0."""
        return 1.0 if self.verdict.general is None else self.verdict.general

    def leaves_to_try(self, elsewhere: bool, carried: bool) -> bool:
        """Whether an attempt of some kind may still be better than it is.

        Args:
            elsewhere: it is at another site than the first.
            carried: it carries the change to other sentences.
        """
        return not self.verdict.held or (carried and not (elsewhere and self.clean_enough))

    def better(self, other: BestAttempt) -> BestAttempt:
        """What could be computed first, then what holds, then what generalises best; this one where equal."""
        if self.patch is None:
            return other
        ours, theirs = ((one.verdict.held, one.verdict.reach, one.general) for one in (self, other))
        return other if other.patch is not None and theirs > ours else self


def attempt(
    translator: Translator,
    case: Case,
    corpus: Corpus,
    settings: EditSettings,
    resources: Callable[[Site], SiteResources],
    keep: Tuple[Pair, ...] = (),
    directions: Sequence[OtherDirection] = (),
    settled: Tuple[Pair, ...] = (),
) -> BestAttempt:
    """Try sites and strengths until decoding shows the change in the example and in most held-out sentences.

    The attempt that generalises best is kept; one that does not hold on the example is never a success.

    Args:
        translator: the model as it is now; unchanged on return.
        case: the prepared request.
        corpus: background sentences.
        settings: of the edit.
        resources: what the edit may use of a site.
        keep: sentences with the model's own output, which must stay.
        directions: other directions, which must stay too.
        settled: what earlier requests of the run have come to.
    """
    started = time.perf_counter()
    best = BestAttempt(None, failure(case, "no attempt was made"))
    sites = sites_for(translator, case, settings)
    variants = _variants(case) if method_named(settings.method).at_site else [(case, False)]
    options = [(site, variant) for site in sites for variant in variants][: settings.edit_tries]
    early_sites = {site: early_site(translator.model, site, settings) for site, _ in options}
    read = [one for one in (*early_sites.values(), *early_sites) if one is not None]
    elsewhere = _elsewhere(translator, case, directions, read if case.contexts else list(early_sites))
    best_problem: Optional[EditProblem] = None
    for site, (variant, thorough) in options:
        if not best.leaves_to_try(site != sites[0], variant is case):
            continue
        problem = None
        try:
            early = early_sites[site] if variant.contexts else None
            problem = EditProblem(
                translator, variant, site, resources(site), corpus, keep, thorough, elsewhere,
                None if early is None else (early, resources(early)), settled=settled,
            )  # fmt: skip
            now = _tried(problem, case, settings)
        except EditError as error:
            now = BestAttempt(None, failure(case, str(error)))
        better = best.better(now)
        best_problem = problem if better is now else best_problem
        best = replace(better, tries=best.tries + 1)
        if best.good_enough:
            break
    if best_problem is not None and best.verdict.held:
        best = replace(_completed(best_problem, best, case, settings), tries=best.tries)
    return replace(best, seconds=time.perf_counter() - started)


def _elsewhere(
    translator: Translator, case: Case, directions: Sequence[OtherDirection], sites: Sequence[Site]
) -> Tuple[ReadPairs, ...]:
    """Sentence pairs with the trigger of the directions from the same language, which any of some sites may read.

    The request's own sentence is among them, with what the model says of it there.
    """
    alike = [one for one in directions if one.languages[0] == translator.adapter.languages[0]]
    most = max(_MOST_ELSEWHERE // max(len(alike), 1), 1)
    found = [
        (one.translator, (*one.said_of([case.request.source]), *one.holding(case.trigger, most))) for one in alike
    ]
    return tuple(ReadPairs(decoder, pairs, sites) for decoder, pairs in found)


def _variants(case: Case) -> List[Tuple[Case, bool]]:
    """Of growing strength: the changed segment, every unsure token, then the example alone."""
    variants = [(case, False), (case, True)]
    if case.contexts or case.held_out:
        variants.append((replace(case, contexts=(), held_out=()), True))
    return variants


def _tried(problem: EditProblem, case: Case, settings: EditSettings) -> BestAttempt:
    """One attempt, judged on all of the case, of which it may have been fitted on a part.

    Raises:
        EditError: if no edit can be computed.
    """
    return _judged(problem, method_named(settings.method).fit(problem, settings.of_method()), case, settings)


def _completed(problem: EditProblem, best: BestAttempt, case: Case, settings: EditSettings) -> BestAttempt:
    """The attempt with what the request's own sentence lacks, where it is then the target and nothing else is lost."""
    codec = problem.translator.codec
    wanted = (case.request.target, codec.target_text(codec.target(case.request.target)))
    if best.patch is None or best.verdict.output in wanted:
        return best
    with suppress(EditError):
        patch = method_named(settings.method).complete(problem, best.patch, settings.of_method())
        now = best if patch is best.patch else _judged(problem, patch, case, settings)
        if now.verdict.held and now.verdict.output in wanted and now.verdict.reach >= best.verdict.reach:
            return now
    return best


def _judged(problem: EditProblem, patch: Patch, case: Case, settings: EditSettings) -> BestAttempt:
    """A patch as decoding shows it; a failure where it changes more than it may."""
    weights = relative_size(problem.translator.model, patch)
    fault = fault_of_size(problem.translator, problem.example.pair, patch, weights, settings)
    if fault:
        return BestAttempt(None, failure(case, fault))
    return BestAttempt(patch, judge(problem.translator, case, patch, max(weights.values(), default=0.0)))
