"""Gated rank-one edits: a dormant neuron becomes a detector of the edit positions, its column what to add there.

For each time step one neuron j: row j of `fc1` and its bias become a detector, column j of `fc2` the value to add. The
change of each matrix has rank one. Where the gate is shut the network computes what it computed before, less what
the dormant neuron itself contributed.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, List, Optional, Sequence, Tuple

import torch
from torch import Tensor

from fairseq_rome.algebra import Detector, Negatives, Whitening, choose_threshold, discriminant, fit_detector
from fairseq_rome.contexts import Example
from fairseq_rome.errors import EditError
from fairseq_rome.methods.work import (
    Step,
    Work,
    examples_to_push,
    pushed_values,
    segment_steps,
    values_from_examples,
)
from fairseq_rome.patch import Change, NeuronChange, Patch
from fairseq_rome.settings import EditSettings
from fairseq_rome.sites import layer_at, parameter_names
from fairseq_rome.statistics import inputs_of
from fairseq_rome.vectors import Trace, trace

# A ReLU is shut below zero; smooth activations only well below it.
_SHARPNESS = 12.0
# Weight decay of the detector; the later ones where a single example is still inside the background, each against those
# negatives too that had come out ahead of it.
_DECAYS = (2e-4, 1e-6, 1e-6, 1e-6)
# A corpus may hold the same sentence in other words: so few positions may open the gate of a single example.
_TWINS = 2e-5
# How many background positions enter the choice of a threshold, and how many of them the regression.
_NEAREST, _HARDEST = 20000, 2000
_ENOUGH_TO_TUNE = 5
# Where between background and edit positions a threshold lies: low to generalise, high for a single example.
_GAP, _GAP_SINGLE = 0.1, 0.9
# A gate counts as open, at response 1, this far between its threshold and the weakest tenth of the edit positions.
_STEEPNESS, _WEAKEST = 0.3, 0.1
_OWN_MARGIN = 0.02


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


def edit(work: Work, settings: EditSettings) -> Patch:
    """Fit one gate for each time step of the changed segment.

    Raises:
        EditError: if the model needs no push, a step can't be told from the background at this site, or the site has
            no neuron to spare.
    """
    layer: Any = layer_at(work.translator.model, work.site)
    if getattr(layer, "ffn_layernorm", None) is not None:
        raise EditError(
            f"site {work.site} normalises its keys: a gate would move every neuron; use --method rome"
        )
    examples = [work.example, *work.contexts, *work.held_out]
    traces = trace(work.translator, [example.pair for example in examples], work.site)
    steps = segment_steps(work.site, examples, 1 + len(work.contexts), traces, work.thorough)
    gates = _fit_gates(work, settings, steps, examples, traces)
    neurons = _neurons(work, len(gates))
    values = _fit_values(work, settings, gates, traces)
    sharpness = _sharpness(layer)
    names = parameter_names(work.translator.model, work.site)
    changes: List[Change] = []
    for gate, value, neuron in zip(gates, values, neurons):
        parts = (
            ("fc1.weight", 0, gate.detector.weight * sharpness),
            ("fc1.bias", 0, gate.detector.bias * sharpness),
            ("fc2.weight", 1, value * (settings.edit_scale / sharpness)),
        )
        changes += [
            NeuronChange(names[part], dim, neuron, new, _now(work, names[part], dim, neuron))
            for part, dim, new in parts
        ]
    notes = {"gates": float(len(gates)), "margin": min(gate.margin for gate in gates)}
    return Patch("gated", work.site, tuple(changes), notes)


def _fit_gates(
    work: Work,
    settings: EditSettings,
    steps: Sequence[Step],
    examples: Sequence[Example],
    traces: Sequence[Trace],
) -> List[Gate]:
    fitted = len(examples) - len(work.held_out)
    counted, kept, kept_symbols = _negatives(work)
    near = _near_misses(work)
    edited = {place for step in steps for place in step.places}
    # Where a decoder wants to say the unwanted segment at another place, opening a gate does no harm either.
    said = {token for example in examples for token in example.said} if work.site.in_decoder else set()
    rest = _rows(traces, [
        (number, position)
        for number, seen in enumerate(traces[:fitted])
        for position in range(len(seen.inputs))
        if (number, position) not in edited and not (said and int(seen.best[position]) in said)
    ])  # fmt: skip
    gates = []
    for step in steps:
        own = set(step.places)
        others = [place for place in edited if place not in own and place[0] < fitted]
        # Where the wanted token is right anyway, an open gate does no harm.
        shut = Negatives(
            work.background.inputs,
            counted & work.background.symbol.ne(step.token),
            torch.cat([kept[kept_symbols.ne(step.token)], rest, _rows(traces, others)]),
        )
        seen = _rows(traces, [place for place in step.places if place[0] < fitted])
        unseen = [place for place in step.places if place[0] >= fitted]
        tuned = _rows(traces, unseen) if len(unseen) >= _ENOUGH_TO_TUNE else seen
        gates.append(_fit_gate(work, step, seen, tuned, shut, near, settings))
    return gates


def _fit_gate(
    work: Work,
    step: Step,
    positives: Tensor,
    tuned: Tensor,
    shut: Negatives,
    near: Tensor,
    settings: EditSettings,
) -> Gate:
    several = len(positives) > 1
    gap = _GAP if several else _GAP_SINGLE
    try:
        whitening = Whitening.of(*work.background.spread, settings.edit_ridge)
    except ValueError as error:
        raise EditError(f"site {work.site}: {error}") from error
    close = shut.nearest(discriminant(positives, whitening), _NEAREST)
    # Of the nearest negatives again those that count most, and all of the request's own.
    hard = torch.cat([close[: len(close) - len(shut.own)][:_HARDEST], shut.own, near])
    share = settings.edit_false_open * int(shut.counted.sum()) / len(close)
    for attempt, decay in enumerate(_DECAYS, start=1):
        detector = fit_detector(positives, hard, whitening, decay)
        if attempt > 1:
            # By now it may point elsewhere than the discriminant.
            close = shut.nearest(detector, _NEAREST)
        on_shut, on_near, on_tuned, opened = map(detector, (close, near, tuned, positives))
        threshold = choose_threshold(on_tuned, opened, on_shut, share, gap)
        if len(near):
            bound = choose_threshold(on_tuned, opened, on_near, settings.edit_near_open, gap)
            threshold = torch.maximum(threshold, bound)
        # Whatever else opens, the user's own example must: it comes first.
        own = opened[0] if step.places[0][0] == 0 else opened.max()
        threshold = torch.minimum(threshold, own - _OWN_MARGIN * (own - detector(whitening.mean)).abs())
        opens = int(on_shut.ge(threshold).sum())
        if several or opens == 0 or (attempt == len(_DECAYS) and opens <= _TWINS * len(shut.counted)):
            # Where one token is wanted an open gate can't be too open; where it varies it can.
            steepness = _STEEPNESS if step.token >= 0 else 1.0
            weakest = torch.minimum(own, opened[opened > threshold].quantile(_WEAKEST))
            steep = threshold + steepness * (weakest - threshold)
            margin = float((threshold - on_shut.max()) / (steep - threshold))
            return Gate(step, detector.rescaled(threshold, steep), margin)
        hard = torch.cat([hard, shut.nearest(detector, _HARDEST)])
    raise EditError(f"site {work.site}: the edit position can't be told from the background there")


def _negatives(work: Work) -> Tuple[Tensor, Tensor, Tensor]:
    """Which background positions must not open a gate (n), and inputs with their symbols in sentences to keep."""
    background = work.background
    counted = ~torch.isin(background.sentence, torch.tensor(sorted(work.ignored), dtype=torch.long))
    if work.near_misses and work.site.in_decoder:
        # They have a bound of their own.
        counted &= background.symbol.ne(work.unwanted_token)
    if not work.keep:
        return counted, background.inputs[:0], background.symbol[:0]
    kept, _, symbols = inputs_of(work.translator, work.keep, work.site)
    return counted, kept, symbols


def _near_misses(work: Work) -> Tensor:
    """Inputs where the unwanted segment is rightly said without the trigger."""
    if not (work.near_misses and work.site.in_decoder):
        return work.background.inputs[:0]
    inputs, _, symbols = inputs_of(work.translator, work.near_misses, work.site)
    return inputs[symbols.eq(work.unwanted_token)]


def _rows(traces: Sequence[Trace], places: Sequence[Tuple[int, int]]) -> Tensor:
    rows = [traces[number].inputs[position].cpu() for number, position in places]
    return torch.stack(rows) if rows else traces[0].inputs[:0].cpu()


def _neurons(work: Work, count: int) -> Tuple[int, ...]:
    """The first neurons that the edit may take."""
    if len(work.spare) < count:
        raise EditError(
            f"site {work.site} has {len(work.spare)} dormant neurons left, the edit needs {count}; --widen adds some"
        )
    return work.spare[:count]


def _now(work: Work, name: str, dim: int, neuron: int) -> Optional[Tensor]:
    """What is a neuron's now; None if the layer is still to grow by it."""
    weight = work.translator.model.get_parameter(name).detach()
    return weight.select(dim, neuron).cpu().clone() if neuron < weight.shape[dim] else None


def _sharpness(layer: Any) -> float:
    activation = layer.activation_fn
    probe = activation(torch.tensor([-1.0]))
    return 1.0 if float(probe.abs().max()) == 0.0 else _SHARPNESS


def _fit_values(work: Work, settings: EditSettings, gates: Sequence[Gate], traces: Sequence[Trace]) -> Tensor:
    """What each gate adds, G x d, fitted so that a gate open to 1 is enough."""
    steps = [gate.step for gate in gates]
    if settings.edit_value == "example":
        return values_from_examples(work, steps, traces)
    chosen = examples_to_push(steps, 1 + len(work.contexts))
    responses = [
        torch.stack([gate.detector(traces[i].inputs.cpu()).clamp_min(0) for gate in gates], dim=1)
        for i in chosen
    ]
    # What is added must do at the weakest openings and at the widest.
    limits = torch.tensor([1.0 if step.token >= 0 else float("inf") for step in steps])
    barely = [torch.minimum(response, limits) for response in responses]
    return pushed_values(work, settings, steps, chosen * 2, [*barely, *responses], traces)
