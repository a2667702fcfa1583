"""The edits that the model that translates has: those that are proven in its weights, the others held by hooks."""

from __future__ import annotations

from typing import Dict, List, Mapping, Optional, Tuple

from torch import Tensor, nn

from fairseq_rome.patch import HookedPatches, Patch, apply_, restore_, set_besides_

Key = Tuple[int, int]
Patches = Mapping[Key, Patch]
"""By fix and request."""


class LiveEdits:
    """Puts edits on a model and takes them off again, each time with as little work as it takes.

    Args:
        model: as it was opened; changed by nobody else.
    """

    def __init__(self, model: nn.Module) -> None:
        self._model = model
        self._made: Dict[Key, Patch] = {}
        self._saved: Dict[str, Tensor] = {}
        self._hooks: Optional[HookedPatches] = None

    def set(self, proven: Patches, beside: Patches) -> None:
        """Let the model have these edits and no others.

        Args:
            proven: go into the weights, in this order, so that the weights are those of a file that was edited so.
            beside: hooks hold them.

        Raises:
            EditError: if hooks can't hold one; the model is then as it was.
        """
        hooks = HookedPatches.of(self._model, list(beside.values())) if beside else None
        if self._hooks is not None:
            self._hooks.leave(self._model)
        self._set_weights(proven)
        if hooks is not None:
            hooks.enter(self._model)
        self._hooks = hooks

    def _set_weights(self, proven: Patches) -> None:
        """Make what is new where it goes on top of what is there, and everything again where it does not."""
        there = list(self._made.items())
        wanted = list(proven.items())
        if not _begins_with(wanted, there):
            restore_(self._model, self._saved)
            set_besides_(self._model, ())
            there = []
        for _, patch in wanted[len(there) :]:
            for name in patch.names:
                # A patch makes a new tensor, so that the one of the file stays as it is.
                self._saved.setdefault(name, self._model.get_parameter(name).data)
            apply_(self._model, patch)
        self._made = dict(wanted)


def _begins_with(wanted: List[Tuple[Key, Patch]], there: List[Tuple[Key, Patch]]) -> bool:
    """Whether some edits are there already, in the order in which they are wanted."""
    same = [one[0] == other[0] and one[1] is other[1] for one, other in zip(wanted, there)]
    return len(wanted) >= len(there) and all(same)
