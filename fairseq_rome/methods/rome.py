"""ROME for encoder-decoder models: new values at the mean keys of the edit positions, by a low-rank update of `fc2`.

One key a time step, the mean over all examples (Meng et al. 2022, arXiv 2202.05262), the same key everywhere (R-ROME,
arXiv 2403.07175); a segment of m subwords is an update of rank m.
"""

from __future__ import annotations

from fairseq_rome.algebra import insert_keys
from fairseq_rome.methods.base import EditProblem, solvable
from fairseq_rome.methods.fitting.pushes import find_pushes, low_rank_patch
from fairseq_rome.patch import Patch
from fairseq_rome.settings import EditSettings


def edit(problem: EditProblem, settings: EditSettings) -> Patch:
    """Insert one key and value for each time step of the changed segment.

    Raises:
        EditError: if the model needs no push, or the steps' keys can't be told apart.
    """
    pushes = find_pushes(problem, settings)
    with solvable(problem.site):
        factors = insert_keys(pushes.keys, pushes.additions, problem.resources.background.moment, settings.edit_ridge)
    return low_rank_patch("rome", problem, pushes.keys, factors)
