"""ROME for encoder-decoder models: new values at the mean keys of the edit positions, by a low-rank update of `fc2`.

One key a time step, the mean over all examples (Meng et al. 2022, arXiv 2202.05262), the same key everywhere (R-ROME,
arXiv 2403.07175); a segment of m subwords is an update of rank m.
"""

from __future__ import annotations

from fairseq_rome.algebra import insert_keys
from fairseq_rome.methods.pushes import find_pushes, low_rank_patch
from fairseq_rome.methods.work import Work, solvable
from fairseq_rome.patch import Patch
from fairseq_rome.settings import EditSettings


def edit(work: Work, settings: EditSettings) -> Patch:
    """Insert one key and value for each time step of the changed segment.

    Raises:
        EditError: if the model needs no push, or the steps' keys can't be told apart.
    """
    pushes = find_pushes(work, settings)
    with solvable(work.site):
        factors = insert_keys(pushes.keys, pushes.additions, work.ground.background.moment, settings.edit_ridge)
    return low_rank_patch("rome", work, pushes.keys, factors)
