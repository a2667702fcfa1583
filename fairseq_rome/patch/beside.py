"""What a patch has beside the weights of a model: hooks on its states, or rules around its search.

A kind is one class in a file of its own, as a kind of change is. No checkpoint can hold it: it is kept in a patch file
and put on the model that the file was made for, whenever that is loaded.
"""

from __future__ import annotations

import json
from abc import abstractmethod
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any, ContextManager, Sequence, Tuple, Type

from torch import nn

from fairseq_rome.host.checkpoint import tensor_fingerprint
from fairseq_rome.patch.piece import Piece

_HELD = "fairseq_rome_beside"


@dataclass(frozen=True, eq=False)
class Beside(Piece):
    """One thing that acts beside the weights.

    Its `computed_from` are the names of parameters that it was computed from, which tell the model that it is for; none
    where any model will do.
    """

    @property
    @abstractmethod
    def computed_from(self) -> Tuple[str, ...]:
        """Names of parameters, as said above; a field of most kinds."""

    @abstractmethod
    def on(self, model: Any) -> ContextManager[None]:
        """The model with it inside the context, and as before after it.

        Raises:
            EditError: if the model lacks what it hangs on.
        """

    @property
    def text(self) -> str:
        """What it holds as text, such as a rule; empty for none."""
        return ""

    @classmethod
    def merged(cls, several: Sequence[Any]) -> Sequence[Beside]:
        """Several of this kind as fewer that do the same together, where that is quicker."""
        return several

    @property
    def fingerprint_text(self) -> str:
        """As for every piece."""
        told = json.dumps(self.record(), sort_keys=True, ensure_ascii=False)
        return " ".join((told, *map(tensor_fingerprint, self.tensors.values())))


def besides_on(model: nn.Module) -> Tuple[Beside, ...]:
    """What is beside a model now, in the order in which it was put there."""
    pieces: Tuple[Beside, ...] = getattr(model, _HELD, ((), None))[0]
    return pieces


def set_besides_(model: nn.Module, pieces: Sequence[Beside]) -> None:
    """Let a model have these beside its weights and no others.

    Raises:
        EditError: if the model lacks what one of them hangs on; nothing is then beside it.
    """
    there = besides_on(model)
    if len(there) == len(pieces) and all(one is other for one, other in zip(there, pieces)):
        return
    if there:
        getattr(model, _HELD)[1].close()
        delattr(model, _HELD)
    with ExitStack() as stack:
        kinds: Sequence[Type[Beside]] = list(dict.fromkeys(map(type, pieces)))
        for kind in kinds:
            for one in kind.merged([piece for piece in pieces if type(piece) is kind]):
                stack.enter_context(one.on(model))
        if pieces:
            setattr(model, _HELD, (tuple(pieces), stack.pop_all()))
