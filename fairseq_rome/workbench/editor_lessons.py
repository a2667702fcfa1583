"""Lessons for a trained editor: requests mined from the training side, each with its examples and what must stay."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import FrozenSet, List, Tuple

from fairseq_rome.cases.case import Case, prepare
from fairseq_rome.cases.case_settings import CaseSettings
from fairseq_rome.cases.hunk_reading import Sides
from fairseq_rome.cases.mining import mine
from fairseq_rome.errors import EditError
from fairseq_rome.host.batches import Pair
from fairseq_rome.host.corpus import Corpus
from fairseq_rome.methods.fitting.editor_training import Classroom, Lesson
from fairseq_rome.text.languages.profile import profile_of
from fairseq_rome.text.segments import Endings
from fairseq_rome.text.words import words
from fairseq_rome.workbench.workbench import Workbench

# One lesson in so many judges, and is not learnt from. More judging ones tell the best editor apart more surely.
_JUDGING = 10
# Sentences in which a correction should hold: decoded and corrected, and corrected references.
_DECODED, _REFERENCES = 8, 16
# Pairs of the training side among which they are looked for. More find more of them, and take time with each lesson:
# with 29,000 pairs a lesson took more than a second.
_SEARCHED = 5000
# Pairs that must stay as they are: any, and those with a negation.
_OTHERS, _NEGATIONS = 2000, 200
# Words of a mined segment at most, on either side.
_WORDS = 3


@dataclass(frozen=True)
class Mining:
    """Where lessons come from.

    Args:
        task: what requests are mined for, one of `cases.mining.MINED_TASKS`.
        sentences: of the training side that are decoded and compared with their references.
        seed: of their order.
    """

    task: str
    sentences: int
    seed: int


def classroom(bench: Workbench, mining: Mining) -> Classroom:
    """What an editor for a model is trained on.

    Args:
        bench: with the model, `prepared`.
        mining: where lessons come from.

    Raises:
        EditError: if there are too few lessons, or DATA has no sentence pairs.
    """
    translator, corpus = bench.model.translator, bench.background(mining.seed)
    lessons = [_lesson(case) for case in _cases(bench, corpus, mining)]
    judging = lessons[::_JUDGING]
    learning = [lesson for number, lesson in enumerate(lessons) if number % _JUDGING]
    if not learning:
        raise EditError(
            f"{bench.model.adapter.data}: {len(lessons)} requests in {mining.sentences} sentences of its "
            f"{corpus.subset} split, expected at least 2 (--sentences looks at more)"
        )
    # From the end of the corpus, which mining reaches last.
    others = corpus.pairs[-_OTHERS:]
    return Classroom(
        translator, tuple(learning), tuple(judging), others, _negated(bench, corpus), mining.seed
    )  # fmt: skip


def _cases(bench: Workbench, corpus: Corpus, mining: Mining) -> List[Case]:
    translator, endings = bench.model.translator, Endings.of(*bench.languages)
    pairs = list(zip(corpus.sources, corpus.targets))[: mining.sentences]
    tokens = [pair.source for pair in corpus.pairs[: mining.sentences]]
    mined = mine(translator, corpus.subset, pairs, tokens, mining.task, bench.languages, corpus, _WORDS)
    sides = Sides(translator.adapter.languages, replace(corpus, pairs=corpus.pairs[:_SEARCHED], side=None))
    # An editor has to learn from one sentence how far a correction reaches: so all that can be carried is.
    settings = CaseSettings(edit_carry="all", edit_contexts=_DECODED, edit_references=_REFERENCES)
    found = []
    for one in translator.progress(list(mined), "lessons"):
        try:
            case = prepare(translator, one.request, one.said, sides, settings, endings)
        except EditError:  # a request that can't be understood teaches nothing
            continue
        if case is not None and case.example.spans:
            found.append(case)
    return found


def _lesson(case: Case) -> Lesson:
    return Lesson(case.example, (*case.contexts, *case.held_out), (*case.near_misses, *case.other_uses))


def _negated(bench: Workbench, corpus: Corpus) -> Tuple[Pair, ...]:
    """Pairs with a negation on either side, where a language has a list of such words."""
    lists = [profile_of(code).negations for code in bench.languages]
    found: List[Pair] = []
    for pair, *texts in zip(corpus.pairs, corpus.sources, corpus.targets):
        if any(_negates(text, negations) for text, negations in zip(texts, lists)):
            found.append(pair)
        if len(found) == _NEGATIONS:
            break
    return tuple(found)


def _negates(text: str, negations: FrozenSet[str]) -> bool:
    return any(word in negations for word in words(text.lower()))
