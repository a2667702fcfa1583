"""Two models side by side: everything is decoded with both and judged, but for what is proven to be the same."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import Callable, Dict, List, Mapping, Optional, Sequence, Tuple

from fairseq_rome.evaluation.judged import DIRECTION, KEEP, SAMPLE, Evaluation, JudgedRequest, JudgedSet
from fairseq_rome.evaluation.request_judging import decode_both, judge_requests, sources_of
from fairseq_rome.evaluation.sentence_sets import Expectation, SentenceSet, judge_set, plain_set
from fairseq_rome.host.certificate import Certificate
from fairseq_rome.host.corpus import Corpus
from fairseq_rome.host.decoding import Translator
from fairseq_rome.text.checkers import TASKS, Checker, build_checker
from fairseq_rome.text.replacements import Replacement
from fairseq_rome.text.requests import EditFile, EditRequest
from fairseq_rome.text.segments import Difference, Endings

_READ = 10_000
_WITHOUT_REQUEST = tuple(task for task in TASKS if task != "term")


@dataclass(frozen=True)
class ComparedDirection:
    """Another direction of both models, in which nothing is to change.

    Args:
        name: such as `en-fr`.
        before: the model without the edit, in this direction.
        after: the edited model likewise.
        sources: sentences to decode.
    """

    name: str
    before: Translator
    after: Translator
    sources: Tuple[str, ...]


@dataclass(frozen=True)
class EvaluationPlan:
    """What an evaluation looks at.

    Args:
        edit_file: the requests with their probes, and the sentences to keep.
        languages: source and target language.
        triggers: source segments, named or found, by id of the request. They tell which probes of the pool are a
            request's, and in which other sentences its replacement is wanted.
        sample: sources that no request speaks of.
        test_sets: from `load_test_set`.
        checkers: by task, from `checkers_for`.
        carried: what edits carry to other sentences, by request id.
        is_word: whether a word is known to the training side.
        directions: other directions of the models.
        certificate: proves that the edited model says of some sentences what the other one says; None for none.
    """

    edit_file: EditFile
    languages: Tuple[str, str]
    triggers: Mapping[str, str] = field(default_factory=dict)
    sample: Tuple[str, ...] = ()
    test_sets: Tuple[SentenceSet, ...] = ()
    checkers: Mapping[str, Checker] = field(default_factory=dict)
    carried: Mapping[str, Replacement] = field(default_factory=dict)
    is_word: Callable[[str], bool] = lambda word: True
    directions: Tuple[ComparedDirection, ...] = ()
    certificate: Optional[Certificate] = None


def checkers_for(languages: Tuple[str, str], corpus: Corpus) -> Dict[str, Checker]:
    """The checkers of all tasks, with what some thousand pairs of the corpus say and copy."""
    part = Corpus(corpus.subset, corpus.pairs[:_READ], corpus.codec)
    training = list(zip(part.sources, part.targets))
    return {task: build_checker(task, *languages, training) for task in TASKS}


def evaluate(before: Translator, after: Translator, plan: EvaluationPlan) -> Evaluation:
    """Judge an edited model against the unedited one by beam search.

    Args:
        before: the model without the edit.
        after: the edited model, best as it was reloaded from its file.
        plan: what to look at.
    """
    started = time.perf_counter()
    requests, pool = plan.edit_file.requests, plan.edit_file.probes
    said = decode_both(before, after, sources_of(requests, pool), "requests")
    endings = Endings.of(*plan.languages)
    judged = judge_requests(
        requests, pool, said, endings, plan.triggers, plan.checkers, plan.carried, plan.is_word
    )
    own = [
        plain_set(name, kind, sources, before.codec)
        for name, kind, sources in (
            ("sentences to keep", KEEP, plan.edit_file.keep),
            ("other sentences", SAMPLE, plan.sample),
        )
        if sources
    ]
    checkers = {task: plan.checkers[task] for task in _WITHOUT_REQUEST if task in plan.checkers}
    expected = _expectation(requests, judged, endings, plan.carried)
    sets: List[JudgedSet] = []
    for one in (*own, *plan.test_sets):
        # A sentence to keep is to stay whatever it holds.
        wanted = Expectation() if one.kind == KEEP else expected
        sets.append(judge_set(before, after, one, wanted, checkers, plan.languages[1], plan.certificate))
    for other in plan.directions:
        chosen = plain_set(other.name, DIRECTION, other.sources, other.before.codec)
        # Checkers know the languages of the edited direction alone.
        target = other.name.partition("-")[2]
        sets.append(judge_set(other.before, other.after, chosen, Expectation(), {}, target, plan.certificate))
    return Evaluation(judged, tuple(sets), time.perf_counter() - started)


def _expectation(
    requests: Sequence[EditRequest],
    judged: Sequence[JudgedRequest],
    endings: Endings,
    carried: Mapping[str, Replacement],
) -> Expectation:
    return Expectation(
        frozenset(request.source for request in requests),
        tuple(sorted({request.trigger for request in requests if request.trigger})),
        tuple(
            carried.get(one.id) or Replacement(one.trigger, Difference(one.unwanted, one.wanted))
            for one in judged
            if one.trigger
        ),
        endings,
    )
