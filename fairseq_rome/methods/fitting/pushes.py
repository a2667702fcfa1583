"""What a low-rank update of `fc2` is to do for one request: a key and an addition for each time step."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import List, Optional, Sequence, Tuple

import torch
from torch import Tensor

from fairseq_rome.algebra import ridged
from fairseq_rome.host.batches import Pair
from fairseq_rome.host.readings import SiteReading, read_site
from fairseq_rome.host.sites import parameter_names
from fairseq_rome.methods.base import VALUE_NORM, CoverSettings, EditProblem, PushSettings, ValueSettings
from fairseq_rome.methods.fitting.steps import (
    Step,
    examples_to_push,
    pushed_values,
    segment_steps,
    values_from_examples,
)
from fairseq_rome.patch import LowRankChange, Patch
from fairseq_rome.statistics import Background


@dataclass(frozen=True)
class Pushes:
    """One request's time steps, in order of time.

    Args:
        pairs: the examples that the fit sees, as tokens, which the places of `steps` count in.
        steps: the m steps.
        keys: m x f, the mean key of each step over these examples (R-ROME, arXiv 2403.07175).
        additions: m x d, what the site's value is to gain at each key.
        values: m x d, the site's mean value at each step as the model is now.
    """

    pairs: Tuple[Pair, ...]
    steps: Tuple[Step, ...]
    keys: Tensor
    additions: Tensor
    values: Tensor

    @property
    def norm(self) -> float:
        """Mean norm of the values that are asked for."""
        return float((self.values + self.additions).norm(dim=1).mean())

    def kept_to(self, norm: Optional[float]) -> Pushes:
        """The pushes with no value longer than a norm; as they are where there is none.

        After many edits values and weights drive one another up: a matrix with larger values asks for larger ones. So a
        value `v` that is asked for becomes `v min(1, norm / |v|)`, in its own direction (norm-anchor scaling, Liu et
        al. 2026, arXiv 2602.02543, which also lengthens shorter ones: that would push where decoding asks for no more).
        """
        if norm is None:
            return self
        wanted = self.values + self.additions
        scale = (norm / wanted.norm(dim=1, keepdim=True)).clamp_max(1)
        return replace(self, additions=scale * wanted - self.values)


def stream_pushes(problem: EditProblem, settings: ValueSettings, keep_norm: bool) -> Pushes:
    """The pushes of one request of a stream of edits, kept to the norm of the first ones if that is asked for.

    Raises:
        EditError: as for `find_pushes`.
    """
    pushes = find_pushes(problem, settings)
    return pushes.kept_to(problem.resources.value_norm) if keep_norm else pushes


def find_pushes(problem: EditProblem, settings: ValueSettings) -> Pushes:
    """The keys of a request's time steps at its site, and optimised or example values for them.

    Raises:
        EditError: if the model needs no push there, or no value is to be had.
    """
    problem = problem.in_one_form()
    examples = [problem.example, *problem.contexts]
    pairs = tuple(example.pair for example in examples)
    readings = read_site(problem.translator, pairs, problem.site)
    steps = segment_steps(problem.site, examples, len(examples), readings, problem.thorough)
    keys = mean_rows([seen.keys for seen in readings], steps)
    additions = additions_for(problem, settings, steps, readings)
    values = mean_rows([seen.values for seen in readings], steps)
    return Pushes(pairs, tuple(steps), keys, additions, values)


def mean_rows(rows: Sequence[Tensor], steps: Sequence[Step]) -> Tensor:
    """The mean of each step's rows over all its places.

    Args:
        rows: of each example, one for each position of the site's stack.
        steps: the m steps.

    Returns:
        As many rows as there are steps.
    """
    return torch.stack([
        torch.stack([rows[number][position].cpu() for number, position in step.places]).mean(0)
        for step in steps
    ])  # fmt: skip


def additions_for(
    problem: EditProblem, settings: PushSettings, steps: Sequence[Step], readings: Sequence[SiteReading]
) -> Tensor:
    """What the site's value is to gain at each step (m x d): optimised, or taken from where the model is right.

    Args:
        problem: the request at its site.
        settings: how the values are fitted.
        steps: the m steps.
        readings: of the user's own example and the contexts.

    Raises:
        EditError: if no value is to be had.
    """
    if settings.edit_value == "example":
        return settings.edit_scale * values_from_examples(problem, steps, readings)
    return settings.edit_scale * _optimised(problem, settings, steps, readings)


def _optimised(
    problem: EditProblem, settings: PushSettings, steps: Sequence[Step], readings: Sequence[SiteReading]
) -> Tensor:
    chosen = examples_to_push(steps, 1 + len(problem.contexts))
    activations: List[Tensor] = [torch.zeros(len(readings[number].inputs), len(steps)) for number in chosen]
    for column, step in enumerate(steps):
        for number, position in step.places:
            if number in chosen:
                activations[chosen.index(number)][position, column] = 1.0
    return pushed_values(problem, settings, steps, chosen, activations, readings)


def cover_of(background: Background, past_keys: Tensor, settings: CoverSettings) -> Tensor:
    """The moment (f x f) of what should stay: the background's, `--edit-cover` keys of it, and past keys, once each."""
    moment = settings.edit_cover * ridged(background.second_moment.double(), settings.edit_ridge)
    past = past_keys.double()
    return moment + past.T @ past


def low_rank_patch(method: str, problem: EditProblem, pushes: Pushes, factors: Tuple[Tensor, Tensor]) -> Patch:
    """The patch of one request that adds left @ right.T to its site's `fc2`."""
    notes = {"rank": float(len(pushes.keys)), VALUE_NORM: pushes.norm}
    name = parameter_names(problem.translator.model, problem.site)["fc2.weight"]
    change = LowRankChange(name, *factors)
    return Patch(method, problem.site, (change,), notes, {name: pushes.keys})
