"""Fine-tuning with a memory of gradients: steps on one `fc2` that leave sampled logits as they are (arXiv 2206.08489).

As `finetune`, but what stands against the requests is a memory: the gradients of the logits of the right tokens at a
sample of the training side, with respect to the matrix that changes. Each step is projected off their span, so that
these logits stay as they are to first order (orthogonal gradient descent, arXiv 1910.07104).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, List, Mapping, Sequence, Tuple

from fairseq_rome.methods.base import EditProblem, Method, SiteResources, TuningSettings, register
from fairseq_rome.settings import setting

if TYPE_CHECKING:
    from fairseq_rome.host.batches import Pair
    from fairseq_rome.host.sites import Site
    from fairseq_rome.patch import Patch

# Of the target position that each sentence of the sample is remembered at; the seed of the run orders the sentences.
_SEED = 1


@dataclass(frozen=True)
class OgdSettings(TuningSettings):
    """Settings of `ogd`."""

    edit_memory: int = setting(
        300,
        "ogd: sentences of the training side whose gradients are remembered; more break less, and take the memory of "
        "the matrix each",
    )


@register
class Ogd(Method[OgdSettings]):
    """All requests by gradient steps, off the gradients of a sample."""

    name = "ogd"
    summary = "as finetune, with each step projected off the gradients of a sample of the training side"
    settings_class = OgdSettings

    def fit_all(
        self, problems: Sequence[EditProblem], resources: Mapping[Site, SiteResources], settings: OgdSettings
    ) -> Patch:
        """Change the deepest site alone, by as many epochs as it takes.

        Returns:
            A patch with one dense change; `failing` in its notes counts the requests that still do not hold, and
            `remembered` is the rank of the memory.
        """
        from fairseq_rome.algebra import off_span, orthonormal_rows
        from fairseq_rome.host.sites import parameter_names
        from fairseq_rome.methods.fitting.gradients import logit_gradients
        from fairseq_rome.methods.fitting.tuning import tuned

        places = _remembered(problems, settings.edit_memory)
        if not places:
            return tuned(self.name, problems, settings)
        translator = problems[0].translator
        name = parameter_names(translator.model, problems[0].site)["fc2.weight"]
        basis = orthonormal_rows(logit_gradients(translator, name, places))
        patch = tuned(self.name, problems, settings, within=partial(off_span, basis=basis))
        return replace(patch, notes={**patch.notes, "remembered": float(len(basis))})


def _remembered(problems: Sequence[EditProblem], most: int) -> List[Tuple[Pair, int]]:
    """The first pairs of the corpus in which no request wants a change, each with a target position."""
    import torch

    wanted = frozenset().union(*(problem.ignored for problem in problems))
    free = [pair for index, pair in enumerate(problems[0].corpus.pairs) if index not in wanted][:most]
    numbers = torch.rand(len(free), generator=torch.Generator().manual_seed(_SEED)).tolist()
    return [(pair, int(number * len(pair.target))) for pair, number in zip(free, numbers)]
