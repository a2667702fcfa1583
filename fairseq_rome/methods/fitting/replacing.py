"""What gates add where a change is carried: the new word takes the place of the old one among what may be said.

A push that makes the new word certain wherever its gate opens favours any sentence that holds it: the word comes where
another was meant, and twice. So the new word gets the probability that the old one had, and beam search finds the
sentence that it found before.
"""

from __future__ import annotations

from collections import Counter
from functools import cached_property
from typing import Dict, List, Sequence, Set, Tuple

import torch
from torch import Tensor

from fairseq_rome.host.examples import Example
from fairseq_rome.host.readings import SiteReading
from fairseq_rome.methods.base import EditProblem
from fairseq_rome.methods.fitting.detecting import Gate
from fairseq_rome.methods.fitting.matching import Aim, distributions, match
from fairseq_rome.methods.fitting.steps import examples_to_push

# Examples that values are fitted on. More generalise better, and take time.
_FITTED = 24
# Weight of all places to keep beside that of all where a new word is to come. Higher keeps more of what the sentences
# say otherwise, and brings the new word less surely.
_KEPT_WEIGHT = 0.3
# Most places to keep. More keep more, and take memory of the size of the vocabulary each.
_KEPT = 128

Places = List[Tuple[int, int]]


def replacing_values(
    problem: EditProblem, gates: Sequence[Gate], readings: Sequence[SiteReading], steps: int
) -> Tensor:
    """What each gate adds, G x d.

    Args:
        problem: the request with its contexts, at the site of the gates.
        gates: the G gates.
        readings: of all examples.
        steps: gradient steps.
    """
    numbers = examples_to_push([gate.step for gate in gates], 1 + len(problem.contexts), _FITTED)
    fitted = [problem.example, *problem.contexts]
    examples = [fitted[number] for number in numbers]
    rows = {number: row for row, number in enumerate(numbers)}
    pushed = [(rows[n], position) for gate in gates for n, position in gate.step.pushed if n in rows]
    kept = _others(examples, set(pushed))
    places = [*pushed, *kept]
    pairs = [example.pair for example in examples]
    told = distributions(problem.translator, problem.site, pairs, places)
    words = _Replaced(problem.contexts)
    wanted = torch.stack([words.wanted(examples[row], i, line) for (row, i), line in zip(places, told)])
    wanted = _returning(problem, examples, places, wanted)
    opened = [torch.stack([gate.response(readings[n].inputs.cpu()) for gate in gates], dim=1) for n in numbers]
    shares = (len(pushed), 1.0), (len(kept), _KEPT_WEIGHT)
    weights = torch.cat([torch.full((count,), share / max(count, 1)) for count, share in shares])
    scale = float(torch.cat([readings[n].values for n in numbers]).square().mean().sqrt())
    return match(problem.translator, problem.site, Aim(pairs, opened, places, wanted, weights), scale, steps)


def _others(examples: Sequence[Example], pushed: Set[Tuple[int, int]]) -> Places:
    """Places that are not pushed, evenly spread."""
    every = [(row, i) for row, one in enumerate(examples) for i in range(len(one.pair.target))]
    found = [place for place in every if place not in pushed]
    return found[:: max(-(-len(found) // _KEPT), 1)]


class _Replaced:
    """Which tokens new words replace.

    Args:
        contexts: the examples that tell it.
    """

    def __init__(self, contexts: Sequence[Example]) -> None:
        starts = [
            (int(one.pair.target[span.opening]), span.said)
            for one in contexts
            for span in one.spans
            if span.opening < span.rejoins
        ]
        self._counts = Counter(pair for pair in starts if pair[0] != pair[1])

    def wanted(self, example: Example, position: int, now: Tensor) -> Tensor:
        """The distribution that is wanted at a place, given the model's own (both of length V).

        Within a new word, and before what is left of an old subword, that is the target token alone, and so it is where
        the request's own sentence has what no other has.
        """
        token = int(example.pair.target[position])
        opens = any(span.opening == position for span in example.spans)
        given = [pair for pair in self._counts if pair[0] == token] if opens else self._commonest
        if (opens and not given) or any(span.opening < position < span.rejoins for span in example.spans):
            return torch.zeros_like(now).index_fill(0, torch.tensor([token], device=now.device), 1.0)
        moved = now.clone()
        for new, old in given:
            moved[new] += moved[old]
            moved[old] = 0.0
        return moved

    @cached_property
    def _commonest(self) -> List[Tuple[int, int]]:
        """Each replaced token with the one that mostly replaces it."""
        found: Dict[int, int] = {}
        for (new, old), _ in self._counts.most_common():
            found.setdefault(old, new)
        return [(new, old) for old, new in found.items()]


def _returning(problem: EditProblem, examples: Sequence[Example], places: Places, wanted: Tensor) -> Tensor:
    """The same, with what the model says behind the old word right behind the new one."""
    old = {
        (row, span.stop): (row, span.resumes)
        for row, one in enumerate(examples)
        for span in one.spans
        if span.stop == span.rejoins < len(one.pair.target)
    }
    found = [index for index, place in enumerate(places) if place in old]
    if found:
        own = [example.own for example in examples]
        wanted[found] = distributions(problem.translator, problem.site, own, [old[places[i]] for i in found])
    return wanted
