"""ROME for encoder-decoder models: new values at the mean keys of the edit positions, by a low-rank update of `fc2`.

One key a time step, the mean over all examples (Meng et al. 2022, arXiv 2202.05262), the same key everywhere (R-ROME,
arXiv 2403.07175); a segment of m subwords is an update of rank m.
"""

from __future__ import annotations

from typing import List

import torch
from torch import Tensor

from fairseq_rome.algebra import insert_keys
from fairseq_rome.errors import EditError
from fairseq_rome.methods.work import (
    Work,
    examples_to_push,
    pushed_values,
    segment_steps,
    values_from_examples,
)
from fairseq_rome.patch import LowRankChange, Patch
from fairseq_rome.settings import EditSettings
from fairseq_rome.sites import parameter_names
from fairseq_rome.vectors import trace


def edit(work: Work, settings: EditSettings) -> Patch:
    """Insert one key and value for each time step of the changed segment.

    Raises:
        EditError: if the model needs no push, or the steps' keys can't be told apart.
    """
    examples = [work.example, *work.contexts, *work.held_out]
    traces = trace(work.translator, [example.pair for example in examples], work.site)
    steps = segment_steps(work.site, examples, 1 + len(work.contexts), traces, work.thorough)
    keys = torch.stack([
        torch.stack([traces[number].keys[position].cpu() for number, position in step.places]).mean(0)
        for step in steps
    ])  # fmt: skip
    if settings.edit_value == "example":
        additions = values_from_examples(work, steps, traces)
    else:
        chosen = examples_to_push(steps, 1 + len(work.contexts))
        activations: List[Tensor] = [torch.zeros(len(traces[number].inputs), len(steps)) for number in chosen]
        for column, step in enumerate(steps):
            for number, position in step.places:
                if number in chosen:
                    activations[chosen.index(number)][position, column] = 1.0
        additions = pushed_values(work, settings, steps, chosen, activations, traces)
    try:
        left, right = insert_keys(keys, settings.edit_scale * additions, work.background.moment, settings.edit_ridge)
    except ValueError as error:
        raise EditError(f"site {work.site}: {error}") from error
    name = parameter_names(work.translator.model, work.site)["fc2.weight"]
    return Patch("rome", work.site, (LowRankChange(name, left, right),), {"rank": float(len(steps))})
