"""Where gates open: for each time step a detector that tells its edit positions from the background at the site."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import List, Optional, Sequence, Set, Tuple

import torch
from torch import Tensor

from fairseq_rome.algebra import (
    Detector,
    Negatives,
    Whitening,
    choose_threshold,
    discriminant,
    fit_detector,
    respond,
)
from fairseq_rome.errors import EditError
from fairseq_rome.host.examples import Example
from fairseq_rome.host.readings import SiteReading
from fairseq_rome.host.sites import Site
from fairseq_rome.methods.base import EditProblem, solvable
from fairseq_rome.methods.fitting.steps import Step
from fairseq_rome.statistics import OF_OTHERS, inputs_of

# Weight decay of the detector's regression, one for each attempt. Large generalises from the examples to others. The
# later, small ones are for a single example that is still inside the background; each has those negatives too that came
# out ahead of the example before.
_DECAYS = (2e-4, 1e-6, 1e-6, 1e-6)
# Share of the background positions that may open the gate of a single example after the last attempt: a corpus may hold
# the same sentence in other words. Larger lets more edits through, which then show in such sentences too.
_TWINS = 2e-5
# How many of the nearest background positions enter the choice of a threshold, and how many the regression. More see
# more of the background, and take time.
_NEAREST, _HARDEST = 20000, 2000
# From so many held-out positions on, these alone choose the threshold: fewer say too little about it.
_ENOUGH_TO_TUNE = 5
# Where a threshold lies between background (0) and edit positions (1). Low generalises, where there are several
# examples; high keeps a single example apart from all else. Later subwords of a new word are kept apart further where
# there are other directions, in which other words begin so: 99 instead of 97 of 100 sentences stayed there after one
# edit, at no loss. With a bilingual model it took 1 of 100 probes and kept nothing more.
_GAP, _GAP_LATER, _GAP_SINGLE = 0.1, 0.5, 0.9
# A gate's response is scaled to 1 at this share of the way from its threshold to the weakest edit positions (this
# quantile of them). Smaller opens it wider where it opens at all: surer there, and coarser at its edge.
_STEEPNESS, _WEAKEST = 0.3, 0.1
# How far below the response of the user's own example a threshold stays, as a share of that response over the mean
# input's. Larger makes surer that the example opens its gate, and lets more of the background open it.
_OWN_MARGIN = 0.02
# Probability from which a decoder may say the unwanted segment at a place, so that the gate need not stay shut there.
# Lower spares more such places, and holds the gate less tightly. Of 1, .2, .05 and .01 this was best for one request
# each in Japanese and Chinese: 20 instead of 17 of 31 sentences, and 29 instead of 27 of 40.
_MAY_SAY = 0.05
# Is the right one nowhere.
_NO_TOKEN = -1


@dataclass(frozen=True)
class Tolerance:
    """How much may open a gate that should not.

    Args:
        false_open: largest share of background positions, where held-out contexts need it.
        near_open: largest share of near misses.
    """

    false_open: float
    near_open: float


@dataclass(frozen=True)
class Gate:
    """A detector with the step that it serves.

    Args:
        step: the time step.
        detector: response above zero where the gate opens.
        margin: how far below the threshold the nearest background position lies, in units of the response to
            which the gate is scaled; negative where background positions open it.
    """

    step: Step
    detector: Detector
    margin: float
    def response(self, inputs: Tensor) -> Tensor:
        """How far it opens at rows of inputs (n x d): length n."""
        return self.detector(inputs).clamp_min(0)


def fit_gates(
    problem: EditProblem,
    ridge: float,
    tolerance: Tolerance,
    steps: Sequence[Step],
    examples: Sequence[Example],
    readings: Sequence[SiteReading],
) -> List[Gate]:
    """A gate for each step.

    Args:
        problem: the request at its site.
        ridge: on the covariance of the site's inputs, as a share of its mean diagonal.
        tolerance: how much may open a gate that should not.
        steps: the time steps.
        examples: those that the places of the steps count in, held-out ones last.
        readings: of the examples, in the same order.

    Raises:
        EditError: if a step can't be told from the background at this site.
    """
    with solvable(problem.site):
        whitening = Whitening.of(*problem.resources.background.spread, ridge)
    sides = _sides(problem, steps, examples, readings)
    responses = respond([discriminant(one.opened, whitening) for one in sides], problem.resources.background.inputs)
    gates = []
    for one, first in zip(sides, responses):
        gate = _fit_gate(one, first, whitening, tolerance)
        if gate is None and one.step.apart:
            # Where its token is right, an open gate does no harm but in sentences that other edits change.
            (looser,) = _sides(problem, [replace(one.step, apart=False)], examples, readings)
            gate = _fit_gate(looser, first, whitening, tolerance)
        if gate is None:
            raise EditError(f"site {problem.site}: the edit position can't be told from the background there")
        gates.append(gate)
    return gates


@dataclass(frozen=True)
class _Sides:
    """What one gate is to tell apart.

    Args:
        step: the step that it serves.
        opened: p x d inputs at which it should open.
        tuned: inputs at which it should open too, for its threshold alone; `opened` where there are too few others.
        shut: where it should not.
        near: near misses, which have a bound of their own.
        gap: where the threshold lies between what should not open it (0) and what should (1).
    """

    step: Step
    opened: Tensor
    tuned: Tensor
    shut: Negatives
    near: Tensor
    gap: float

    @property
    def several(self) -> bool:
        """Whether it has more than one example."""
        return len(self.opened) > 1

    @property
    def has_own(self) -> bool:
        """Whether the first of `opened` is in the user's own example."""
        return self.step.places[0][0] == 0


def _sides(
    problem: EditProblem, steps: Sequence[Step], examples: Sequence[Example], readings: Sequence[SiteReading]
) -> List[_Sides]:
    fitted = len(examples) - len(problem.held_out)
    counted, kept, kept_symbols = _negatives(problem)
    settled = _settled(problem) if any(step.apart for step in steps) else kept[:0]
    near = _near_misses(problem)
    edited = {place for step in steps for place in step.places}
    rest = _rows(readings, places_to_stay(problem.site, examples, readings[:fitted], edited))
    openings = {(number, span.opening) for number, example in enumerate(examples) for span in example.spans}
    sides = []
    for step in steps:
        own = set(step.places)
        others = [place for place in edited if place not in own and place[0] < fitted]
        # Where the wanted token is right anyway, an open gate does no harm.
        token = _NO_TOKEN if step.apart else step.token
        shut = Negatives(
            problem.resources.background.inputs,
            counted & problem.resources.background.symbol.ne(token),
            torch.cat([
                kept[kept_symbols.ne(token)], rest, _rows(readings, others), *([settled] if step.apart else []),
            ]),
        )
        seen = _rows(readings, [place for place in step.places if place[0] < fitted])
        unseen = [place for place in step.places if place[0] >= fitted]
        tuned = _rows(readings, unseen) if len(unseen) >= _ENOUGH_TO_TUNE else seen
        sides.append(_Sides(step, seen, tuned, shut, near, _gap(problem, step, len(seen), openings)))
    return sides


def places_to_stay(
    site: Site, examples: Sequence[Example], readings: Sequence[SiteReading], edited: Set[Tuple[int, int]]
) -> List[Tuple[int, int]]:
    """The (example, position) places in the examples' own sentences at which no gate should open.

    Where a decoder may say the unwanted segment at another place, an open gate gives the wanted one its chance there.

    Args:
        site: of the readings.
        examples: all of them.
        readings: of those that the fit may see.
        edited: the places at which one should.
    """
    said = {span.said for example in examples for span in example.spans} if site.in_decoder else set()
    return [
        (number, position)
        for number, seen in enumerate(readings)
        for position in range(len(seen.inputs))
        if (number, position) not in edited
        and not (said and (int(seen.best[position]) in said or float(seen.watched[position]) > _MAY_SAY))
    ]


def _gap(problem: EditProblem, step: Step, examples: int, openings: Set[Tuple[int, int]]) -> float:
    """Where the threshold of a step lies.

    Args:
        problem: the request at its site.
        step: the step.
        examples: how many positions it is fitted on.
        openings: where targets leave what the model says, as (example, position).
    """
    if examples == 1:
        return _GAP_SINGLE
    later = problem.site.in_decoder and step.token >= 0 and openings.isdisjoint(step.places)
    return _GAP_LATER if later and problem.elsewhere else _GAP


def _fit_gate(
    sides: _Sides, responses: Tensor, whitening: Whitening, tolerance: Tolerance
) -> Optional[Gate]:
    """A gate that tells two sides apart; None if none does.

    Args:
        sides: what to tell apart.
        responses: of the background to their discriminant.
        whitening: of the site.
        tolerance: how much may open a gate that should not.
    """
    shut = sides.shut
    close = shut.nearest(responses, _NEAREST)
    # Of the nearest negatives again those that count most, and of the request's own likewise.
    own = _hardest(shut.own, discriminant(sides.opened, whitening))
    hard = torch.cat([close[:_HARDEST], own, sides.near])
    for attempt, decay in enumerate(_DECAYS, start=1):
        detector = fit_detector(sides.opened, hard, whitening, decay)
        if attempt > 1:
            # By now it may point elsewhere than the discriminant.
            close = shut.nearest(respond([detector], shut.inputs)[0], _NEAREST)
        on_shut = detector(torch.cat([close, shut.own]))
        threshold = _threshold(sides, detector, on_shut, whitening, tolerance)
        opens = int(on_shut.ge(threshold).sum())
        few = attempt == len(_DECAYS) and opens <= _TWINS * len(shut.counted)
        if sides.several or opens == 0 or few:
            return _scaled(sides, detector, threshold, float(on_shut.max()))
        if attempt == 1:
            close = shut.nearest(respond([detector], shut.inputs)[0], _HARDEST)
        hard = torch.cat([hard, close[:_HARDEST], _hardest(shut.own, detector)])
    return None


def _hardest(inputs: Tensor, detector: Detector) -> Tensor:
    """The inputs of largest response, as many as the regression takes."""
    if len(inputs) <= _HARDEST:
        return inputs
    return inputs[detector(inputs).topk(_HARDEST).indices]


def _threshold(
    sides: _Sides, detector: Detector, on_shut: Tensor, whitening: Whitening, tolerance: Tolerance
) -> Tensor:
    gap = sides.gap
    on_near, on_tuned, opened = map(detector, (sides.near, sides.tuned, sides.opened))
    share = tolerance.false_open * int(sides.shut.counted.sum()) / len(on_shut)
    threshold = choose_threshold(on_tuned, opened, on_shut, share, gap)
    if len(on_near):
        bound = choose_threshold(on_tuned, opened, on_near, tolerance.near_open, gap)
        threshold = torch.maximum(threshold, bound)
    # Whatever else opens, the user's own example must: it comes first.
    own = opened[0] if sides.has_own else opened.max()
    return torch.minimum(threshold, own - _OWN_MARGIN * (own - detector(whitening.mean)).abs())


def _scaled(sides: _Sides, detector: Detector, threshold: Tensor, largest: float) -> Gate:
    """The gate with a threshold, the largest response at which it should stay shut being given."""
    opened = detector(sides.opened)
    own = opened[0] if sides.has_own else opened.max()
    # Where one token is wanted an open gate can't be too open; where it varies it can.
    steepness = _STEEPNESS if sides.step.token >= 0 else 1.0
    weakest = torch.minimum(own, opened[opened > threshold].quantile(_WEAKEST))
    steep = threshold + steepness * (weakest - threshold)
    margin = float((threshold - largest) / (steep - threshold))
    return Gate(sides.step, detector.rescaled(threshold, steep), margin)


def _negatives(problem: EditProblem) -> Tuple[Tensor, Tensor, Tensor]:
    """Which background positions must not open a gate (n), and inputs with their symbols in sentences to keep.

    Sentences of other directions that hold the trigger come closest to the edit, and are to stay as they are too.
    """
    background = problem.resources.background
    counted = ~torch.isin(background.sentence, torch.tensor(sorted(problem.ignored), dtype=torch.long))
    if problem.near_misses and problem.site.in_decoder:
        # They have a bound of their own. What another direction says is right there, whatever it is.
        counted &= background.symbol.ne(problem.unwanted_token) | background.sentence.eq(OF_OTHERS)
    stay = [one.inputs(problem.site) for one in problem.elsewhere if one.pairs]
    if problem.keep:
        stay.insert(0, inputs_of(problem.translator, problem.keep, problem.site))
    if not stay:
        return counted, background.no_inputs, background.symbol[:0]
    kept, _, symbols = (torch.cat(parts) for parts in zip(*stay))
    return counted, kept, symbols


def _settled(problem: EditProblem) -> Tensor:
    """Inputs in the sentences of earlier requests."""
    if not problem.settled:
        return problem.resources.background.no_inputs
    return inputs_of(problem.translator, problem.settled, problem.site)[0]


def _near_misses(problem: EditProblem) -> Tensor:
    """Inputs where the unwanted segment is rightly said without the trigger."""
    if not (problem.near_misses and problem.site.in_decoder):
        return problem.resources.background.no_inputs
    inputs, _, symbols = inputs_of(problem.translator, problem.near_misses, problem.site)
    return inputs[symbols.eq(problem.unwanted_token)]


def _rows(readings: Sequence[SiteReading], places: Sequence[Tuple[int, int]]) -> Tensor:
    rows = [readings[number].inputs[position].cpu() for number, position in places]
    return torch.stack(rows) if rows else readings[0].inputs[:0].cpu()
