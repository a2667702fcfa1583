"""One edit for requests that want the same change: the first of them learns from the sentences of the others."""

from __future__ import annotations

from dataclasses import replace
from typing import Dict, List, Sequence, Tuple

from fairseq_rome.host.decoding import Hypothesis, Translator
from fairseq_rome.text.requests import EditRequest
from fairseq_rome.text.segments import Difference, Endings, holds, wanted_difference
from fairseq_rome.text.words import contains_trigger
from fairseq_rome.tracing.attribution import find_trigger


def share_changes(
    translator: Translator, requests: Sequence[EditRequest], before: Sequence[Hypothesis], endings: Endings
) -> List[EditRequest]:
    """The requests, where the first of several that want one change has the others' sources as contexts.

    One change is one word for one other word, hanging on one trigger. Once the first holds in the sentences of the
    others they need no edit of their own; where it does not, each still gets one.

    Args:
        translator: the model as it is now.
        requests: in the order in which they will be worked on.
        before: what the model says for each.
        endings: with which triggers and segments still count.
    """
    groups: Dict[Tuple[str, str], List[int]] = {}
    for number, (request, said) in enumerate(zip(requests, before)):
        difference = wanted_difference(request, said.text)
        if difference is not None and _one_change(translator, request, difference, said.text, endings):
            groups.setdefault((difference.unwanted, difference.wanted), []).append(number)
    shared = list(requests)
    for numbers in groups.values():
        if len(numbers) > 1:
            _share(translator, shared, before, numbers, endings)
    return shared


def _one_change(
    translator: Translator, request: EditRequest, difference: Difference, said: str, endings: Endings
) -> bool:
    codec = translator.codec
    # To the subword model two forms of a letter are one, and such a difference is none.
    differs = codec.target_text(codec.target(request.target)) != said
    return differs and difference.lexical and not holds(said, request.target, difference, endings.target)


def _share(
    translator: Translator,
    requests: List[EditRequest],
    before: Sequence[Hypothesis],
    numbers: Sequence[int],
    endings: Endings,
) -> None:
    leaders: List[Tuple[int, str]] = []
    for number in numbers:
        request = requests[number]
        for leader, trigger in leaders:
            if contains_trigger(request.source, trigger, endings.source):
                first = requests[leader]
                contexts = dict.fromkeys((*first.contexts, request.source))
                requests[leader] = replace(first, contexts=tuple(contexts))
                break
        else:
            found = request.trigger or find_trigger(
                translator, request.source, before[number], request.target
            )
            leaders.append((number, found))
