"""The gates of one request as changes of weights: detectors in rows of `fc1`, what they add in columns of `fc2`."""

from __future__ import annotations

from typing import Any, Dict, List, Optional, Sequence, Tuple

import torch
from torch import Tensor

from fairseq_rome.errors import EditError
from fairseq_rome.host.readings import SiteReading, read_site
from fairseq_rome.host.sites import layer_at, parameter_names
from fairseq_rome.methods.base import EditProblem, ValueSettings
from fairseq_rome.methods.fitting.detecting import Gate, Tolerance, fit_gates
from fairseq_rome.methods.fitting.steps import (
    examples_to_push,
    pushed_values,
    segment_steps,
    values_from_examples,
)
from fairseq_rome.patch import Change, NeuronChange

# Factor on a detector's response where the activation is smooth (GELU, swish): a ReLU is shut below zero, these only
# well below it. Larger shuts more sharply; the column of fc2 is divided by it, so that what is added stays the same.
_SHARPNESS = 12.0


def gate_changes(
    problem: EditProblem, settings: ValueSettings, tolerance: Tolerance
) -> Tuple[Tuple[Change, ...], Dict[str, float]]:
    """The changes of one gate for each time step of the changed segment, and figures about them.

    Args:
        problem: the request at its site.
        settings: how the values are fitted.
        tolerance: how much may open a gate that should not.

    Raises:
        EditError: if the model needs no push, a step can't be told from the background at this site, or the site has
            no neuron to spare.
    """
    layer: Any = layer_at(problem.translator.model, problem.site)
    if getattr(layer, "ffn_layernorm", None) is not None:
        raise EditError(
            f"site {problem.site} normalises its keys: a gate would move every neuron; use --method rome"
        )
    examples = [problem.example, *problem.contexts, *problem.held_out]
    readings = read_site(problem.translator, [example.pair for example in examples], problem.site)
    steps = segment_steps(problem.site, examples, 1 + len(problem.contexts), readings, problem.thorough)
    gates = fit_gates(problem, settings.edit_ridge, tolerance, steps, examples, readings)
    neurons = _neurons(problem, len(gates))
    values = _fit_values(problem, settings, gates, readings)
    sharpness = _sharpness(layer)
    names = parameter_names(problem.translator.model, problem.site)
    changes: List[Change] = []
    for gate, value, neuron in zip(gates, values, neurons):
        parts = (
            ("fc1.weight", 0, gate.detector.weight * sharpness),
            ("fc1.bias", 0, gate.detector.bias * sharpness),
            ("fc2.weight", 1, value * (settings.edit_scale / sharpness)),
        )
        changes += [
            NeuronChange(names[part], dim, neuron, new, _now(problem, names[part], dim, neuron))
            for part, dim, new in parts
        ]
    notes = {"gates": float(len(gates)), "margin": min(gate.margin for gate in gates)}
    return tuple(changes), notes


def _neurons(problem: EditProblem, count: int) -> Tuple[int, ...]:
    """The first neurons that the edit may take."""
    spare = problem.resources.spare
    if len(spare) < count:
        raise EditError(
            f"site {problem.site} has {len(spare)} dormant neurons left, the edit needs {count}; --widen adds some"
        )
    return spare[:count]


def _now(problem: EditProblem, name: str, dim: int, neuron: int) -> Optional[Tensor]:
    """What is a neuron's now; None if the layer is still to grow by it."""
    weight = problem.translator.model.get_parameter(name).detach()
    return weight.select(dim, neuron).cpu().clone() if neuron < weight.shape[dim] else None


def _sharpness(layer: Any) -> float:
    activation = layer.activation_fn
    probe = activation(torch.tensor([-1.0]))
    return 1.0 if float(probe.abs().max()) == 0.0 else _SHARPNESS


def _fit_values(
    problem: EditProblem, settings: ValueSettings, gates: Sequence[Gate], readings: Sequence[SiteReading]
) -> Tensor:
    """What each gate adds, G x d, fitted so that a gate open to 1 is enough."""
    steps = [gate.step for gate in gates]
    if settings.edit_value == "example":
        return values_from_examples(problem, steps, readings)
    chosen = examples_to_push(steps, 1 + len(problem.contexts))
    responses = [
        torch.stack([gate.detector(readings[i].inputs.cpu()).clamp_min(0) for gate in gates], dim=1)
        for i in chosen
    ]
    # What is added must do at the weakest openings and at the widest.
    limits = torch.tensor([1.0 if step.token >= 0 else float("inf") for step in steps])
    barely = [torch.minimum(response, limits) for response in responses]
    return pushed_values(problem, settings, steps, chosen * 2, [*barely, *responses], readings)
