"""A case: a request with what differs, what it hangs on, its examples, and what must stay."""

from __future__ import annotations

from dataclasses import dataclass
from typing import FrozenSet, List, Optional, Sequence, Tuple

from fairseq_rome.cases.case_notes import notes_on_case
from fairseq_rome.cases.case_settings import CaseSettings
from fairseq_rome.cases.contexts import corrected_references, self_corrected
from fairseq_rome.host.batches import Pair
from fairseq_rome.host.corpus import Corpus
from fairseq_rome.host.decoding import Hypothesis, Translator
from fairseq_rome.host.examples import Example, make_example
from fairseq_rome.text.requests import EditRequest
from fairseq_rome.text.segments import Difference, Endings, holds, wanted_difference
from fairseq_rome.tracing.attribution import find_trigger, hangs_elsewhere

# Most pairs that must stay as they are. More hold a gate tighter, and take time to read.
_NEAR_MISSES = 48
# From so many decoded and corrected sentences on, one part in so many is held out of the fit. More held out say better
# how far to generalise; fewer leave more to learn from.
_ENOUGH_TO_HOLD_OUT, _HELD_OUT_PARTS = 8, 2
# Dice's coefficient from which a trigger and the unwanted word go together over the corpus, and the share of its
# sentences above which a trigger is a common word. A lower bound, or a higher share, finds contexts for more requests,
# and sometimes takes a word for the cause that only stands beside it.
_GO_TOGETHER, _TOO_COMMON = 0.3, 0.08


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
        endings: endings with which a segment still counts as itself.
        notes: what a user should know of how the request was understood, a sentence each.
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
    endings: Endings
    notes: Tuple[str, ...] = ()

    def shown_by(self, output: str, target: Optional[str] = None) -> bool:
        """Whether an output shows the wanted segment and no longer the unwanted one.

        Args:
            output: what a model says of the request's source, or of another.
            target: what it should say; the request's own target if None.
        """
        wanted = self.request.target if target is None else target
        return holds(output, wanted, self.difference, self.endings.target)


def prepare(
    translator: Translator, request: EditRequest, before: Hypothesis, corpus: Corpus, settings: CaseSettings,
    endings: Endings,
) -> Optional[Case]:  # fmt: skip
    """The case of a request: what it changes, and its examples; None if the model already says the target.

    Args:
        translator: the model as it is now.
        request: the request.
        before: the model's hypothesis for its source.
        corpus: background sentences.
        settings: of the case.
        endings: with which segments still count.
    """
    difference = wanted_difference(request, before.text)
    codec = translator.codec
    if difference is None or before.text in (request.target, codec.target_text(codec.target(request.target))):
        return None
    trigger = request.trigger or find_trigger(translator, request.source, before, request.target)
    example = make_example(translator.codec, request.source, before, request.target, trigger)
    scoped = settings.edit_scope == "trigger"
    if scoped:
        corpus = corpus.with_rare(trigger, difference.unwanted, endings.target)
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
    learnt = [one.source for one in (*contexts, *held_out)]
    notes = notes_on_case(request, difference, trigger if scoped else "", learnt, settings.edit_contexts)
    ignored = {index for index in concerned if corpus.sources[index] == request.source}
    near: List[int] = []
    if contexts or held_out:
        # The change is to hold in other sentences too. A trigger with an ending is neither wanted nor a near miss.
        ignored.update(concerned)
        related = set(corpus.with_trigger(trigger, endings.source) if scoped else saying)
        near = [index for index in saying if index not in related][:_NEAR_MISSES]
    return Case(
        request, before, difference, trigger, example, contexts, held_out,
        tuple(corpus.pairs[index] for index in near), frozenset(ignored), endings, tuple(notes),
    )  # fmt: skip


def _more_examples(
    translator: Translator, request: EditRequest, difference: Difference, trigger: str, corpus: Corpus,
    mined: Sequence[int], settings: CaseSettings, endings: Endings,
) -> Tuple[Tuple[Example, ...], Tuple[Example, ...]]:  # fmt: skip
    """Contexts to fit on, and held-out ones: the request's own first, then mined ones, then mined references."""
    others = [index for index in mined if corpus.sources[index] != request.source]
    sources = [source for source in request.contexts if source != request.source]
    sources += [corpus.sources[index] for index in others]
    most = settings.edit_contexts
    decoded = self_corrected(translator, sources, difference, trigger, endings.target, most)
    parts = len(decoded) // _HELD_OUT_PARTS if len(decoded) >= _ENOUGH_TO_HOLD_OUT else 0
    held_out = decoded[:parts]
    unseen = {example.source for example in held_out}
    free = [index for index in others if corpus.sources[index] not in unseen][: settings.edit_references]
    references = corrected_references(translator.codec, corpus, free, difference, trigger, endings.target)
    return (*decoded[parts:], *references), tuple(held_out)


def _mines(request: EditRequest, difference: Difference, settings: CaseSettings) -> Optional[bool]:
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
