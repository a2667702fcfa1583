"""What patches are made of, as files and checkpoints hold it: plain values, and tensors by name."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any, ClassVar, Dict, Mapping, Tuple, Type

from torch import Tensor


@dataclass(frozen=True)
class Piece(ABC):
    """One thing that a patch does.

    A kind is a frozen dataclass with two class attributes. `kind` is its name in patch files. `parts` names the fields
    that hold tensors, in the order in which patch files hash them.
    """

    kind: ClassVar[str]
    parts: ClassVar[Tuple[str, ...]]

    def __init_subclass__(cls, kind: str = "") -> None:
        """Register a kind under the name that patch files give it; a class without one is no kind."""
        super().__init_subclass__()
        if not kind:
            return
        if kind in _KINDS:
            raise ValueError(f"two kinds of change are called {kind!r}, expected one name for each")
        cls.kind = kind
        _KINDS[kind] = cls

    @abstractmethod
    def describe(self) -> str:
        """What it is, in a few words: its neuron, its rank or its size."""

    @classmethod
    @abstractmethod
    def from_record(cls, record: Mapping[str, Any], tensors: Mapping[str, Tensor]) -> Piece:
        """Read back what `record` gave.

        Args:
            record: plain values.
            tensors: by field, as `tensors` gave them.

        Raises:
            KeyError, TypeError, ValueError: if something is missing or is of another form.
        """

    def record(self) -> Dict[str, Any]:
        """All that is no tensor, in plain values."""
        return {"kind": self.kind}

    @property
    def tensors(self) -> Dict[str, Tensor]:
        """All its tensors by field; a field without one is left out."""
        values = {part: getattr(self, part) for part in self.parts}
        return {part: value for part, value in values.items() if value is not None}

    @property
    @abstractmethod
    def fingerprint_text(self) -> str:
        """What it does to a model, in one line; equal lines mean equal effects."""


_KINDS: Dict[str, Type[Piece]] = {}


def kind_of(record: Mapping[str, Any]) -> Type[Piece]:
    """The class of a piece that was taken apart.

    Raises:
        KeyError, ValueError: if the record names no kind.
    """
    if record["kind"] not in _KINDS:
        raise ValueError(f"change of kind {record['kind']!r}, expected one of {', '.join(sorted(_KINDS))}")
    return _KINDS[record["kind"]]
