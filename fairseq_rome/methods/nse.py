"""Neuron-level sequential editing: one request at a time, in the columns of `fc2` that its keys make most use of.

Only the neurons that hold most of the keys' energy change, and the keys of earlier edits count as background (Jiang et
al. 2024, arXiv 2410.04045). The paper optimises values on the unedited model; here the model has the earlier edits in
it, so that what they give already is not given again.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from fairseq_rome.methods.base import CoverSettings, EditProblem, Method, StreamSettings, register, solvable
from fairseq_rome.settings import setting

if TYPE_CHECKING:
    from fairseq_rome.patch import Patch


@dataclass(frozen=True)
class NseSettings(CoverSettings, StreamSettings):
    """Settings of `nse`."""

    edit_neurons: float = setting(
        0.95, "nse: share of the energy of an edit's keys that the neurons hold whose columns change"
    )


@register
class Nse(Method[NseSettings]):
    """One request at a time, in few columns of `fc2`."""

    name = "nse"
    summary = "as rome, in the columns of fc2 whose neurons are busiest there"
    settings_class = NseSettings
    weighs_keys = True

    def fit(self, problem: EditProblem, settings: NseSettings) -> Patch:
        """Insert the keys and values of a request's time steps into the columns of their strongest neurons.

        Raises:
            EditError: if the model needs no push, or the neurons' moment can't be inverted.
        """
        from fairseq_rome.algebra import nse_neurons, nse_update
        from fairseq_rome.methods.fitting.pushes import cover_of, low_rank_patch, stream_pushes

        pushes = stream_pushes(problem, settings, settings.edit_keep_norm)
        neurons = nse_neurons(pushes.keys, settings.edit_neurons)
        cover = cover_of(problem.resources.background, problem.resources.owned_keys, settings)
        with solvable(problem.site):
            factors = nse_update(pushes.keys, pushes.additions, cover, neurons)
        return low_rank_patch(self.name, problem, pushes, factors)
