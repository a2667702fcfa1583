"""One protocol for all ways in which patches act on an open model: in its weights, or by hooks beside them."""

from __future__ import annotations

from abc import ABC, abstractmethod
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import Any, ContextManager, Dict, Mapping, Optional, Sequence, Tuple

from fairseq_rome.patch.changes import Patch
from fairseq_rome.patch.fitting import told
from fairseq_rome.patch.patch_files import patch_file, save_patches


@dataclass(frozen=True, eq=False)
class Intervention(ABC):
    """Patches that can be put on a model and taken off again.

    Where the patches act for one block, use the context manager `on`::

        with intervention.on(model):
            ...

    `enter` and `leave` do the same in two calls, for a caller that can't keep a block open.

    Args:
        patches: in the order in which they are made.
    """

    patches: Tuple[Patch, ...]
    _entered: Dict[Any, ExitStack] = field(default_factory=dict, init=False, repr=False)

    @abstractmethod
    def on(self, model: Any) -> ContextManager[None]:
        """The model with the patches inside the context, and as before after it."""

    @abstractmethod
    def describe(self) -> str:
        """Where the patches act and what they are, in one line."""

    def enter(self, model: Any) -> None:
        """Put the patches on a model until `leave`.

        Raises:
            ValueError: if they are on this model already.
        """
        if model in self._entered:
            raise ValueError("the patches are on this model already, expected leave before enter")
        stack = ExitStack()
        stack.enter_context(self.on(model))
        self._entered[model] = stack

    def leave(self, model: Any) -> None:
        """Take the patches off a model.

        Raises:
            ValueError: if `enter` did not put them on this model.
        """
        if model not in self._entered:
            raise ValueError("the patches are not on this model, expected enter before leave")
        self._entered.pop(model).close()

    def save(
        self,
        path: str,
        state: Mapping[str, Any],
        info: Optional[Mapping[str, Any]] = None,
        *,
        force: bool = False,
        inputs: Sequence[str] = (),
    ) -> None:
        """Write the patches as a patch file, from which every kind of intervention can be made again.

        Args:
            path: where.
            state: of the checkpoint that the patches were made for.
            info: plain values to tell besides.
            force: replace a file that exists.
            inputs: files that are never replaced.

        Raises:
            EditError: if the file must not or cannot be written.
        """
        save_patches(path, patch_file(self.patches, state, info or {}), force, inputs)

    def _place(self) -> str:
        """Where patches are that are not held by hooks."""
        beside = any(patch.beside for patch in self.patches)
        changes = any(patch.changes for patch in self.patches)
        return "in the weights and beside the model" if beside and changes else (
            "beside the model" if beside else "in the weights"
        )

    def _listed(self) -> str:
        count = f"{len(self.patches)} patch{'' if len(self.patches) == 1 else 'es'}"
        return f"{count} ({'; '.join(f'{told(patch)}: {patch.describe()}' for patch in self.patches)})"
