"""An edit as data: changes of weights, in the order in which they are made, and what acts beside the weights.

A kind of change is one class in a file of its own. It subclasses `Change` under the name that patch files give the
kind, and answers whatever the package asks of a change. Nothing outside that file asks which kind a change is.
"""

from __future__ import annotations

import hashlib
from abc import abstractmethod
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, ClassVar, Dict, List, Mapping, Optional, Set, Tuple

import torch
from torch import Tensor

from fairseq_rome.host.checkpoint import tensor_fingerprint
from fairseq_rome.host.sites import Site
from fairseq_rome.patch.beside import Beside
from fairseq_rome.patch.piece import Piece

_WIDTH_DIMS = {"fc1.weight": 0, "fc1.bias": 0, "fc2.weight": 1, "fc3.weight": 0, "fc3.bias": 0, "fc4.weight": 1}


def width_dim(name: str) -> Optional[int]:
    """The dimension of a feed-forward weight that counts its neurons; None for any other weight."""
    return _WIDTH_DIMS.get(".".join(name.split(".")[-2:]))


@dataclass(frozen=True)
class Change(Piece):
    """One change of one weight.

    A kind is a frozen dataclass, defined as `class LowRankChange(Change, kind="low-rank")`, with a class attribute
    besides those of every `Piece`. `adds` tells whether the change adds to what stands in the weight. What rounding
    loses in a sum can't be computed back, so a checkpoint keeps the base of a weight that is added to, and such a
    change means something else on top of other changes.

    Args:
        name: state-dict name of the weight.
    """

    adds: ClassVar[bool]

    name: str

    @abstractmethod
    def apply_(self, weight: Tensor) -> None:
        """Make the change in a weight, in place; the weight is wide enough by then (see `needed_width`)."""

    @abstractmethod
    def fault(self, weight: Tensor) -> str:
        """Why the change can't be made in a weight of whatever width, in a few words; empty if it can."""

    def record(self) -> Dict[str, Any]:
        """All that is no tensor, in plain values."""
        return {**super().record(), "name": self.name}

    @property
    def fingerprint_text(self) -> str:
        """What the change does to a model, in one line; equal lines mean equal effects."""
        return " ".join((self.name, self.kind, *map(tensor_fingerprint, self.tensors.values())))

    def undo_(self, weight: Tensor) -> None:
        """Put back in place what stood in a weight before the change.

        Raises:
            ValueError: if the change adds; the weight's kept base is then what to put back.
        """
        raise ValueError(f"a {self.kind} change of {self.name} can't be computed back, expected its kept base")

    def rooted(self, base: Tensor) -> Change:
        """The same change, knowing what stands in a base weight at its place."""
        return self

    @property
    def neuron(self) -> Optional[int]:
        """The neuron that the change takes over for itself; None if it takes none."""
        return None

    @property
    def rank(self) -> Optional[int]:
        """The rank of the matrix that the change adds, where the change tells it."""
        return None

    def needed_width(self, weight: Tensor) -> int:
        """The feed-forward width to which a weight has to grow first; 0 where it is wide enough."""
        return 0

    @property
    def gate_part(self) -> Optional[Tensor]:
        """What hooks give a gate of their own in place of the neuron; None if the change replaces no neuron."""
        return None

    @property
    def host(self) -> Optional[int]:
        """The neuron that writes for another one, whose place the change frees; None for any other change.

        Hooks hold no such change: they leave every neuron in its place, and need no room.
        """
        return None

    @property
    def factors(self) -> Optional[Tuple[Tensor, Tensor]]:
        """The change as left (rows x r) @ right.T (r x columns), which hooks add to a value; None if it adds none."""
        return None

    def _number_fault(self) -> str:
        parts = self.tensors.values()
        good = all(part.is_floating_point() and bool(torch.isfinite(part).all()) for part in parts)
        return "" if good else "holds NaN, infinity or integers"


@dataclass(frozen=True)
class Patch:
    """The changes of one edit, in the order in which they are made, and what it has beside the weights.

    Args:
        method: the method that computed it.
        site: where it edits; the deepest site of an edit of several.
        changes: the changes.
        notes: figures about the edit (gate margins, number of contexts, ...), plain numbers by name.
        keys: by name of an `fc2.weight`, the m x f keys that the edit gave new values; later edits keep off them.
        about: the request that it is for, in plain values: id, source, target, ...
        beside: what acts beside the weights, such as a datastore or rules.
        running: by name of a weight, statistics of all edits of it so far, from which the next one goes on.
    """

    method: str
    site: Site
    changes: Tuple[Change, ...]
    notes: Mapping[str, float] = field(default_factory=dict)
    keys: Mapping[str, Tensor] = field(default_factory=dict)
    about: Mapping[str, Any] = field(default_factory=dict)
    beside: Tuple[Beside, ...] = ()
    running: Mapping[str, Tensor] = field(default_factory=dict)

    @property
    def names(self) -> List[str]:
        """The parameters that it changes, each once."""
        return list(dict.fromkeys(change.name for change in self.changes))

    @property
    def needs(self) -> List[str]:
        """The parameters whose marks tell the model that it is for: those that it changes or was computed from."""
        found = [*self.names, *(name for one in self.beside for name in one.computed_from)]
        return list(dict.fromkeys(found))

    @property
    def pieces(self) -> Tuple[Piece, ...]:
        """Its changes, then what it has beside the weights."""
        return (*self.changes, *self.beside)

    @property
    def size_bytes(self) -> int:
        """Memory of all its numbers and, where it has rules and terms, of their texts."""
        parts = [part for piece in self.pieces for part in piece.tensors.values()]
        texts = sum(len(one.text.encode()) for one in self.beside)
        return texts + sum(part.numel() * part.element_size() for part in parts)

    @property
    def neurons(self) -> List[int]:
        """The neurons that it takes over at its site."""
        return sorted(self.taken.get(self.site, ()))

    @property
    def taken(self) -> Dict[Site, Set[int]]:
        """The neurons that it takes over, by site."""
        found: Dict[Site, Set[int]] = {}
        for change in self.changes:
            if change.neuron is not None:
                found.setdefault(Site.of_weight(change.name) or self.site, set()).add(change.neuron)
        return found

    @property
    def hosts(self) -> Dict[Site, Set[int]]:
        """The neurons that write for others which it takes over, by site."""
        found: Dict[Site, Set[int]] = {}
        for change in self.changes:
            if change.host is not None:
                found.setdefault(Site.of_weight(change.name) or self.site, set()).add(change.host)
        return found

    @property
    def added_to(self) -> Dict[str, str]:
        """The weights that it adds to, each with the kind of the change: there the order of patches counts."""
        return {change.name: change.kind for change in self.changes if change.adds}

    @property
    def ranks(self) -> Dict[str, int]:
        """The rank of what it adds to a weight, where that is known."""
        return {change.name: change.rank for change in self.changes if change.rank is not None}

    def describe(self) -> str:
        """Its neurons, ranks and sizes, and what it has beside the weights, in a few words."""
        parts = [
            f"neuron{'s' if len(neurons) > 1 else ''} {', '.join(map(str, sorted(neurons)))}"
            + (f" of {site}" if site != self.site else "")
            for site, neurons in self.taken.items()
        ]
        return ", ".join([*parts, *(one.describe() for one in self.pieces if getattr(one, "neuron", None) is None)])

    @cached_property
    def fingerprint(self) -> str:
        """SHA-256, in hexadecimal, of what it does to a model."""
        digest = hashlib.sha256(f"{self.method} {self.site}".encode())
        for piece in self.pieces:
            digest.update(f"\n{piece.fingerprint_text}".encode())
        return digest.hexdigest()
