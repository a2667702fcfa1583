"""AlphaEdit: one request at a time, in directions that the background leaves free and earlier edits do not need.

As ROME, with the change of `fc2` projected on the null space of the background keys, and the keys of earlier edits in
the least-squares problem (Fang et al. 2025, arXiv 2410.02355).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from fairseq_rome.methods.base import CoverSettings, EditProblem, Method, StreamSettings, register, solvable
from fairseq_rome.settings import setting

if TYPE_CHECKING:
    from fairseq_rome.patch import Patch


@dataclass(frozen=True)
class AlphaEditSettings(CoverSettings, StreamSettings):
    """Settings of `alphaedit`."""

    edit_energy: float = setting(
        0.7, "alphaedit: share of the energy of background keys that the edit keeps out of, below 1"
    )


@register
class AlphaEdit(Method[AlphaEditSettings]):
    """One request at a time, within the null space of the background."""

    name = "alphaedit"
    summary = "as rome, in directions that the background and earlier edits leave free"
    settings_class = AlphaEditSettings
    weighs_keys = True

    def fit(self, problem: EditProblem, settings: AlphaEditSettings) -> Patch:
        """Insert the keys and values of a request's time steps within the null space of the background.

        Raises:
            EditError: if the model needs no push, or the keys lie outside the null space.
        """
        from fairseq_rome.algebra import alphaedit_update, null_space
        from fairseq_rome.methods.fitting.pushes import cover_of, low_rank_patch, stream_pushes

        pushes = stream_pushes(problem, settings, settings.edit_keep_norm)
        past = problem.resources.owned_keys
        basis = null_space(problem.resources.background.eigen, settings.edit_energy)
        # Of the same size as what stands against the edits of other methods, but the same in all directions.
        cover = basis.T.double() @ cover_of(problem.resources.background, past[:0], settings) @ basis.double()
        ridge = float(cover.diagonal().mean()) if len(cover) else 0.0
        with solvable(problem.site):
            factors = alphaedit_update(pushes.keys, pushes.additions, basis, past, ridge)
        return low_rank_patch(self.name, problem, pushes, factors)
