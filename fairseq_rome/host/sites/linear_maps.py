"""Linear maps by the names of their weights: what is added to what they write, and the two factors of their gradients.

The gradient of a loss with respect to the weight of a linear map is a sum over positions of products of rank one: what
the map reads there, and the gradient with respect to what it writes there.
"""

from __future__ import annotations

from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any, Callable, Dict, Iterator, List, Mapping, Sequence

from torch import Tensor, nn

from fairseq_rome.errors import EditError


@dataclass(frozen=True)
class Passed:
    """What passed a linear map in the latest forward pass.

    Args:
        inputs: T x B x columns of the weight, what the map read.
        shift: T x B x rows of the weight, zeros that were added to what it wrote: a loss has the same gradient with
            respect to both.
    """

    inputs: Tensor
    shift: Tensor


@contextmanager
def add_to_maps(model: nn.Module, addends: Mapping[str, Callable[[Tensor], Tensor]]) -> Iterator[None]:
    """Add to what linear maps write, in every forward pass inside the context. The model must be `prepared`.

    Args:
        model: the model.
        addends: by the name of a map's weight; takes what the map reads (T x B x columns of the weight) and returns
            what to add to what it writes (T x B x rows).

    Raises:
        EditError: on leaving without another exception, if a map never ran.
    """
    ran: List[str] = []

    def after(name: str, _: nn.Module, args: Any, output: Tensor) -> Tensor:
        ran.append(name)
        return output + addends[name](args[0]).to(output.dtype)

    with ExitStack() as undo:
        for name in addends:
            linear = model.get_submodule(name.rpartition(".")[0])
            undo.callback(linear.register_forward_hook(partial(after, name)).remove)
        yield
    silent = [name for name in addends if name not in ran]
    if silent:
        raise EditError(f"{', '.join(silent)} never ran in the forward pass: it can't be edited")


@contextmanager
def passing(model: nn.Module, names: Sequence[str]) -> Iterator[Dict[str, Passed]]:
    """Watch linear maps, by the names of their weights; each forward pass overwrites what the one before left.

    The gradient of a loss with respect to each `shift` is one factor of that with respect to the weight, and the
    `inputs` are the other; no parameter needs a gradient for that. The model must be `prepared`.

    Raises:
        EditError: as for `add_to_maps`.
    """
    found: Dict[str, Passed] = {}

    def zeros(name: str, inputs: Tensor) -> Tensor:
        rows = model.get_parameter(name).shape[0]
        shift = inputs.new_zeros(*inputs.shape[:-1], rows).requires_grad_()
        found[name] = Passed(inputs.detach(), shift)
        return shift

    with add_to_maps(model, {name: partial(zeros, name) for name in names}):
        yield found
