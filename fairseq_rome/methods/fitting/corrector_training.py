"""The training of a corrector on corrupted references of the training side (Cao et al. 2020, arXiv 2010.08712)."""

from __future__ import annotations

from itertools import chain, islice
from operator import attrgetter
from random import Random
from typing import Iterable, Iterator, List, NamedTuple, Sequence, Tuple

import torch

from fairseq_rome.algebra import fit_slot_scorer
from fairseq_rome.errors import EditError
from fairseq_rome.host.batches import Pair
from fairseq_rome.host.examples import Example
from fairseq_rome.methods.base import EditProblem
from fairseq_rome.methods.fitting.texts import where_it_is_wanted
from fairseq_rome.patch import TrainedCorrector
from fairseq_rome.patch.trained_corrector import known_marks, questions
from fairseq_rome.text.cleanness import other_words
from fairseq_rome.text.corrupting import swapped, unwanted_again, without_trigger
from fairseq_rome.text.slots import Slot, SlotKind, filled
from fairseq_rome.text.tags import opens_with
from fairseq_rome.text.words import words

_SEED = 1
# Gradient steps, and references of the training side at most. On ten terms of Multi30k a third of the steps and a tenth
# of the references were right in all of 446 places too, as three times the steps were.
_STEPS, _REFERENCES = 300, 2000


class Lesson(NamedTuple):
    """One slot with what is right there.

    Args:
        source: the source.
        output: the output.
        slot: its place in the output.
        right: the number of the right candidate.
    """

    source: str
    output: str
    slot: Slot
    right: int


def train_corrector(problem: EditProblem) -> Tuple[TrainedCorrector, int]:
    """The corrector of a request, and how many slots it was trained on.

    Args:
        problem: the request.

    Raises:
        EditError: where the request only adds or removes words, or no sentence shows the fault.
    """
    case = problem.case
    if not case.difference.unwanted or not case.difference.wanted:
        raise EditError(
            "a corrector puts words in the place of others, and the request only adds or removes some; "
            "expected another --method"
        )
    kind = SlotKind.of(case.difference, case.request.source, case.request.target)
    lessons = list(chain.from_iterable(_of_example(kind, one) for one in (problem.example, *problem.contexts)))
    if case.contexts or case.held_out:
        of_references = _of_copies if kind.copied else _of_terms
        lessons += of_references(problem, kind, lessons)
    if not any(one.right for one in lessons):
        raise EditError(
            f"no sentence to learn from shows {case.difference.unwanted!r} where {case.difference.wanted!r} is wanted; "
            "expected contexts, or sentences of DATA, that show it, or another --method"
        )
    views = [kind.view(one.source, one.output, one.slot) for one in lessons]
    known = known_marks(views)
    right = torch.tensor([one.right for one in lessons])
    scorer = fit_slot_scorer(questions(views, known), right, len(known), _STEPS, _SEED)
    return TrainedCorrector(kind, where_it_is_acted(problem), known, **scorer.tensors), len(lessons)


def where_it_is_acted(problem: EditProblem) -> str:
    """A regular expression for the sources in which a corrector acts: the request's own, or every one.

    Where a change is carried to other sentences the corrector has learnt where it is wanted.
    """
    carried = problem.case.contexts or problem.case.held_out
    return "" if carried else where_it_is_wanted(problem)


def _of_example(kind: SlotKind, example: Example) -> Iterator[Lesson]:
    """Each slot of what the model says, with the candidate that comes nearest to what it should say."""
    source, said, wanted = example.source, example.before, words(example.after)
    for slot in kind.slots(source, said):
        tried = [filled(said, [slot], [number]) for number in range(len(slot.candidates))]
        apart = [other_words(wanted, words(one)) for one in tried]
        yield Lesson(source, said, slot, apart.index(min(apart)))


def _all_alike(kind: SlotKind, source: str, output: str, right: int) -> List[Lesson]:
    return [Lesson(source, output, slot, right) for slot in kind.slots(source, output)]


def _of_terms(problem: EditProblem, kind: SlotKind, before: Sequence[Lesson]) -> List[Lesson]:
    """References with the unwanted form, said where it is wrong or put there, and where it is right.

    What is wrong becomes right where another word takes the place of the trigger: so the network can't go by the words
    beside a slot, which say little of the source.
    """
    case, draw = problem.case, Random(_SEED)
    wrong, right = _where_said(problem)
    texts = [(source, unwanted_again(target, kind.pairs) or target) for source, target in _some(wrong, draw)]
    lessons = list(chain.from_iterable(_all_alike(kind, *one, 1) for one in texts))
    kept = [*_some(right, draw), *_as_text(problem, (*case.near_misses, *problem.keep))]
    lessons += chain.from_iterable(_all_alike(kind, *one, 0) for one in kept)
    if case.scoped:
        stock = [word for source, _ in islice(_references(problem), _REFERENCES) for word in words(source)]
        for one in [*before, *filter(attrgetter("right"), lessons)]:
            instead = draw.choice(stock) if stock and draw.random() < 0.5 else ""
            other = without_trigger(one.source, case.triggers, instead)
            lessons += [one._replace(source=other, right=0)] if other != one.source else []
    return lessons


def _where_said(problem: EditProblem) -> Tuple[List[Tuple[str, str]], List[Tuple[str, str]]]:
    """Sources with references that are wrong or can be made so, and those that rightly say the unwanted segment."""
    case, corpus = problem.case, problem.corpus
    unseen = {one.source for one in case.held_out}
    saying = corpus.saying(case.difference.unwanted_forms)
    if case.scoped:
        concerned = set(corpus.with_trigger(case.triggers))
        related = concerned.union(corpus.with_trigger(case.triggers, case.endings.source))
        either = corpus.saying((*case.difference.unwanted_forms, *case.difference.wanted_forms))
        wrong = [index for index in either if index in concerned]
    else:
        tags = problem.translator.codec.tags(case.request.source)
        wrong, related = [index for index in saying if opens_with(corpus.sources[index], tags)], set(saying)
    right = [index for index in saying if index not in related]
    texts = [
        [(corpus.sources[index], corpus.targets[index]) for index in some if corpus.sources[index] not in unseen]
        for some in (wrong, right)
    ]
    return texts[0], texts[1]


def _of_copies(problem: EditProblem, kind: SlotKind, _: Sequence[Lesson]) -> List[Lesson]:
    """References as they are, and with a number or name of another reference in the place of one."""
    draw = Random(_SEED)
    found = list(islice((pair for pair in _references(problem) if all(map(kind.copies, pair))), _REFERENCES))
    stock = [match.group() for source, target in found for match in kind.copies(target) if match.group() in source]
    lessons: List[Lesson] = []
    for source, target in found:
        lessons += _all_alike(kind, source, target, 0)
        wrong = swapped(source, target, kind, stock, draw)
        if wrong is None:
            continue
        for slot in kind.slots(source, wrong):
            ways = [filled(wrong, [slot], [number]) for number in range(len(slot.candidates))]
            lessons += [Lesson(source, wrong, slot, ways.index(target) if target in ways else 0)]
    return lessons


def _references(problem: EditProblem) -> Iterator[Tuple[str, str]]:
    """The sentences of the training side with their references, but for those that are held out."""
    unseen = {one.source for one in problem.held_out}
    return (pair for pair in zip(problem.corpus.sources, problem.corpus.targets) if pair[0] not in unseen)


def _some(pairs: Sequence[Tuple[str, str]], draw: Random) -> Sequence[Tuple[str, str]]:
    """As many pairs as make half of all references at most, drawn."""
    return draw.sample(pairs, min(len(pairs), _REFERENCES // 2))


def _as_text(problem: EditProblem, pairs: Iterable[Pair]) -> List[Tuple[str, str]]:
    codec = problem.translator.codec
    return [(codec.source_text(one.source), codec.target_text(one.target)) for one in pairs]
