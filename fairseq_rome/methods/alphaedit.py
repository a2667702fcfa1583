"""AlphaEdit: one request at a time, in directions that the background leaves free and earlier edits do not need.

As ROME, with the change of `fc2` projected on the null space of the background keys, and the keys of earlier edits in
the least-squares problem (Fang et al. 2025, arXiv 2410.02355).
"""

from __future__ import annotations

from fairseq_rome.algebra import alphaedit_update, null_space
from fairseq_rome.methods.pushes import cover_of, find_pushes, low_rank_patch
from fairseq_rome.methods.work import Work, solvable
from fairseq_rome.patch import Patch
from fairseq_rome.settings import EditSettings


def edit(work: Work, settings: EditSettings) -> Patch:
    """Insert the keys and values of a request's time steps within the null space of the background.

    Raises:
        EditError: if the model needs no push, or the keys lie outside the null space.
    """
    pushes = find_pushes(work, settings)
    past = work.ground.owned_keys
    basis = null_space(work.ground.background.eigen, settings.edit_energy)
    # Of the same size as what stands against the edits of other methods, but the same in all directions.
    cover = basis.T.double() @ cover_of(work.ground.background, past[:0], settings) @ basis.double()
    ridge = float(cover.diagonal().mean()) if len(cover) else 0.0
    with solvable(work.site):
        factors = alphaedit_update(pushes.keys, pushes.additions, basis, past, ridge)
    return low_rank_patch("alphaedit", work, pushes.keys, factors)
