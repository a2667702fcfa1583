"""Neuron-level sequential editing: one request at a time, in the columns of `fc2` that its keys make most use of.

Only the neurons that hold most of the keys' energy change, and the keys of earlier edits count as background (Jiang et
al. 2024, arXiv 2410.04045). The paper optimises values on the unedited model; here the model has the earlier edits in
it, so that what they give already is not given again.
"""

from __future__ import annotations

from fairseq_rome.algebra import nse_neurons, nse_update
from fairseq_rome.methods.base import EditProblem, solvable
from fairseq_rome.methods.fitting.pushes import cover_of, find_pushes, low_rank_patch
from fairseq_rome.patch import Patch
from fairseq_rome.settings import EditSettings


def edit(problem: EditProblem, settings: EditSettings) -> Patch:
    """Insert the keys and values of a request's time steps into the columns of their strongest neurons.

    Raises:
        EditError: if the model needs no push, or the neurons' moment can't be inverted.
    """
    pushes = find_pushes(problem, settings)
    neurons = nse_neurons(pushes.keys, settings.edit_neurons)
    cover = cover_of(problem.resources.background, problem.resources.owned_keys, settings)
    with solvable(problem.site):
        factors = nse_update(pushes.keys, pushes.additions, cover, neurons)
    return low_rank_patch("nse", problem, pushes.keys, factors)
