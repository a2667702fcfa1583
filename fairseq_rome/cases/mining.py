"""Requests mined from a parallel corpus: sentences in which a model is wrong, for one of the editing tasks.

`term`: one word of the output differs from the reference, and nothing else. `number`, `hallucination`, `untranslated`:
the task's checker objects to the output and not to the reference; the target is the reference. `segment`: output and
reference differ in one segment, whatever it is.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import AbstractSet, Iterator, List, Optional, Sequence, Tuple

from torch import Tensor

from fairseq_rome.host.corpus import Corpus
from fairseq_rome.host.decoding import Hypothesis, Translator
from fairseq_rome.text.checkers import TASKS, Observation, build_checker
from fairseq_rome.text.requests import EditRequest, Probe
from fairseq_rome.text.segments import Difference, Endings, compare, correct
from fairseq_rome.tracing.attribution import find_trigger, hangs_elsewhere

SEGMENT = "segment"
MINED_TASKS = (*TASKS, SEGMENT)
"""What requests can be mined for."""

# Sentences of DATA that are decoded to find the probes of one request. More find more probes and take longer.
_MOST_TRIED = 40


@dataclass(frozen=True)
class Mined:
    """A mined request.

    Args:
        request: the request; its negative is what the model says.
        said: what the model says, as tokens too.
        difference: what has to change in it.
        fault: what the task's checker objects to; empty where the task has no checker.
    """

    request: EditRequest
    said: Hypothesis
    difference: Difference
    fault: str = ""

    def __str__(self) -> str:
        change = f"{self.difference.unwanted} -> {self.difference.wanted}"
        return f"{self.request.id}: {self.fault or change}"


def mine(
    translator: Translator,
    name: str,
    pairs: Sequence[Tuple[str, str]],
    tokens: Sequence[Tensor],
    task: str,
    languages: Tuple[str, str],
    corpus: Corpus,
    words: int = 3,
) -> Iterator[Mined]:
    """Requests of one task, in the order of the sentences.

    Args:
        translator: the model.
        name: of the sentences, for the ids.
        pairs: sources with their references, as text.
        tokens: token ids of the sources.
        task: one of `MINED_TASKS`.
        languages: codes of source and target.
        corpus: the training side, for the checkers.
        words: of a `segment` at most, on either side.
    """
    hypotheses = translator.translate_tokens(tokens, f"decoding {name}")
    faults = _faults(task, languages, corpus, pairs, [hypothesis.text for hypothesis in hypotheses])
    for number, ((source, target), said, fault) in enumerate(zip(pairs, hypotheses, faults), start=1):
        difference = compare(said.text, target)
        if difference is None or not _fits(task, difference, said.text, target, fault, words):
            continue
        request = EditRequest(
            source, target, negative=said.text, task=task, id=f"{task}-{name}-{number}",
            unwanted=difference.unwanted or None, wanted=difference.wanted or None,
        )  # fmt: skip
        yield Mined(request, said, difference, fault or "")


def with_probes(
    translator: Translator,
    mined: Mined,
    corpus: Corpus,
    endings: Endings,
    most: int,
    judging: AbstractSet[str],
) -> EditRequest:
    """The request with its trigger and sentences of the corpus that show the behaviour, half of them as contexts.

    It stays as it is where the change hangs on no single word, or where no other sentence shows it.

    Args:
        translator: the model.
        mined: the request.
        corpus: where the sentences come from.
        endings: with which segments still count.
        most: probes at most.
        judging: sources that are mined themselves: another request's edit would be fitted on what judges this one.
    """
    request, difference = mined.request, mined.difference
    if not difference.lexical:
        return request
    trigger = find_trigger(translator, request.source, mined.said, request.target)
    if hangs_elsewhere(translator, request.source, mined.said, request.target, trigger):
        return request
    corpus = corpus.with_rare(trigger, difference.unwanted, endings.target)
    sources = [corpus.sources[i] for i in corpus.with_trigger(trigger) if corpus.sources[i] not in judging]
    tried = list(dict.fromkeys(sources))[:_MOST_TRIED]
    shown = [
        source
        for source, hypothesis in zip(tried, translator.translate(tried, "decoding probes"))
        if correct(hypothesis.text, difference, endings.target) is not None
    ]
    if len(shown) < 2 or 2 * len(shown) < len(tried):
        return request  # the trigger seldom gives the unwanted word: it is not what the change hangs on
    half = min(most, len(shown) // 2)
    probes = tuple(Probe(source) for source in shown[:half])
    return replace(request, trigger=trigger, probes=probes, contexts=tuple(shown[half:]))


def _fits(
    task: str, difference: Difference, said: str, target: str, fault: Optional[str], words: int
) -> bool:
    """Whether a sentence makes a request of the task."""
    single = correct(said, difference) == target or not difference.unwanted
    if task == "term":
        return (
            single and difference.lexical and difference.wanted.isalpha() and difference.unwanted.isalpha()
        )
    if task == SEGMENT:
        return (
            single
            and 0 < len(difference.wanted.split()) <= words
            and len(difference.unwanted.split()) <= words
        )
    return fault is not None


def _faults(
    task: str,
    languages: Tuple[str, str],
    corpus: Corpus,
    pairs: Sequence[Tuple[str, str]],
    said: Sequence[str],
) -> List[Optional[str]]:
    """What the task's checker has against each output, where it has nothing against the reference."""
    if task in ("term", SEGMENT):
        return [None] * len(pairs)
    checker = build_checker(task, *languages, list(zip(corpus.sources, corpus.targets)))
    wrong = checker.check([Observation(source, output) for (source, _), output in zip(pairs, said)])
    right = checker.check([Observation(*pair) for pair in pairs])
    return [None if other else fault for fault, other in zip(wrong, right)]
