"""The states in which a correction is kept as it is: where the wanted tokens are right, and how far each reaches."""

from __future__ import annotations

from dataclasses import dataclass
from typing import List, Sequence, Tuple

import torch
from torch import Tensor

from fairseq_rome.algebra import distance_to_nearest
from fairseq_rome.errors import EditError
from fairseq_rome.host.examples import Example
from fairseq_rome.host.readings import SiteReading, read_site
from fairseq_rome.methods.base import EditProblem, ReachSettings
from fairseq_rome.methods.fitting.steps import Step, segment_steps
from fairseq_rome.statistics import inputs_of

Place = Tuple[int, int]


@dataclass(frozen=True)
class KeptStates:
    """The states of a decoder site at which the tokens of a change are right.

    Args:
        steps: the time steps of the change.
        places: (example, position) of each state; examples count from the user's own.
        step: length n, the number of each state's step.
        keys: n x d inputs of the site.
        tokens: length n, the target token that is right there.
        reach: length n, how far from each key a state may lie to be taken for it.
        readings: of all examples that the fit may see.
    """

    steps: Tuple[Step, ...]
    places: Tuple[Place, ...]
    step: Tensor
    keys: Tensor
    tokens: Tensor
    reach: Tensor
    readings: Tuple[SiteReading, ...]


def kept_states(problem: EditProblem, settings: ReachSettings) -> KeptStates:
    """The states of a request at its site.

    Raises:
        EditError: at an encoder site, if the model needs no push there, or if no state can be told from the background.
    """
    if not problem.site.in_decoder:
        raise EditError(f"site {problem.site}: states are kept of what is said next, expected a decoder site")
    examples = [problem.example, *problem.contexts]
    readings = read_site(problem.translator, [one.pair for one in examples], problem.site)
    steps = segment_steps(problem.site, examples, len(examples), readings, problem.thorough)
    numbered = [(number, place) for number, step in enumerate(steps) for place in step.pushed]
    places = [place for _, place in numbered]
    keys = torch.stack([readings[number].inputs[position].cpu() for number, position in places])
    tokens = torch.tensor([int(examples[number].pair.target[position]) for number, position in places])
    reach = settings.edit_reach * _to_others(problem, keys, tokens, _unchanged(examples, readings, places))
    good = reach.gt(0)
    if not bool(good.any()):
        raise EditError(f"site {problem.site}: the edit position can't be told from the background there")
    chosen = good.nonzero()[:, 0].tolist()
    return KeptStates(
        tuple(steps), tuple(places[index] for index in chosen),
        torch.tensor([number for number, _ in numbered])[good], keys[good], tokens[good], reach[good], tuple(readings),
    )  # fmt: skip


def _unchanged(
    examples: Sequence[Example], readings: Sequence[SiteReading], places: Sequence[Place]
) -> Tuple[Tensor, Tensor]:
    """Inputs and tokens of all other positions of the examples, but for those where the unwanted word is meant."""
    changed, said = set(places), {span.said for example in examples for span in example.spans}
    inputs: List[Tensor] = [readings[0].inputs[:0].cpu()]
    tokens: List[int] = []
    for number, (example, seen) in enumerate(zip(examples, readings)):
        rest = [
            position
            for position in range(len(seen.inputs))
            if (number, position) not in changed and int(seen.best[position]) not in said
        ]
        inputs.append(seen.inputs[rest].cpu())
        tokens += example.pair.target[rest].tolist()
    return torch.cat(inputs), torch.tensor(tokens, dtype=torch.long)


def _to_others(problem: EditProblem, keys: Tensor, tokens: Tensor, rest: Tuple[Tensor, Tensor]) -> Tensor:
    """How far from each key the nearest state lies in which another token is right: length n."""
    background = problem.resources.background
    counted = ~torch.isin(background.sentence, torch.tensor(sorted(problem.ignored), dtype=torch.long))
    sides = [(background.inputs[counted].float(), background.symbol[counted]), rest]
    read = [one.inputs(problem.site) for one in problem.elsewhere if one.pairs]
    own = (*problem.keep, *problem.near_misses)
    if own:
        read.append(inputs_of(problem.translator, own, problem.site))
    sides += [(inputs, symbols) for inputs, _, symbols in read]
    found = [distance_to_nearest(keys, inputs, symbols.ne(tokens.unsqueeze(1))) for inputs, symbols in sides]
    return torch.stack(found).amin(0)
