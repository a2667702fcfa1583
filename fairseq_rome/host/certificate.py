"""A certificate of locality: which outputs a change of gates can't touch, proven without decoding them again.

Two models that differ in some neurons alone write the same at a site as long as these neurons are shut in both. By
induction over its steps, beam search then visits the same states and finds the same hypothesis, if they are shut in
every state that it visits with the first model.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Dict, Mapping, Optional, Sequence, Tuple

import torch
from torch import Tensor, nn
from torch.nn.functional import pad

from fairseq_rome.host.around import around
from fairseq_rome.host.sites import Site, find_sites, parameter_names
from fairseq_rome.host.visiting import States

# States are kept in half precision, which rounds each number by at most one part in 2,048, or by 2^-25 where it is
# tiny; and sums in single precision are off by at most some 2^-23 a term. A neuron that is nearer to opening than all
# of this together could come to is taken to open.
_HALF, _TINY, _SINGLE = 2.0**-11, 2.0**-25, 2.0**-23
# At these inputs an activation must give exactly nothing for a neuron to be shut below zero.
_BELOW_ZERO = (-1e-4, -0.1, -1.0, -10.0)


@dataclass(frozen=True)
class Certificate:
    """The neurons in which two models differ: where all stay shut, both say the same.

    Args:
        neurons: by site, weights (m x d) and biases (m) of neurons that must not open.
    """

    neurons: Mapping[Site, Tuple[Tensor, Tensor]]

    @classmethod
    def between(cls, model: nn.Module, old: Mapping[str, Tensor]) -> Optional[Certificate]:
        """The certificate of a model against what its parameters were; None where there can be none.

        Whatever is not the row, the bias and the column of a neuron has to be the same in both, the activation has to
        give exactly nothing below zero, and nothing may hang on the model or stand around its search.

        Args:
            model: as it is now.
            old: its parameters before, by the same names; there is no certificate where a layer had more neurons.
        """
        if any(module._forward_pre_hooks or module._forward_hooks for module in model.modules()) or around(model):
            return None
        new = {name: parameter.detach() for name, parameter in model.named_parameters()}
        found: Dict[Site, Tuple[Tensor, Tensor]] = {}
        rest = set(new)
        for site, layer in find_sites(model).items():
            names = parameter_names(model, site)
            own = [names[part] for part in ("fc1.weight", "fc1.bias", "fc2.weight")]
            if not rest.issuperset(own):  # layers that share weights
                return None
            rest.difference_update(own)
            if len(old[own[1]]) > len(new[own[1]]):  # neurons that are gone can't be held against anything
                return None
            changed = _changed([new[name] for name in own], [old[name].to(new[name]) for name in own])
            if changed is None:
                continue
            if not _shuts(layer) or getattr(layer, "ffn_layernorm", None) is not None:
                return None
            found[site] = changed
        same = all(name in old and torch.equal(new[name], old[name].to(new[name])) for name in rest)
        return cls(found) if same else None

    @property
    def sites(self) -> Tuple[Site, ...]:
        """Where states must be known."""
        return tuple(self.neurons)

    def holds(self, visited: Sequence[States]) -> Sequence[bool]:
        """For each of some sentences whether the second model says of it what the first one does.

        Args:
            visited: what beam search visits with the first model, at all `sites`.
        """
        good = torch.ones(len(visited), dtype=torch.bool)
        for site, (weights, biases) in self.neurons.items():
            counts = torch.tensor([len(states[site]) for states in visited])
            opens = _may_open(torch.cat([states[site] for states in visited]), weights, biases)
            number = torch.arange(len(visited)).repeat_interleave(counts)
            good[number[opens]] = False
        return good.tolist()


def _changed(new: Sequence[Tensor], old: Sequence[Tensor]) -> Optional[Tuple[Tensor, Tensor]]:
    """Weights and biases of the neurons that differ between two states of a site, as they are in each; None for none.

    A neuron whose column is zero writes nothing, open or shut, and need not be looked at.

    Args:
        new: `fc1.weight` (f x d), `fc1.bias` (f) and `fc2.weight` (d x f).
        old: the same before; with fewer neurons where the layer has grown.
    """
    more = len(new[1]) - len(old[1])
    before = pad(old[0], (0, 0, 0, more)), pad(old[1], (0, more)), pad(old[2], (0, more))
    differs = (
        new[0].ne(before[0]).any(1) | new[1].ne(before[1]) | new[2].ne(before[2]).any(0)
    )
    if not bool(differs.any()):
        return None
    rows, biases = [], []
    for weight, bias, columns in (new, before):
        writes = differs & columns.ne(0).any(0)
        rows.append(weight[writes].float().cpu())
        biases.append(bias[writes].float().cpu())
    return torch.cat(rows), torch.cat(biases)


def _may_open(states: Tensor, weights: Tensor, biases: Tensor) -> Tensor:
    """Which states (n x d) may open any of some neurons, whatever rounding has done to them: length n."""
    inputs = states.float()
    off = _HALF + inputs.shape[1] * _SINGLE
    bound = inputs @ weights.T + biases
    bound += (off * inputs.abs() + _TINY) @ weights.abs().T + _SINGLE * biases.abs()
    return ~bound.le(0).all(1)  # also where a number is none, such as one beyond the range of half precision


def _shuts(layer: nn.Module) -> bool:
    """Whether the activation of a layer gives exactly nothing below zero."""
    activation = getattr(layer, "activation_fn", None)
    if activation is None:
        return False
    return not bool(activation(torch.tensor(_BELOW_ZERO)).any())
