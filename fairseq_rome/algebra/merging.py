"""Neurons that fire together, merged: one writes for both, and the other is free.

A layer writes sum_i w_i a_i, with a_i the activation of neuron i and w_i its column of `fc2`. Without neuron j, and
with w_i + c w_j in place of w_i, it writes w_j (a_j - c a_i) less than before. The c with the least mean square of that
is E[a_i a_j] / E[a_i^2]. Besides the square of w_j that leaves E[a_j^2] - E[a_i a_j]^2 / E[a_i^2], which is nothing
where a_j is a multiple of a_i. The second moment of the keys also tells what several merges change together.
"""

from __future__ import annotations

from typing import Dict, Mapping, NamedTuple, Set

import torch
from torch import Tensor

_TINY = torch.finfo(torch.float64).tiny


class Merge(NamedTuple):
    """A neuron whose place another one frees.

    Args:
        host: the neuron that writes for it too.
        factor: the share of the neuron's column that the host's gets besides its own.
    """

    host: int
    factor: float


def merges(moment: Tensor, columns: Tensor, allowed: Tensor, most: float) -> Dict[int, Merge]:
    """Which neurons to merge, by the neuron that becomes free, those that change least by themselves first.

    No neuron that becomes free writes for another one, so that the first so many of them may be made, in any order.
    What these change together is within the bound, however many they are.

    Args:
        moment: f x f, second moment of the keys.
        columns: d x f, `fc2`.
        allowed: length f, whether a neuron may take part.
        most: bound on the root mean square of how far what the layer writes moves.
    """
    moment, columns = moment.double(), columns.double()
    power = moment.diagonal()
    left = power.unsqueeze(1) - moment.square() / power.clamp_min(_TINY)
    changes = left.clamp_min(0.0) * columns.square().sum(0).unsqueeze(1)  # of row j where column i is its host
    changes[:, ~allowed | (power <= 0)] = float("inf")
    changes.fill_diagonal_(float("inf"))
    found: Dict[int, Merge] = {}
    hosts: Set[int] = set()
    moved, total = torch.zeros_like(columns), 0.0
    for neuron in changes.amin(1).sort(stable=True).indices.tolist():
        if not bool(allowed[neuron]) or neuron in hosts:
            continue
        host = int(changes[neuron].argmin())
        factor = float(moment[neuron, host] / power[host].clamp_min(_TINY))
        own, column = factor * moment[host] - moment[neuron], columns[:, neuron]
        total += float(changes[neuron, host]) + 2.0 * float(column @ (moved @ own))
        if not total <= most**2:
            break
        hosts.add(host)
        changes[:, neuron] = float("inf")
        moved[:, host] += factor * column
        moved[:, neuron] -= column
        found[neuron] = Merge(host, factor)
    return found


def change_of(moment: Tensor, columns: Tensor, made: Mapping[int, Merge]) -> float:
    """The root mean square of how far what a layer writes moves by some merges.

    Args:
        moment: f x f, second moment of the keys.
        columns: d x f, `fc2` before.
        made: the merges, by the neuron that became free.
    """
    places = sorted({*made, *(one.host for one in made.values())})
    at = {neuron: place for place, neuron in enumerate(places)}
    moved = columns.new_zeros(len(columns), len(places), dtype=torch.float64)
    for neuron, one in made.items():
        moved[:, at[one.host]] += one.factor * columns[:, neuron].double()
        moved[:, at[neuron]] -= columns[:, neuron].double()
    inner = moment[places][:, places].double()
    return float((moved @ inner * moved).sum().clamp_min(0.0).sqrt())
