"""Neurons that fire together, merged: one writes for both, and the other is free.

A layer writes sum_i w_i a_i, with a_i the activation of neuron i and w_i its column of `fc2`. Without neuron j, and
with w_i + c w_j in place of w_i, it writes w_j (a_j - c a_i) less than before. The c with the least mean square of that
is E[a_i a_j] / E[a_i^2], which leaves |w_j|^2 (E[a_j^2] - E[a_i a_j]^2 / E[a_i^2]). All of it can be read off the
second moment of the keys, and it is nothing where a_j is a multiple of a_i.
"""

from __future__ import annotations

from typing import Dict, NamedTuple, Set

import torch
from torch import Tensor


class Merge(NamedTuple):
    """A neuron whose place another one frees.

    Args:
        host: the neuron that writes for it too.
        factor: the share of the neuron's column that the host's gets besides its own.
        change: root mean square of how far what the layer writes moves.
    """

    host: int
    factor: float
    change: float


def merges(moment: Tensor, norms: Tensor, allowed: Tensor, most: float) -> Dict[int, Merge]:
    """Which neurons to merge, by the neuron that becomes free, the cheapest first.

    No neuron that becomes free writes for another one, so that the merges may be made in any number and order. At worst
    changes add up, so that the root mean square of what all change together is within the bound.

    Args:
        moment: f x f, second moment of the keys.
        norms: length f, squared norm of each column of `fc2`.
        allowed: length f, whether a neuron may take part.
        most: bound on the sum of the changes.
    """
    moment, norms = moment.double(), norms.double()
    power = moment.diagonal()
    left = power.unsqueeze(1) - moment.square() / power.clamp_min(torch.finfo(torch.float64).tiny)
    changes = (left.clamp_min(0.0) * norms.unsqueeze(1)).sqrt()  # of row j where column i is its host
    changes[:, ~allowed | (power <= 0)] = float("inf")
    changes.fill_diagonal_(float("inf"))
    found: Dict[int, Merge] = {}
    total = 0.0
    hosts: Set[int] = set()
    for neuron in changes.amin(1).sort(stable=True).indices.tolist():
        if not bool(allowed[neuron]) or neuron in hosts:
            continue
        host = int(changes[neuron].argmin())
        change = float(changes[neuron, host])
        if total + change > most:
            break
        total += change
        hosts.add(host)
        changes[:, neuron] = float("inf")
        found[neuron] = Merge(host, float(moment[neuron, host] / power[host]), change)
    return found
