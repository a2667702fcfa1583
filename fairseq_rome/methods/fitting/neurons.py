"""Gates as changes of weights: each takes a neuron, a row of `fc1` with its bias and a column of `fc2`."""

from __future__ import annotations

from typing import Any, Iterable, List, Optional, Sequence, Tuple

import torch
from torch import Tensor

from fairseq_rome.algebra import Detector
from fairseq_rome.errors import EditError
from fairseq_rome.host.sites import layer_at, parameter_names
from fairseq_rome.methods.base import EditProblem
from fairseq_rome.patch import HandedOver, NeuronChange

# Factor on a detector's response where the activation is smooth (GELU, swish): a ReLU is shut below zero, these only
# well below it. Larger shuts more sharply; the column of fc2 is divided by it, so that what is added stays the same.
_SHARPNESS = 12.0


def spare_neurons(problem: EditProblem, count: int) -> Tuple[int, ...]:
    """The first neurons that the edit may take.

    Raises:
        EditError: if the site has fewer, or normalises its keys, so that a gate would move every neuron.
    """
    layer: Any = layer_at(problem.translator.model, problem.site)
    if getattr(layer, "ffn_layernorm", None) is not None:
        raise EditError(
            f"site {problem.site} normalises its keys: a gate would move every neuron; use --method rome"
        )
    spare = problem.resources.spare
    if len(spare) < count:
        raise EditError(
            f"site {problem.site} has {len(spare)} dormant neurons left, the edit needs {count}; --widen adds some, "
            "--edit-merge frees some"
        )
    return spare[:count]


def as_changes(
    problem: EditProblem, detectors: Sequence[Detector], values: Iterable[Tensor], neurons: Sequence[int]
) -> Tuple[NeuronChange, ...]:
    """The changes that make gates of neurons.

    Args:
        problem: the request at their site.
        detectors: of G gates.
        values: G x d, what each adds at response 1.
        neurons: the neuron of each.
    """
    sharpness = _sharpness(layer_at(problem.translator.model, problem.site))
    names = parameter_names(problem.translator.model, problem.site)
    changes: List[NeuronChange] = []
    for detector, value, neuron in zip(detectors, values, neurons):
        parts = (
            ("fc1.weight", 0, detector.weight * sharpness),
            ("fc1.bias", 0, detector.bias * sharpness),
            ("fc2.weight", 1, value / sharpness),
        )
        changes += [
            NeuronChange(names[part], dim, neuron, new, _now(problem, names[part], dim, neuron))
            for part, dim, new in parts
        ]
    return tuple(changes)


def handed_over(problem: EditProblem, changes: Sequence[NeuronChange]) -> Tuple[HandedOver, ...]:
    """The changes by which other neurons write what merged ones wrote, whose places gates take.

    Args:
        problem: the request at the site of the gates.
        changes: of the gates.
    """
    hosts = problem.resources.hosts
    return tuple(
        HandedOver(one.name, hosts[one.index].host, hosts[one.index].factor * one.old)
        for one in changes
        if one.dim == 1 and one.old is not None and one.index in hosts
    )


def _now(problem: EditProblem, name: str, dim: int, neuron: int) -> Optional[Tensor]:
    """What is a neuron's now; None if the layer is still to grow by it."""
    weight = problem.translator.model.get_parameter(name).detach()
    return weight.select(dim, neuron).cpu().clone() if neuron < weight.shape[dim] else None


def _sharpness(layer: Any) -> float:
    activation = layer.activation_fn
    probe = activation(torch.tensor([-1.0]))
    return 1.0 if float(probe.abs().max()) == 0.0 else _SHARPNESS
