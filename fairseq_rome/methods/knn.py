"""Retrieval: corrections as key-token pairs, which decoding consults at every step; no weight changes.

kNN-MT (Khandelwal et al. 2021, arXiv 2010.00710) on the corrected sentences alone, as in retrieval from human
corrections (Wang et al. 2022, arXiv 2109.11136), with a reach for each key instead of a learned weight.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from fairseq_rome.methods.base import EditProblem, Method, ReachSettings, register
from fairseq_rome.settings import setting

if TYPE_CHECKING:
    from fairseq_rome.patch import Patch

# Of the votes: a kept state at a share s of its reach votes with exp(-s^2 / temperature), so that one at the edge
# counts a fiftieth of one that is met. Less lets the nearest decide alone. No run has set it.
_TEMPERATURE = 0.25


@dataclass(frozen=True)
class KnnSettings(ReachSettings):
    """Settings of `knn`."""

    edit_neighbours: int = setting(8, "knn: how many of the nearest kept states vote on the next token")
    edit_knn_weight: float = setting(
        0.99, "knn: share of their votes in the next token's probability; the rest is the model's"
    )


@register
class Knn(Method[KnnSettings]):
    """One request at a time, by key-token pairs beside the model."""

    name = "knn"
    summary = "beside the model, key-token pairs vote on the next token wherever decoding comes near one"
    settings_class = KnnSettings
    changes_weights = False

    def fit(self, problem: EditProblem, settings: KnnSettings) -> Patch:
        """Keep a pair for each position of the changed segment, in the user's sentence and in its contexts.

        Raises:
            EditError: at an encoder site, if the model needs no push, or if the background can't be told apart.
        """
        from fairseq_rome.host.sites import parameter_names
        from fairseq_rome.methods.fitting.keeping import kept_states
        from fairseq_rome.patch import Datastore, Patch

        kept = kept_states(problem, settings)
        names = tuple(parameter_names(problem.translator.model, problem.site).values())
        store = Datastore(
            problem.site, kept.keys, kept.tokens, kept.reach,
            settings.edit_neighbours, settings.edit_knn_weight, _TEMPERATURE, names,
        )  # fmt: skip
        notes = {"pairs": float(len(kept.keys)), "steps": float(len(kept.steps))}
        return Patch(self.name, problem.site, (), notes, beside=(store,))
