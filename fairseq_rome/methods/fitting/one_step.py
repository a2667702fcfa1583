"""One step on `fc2` in closed form, from hidden states and gradients that are normalised over the stream of edits."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import islice
from typing import Any, Callable, List, Optional, Sequence, Tuple

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy, pad

from fairseq_rome.algebra import Running, batch_update, compact
from fairseq_rome.host.batches import Pair, decoded
from fairseq_rome.host.readings import read_site, reading_places
from fairseq_rome.host.sites import add_to_maps, parameter_names, passing
from fairseq_rome.methods.base import EditProblem
from fairseq_rome.methods.fitting.pushes import mean_rows
from fairseq_rome.methods.fitting.steps import examples_to_push, segment_steps
from fairseq_rome.methods.fitting.values import no_gradients
from fairseq_rome.patch import LowRankChange, Patch

# Examples of a request whose tokens give rows. More generalise better, and take time.
_EXAMPLES = 32
# Sentence pairs of the training side with which the statistics begin, so that those of a first request are not of
# itself alone (an explicit warm-up, as arXiv 2605.11836 found to steady the method).
_WARM_UP = 64
# The ridge, in units of the mean squared length of the rows' hidden states; the paper has 1 in the units of the states.
# More spreads the change over all that the states have in common, and less tells them apart.
_RIDGE = 1.0
# The lengths that are tried, as shares of the norm of the matrix: the first, the last, and how much longer each is than
# the one before. A finer series ends nearer to the least that will do, and takes a forward pass each.
_FIRST, _LAST, _LONGER = 0.02, 5.0, 1.25
# What share of the pushed tokens must be the model's choice at the length that is taken. Higher pushes harder.
_MET = 0.95


@dataclass(frozen=True)
class Rows:
    """What the tokens to be pushed of one request give.

    Args:
        states: n x f, what `fc2` reads at each of n places.
        gradients: n x d, of the loss with respect to what it writes there.
        running: statistics of gradients and states, side by side, of all edits so far and these.
        keys: m x f, the mean state of each of the request's time steps.
        pairs: the examples.
        pushed: the (pair, target position) of each token to be pushed.
    """

    states: Tensor
    gradients: Tensor
    running: Running
    keys: Tensor
    pairs: Tuple[Pair, ...]
    pushed: Tuple[Tuple[int, int], ...]


def find_rows(problem: EditProblem) -> Rows:
    """The rows of a request at its site, with the statistics after them.

    Raises:
        EditError: if the model needs no push there.
    """
    examples = [problem.example, *problem.contexts]
    readings = read_site(problem.translator, [example.pair for example in examples], problem.site)
    steps = segment_steps(problem.site, examples, len(examples), readings, problem.thorough)
    chosen = examples_to_push(steps, len(examples), _EXAMPLES)
    pairs = tuple(examples[number].pair for number in chosen)
    pushed, places = (_of_chosen(chosen, part) for part in zip(*((step.pushed, step.places) for step in steps)))
    states, gradients = _factors(problem, pairs, pushed, places)
    running = Running.of(torch.cat([gradients, states], 1), _known(problem))
    return Rows(states, gradients, running, mean_rows([seen.keys for seen in readings], steps), pairs, tuple(pushed))


def least_squares_step(rows: Rows) -> Tuple[Tensor, Tensor]:
    """The change of `fc2`, left (d x r) @ right.T (r x f), but for its length (arXiv 2505.14679, section 3).

    With states and gradients normalised, the gradient step of each row would add the negative normalised gradient,
    times the squared length of the normalised state, where that state is read. The step is the ridge least-squares map
    that gives these values at the states as they are.

    Raises:
        ValueError: if a number is not finite.
    """
    known = rows.running.parts(rows.gradients.shape[1])
    gradients = known[0].normalised(rows.gradients.double())
    states = known[1].normalised(rows.states.double())
    values = -states.square().sum(1, keepdim=True) * gradients
    identity = torch.eye(rows.states.shape[1], dtype=torch.double, device=rows.states.device)
    ridge = _RIDGE * rows.states.double().square().sum(1).mean()
    left, right = batch_update(rows.states.double(), values, ridge * identity)
    # In units of their own, so that factors of any length are as exact as others in single precision.
    length = (left.T @ left * (right.T @ right)).sum().sqrt()
    return compact((left / length).float(), right.float())


def long_enough(problem: EditProblem, rows: Rows, step: Tuple[Tensor, Tensor]) -> float:
    """The least length of a series, as a share of the norm of the matrix, with which the model follows.

    It follows where it holds the token to be said the most probable one at nearly all places to be pushed. Where no
    length will do, it is the one with which most places follow.
    """
    translator, name = problem.translator, _name(problem)
    model: Any = translator.model
    batch = translator.batcher.batch(rows.pairs)
    at = torch.tensor(rows.pushed, device=batch.target.device).unbind(1)
    norm = float(model.get_parameter(name).detach().float().norm())
    best, shift, length = -1.0, _FIRST, _FIRST
    while length <= _LAST:
        with torch.no_grad(), add_to_maps(model, {name: _added(step, length * norm)}):
            said = model.decoder.output_layer(decoded(model, batch, features_only=True)[at]).argmax(-1)
        share = float(said.eq(batch.target[at]).float().mean())
        if share > best:
            best, shift = share, length
        if share >= _MET:
            break
        length *= _LONGER
    return shift


def step_patch(method: str, problem: EditProblem, rows: Rows, step: Tuple[Tensor, Tensor], shift: float) -> Patch:
    """The patch of one request that moves its site's `fc2` by a step.

    Args:
        method: name of the method.
        problem: the request at its site.
        rows: of the request.
        step: from `least_squares_step`.
        shift: how far, as a share of the norm of the matrix.
    """
    name = _name(problem)
    norm = float(problem.translator.model.get_parameter(name).detach().float().norm())
    change = LowRankChange(name, (shift * norm * step[0]).cpu(), step[1].cpu())
    notes = {"rank": float(change.rank), "shift": shift}
    return Patch(method, problem.site, (change,), notes, {name: rows.keys}, running={name: rows.running.rows.cpu()})


def _name(problem: EditProblem) -> str:
    return parameter_names(problem.translator.model, problem.site)["fc2.weight"]


def _added(step: Tuple[Tensor, Tensor], length: float) -> Callable[[Tensor], Tensor]:
    """What a step of a length adds to what a map writes, from what it reads."""
    left, right = step
    return lambda inputs: inputs.float() @ right @ (length * left).T


def _of_chosen(chosen: Sequence[int], places: Sequence[Sequence[Tuple[int, int]]]) -> List[Tuple[int, int]]:
    """The places of all steps in chosen examples, with the number of each among the chosen."""
    numbers = {number: index for index, number in enumerate(chosen)}
    return [(numbers[number], at) for part in places for number, at in part if number in numbers]


def _known(problem: EditProblem) -> Running:
    """The statistics before a request: those of the edits so far, or of sentences of the training side."""
    model: Any = problem.translator.model
    before = problem.resources.running
    if before is not None:
        # A layer may have grown since; its new neurons, which come last, had been silent.
        return Running(pad(before, (0, sum(model.get_parameter(_name(problem)).shape) - before.shape[1])))
    free = (pair for index, pair in enumerate(problem.corpus.pairs) if index not in problem.ignored)
    pairs = list(islice(free, _WARM_UP))
    lengths = [len(pair.target) for pair in pairs]
    pushed = [(row, at) for row, length in enumerate(lengths) for at in range(length)]
    states, gradients = _factors(problem, pairs, pushed, None)
    return Running.of(torch.cat([gradients, states], 1))


def _factors(
    problem: EditProblem,
    pairs: Sequence[Pair],
    pushed: Sequence[Tuple[int, int]],
    places: Optional[Sequence[Tuple[int, int]]],
) -> Tuple[Tensor, Tensor]:
    """What `fc2` reads (n x f), and the gradient of the loss of some tokens at what it writes (n x d).

    Args:
        problem: the request at its site.
        pairs: the sentence pairs.
        pushed: the (pair, target position) of the tokens of the loss.
        places: the (pair, position of the site's stack) of the n rows; None for all positions.
    """
    translator, name = problem.translator, _name(problem)
    model: Any = translator.model
    batch = translator.batcher.batch(pairs)
    at = torch.tensor(pushed, device=batch.target.device).unbind(1)
    with no_gradients(model), torch.enable_grad(), passing(model, [name]) as passed:
        scores = model.decoder.output_layer(decoded(model, batch, features_only=True)[at]).float()
        loss = cross_entropy(scores, batch.target[at], reduction="sum")
        (gradients,) = torch.autograd.grad(loss, [passed[name].shift])
    real = reading_places(translator, batch, problem.site)
    own = [mask.nonzero().squeeze(1) for mask in real]
    if places is None:
        places = [(row, number) for row, mask in enumerate(own) for number in range(len(mask))]
    rows = torch.tensor([row for row, _ in places], device=real.device)
    positions = torch.stack([own[row][number] for row, number in places])
    return passed[name].inputs[positions, rows].float(), gradients[positions, rows].float()
