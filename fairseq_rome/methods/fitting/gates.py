"""The gates of one request as changes of weights: detectors in rows of `fc1`, what they add in columns of `fc2`."""

from __future__ import annotations

from typing import Dict, Sequence, Tuple

import torch
from torch import Tensor

from fairseq_rome.host.readings import SiteReading, read_site
from fairseq_rome.methods.base import EditProblem, ValueSettings
from fairseq_rome.methods.fitting.detecting import Gate, Tolerance, fit_gates
from fairseq_rome.methods.fitting.neurons import as_changes, spare_neurons
from fairseq_rome.methods.fitting.replacing import replacing_values
from fairseq_rome.methods.fitting.steps import (
    Step,
    examples_to_push,
    pushed_values,
    segment_steps,
    values_from_examples,
)
from fairseq_rome.patch import NeuronChange


def gate_changes(
    problem: EditProblem, settings: ValueSettings, tolerance: Tolerance
) -> Tuple[Tuple[NeuronChange, ...], Dict[str, float]]:
    """The changes of one gate for each time step of the changed segment, and figures about them.

    Args:
        problem: the request at its site.
        settings: how the values are fitted.
        tolerance: how much may open a gate that should not.

    Raises:
        EditError: if the model needs no push, a step can't be told from the background at this site, or the site has
            no neuron to spare.
    """
    examples = [problem.example, *problem.contexts, *problem.held_out]
    said = {span.said for example in examples for span in example.spans}
    readings = read_site(problem.translator, [example.pair for example in examples], problem.site, said)
    steps = segment_steps(problem.site, examples, 1 + len(problem.contexts), readings, problem.thorough)
    if problem.site.in_decoder and (problem.apart or problem.contexts):
        steps = [one for step in steps for one in (step.kept_apart() if _is_own(step) else [step])]
    gates = fit_gates(problem, settings.edit_ridge, tolerance, steps, examples, readings)
    neurons = spare_neurons(problem, len(gates))
    values = _fit_values(problem, settings, gates, readings) * settings.edit_scale
    notes = {"gates": float(len(gates)), "margin": min(gate.margin for gate in gates)}
    return as_changes(problem, [gate.detector for gate in gates], values, neurons), notes


def _is_own(step: Step) -> bool:
    """Whether a step is for the request's own sentence alone."""
    return all(number == 0 for number, _ in step.places)


def _fit_values(
    problem: EditProblem, settings: ValueSettings, gates: Sequence[Gate], readings: Sequence[SiteReading]
) -> Tensor:
    """What each gate adds, G x d, fitted so that a gate open to 1 is enough."""
    steps = [gate.step for gate in gates]
    if settings.edit_value == "example":
        return values_from_examples(problem, steps, readings)
    if problem.carries:
        return replacing_values(problem, gates, readings, settings.edit_steps)
    chosen = examples_to_push(steps, 1 + len(problem.contexts))
    responses = [
        torch.stack([gate.response(readings[i].inputs.cpu()) for gate in gates], dim=1) for i in chosen
    ]
    # What is added must do at the weakest openings and at the widest.
    limits = torch.tensor([1.0 if step.token >= 0 else float("inf") for step in steps])
    barely = [torch.minimum(response, limits) for response in responses]
    return pushed_values(problem, settings, steps, chosen * 2, [*barely, *responses], readings)
