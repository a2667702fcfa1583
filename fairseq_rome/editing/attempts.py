"""One request: what differs, what it hangs on, more examples, and attempts until real decoding shows the change."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from typing import Callable, Iterator, List, Optional, Sequence, Tuple

from fairseq_rome.cases.case import Case
from fairseq_rome.errors import EditError
from fairseq_rome.host.batches import Pair
from fairseq_rome.host.corpus import Corpus
from fairseq_rome.host.decoding import Translator
from fairseq_rome.host.sites import FFN, Site, find_sites
from fairseq_rome.methods import METHODS
from fairseq_rome.methods.base import EditProblem, SiteResources
from fairseq_rome.patch import Patch, applied, relative_size
from fairseq_rome.settings import TRACED, EditSettings
from fairseq_rome.text.segments import Endings, holds
from fairseq_rome.tracing import LocateSettings, locate, order_to_try, ranked_sites

_GENERAL_ENOUGH = 0.5


@dataclass(frozen=True)
class Attempt:
    """The best attempt at a case.

    Args:
        patch: the edit; None if no attempt could be computed.
        output: what the model says with it.
        held: whether the output shows the wanted segment and no longer the unwanted one.
        general: share of the held-out sentences that show it too; 1.0 where there are none.
        tries: attempts made.
        size: relative size of the change by weight.
        reason: why it failed; empty if it held.
        seconds: for all attempts.
    """

    patch: Optional[Patch]
    output: str
    held: bool
    general: float
    tries: int
    size: float
    reason: str
    seconds: float


def sites_for(translator: Translator, case: Case, settings: EditSettings) -> List[Site]:
    """The sites in the order in which a case tries them: as `plan`, or with `traced` as a trace of it ranks them."""
    planned = plan(list(find_sites(translator.model)), settings)
    if settings.site != TRACED:
        return planned
    try:
        traced = locate(
            translator, case.request, case.before, LocateSettings(seed=settings.seed, kinds=(FFN,))
        )
    except EditError:  # nothing to trace, such as a trigger that the source does not hold
        return planned
    return order_to_try(ranked_sites(traced))


def plan(model_sites: Sequence[Site], settings: EditSettings) -> List[Site]:
    """The sites that may be tried: those asked for, or the decoder's from the last down.

    Raises:
        EditError: if a site that was asked for is not in the model.
    """
    if not settings.sites:
        return [site for site in reversed(model_sites) if site.in_decoder]
    asked = [Site.parse(text) for text in settings.sites]
    for site in asked:
        if site not in model_sites:
            raise EditError(
                f"no site {site} in this model, expected one of: {', '.join(map(str, model_sites))}"
            )
    return asked


def _variants(case: Case) -> Iterator[Tuple[Case, bool]]:
    """Of growing strength: the changed segment, every unsure token, then the example alone."""
    yield case, False
    yield case, True
    if case.contexts or case.held_out:
        alone = replace(case, contexts=(), held_out=())
        yield alone, True


def attempt(
    translator: Translator,
    case: Case,
    corpus: Corpus,
    settings: EditSettings,
    resources: Callable[[Site], SiteResources],
    endings: Endings,
    keep: Tuple[Pair, ...] = (),
) -> Attempt:
    """Try sites and strengths until decoding shows the change in the example and in most held-out sentences.

    The attempt that generalises best is kept; one that does not hold on the example is never a success.

    Args:
        translator: the model as it is now; unchanged on return.
        case: the prepared request.
        corpus: background sentences.
        settings: of the edit.
        resources: what the edit may use of a site.
        endings: with which segments still count.
        keep: sentences with the model's own output, which must stay.
    """
    started = time.perf_counter()
    best = _failed(case, "no attempt was made")
    sites = sites_for(translator, case, settings)
    options = [(site, variant) for site in sites for variant in _variants(case)][: settings.edit_tries]
    for tries, (site, (variant, thorough)) in enumerate(options, start=1):
        try:
            problem = problem_at(translator, site, variant, corpus, resources(site), keep, thorough)
            now = _tried(problem, case, settings, endings)
        except EditError as error:
            now = _failed(case, str(error))
        best = replace(_better(best, now), tries=tries)
        if best.held and best.general >= _GENERAL_ENOUGH:
            break
    return replace(best, seconds=time.perf_counter() - started)


def _tried(problem: EditProblem, case: Case, settings: EditSettings, endings: Endings) -> Attempt:
    """One attempt, judged on all of the case, of which it may have been fitted on a part.

    Raises:
        EditError: if no edit can be computed.
    """
    patch = METHODS[settings.method](problem, settings)
    size = max(relative_size(problem.translator.model, patch).values())
    if not size <= settings.edit_max_size:
        most = f"expected at most {settings.edit_max_size:g}"
        return _failed(case, f"the change at {problem.site} is {size:.3g} of the weight, {most}")
    return _judge(problem.translator, case, patch, size, endings)


def _failed(case: Case, reason: str) -> Attempt:
    return Attempt(None, case.before.text, False, 0.0, 0, 0.0, reason, 0.0)


def _better(best: Attempt, now: Attempt) -> Attempt:
    """What could be computed first, then what holds, then what generalises best; the earlier one where equal."""
    if best.patch is None:
        return now
    return now if now.patch is not None and (now.held, now.general) > (best.held, best.general) else best


def problem_at(
    translator: Translator,
    site: Site,
    case: Case,
    corpus: Corpus,
    resources: SiteResources,
    keep: Tuple[Pair, ...] = (),
    thorough: bool = False,
) -> EditProblem:
    """A case as a method takes it, at one site."""
    return EditProblem(
        translator, site, case.example, case.contexts, case.held_out, case.near_misses, keep,
        resources, case.ignored, corpus, thorough,
    )  # fmt: skip


def _judge(translator: Translator, case: Case, patch: Patch, size: float, endings: Endings) -> Attempt:
    with applied(translator.model, patch):
        others = [example.source for example in case.held_out]
        output, *rest = (hypo.text for hypo in translator.translate([case.request.source, *others]))
    held = holds(output, case.request.target, case.difference, endings.target)
    general = [holds(text, one.after, case.difference, endings.target) for text, one in zip(rest, case.held_out)]
    share = sum(general) / len(general) if general else 1.0
    reason = "" if held else f"with the edit the model says {output!r}"
    return Attempt(patch, output, held, share, 0, size, reason, 0.0)
