"""Names of feed-forward networks, which commands, files and messages write as `decoder.3`."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Optional, Tuple

from fairseq_rome.errors import EditError

MAPS = {"": ("fc1", "fc2"), "b": ("fc3", "fc4")}
"""By part of a site the names of its two linear maps in the layer."""
_WEIGHT = re.compile(r"(.*(?:encoder|decoder))\.[^.]*layers\.(\d+)\.(fc[13]\.weight|fc[13]\.bias|fc[24]\.weight)")
_OUTPUTS = "outputs"
_WRITTEN = re.compile(r"(?:.+\.)?(?:encoder|decoder)\.[0-9]+b?", re.ASCII)


@dataclass(frozen=True)
class Site:
    """One feed-forward network, written `decoder.3`, or `decoder.3b` for the other network of a layer with two.

    Args:
        stack: `encoder` or `decoder`; in a multilingual model with the path before it, as in
            `models.en-de.decoder`.
        layer: index of the layer in its stack, from 0.
        part: empty for `fc1` and `fc2`; `b` for `fc3` and `fc4`, which layers such as DeltaLM's have too.
    """

    stack: str
    layer: int
    part: str = ""

    def __str__(self) -> str:
        return self.stack if self == OUTPUTS else f"{self.stack}.{self.layer}{self.part}"

    @property
    def maps(self) -> Tuple[str, str]:
        """Names of its linear maps in the layer: the one that reads its input, and the one that writes its value."""
        return MAPS[self.part]

    @property
    def in_decoder(self) -> bool:
        """Whether the site belongs to a decoder."""
        return self.stack.split(".")[-1] == "decoder"

    @classmethod
    def parse(cls, text: str) -> Site:
        """Read `encoder.0`, `decoder.5`, `decoder.5b` and the like.

        Raises:
            EditError: if the text is not a stack, a dot, a number and perhaps a `b`.
        """
        if text.strip() == _OUTPUTS:
            return OUTPUTS
        if not _WRITTEN.fullmatch(text.strip()):
            raise EditError(f"site {text!r}: expected STACK.LAYER, for example decoder.3 or encoder.0")
        stack, _, layer = text.strip().rpartition(".")
        return cls(stack, int(layer.rstrip("b")), "b" if layer.endswith("b") else "")

    @classmethod
    def of_weight(cls, name: str) -> Optional[Site]:
        """The site that a weight of a checkpoint belongs to, by its name; None for any other weight."""
        match = _WEIGHT.fullmatch(name)
        if match is None:
            return None
        return cls(match.group(1), int(match.group(2)), "b" if match.group(3).startswith(("fc3", "fc4")) else "")


OUTPUTS = Site(_OUTPUTS, -1)
"""No network of a model but what comes out of it: where edits act that look at texts alone."""
