"""One request: what differs, what it hangs on, more examples, and attempts until real decoding shows the change."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from typing import Callable, FrozenSet, Iterator, List, Optional, Sequence, Tuple

from fairseq_rome.batching import Pair
from fairseq_rome.contexts import (
    Example,
    corrected_references,
    find_trigger,
    hangs_elsewhere,
    make_example,
    self_corrected,
)
from fairseq_rome.corpus import Corpus
from fairseq_rome.decoding import Hypothesis, Translator
from fairseq_rome.errors import EditError
from fairseq_rome.locate import LocateSettings, locate, order_to_try, ranked_sites
from fairseq_rome.methods import METHODS, Ground, Work
from fairseq_rome.patch import Patch, applied, relative_size
from fairseq_rome.requests import EditRequest
from fairseq_rome.segments import Difference, Endings, holds, wanted_difference
from fairseq_rome.settings import TRACED, EditSettings
from fairseq_rome.sites import FFN, Site, find_sites

_NEAR_MISSES = 48
_ENOUGH_TO_HOLD_OUT = 8
_HELD_OUT_SHARE = 2
_GENERAL_ENOUGH = 0.5
_GO_TOGETHER = 0.3
_TOO_COMMON = 0.08


@dataclass(frozen=True)
class Case:
    """A request with what the model has to say about it.

    Args:
        request: the request.
        before: what the model says now.
        difference: the unwanted and the wanted segment.
        trigger: the source segment that the change hangs on.
        example: the corrected sentence as tokens.
        contexts: self-corrected sentences to fit on.
        held_out: self-corrected sentences that the fit does not see.
        near_misses: pairs that must stay as they are.
        ignored: sentences of the corpus in which the change is wanted too.
    """

    request: EditRequest
    before: Hypothesis
    difference: Difference
    trigger: str
    example: Example
    contexts: Tuple[Example, ...]
    held_out: Tuple[Example, ...]
    near_misses: Tuple[Pair, ...]
    ignored: FrozenSet[int]


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


def prepare(
    translator: Translator, request: EditRequest, before: Hypothesis, corpus: Corpus, settings: EditSettings,
    endings: Endings,
) -> Optional[Case]:  # fmt: skip
    """Work out what a request changes and gather its examples; None if the model already says the target.

    Args:
        translator: the model as it is now.
        request: the request.
        before: the model's hypothesis for its source.
        corpus: background sentences.
        settings: of the edit.
        endings: with which segments still count.
    """
    difference = wanted_difference(request, before.text)
    codec = translator.codec
    if difference is None or before.text in (request.target, codec.target_text(codec.target(request.target))):
        return None
    trigger = request.trigger or find_trigger(translator, request.source, before, request.target)
    example = make_example(translator.codec, request.source, before, request.target, trigger)
    scoped = settings.edit_scope == "trigger"
    saying = corpus.saying(difference.unwanted, endings.target)
    concerned = corpus.with_trigger(trigger) if scoped else saying
    mines = _mines(request, difference, settings)
    if mines is None:
        mines = _goes_with(concerned, saying, corpus) and not hangs_elsewhere(
            translator, request.source, before, request.target, trigger
        )
    mined = concerned if mines else []
    contexts, held_out = _more_examples(
        translator, request, difference, trigger if scoped else "", corpus, mined, settings, endings
    )
    ignored = {index for index in concerned if corpus.sources[index] == request.source}
    near: List[int] = []
    if contexts or held_out:
        # The change is to hold in other sentences too. A trigger with an ending is neither wanted nor a near miss.
        ignored.update(concerned)
        related = set(corpus.with_trigger(trigger, endings.source) if scoped else saying)
        near = [index for index in saying if index not in related][:_NEAR_MISSES]
    return Case(
        request, before, difference, trigger, example, contexts, held_out,
        tuple(corpus.pairs[index] for index in near), frozenset(ignored),
    )  # fmt: skip


def _more_examples(
    translator: Translator, request: EditRequest, difference: Difference, trigger: str, corpus: Corpus,
    mined: Sequence[int], settings: EditSettings, endings: Endings,
) -> Tuple[Tuple[Example, ...], Tuple[Example, ...]]:  # fmt: skip
    """Contexts to fit on, and held-out ones: the request's own first, then mined ones, then mined references."""
    others = [index for index in mined if corpus.sources[index] != request.source]
    sources = [source for source in request.contexts if source != request.source]
    sources += [corpus.sources[index] for index in others]
    most = settings.edit_contexts
    decoded = self_corrected(translator, sources, difference, trigger, endings.target, most)
    parts = len(decoded) // _HELD_OUT_SHARE if len(decoded) >= _ENOUGH_TO_HOLD_OUT else 0
    held_out = decoded[:parts]
    unseen = {example.source for example in held_out}
    free = [index for index in others if corpus.sources[index] not in unseen][: settings.edit_references]
    references = corrected_references(translator.codec, corpus, free, difference, trigger, endings.target)
    return (*decoded[parts:], *references), tuple(held_out)


def _mines(request: EditRequest, difference: Difference, settings: EditSettings) -> Optional[bool]:
    """Whether the corpus gives contexts; None if that is for the corpus to tell."""
    if not settings.edit_contexts or settings.edit_mine == "never" or not difference.unwanted:
        return False
    if settings.edit_mine == "always" or request.trigger is not None:
        return True
    return None if difference.lexical else False


def _goes_with(concerned: Sequence[int], saying: Sequence[int], corpus: Corpus) -> bool:
    """Whether a trigger that was only found is no common word, and goes with the unwanted word (Dice's coefficient).

    An ending, an article or a preposition also hangs on some source word, but changing it wherever that word stands
    would be wrong.
    """
    together = len(set(concerned) & set(saying))
    goes = 2 * together >= _GO_TOGETHER * (len(concerned) + len(saying)) > 0
    return goes and len(concerned) <= _TOO_COMMON * len(corpus.pairs)


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
    ground: Callable[[Site], Ground],
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
        ground: what the edit may use of a site.
        endings: with which segments still count.
        keep: sentences with the model's own output, which must stay.
    """
    started = time.perf_counter()
    best = _failed(case, "no attempt was made")
    sites = sites_for(translator, case, settings)
    options = [(site, variant) for site in sites for variant in _variants(case)][: settings.edit_tries]
    for tries, (site, (variant, thorough)) in enumerate(options, start=1):
        try:
            work = work_at(translator, site, variant, corpus, ground(site), keep, thorough)
            now = _tried(work, case, settings, endings)
        except EditError as error:
            now = _failed(case, str(error))
        best = replace(_better(best, now), tries=tries)
        if best.held and best.general >= _GENERAL_ENOUGH:
            break
    return replace(best, seconds=time.perf_counter() - started)


def _tried(work: Work, case: Case, settings: EditSettings, endings: Endings) -> Attempt:
    """One attempt, judged on all of the case, of which it may have been fitted on a part.

    Raises:
        EditError: if no edit can be computed.
    """
    patch = METHODS[settings.method](work, settings)
    size = max(relative_size(work.translator.model, patch).values())
    if not size <= settings.edit_max_size:
        most = f"expected at most {settings.edit_max_size:g}"
        return _failed(case, f"the change at {work.site} is {size:.3g} of the weight, {most}")
    return _judge(work.translator, case, patch, size, endings)


def _failed(case: Case, reason: str) -> Attempt:
    return Attempt(None, case.before.text, False, 0.0, 0, 0.0, reason, 0.0)


def _better(best: Attempt, now: Attempt) -> Attempt:
    """What could be computed first, then what holds, then what generalises best; the earlier one where equal."""
    if best.patch is None:
        return now
    return now if now.patch is not None and (now.held, now.general) > (best.held, best.general) else best


def work_at(
    translator: Translator,
    site: Site,
    case: Case,
    corpus: Corpus,
    ground: Ground,
    keep: Tuple[Pair, ...] = (),
    thorough: bool = False,
) -> Work:
    """A case as a method takes it, at one site."""
    return Work(
        translator, site, case.example, case.contexts, case.held_out, case.near_misses, keep,
        ground, case.ignored, corpus, thorough,
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
