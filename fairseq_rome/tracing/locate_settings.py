"""How to trace: every setting, with its default."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Tuple

from fairseq_rome.errors import EditError
from fairseq_rome.host.sites import FFN, KINDS
from fairseq_rome.tracing.causal_trace import MODES, NOISE


@dataclass(frozen=True)
class LocateSettings:
    """How to trace.

    Args:
        mode: one of `MODES`.
        noise: standard deviation of the noise over that of the source embeddings; 3 as in ROME (arXiv 2202.05262).
        samples: of noise; effects are their means.
        seed: of the noise.
        batch_tokens: source or target tokens, whichever are more, at most in one batch of restored runs.
        kinds: of states to restore; the ranking of sites needs `FFN` alone.

    Raises:
        EditError: for a value that can't be.
    """

    mode: str = NOISE
    noise: float = 3.0
    samples: int = 8
    seed: int = 1
    batch_tokens: int = 2000
    kinds: Tuple[str, ...] = KINDS

    def __post_init__(self) -> None:
        if self.mode not in MODES:
            raise EditError(f"mode is {self.mode!r}, expected one of: {', '.join(MODES)}")
        if not 0 <= self.noise < float("inf"):
            raise EditError(f"noise is {self.noise}, expected a finite number of at least 0")
        if FFN not in self.kinds or not set(self.kinds) <= set(KINDS):
            raise EditError(f"kinds are {self.kinds!r}, expected {FFN} and any other of: {', '.join(KINDS)}")
        for name in ("samples", "batch_tokens"):
            if getattr(self, name) < 1:
                raise EditError(f"{name} is {getattr(self, name)}, expected at least 1")
