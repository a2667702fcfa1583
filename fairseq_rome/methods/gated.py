"""Gated rank-one edits: a dormant neuron becomes a detector of the edit positions, its column what to add there.

For each time step one neuron j: row j of `fc1` and its bias become a detector, column j of `fc2` the value to add. The
change of each matrix has rank one. Where the gate is shut the network computes what it computed before, less what
the dormant neuron itself contributed.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Tuple

from fairseq_rome.errors import EditError
from fairseq_rome.methods.base import EditProblem, Method, NeuronSettings, ValueSettings, register
from fairseq_rome.settings import setting

if TYPE_CHECKING:
    from fairseq_rome.patch import HandedOver, NeuronChange, Patch


@dataclass(frozen=True)
class GatedSettings(ValueSettings, NeuronSettings):
    """Settings of `gated`."""

    edit_complete: bool = setting(
        True,
        "gated: add gates for the request's own sentence alone, where without them it would not be the target word by "
        "word",
    )
    edit_false_open: float = setting(
        2e-4,
        "gated: largest share of background positions that may open a gate, where held-out contexts need it",
    )
    edit_follow: bool = setting(
        True,
        "gated: where a change is carried to other sentences, add gates early in the decoder so that they go on behind "
        "the new word as they did behind the old one",
    )
    edit_near_open: float = setting(
        0.1,
        "gated: largest share of near misses (the unwanted segment from another source word) that may open a "
        "gate",
    )
    edit_for: str = setting(
        "float",
        "gated: what the edited model is to compute with; int8: weights that are rounded row by row, as CTranslate2 "
        "does. Then no gate makes the rounding of other neurons coarser, and in floating point the edit is the same",
        ("float", "int8"),
    )


@register
class Gated(Method[GatedSettings]):
    """One request at a time, by neurons that open at the edit positions alone."""

    name = "gated"
    summary = "a dormant feed-forward neuron becomes a detector of the edit positions"
    settings_class = GatedSettings
    takes_neurons = True

    def fit(self, problem: EditProblem, settings: GatedSettings) -> Patch:
        """Fit one gate for each time step of the changed segment.

        Raises:
            EditError: if the model needs no push, a step can't be told from the background at this site, or the site
                has no neuron to spare.
        """
        from fairseq_rome.methods.fitting.detecting import Tolerance
        from fairseq_rome.methods.fitting.following import following_changes
        from fairseq_rome.methods.fitting.gates import gate_changes
        from fairseq_rome.methods.fitting.neurons import handed_over
        from fairseq_rome.methods.fitting.rounding import within_rows
        from fairseq_rome.patch import Patch, applied

        tolerance = Tolerance(settings.edit_false_open, settings.edit_near_open)
        follow: Tuple[NeuronChange, ...] = ()
        room: Tuple[HandedOver, ...] = ()
        if settings.edit_follow and problem.early is not None:
            site, resources = problem.early
            early = replace(problem, site=site, resources=resources)
            int8 = settings.edit_for == "int8"
            follow = following_changes(early, settings, tolerance, rounded=int8, widened=settings.widen)
            room = handed_over(early, follow)
        with applied(problem.translator.model, Patch(self.name, problem.site, (*room, *follow))):
            changes, notes = gate_changes(problem, settings, tolerance)
        if any(example.free for example in problem.contexts):
            # The gates so far only bar what was said. What the request itself is to say comes on top of them.
            made = Patch(self.name, problem.site, (*handed_over(problem, changes), *changes))
            alone = problem.alone(made.taken[problem.site])
            with applied(problem.translator.model, made), suppress(EditError):
                changes += gate_changes(alone, settings, tolerance)[0]
        notes = {**notes, "following": float(len(follow) // 3)}
        every = (*changes, *follow)
        if settings.edit_for == "int8":
            every = within_rows(problem.translator.model, every)
        room = (*room, *handed_over(problem, changes))
        return Patch(self.name, problem.site, (*room, *every), notes)

    def complete(self, problem: EditProblem, patch: Patch, settings: GatedSettings) -> Patch:
        """Gates for all that the model is unsure of in the request's own sentence, on top of those that there are.

        Raises:
            EditError: as for `fit`.
        """
        from fairseq_rome.methods.fitting.detecting import Tolerance
        from fairseq_rome.methods.fitting.gates import gate_changes
        from fairseq_rome.methods.fitting.neurons import handed_over
        from fairseq_rome.methods.fitting.rounding import within_rows
        from fairseq_rome.patch import Patch, applied

        if not settings.edit_complete:
            return patch
        alone = problem.word_by_word(patch.taken.get(problem.site, ()))
        with applied(problem.translator.model, patch):
            tolerance = Tolerance(settings.edit_false_open, settings.edit_near_open)
            changes, notes = gate_changes(alone, settings, tolerance)
            if settings.edit_for == "int8":
                changes = within_rows(problem.translator.model, changes)
        more = (*handed_over(alone, changes), *changes)
        gates = {"gates": patch.notes.get("gates", 0.0) + notes["gates"]}
        return Patch(self.name, problem.site, (*patch.changes, *more), {**patch.notes, **gates})
