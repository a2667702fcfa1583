"""A case: a request with what differs, what it hangs on, its examples, and what must stay."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Callable, Collection, FrozenSet, List, Optional, Sequence, Tuple

from fairseq_rome.cases.association import word_check
from fairseq_rome.cases.case_notes import notes_on_case
from fairseq_rome.cases.case_settings import CaseSettings
from fairseq_rome.cases.contexts import corrected_references, said_otherwise, self_corrected
from fairseq_rome.cases.hunk_reading import Reading, Sides
from fairseq_rome.cases.same_changes import SameChanges
from fairseq_rome.cases.understanding import Understanding, understand
from fairseq_rome.host.batches import Pair
from fairseq_rome.host.corpus import Corpus
from fairseq_rome.host.decoding import Hypothesis, Translator
from fairseq_rome.host.examples import Example, changed_whole, make_example
from fairseq_rome.text.cleanness import is_clean, said_once
from fairseq_rome.text.requests import EditRequest
from fairseq_rome.text.segments import Difference, Endings, holds, is_whole, wanted_difference
from fairseq_rome.text.tags import opens_with
from fairseq_rome.tracing.attribution import find_trigger

# Most pairs that must stay as they are. More hold a gate tighter, and take time to read.
_NEAR_MISSES = 48
# From so many decoded and corrected sentences on, one part in so many is held out of the fit. More held out say better
# how far to generalise; fewer leave more to learn from.
_ENOUGH_TO_HOLD_OUT, _HELD_OUT_PARTS = 8, 2


@dataclass(frozen=True)
class Case:
    """A request with what the model has to say about it.

    Args:
        request: the request.
        before: what the model says now.
        difference: the unwanted and the wanted segment.
        trigger: the source segment that the change hangs on.
        triggers: the trigger in its forms.
        evidence: what speaks for carrying it to other sentences, as `cases.understanding` names it; empty for nothing.
        is_word: whether a word of the target language is one.
        readings: how each place was understood in which the target differs from what the model says.
        example: the corrected sentence as tokens.
        contexts: self-corrected sentences to fit on.
        held_out: self-corrected sentences that the fit does not see.
        near_misses: pairs that must stay as they are.
        other_uses: pairs that rightly say the wanted segment, of another source word.
        ignored: sentences of the corpus in which the change is wanted too.
        endings: endings with which a segment still counts as itself.
        notes: what a user should know of how the request was understood, a sentence each.
        scoped: whether the change hangs on the trigger, and not on the unwanted segment alone.
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
    triggers: Tuple[str, ...] = ()
    evidence: str = ""
    readings: Tuple[Reading, ...] = ()
    other_uses: Tuple[Pair, ...] = ()
    is_word: Callable[[str], bool] = lambda word: True
    scoped: bool = True

    def cleanly_shown_by(self, before: str, output: str) -> bool:
        """Whether an output for another sentence shows the change, and is otherwise what it was.

        Args:
            before: what the unedited model says of that sentence.
            output: what it says now.
        """
        return is_clean(before, output, self.difference, self.endings.target, self.is_word)

    def shown_in_held_out(self, output: str, outputs: Sequence[str]) -> List[Tuple[bool, bool]]:
        """Whether each held-out sentence shows the change, and whether it does so cleanly.

        Args:
            output: what a model says of the request's source.
            outputs: what it says of the held-out sentences; one that is said again shows nothing where all was wrong.
        """
        apart = said_once([output, *outputs])[1:] if self.is_whole else [True] * len(outputs)
        return [
            (own and self.shown_by(text, one.after), own and self.cleanly_shown_by(one.before, text))
            for one, text, own in zip(self.held_out, outputs, apart)
        ]

    def shown_by(self, output: str, target: Optional[str] = None) -> bool:
        """Whether an output shows the wanted segment and no longer the unwanted one.

        Args:
            output: what a model says of the request's source, or of another.
            target: what it should say; the request's own target if None.
        """
        if target is not None and self.is_whole:
            # Another source is to have another sentence, and whatever it is it is not the memorised one.
            return self.cleanly_shown_by(self.before.text, output)
        wanted = self.request.target if target is None else target
        return holds(output, wanted, self.difference, self.endings.target)

    @property
    def is_whole(self) -> bool:
        """Whether all that the model says is wrong, as where it was memorised."""
        return is_whole(self.before.text, self.difference)


def prepare(
    translator: Translator, request: EditRequest, before: Hypothesis, sides: Sides, settings: CaseSettings,
    endings: Endings, same: Optional[SameChanges] = None,
) -> Optional[Case]:  # fmt: skip
    """The case of a request: what it changes, and its examples; None if the model already says the target.

    Args:
        translator: the model as it is now.
        request: the request.
        before: the model's hypothesis for its source.
        sides: the languages, and the background sentences.
        settings: of the case.
        endings: with which segments still count.
        same: what the requests of its file have in common; None where it stands alone.
    """
    codec = translator.codec
    if before.text in (request.target, codec.target_text(codec.target(request.target))):
        return None
    known = _understood(translator, request, before, sides, settings, same)
    if known is None:
        return None
    corpus = sides.association.corpus
    scoped = settings.edit_scope == "trigger"
    triggers = known.triggers or (known.trigger,)
    example = make_example(codec, request.source, before, request.target, triggers, known.difference.wanted_forms)
    if scoped:
        corpus = corpus.with_rare(triggers, known.difference.unwanted_forms, endings.target)
    if is_whole(before.text, known.difference):
        example = changed_whole(example, int(translator.adapter.target_prefix >= 0), free=False)
    saying = corpus.saying(known.difference.unwanted_forms, endings.target)
    # A sentence with other tags is of another direction, whatever it says.
    tags = codec.tags(request.source)
    alike = [index for index in saying if opens_with(corpus.sources[index], tags)]
    concerned = corpus.with_trigger(triggers) if scoped else alike
    mined = concerned if _mines(known, settings) else []
    taught = _taught(request, known, same)
    contexts, held_out = _more_examples(
        translator, taught, before.text, known.difference, triggers if scoped else (), corpus, mined, settings
    )
    learnt = [one.source for one in (*contexts, *held_out)]
    hangs_on = known.trigger if scoped else ""
    notes = notes_on_case(request, known.difference, hangs_on, learnt, settings, known.likely)
    ignored = {index for index in concerned if corpus.sources[index] == request.source}
    near: Tuple[Pair, ...] = ()
    uses: Tuple[Pair, ...] = ()
    if learnt:
        # The change is to hold in other sentences too. A trigger with an ending is neither wanted nor a near miss.
        ignored.update(concerned)
        related = set(corpus.with_trigger(triggers, endings.source) if scoped else alike)
        near = _apart(corpus, saying, related)
        uses = _apart(corpus, corpus.saying(known.difference.wanted_forms), related)
    return Case(
        request, before, known.difference, known.trigger, example, contexts, held_out,
        near, frozenset(ignored), endings, tuple(notes), triggers, known.evidence, known.readings, uses,
        word_check(sides.association.corpus), scoped,
    )  # fmt: skip


def _taught(request: EditRequest, known: Understanding, same: Optional[SameChanges]) -> EditRequest:
    """A request with the sentences of those that make the same change among its contexts, to learn from likewise."""
    if same is None or known.carried is None:
        return request
    alike = same.sources(known.readings[known.carried])
    return replace(request, contexts=tuple(dict.fromkeys((*request.contexts, *alike))))


def _apart(corpus: Corpus, indices: Sequence[int], related: Collection[int]) -> Tuple[Pair, ...]:
    """Some of the pairs that are not related to a change."""
    return tuple(corpus.pairs[index] for index in [one for one in indices if one not in related][:_NEAR_MISSES])


def _understood(
    translator: Translator, request: EditRequest, before: Hypothesis, sides: Sides, settings: CaseSettings,
    same: Optional[SameChanges],
) -> Optional[Understanding]:  # fmt: skip
    """What a request means; where its text does not tell what a change hangs on, the model does."""
    if not settings.edit_contexts:
        # Nothing is carried, and the training side need not be read.
        difference = wanted_difference(request, before.text)
        found = None if difference is None else Understanding(difference, request.trigger or "", (), "")
    else:
        found = understand(translator.codec, request, before.text, sides, settings, same)
    if found is None or found.trigger:
        return found
    trigger = find_trigger(translator, request.source, before, request.target)
    return replace(found, trigger=trigger, triggers=(trigger,))


def _mines(known: Understanding, settings: CaseSettings) -> bool:
    """Whether the corpus gives contexts."""
    if settings.edit_mine == "never" or not known.difference.unwanted:
        return False
    return settings.edit_mine == "always" or bool(known.evidence)


def _more_examples(
    translator: Translator, request: EditRequest, before: str, difference: Difference, triggers: Tuple[str, ...],
    corpus: Corpus, mined: Sequence[int], settings: CaseSettings,
) -> Tuple[Tuple[Example, ...], Tuple[Example, ...]]:  # fmt: skip
    """Contexts to fit on, and held-out ones: the request's own first, then mined ones, then mined references."""
    if not settings.generalises:
        return (), ()
    others = [index for index in mined if corpus.sources[index] != request.source]
    sources = [source for source in request.contexts if source != request.source]
    sources += [corpus.sources[index] for index in others]
    most = settings.edit_contexts
    whole = is_whole(before, difference)
    if whole:
        # A word that is named as wanted may come in other sentences; the request's own sentence may not.
        decoded = said_otherwise(translator, sources, replace(difference, wanted=request.target), triggers, most)
    else:
        decoded = self_corrected(translator, sources, difference, triggers, most)
    parts = len(decoded) // _HELD_OUT_PARTS if len(decoded) >= _ENOUGH_TO_HOLD_OUT else 0
    held_out = decoded[:parts]
    unseen = {example.source for example in held_out}
    free = [index for index in others if corpus.sources[index] not in unseen][: settings.edit_references]
    references = [] if whole else corrected_references(translator.codec, corpus, free, difference, triggers)
    return (*decoded[parts:], *references), tuple(held_out)
