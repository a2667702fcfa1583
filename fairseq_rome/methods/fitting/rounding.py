"""Gates for a model whose weights are rounded: what they add must not coarsen the rounding of everything else.

In int8, as CTranslate2 has it, each row of a matrix is rounded on a scale of its own, by which its largest weight
becomes 127. A gate's row of `fc1` has a scale for itself. But its column has an entry in every row of `fc2`. What a
gate adds is many times larger than what other neurons add, so its column would set these scales, and the weights of
all other neurons would be rounded more coarsely, in every sentence.

A neuron with a ReLU computes the same if its row and bias are multiplied by a number and its column is divided by it.
"""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Dict, Optional, Sequence, Set, Tuple

from torch import Tensor, nn

from fairseq_rome.host.sites import Site
from fairseq_rome.patch import NeuronChange


def within_rows(model: nn.Module, changes: Sequence[NeuronChange]) -> Tuple[NeuronChange, ...]:
    """The same gates, with columns in which no entry is larger than what is largest in its row without them.

    The factors are powers of two, so that with a ReLU what the gates compute in floating point stays the same, bit for
    bit. A smooth activation only becomes sharper.

    Args:
        model: in which the gates are to be.
        changes: of gates, at any sites; all three of each gate.
    """
    columns = [one for one in changes if one.dim == 1]
    taken: Dict[str, Set[int]] = {}
    for one in columns:
        taken.setdefault(one.name, set()).add(one.index)
    largest = {name: _largest(model.get_parameter(name).detach(), gates) for name, gates in taken.items()}
    factors = {_gate(one): _factor(one.new, largest[one.name]) for one in columns}
    return tuple(_scaled(one, factors[_gate(one)]) for one in changes)


def _largest(weight: Tensor, gates: Set[int]) -> Tensor:
    """The largest absolute value of each row (length d), without the columns of some neurons."""
    others = weight.abs().float().cpu()
    others[:, [gate for gate in gates if gate < weight.shape[1]]] = 0.0
    return others.amax(1)


def _factor(column: Tensor, largest: Tensor) -> float:
    # A row without another weight has nothing that could be rounded more coarsely.
    ratios = (column.abs().float().cpu() / largest)[largest > 0]
    needed = float(ratios.max()) if len(ratios) else 0.0
    return 2.0 ** math.ceil(math.log2(needed)) if needed > 1.0 else 1.0


def _gate(change: NeuronChange) -> Tuple[Optional[Site], int]:
    """What the three changes of one gate have in common."""
    return Site.of_weight(change.name), change.index


def _scaled(change: NeuronChange, factor: float) -> NeuronChange:
    return replace(change, new=change.new / factor if change.dim == 1 else change.new * factor)
