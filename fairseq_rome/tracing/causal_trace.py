"""What a trace found: the effect of every restored state, by stack, kind, layer and position."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Mapping, Tuple, Union

from torch import Tensor

from fairseq_rome.errors import EditError
from fairseq_rome.host.sites import Site

NOISE, CARRY = "noise", "carry"
MODES = (NOISE, CARRY)
"""How a trace sets the two runs apart that it compares."""


@dataclass(frozen=True)
class StackEffects:
    """The effects of one stack's cells.

    Args:
        stack: the stack, as in `Site.stack`.
        tokens: a subword for each position: in an encoder the one that stands there, in a decoder the one that the
            position predicts.
        marked: positions of the trigger in an encoder, those that predict the segment in a decoder.
        effects: by kind of state (`sites.KINDS`), layers x positions, float32; NaN where nothing was restored.
    """

    stack: str
    tokens: Tuple[str, ...]
    marked: Tuple[int, ...]
    effects: Mapping[str, Tensor]

    def site(self, layer: int) -> Site:
        """The layer of one row of the effects."""
        return Site(self.stack, layer)

    @property
    def in_decoder(self) -> bool:
        """Whether the stack is a decoder."""
        return self.site(0).in_decoder


@dataclass(frozen=True)
class CausalTrace:
    """Which states carry a behaviour.

    Args:
        id: of the request.
        mode: one of `MODES`.
        source: source text.
        target: target text that the model was made to follow.
        segment: target text whose probability is in question.
        trigger: source text where the encoder was disturbed, or where its states were put in.
        clean: probability in question in the run that states are taken from.
        corrupted: the same in the run that they are put into, one at a time; an effect is what is gained over it.
        stacks: effects, encoder first.
        details: settings, and other facts by name.
    """

    id: str
    mode: str
    source: str
    target: str
    segment: str
    trigger: str
    clean: float
    corrupted: float
    stacks: Tuple[StackEffects, ...]
    details: Mapping[str, Union[str, float]] = field(default_factory=dict)

    def stack(self, name: str) -> StackEffects:
        """The effects of one stack.

        Raises:
            EditError: if there is no such stack.
        """
        found = {effects.stack: effects for effects in self.stacks}
        if name not in found:
            raise EditError(f"no stack {name!r} in this trace, expected one of: {', '.join(found)}")
        return found[name]
