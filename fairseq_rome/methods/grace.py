"""The hidden-state cache: what a layer writes is replaced where its input is near a kept one; no weight changes.

After GRACE (Hartvigsen et al. 2023, arXiv 2211.11031), at the feed-forward network of one layer. A radius there begins
at one figure for all and grows as edits come in; here the background gives each key its own, once.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from fairseq_rome.methods.base import EditProblem, Method, PushSettings, ReachSettings, register

if TYPE_CHECKING:
    from fairseq_rome.patch import Patch


@dataclass(frozen=True)
class GraceSettings(PushSettings, ReachSettings):
    """Settings of `grace`."""


@register
class Grace(Method[GraceSettings]):
    """One request at a time, by kept states beside the model."""

    name = "grace"
    summary = "beside the model, learned values take the place of what a layer writes near kept states"
    settings_class = GraceSettings
    changes_weights = False

    def fit(self, problem: EditProblem, settings: GraceSettings) -> Patch:
        """Keep a state for each position of the changed segment, in the user's sentence and in its contexts.

        Its value is what the site wrote there, with the addition that gradient descent finds for its time step.

        Raises:
            EditError: at an encoder site, if the model needs no push, or if the background can't be told apart.
        """
        import torch

        from fairseq_rome.host.sites import parameter_names
        from fairseq_rome.methods.fitting.keeping import kept_states
        from fairseq_rome.methods.fitting.pushes import additions_for
        from fairseq_rome.patch import Codebook, Patch

        kept = kept_states(problem, settings)
        own = torch.stack([kept.readings[number].values[position].cpu() for number, position in kept.places])
        values = own + additions_for(problem, settings, kept.steps, kept.readings)[kept.step]
        names = tuple(parameter_names(problem.translator.model, problem.site).values())
        book = Codebook(problem.site, kept.keys, values, kept.reach, names)
        notes = {"states": float(len(kept.keys)), "steps": float(len(kept.steps))}
        return Patch(self.name, problem.site, (), notes, beside=(book,))
