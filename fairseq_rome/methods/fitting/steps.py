"""The time steps of a changed segment: which positions of which examples belong together, and what each is to gain."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Dict, List, Sequence, Set, Tuple

import torch
from torch import Tensor

from fairseq_rome.errors import EditError
from fairseq_rome.host.batches import Pair
from fairseq_rome.host.examples import Example, Span
from fairseq_rome.host.readings import SiteReading
from fairseq_rome.host.sites import Site
from fairseq_rome.methods.base import EditProblem, PushSettings
from fairseq_rome.methods.fitting.values import Goal, optimise_values, value_from_examples

Label = Tuple[int, ...]


@dataclass(frozen=True)
class Step:
    """One time step of the wanted segment.

    Args:
        token: the target token to be said; -1 where it differs from example to example.
        places: (example, position) pairs in the site's stack.
        pushed: (example, target position) pairs of the token itself; the same as `places` at a decoder site.
        apart: no other sentence is to show it, not even where its token is right: another edit may change that.
    """

    token: int
    places: Tuple[Tuple[int, int], ...]
    pushed: Tuple[Tuple[int, int], ...]
    apart: bool = False

    def kept_apart(self) -> List[Step]:
        """The same at a decoder site, a step for each place: a gate for one alone is held tighter than for several."""
        return [replace(self, places=(one,), pushed=(one,), apart=True) for one in self.places]


# Below these log-probabilities a token is pushed; the second where every unsure token of the example is. Higher pushes
# more tokens: surer decoding, and more gates or ranks.
_UNSURE, _UNSURE_THOROUGH = math.log(0.5), math.log(0.9)
# A step that the user's own example does not need must be needed in this share of all examples. Smaller fits rarer
# forms of the segment, with a gate or a rank each.
_SMALLEST_SHARE = 0.1
# A decoder has lost its thread where it holds the next token below this log-probability in this share of the examples.
# Higher pushes the return to the sentence more often.
_LOST, _LOST_SHARE = math.log(0.05), 0.25
_WHATEVER_FOLLOWS, _BEHIND_A_PIECE = -1, -2
# How many examples values are fitted on: in all, and at least for one step. More generalise better, and take time.
_PUSHED, _PUSHED_AT_LEAST = 12, 4


def segment_steps(
    site: Site, examples: Sequence[Example], fitted: int, readings: Sequence[SiteReading], thorough: bool
) -> List[Step]:
    """The time steps at which the model must be pushed, in order of time.

    A step is a token of the changed segment after the same tokens of that segment, or the return to the sentence
    after it, whatever token that is: a decoder that has just said a word it hardly knows tends to go on with it, or
    to say the unwanted one as well. Where the model says the token by itself in nearly all examples there is no
    step. At the first token, examples other than the user's count only where the model is about to say what the
    segment replaces. Where some are free, only what was said first has to go. At an encoder site there is one step, at
    the last token of the trigger, which pushes all.

    Args:
        site: where to edit.
        examples: the user's example first, held-out ones last.
        fitted: how many of them the fit may see; a step that none of these has is left out.
        readings: of the examples, in the same order.
        thorough: also push other tokens of the first example that are not its clear choice.

    Raises:
        EditError: if there is no step to push.
    """
    places: Dict[Label, List[Tuple[int, int]]] = {}
    free = any(example.free for example in examples)
    for number, example in enumerate(examples):
        tokens = example.pair.target.tolist()
        if free:
            places.setdefault((_WHATEVER_FOLLOWS,), []).append((number, example.spans[0].opening))
            continue
        for span in example.spans:
            begins = number == 0 or int(readings[number].best[span.opening]) == span.said
            for label, position in _labels(tokens, span)[0 if begins else 1 :]:
                places.setdefault(label, []).append((number, position))
    bound = _UNSURE_THOROUGH if thorough else _UNSURE
    labels = [
        label
        for label, where in places.items()
        if any(number < fitted for number, _ in where) and _needed(label, where, examples, readings, bound)
    ]
    # The user's own sentence may begin as what has to go does.
    pushed = {label: [place for place in places[label] if place[0] or not free] for label in labels}
    steps = [Step(label[-1], tuple(places[label]), tuple(pushed[label])) for label in labels]
    if thorough:
        steps += _rest(examples[0], readings[0], {place for step in steps for place in step.pushed}, bound)
    found = steps if site.in_decoder else _at_trigger(examples, steps)
    if not found:
        raise EditError(f"site {site}: no token of the wanted segment needs a push there")
    return found


def _labels(tokens: Sequence[int], span: Span) -> List[Tuple[Label, int]]:
    """The positions of a span, each with what it has in common with others: what of the segment has been said before.

    A segment behind a piece of an old subword begins where the model did not mean to say it, unlike any other.
    """
    opening = [(tuple(tokens[span.opening : i + 1]), i) for i in range(span.opening, span.start)]
    inside = [(tuple(tokens[span.start : i + 1]), i) for i in range(span.start, span.stop)]
    if opening and inside:
        inside[0] = (_BEHIND_A_PIECE, *inside[0][0]), span.start
    behind = [((*tokens[span.start : span.stop], _WHATEVER_FOLLOWS), span.stop)] if span.stop < len(tokens) else []
    return [*opening, *inside, *behind]


def _needed(
    label: Label,
    where: Sequence[Tuple[int, int]],
    examples: Sequence[Example],
    readings: Sequence[SiteReading],
    bound: float,
) -> bool:
    follows = label[-1] == _WHATEVER_FOLLOWS
    # A sentence can go on in many ways; only a decoder that has lost its thread holds the next token improbable.
    limit = _LOST if follows else bound
    unsure = [
        (number, position)
        for number, position in where
        if float(readings[number].log_probs[position]) < limit
        or (follows and int(readings[number].best[position]) in {span.said for span in examples[number].spans})
    ]
    if not follows and any(number == 0 for number, _ in unsure):
        return True
    least = _LOST_SHARE * len(where) if follows else 0.0
    return len(unsure) >= max(least, min(3, len(examples)), _SMALLEST_SHARE * len(examples))


def _rest(example: Example, seen: SiteReading, done: Set[Tuple[int, int]], bound: float) -> List[Step]:
    tokens = example.pair.target.tolist()
    places = [(0, i) for i in range(len(tokens)) if float(seen.log_probs[i]) < bound and (0, i) not in done]
    return [Step(tokens[place[1]], (place,), (place,)) for place in places]


def _at_trigger(examples: Sequence[Example], steps: Sequence[Step]) -> List[Step]:
    places = tuple(
        (number, example.trigger[-1]) for number, example in enumerate(examples) if example.trigger
    )
    pushed = tuple(place for step in steps for place in step.pushed)
    return [Step(steps[0].token, places, pushed)] if steps and places else []


def examples_to_push(steps: Sequence[Step], fitted: int, most: int = _PUSHED) -> List[int]:
    """Numbers of some fitted examples, evenly spread, the first among them, such that every step is in several.

    Args:
        steps: the steps.
        fitted: how many examples the fit may see.
        most: examples in all, as long as every step is in several.
    """
    share = max(most // len(steps), _PUSHED_AT_LEAST)
    chosen = {0}
    for step in steps:
        numbers = sorted({number for number, _ in step.pushed if number < fitted})
        chosen.update(numbers[:: max(-(-len(numbers) // share), 1)])
    return sorted(chosen)


def pushed_values(
    problem: EditProblem,
    settings: PushSettings,
    steps: Sequence[Step],
    chosen: Sequence[int],
    activations: Sequence[Tensor],
    readings: Sequence[SiteReading],
) -> Tensor:
    """Optimised additions, one for each step (G x d), over the chosen examples.

    Args:
        problem: the request at its site.
        settings: how the values are fitted.
        steps: the G steps.
        chosen: numbers of the examples to fit on.
        activations: for each chosen example L x G, how far each step's addition is switched on.
        readings: of all examples.
    """
    examples = [problem.example, *problem.contexts]
    pairs = [examples[number].pair for number in chosen]
    places = [[place for step in steps for place in part(step)] for part in (_fixed, _varied)]
    push, guide = ([_mask(pair, n, where) for pair, n in zip(pairs, chosen)] for where in places)
    keep = [~(pushed | guided) for pushed, guided in zip(push, guide)]
    scale = float(torch.cat([readings[number].values for number in chosen]).square().mean().sqrt())
    goal = Goal(pairs, activations, push, guide, keep, problem.unwanted_token)
    return optimise_values(problem.translator, problem.site, goal, scale, settings.edit_steps)


def _fixed(step: Step) -> Sequence[Tuple[int, int]]:
    return step.pushed if step.token >= 0 else ()


def _varied(step: Step) -> Sequence[Tuple[int, int]]:
    return step.pushed if step.token < 0 else ()


def _mask(pair: Pair, number: int, places: Sequence[Tuple[int, int]]) -> Tensor:
    mask = torch.zeros(len(pair.target), dtype=torch.bool)
    mask[[position for example, position in places if example == number]] = True
    return mask


def values_from_examples(problem: EditProblem, steps: Sequence[Step], readings: Sequence[SiteReading]) -> Tensor:
    """Additions, one for each step (G x d), that carry the site to its own value where the wanted token is right.

    Raises:
        EditError: at an encoder site, or where the corpus never says a wanted token.
    """
    if not problem.site.in_decoder:
        raise EditError(
            f"site {problem.site}: --edit-value example takes values from target positions, expected a decoder site"
        )
    additions = []
    for step in steps:
        if step.token < 0:
            additions.append(torch.zeros_like(readings[0].values[0]).cpu())
            continue
        right = value_from_examples(problem.translator, problem.site, problem.corpus, step.token)
        if right is None:
            symbol = problem.translator.adapter.target_dictionary[step.token]
            raise EditError(
                f"{symbol!r} is nowhere said rightly in the corpus: --edit-value example has nothing to take"
            )
        fitted = [(number, position) for number, position in step.places if number <= len(problem.contexts)]
        now = torch.stack([readings[number].values[position] for number, position in fitted]).mean(0)
        additions.append(right - now.cpu())
    return torch.stack(additions)
