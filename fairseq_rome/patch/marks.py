"""Checks that a patch meets the weights that it was made for: their type, shape, bits and earlier patches."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Any, Dict, Iterable, List, Mapping, Optional, Sequence, Tuple

from torch import Tensor

from fairseq_rome.host.checkpoint import tensor_fingerprint
from fairseq_rome.patch.changes import Patch

Marks = Mapping[str, "Mark"]


@dataclass(frozen=True)
class Mark:
    """What a weight must be for a patch to apply, without the weight itself.

    Args:
        dtype: such as `float32`.
        shape: its sizes.
        sha256: of dtype, shape and bytes, in hexadecimal.
    """

    dtype: str
    shape: Tuple[int, ...]
    sha256: str

    @classmethod
    def of(cls, weight: Tensor) -> Mark:
        """The mark of a weight."""
        return cls(str(weight.dtype).replace("torch.", ""), tuple(weight.shape), tensor_fingerprint(weight))

    @classmethod
    def from_plain(cls, values: Sequence[Any]) -> Mark:
        """Read what `as_plain` gave."""
        dtype, shape, sha256 = values
        return cls(str(dtype), tuple(map(int, shape)), str(sha256))

    def as_plain(self) -> List[Any]:
        """The mark in plain types."""
        return [self.dtype, list(self.shape), self.sha256]

    def told_against(self, other: Mark) -> str:
        """What this weight is where `other` was expected, in a few words."""
        if self.dtype != other.dtype:
            return f"is {self.dtype}, expected {other.dtype}"
        if self.shape != other.shape:
            return f"has shape {list(self.shape)}, expected {list(other.shape)}"
        return f"is {self.sha256[:12]}..., expected {other.sha256[:12]}..."


@dataclass(frozen=True)
class Lineage:
    """Which patches have changed a weight so far, in their order.

    A change that adds to the weight was computed on top of just these, and means something else on top of others.

    Args:
        count: how many patches.
        sha256: a hash over their fingerprints, each hashed with the hash before it; empty for none.
    """

    count: int = 0
    sha256: str = ""

    def then(self, patch: Patch) -> Lineage:
        """With one patch more."""
        text = f"{self.sha256} {patch.fingerprint}"
        return Lineage(self.count + 1, hashlib.sha256(text.encode()).hexdigest())


def lineages(patches: Iterable[Patch], before: Optional[Mapping[str, Lineage]] = None) -> Dict[str, Lineage]:
    """The lineage of each weight, after patches.

    Args:
        patches: in the order in which they are made.
        before: the lineages before the first of them; none if None.
    """
    found = dict(before or {})
    for patch in patches:
        for name in patch.names:
            found[name] = found.get(name, Lineage()).then(patch)
    return found
