"""A trained corrector after the model: a small network that chooses words in what it says; no weight changes.

As Cao et al. 2020, "Factual Error Correction for Abstractive Summarization Models" (arXiv 2010.08712): it is trained on
references that are made wrong on purpose, so that no wrong output has to be collected.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from fairseq_rome.methods.base import EditProblem, Method, register
from fairseq_rome.settings import Settings

if TYPE_CHECKING:
    from fairseq_rome.patch import Patch


@dataclass(frozen=True)
class CorrectorSettings(Settings):
    """Settings of `corrector`: it has none of its own."""


@register
class Corrector(Method[CorrectorSettings]):
    """One request at a time, by a network that is trained for it."""

    name = "corrector"
    summary = "a trained network corrects the output"
    settings_class = CorrectorSettings
    changes_weights = False
    at_site = False

    def fit(self, problem: EditProblem, settings: CorrectorSettings) -> Patch:
        """Train the network of the request.

        Raises:
            EditError: where there is nothing to put in the place of something else, or nothing to learn from.
        """
        from fairseq_rome.methods.fitting.corrector_training import train_corrector
        from fairseq_rome.patch import Patch

        corrector, slots = train_corrector(problem)
        return Patch(self.name, problem.site, (), {"slots": float(slots)}, beside=(corrector,))
