"""ROME for encoder-decoder models: new values at the mean keys of the edit positions, by a low-rank update of `fc2`.

One key a time step, the mean over all examples (Meng et al. 2022, arXiv 2202.05262), the same key everywhere (R-ROME,
arXiv 2403.07175); a segment of m subwords is an update of rank m.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from fairseq_rome.methods.base import EditProblem, Method, StreamSettings, ValueSettings, register, solvable

if TYPE_CHECKING:
    from fairseq_rome.patch import Patch


@dataclass(frozen=True)
class RomeSettings(ValueSettings, StreamSettings):
    """Settings of `rome`: those of every method that fits values."""


@register
class Rome(Method[RomeSettings]):
    """One request at a time, by a low-rank update of `fc2`."""

    name = "rome"
    summary = "a rank-one update of fc2 (one for each subword of the changed segment)"
    settings_class = RomeSettings
    weighs_keys = True

    def fit(self, problem: EditProblem, settings: RomeSettings) -> Patch:
        """Insert one key and value for each time step of the changed segment.

        Raises:
            EditError: if the model needs no push, or the steps' keys can't be told apart.
        """
        from fairseq_rome.algebra import insert_keys
        from fairseq_rome.methods.fitting.pushes import low_rank_patch, stream_pushes

        pushes = stream_pushes(problem, settings, settings.edit_keep_norm)
        moment = problem.resources.background.second_moment
        with solvable(problem.site):
            factors = insert_keys(pushes.keys, pushes.additions, moment, settings.edit_ridge)
        return low_rank_patch(self.name, problem, pushes, factors)
