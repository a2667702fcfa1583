"""What follows a word that the model hardly knows: one more gate, which lets it go on as it did after the old word.

After an edit the decoder reads the new word as its own output. Of a word that it has hardly ever said it makes little:
it says the word again, or drops the rest of the sentence. Early in the decoder, where the last subword of the new word
is read, a gate carries the state to where the rest of the sentence comes out as it did after the old word: with the
help of other neurons where the layer may grow (`carrying`), else by itself, as well as one addition for all sentences
can.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace
from typing import Dict, List, NamedTuple, Sequence, Tuple

import torch
from torch import Tensor
from torch.nn.functional import kl_div, one_hot

from fairseq_rome.algebra import Detector
from fairseq_rome.errors import EditError
from fairseq_rome.host.batches import Pair
from fairseq_rome.host.examples import Example
from fairseq_rome.host.readings import SiteReading, read_site
from fairseq_rome.methods.base import EditProblem, ValueSettings
from fairseq_rome.methods.fitting.carrying import WordRead, carrying_neurons, grows
from fairseq_rome.methods.fitting.detecting import Gate, Tolerance, fit_gates
from fairseq_rome.methods.fitting.matching import Aim, distributions, match
from fairseq_rome.methods.fitting.neurons import as_changes, spare_neurons
from fairseq_rome.methods.fitting.steps import Step
from fairseq_rome.patch import NeuronChange

# Share of the examples that must have a word, and how many, for a gate behind it. Lower fits rarer forms, with a neuron
# each.
_SHARE, _LEAST = 0.1, 3
# Examples that the value is fitted on, in all, and tokens behind each word. More go on as before for longer, and take
# time.
_FITTED, _TOKENS = 24, 6
# Contexts that gates are fitted on; the second where neurons beside them are, too. More generalise better, and are read
# at one more site.
_READ, _READ_TO_CARRY = 80, 300
# Divergence in nats a token, up to which the model goes on well enough by itself: where layers grow because the user
# asks for it; elsewhere, since neurons beside a gate take some ten seconds of the model of six directions; and where
# one addition serves all sentences and the training side has so many uses of the word for other source words. There it
# harms more than it helps: 26 instead of 33 of 40 sentences of one French term were clean with .02, and 34 with neurons
# beside the gate. Higher leaves more to chance; lower adds gates behind words that need none.
_WELL_WIDENED, _WELL, _WELL_IF_KNOWN, _KNOWN = 0.002, 0.02, 0.2, 40
_GRADIENT_STEPS = 20
_ANY = -1


class Continuation(NamedTuple):
    """What follows one new word in one example.

    Args:
        example: number of the example.
        position: target position of the first token behind the new word.
        rejoins: from which on the tokens are the same as behind the old word; beyond `position` where a piece of an old
            subword stands between.
        resumes: the position of `rejoins` behind the old word.
        length: tokens that are the same from there on.
        longer: the new word is the old one with more behind it.
    """

    example: int
    position: int
    rejoins: int
    resumes: int
    length: int
    longer: bool = False

    @property
    def bare(self) -> bool:
        """Whether no piece of an old subword stands behind the new word."""
        return self.rejoins == self.position


def following_steps(examples: Sequence[Example], fitted: int) -> List[Tuple[Step, List[Continuation]]]:
    """For each new word that enough examples share, where it has been read whole, and what follows.

    Args:
        examples: the user's first, held-out ones last.
        fitted: how many of them the fit may see.
    """
    places: Dict[Tuple[int, ...], List[Continuation]] = {}
    for number, example in enumerate(examples):
        new, old = example.pair.target.tolist(), example.own.target.tolist()
        ahead = 0  # how many more tokens the target has so far
        for span in example.spans:
            length = _alike(new[span.rejoins :], old[span.resumes :])
            longer, ahead = span.opening - ahead == span.resumes, span.rejoins - span.resumes
            if span.start < span.stop and length:
                found = Continuation(number, span.stop, span.rejoins, span.resumes, length, longer)
                places.setdefault(tuple(new[span.start : span.stop]), []).append(found)
    least = max(_LEAST, _SHARE * len(examples))
    often = [where for where in places.values() if len(where) >= least and any(one.example < fitted for one in where)]
    return [(_step([(one.example, one.position) for one in where]), where) for where in often]


def _step(places: Sequence[Tuple[int, int]]) -> Step:
    return Step(_ANY, tuple(places), tuple(places))


def _alike(new: Sequence[int], old: Sequence[int]) -> int:
    """How many tokens two continuations have in common, a few at most."""
    length = 0
    for one, other in zip(new[:_TOKENS], old):
        if one != other:
            break
        length += 1
    return length


def following_changes(
    problem: EditProblem, settings: ValueSettings, tolerance: Tolerance, rounded: bool = False, widened: bool = False
) -> Tuple[NeuronChange, ...]:
    """The changes of the neurons behind each new word that enough examples share, where the model goes astray.

    None where no gate can be had.

    Args:
        problem: the request, at an early site of the decoder.
        settings: how the values are fitted.
        tolerance: how much may open a gate that should not.
        rounded: the weights will be rounded, so that nothing may rest on small differences between states.
        widened: the user asks for layers that grow.
    """
    if grows(problem) and not rounded:
        with suppress(EditError):  # one value for all does where these can't stand beside it
            return _changes(problem, settings, tolerance, carries=True, widened=widened)
    with suppress(EditError):  # the edit itself can do without
        return _changes(problem, settings, tolerance, carries=False)
    return ()


def _changes(
    problem: EditProblem, settings: ValueSettings, tolerance: Tolerance, carries: bool, widened: bool = False
) -> Tuple[NeuronChange, ...]:
    """The changes, with neurons beside each gate or without.

    Raises:
        EditError: if a gate, or what is to stand beside it, can't be had; nothing can stand beside the gate of a word
            that begins with the old one.
    """
    # Where a word has been read is easily told, so that fewer examples will do than for where it is to be said.
    case = replace(problem.case, contexts=problem.contexts[: _READ_TO_CARRY if carries else _READ])
    # Where the same word is said of another source word it goes on well by itself.
    problem = replace(problem, case=case, keep=(*problem.keep, *case.other_uses))
    examples = [problem.example, *problem.contexts, *problem.held_out]
    found = following_steps(examples, 1 + len(problem.contexts))
    known = len(problem.case.other_uses) >= _KNOWN
    well = _WELL_WIDENED if widened else _WELL
    bound = _WELL_IF_KNOWN if known and not carries else well
    found = [(step, where) for step, where in found if _astray(problem, where) > bound]
    if not found:
        return ()
    steps, continuations = zip(*found)
    if carries:
        _demand_states([[one for one in several if one.example <= len(case.contexts)] for several in continuations])
    readings = read_site(problem.translator, [example.pair for example in examples], problem.site)
    spare_neurons(problem, len(steps))
    gates = fit_gates(problem, settings.edit_ridge, tolerance, steps, examples, readings)
    if carries:
        detectors, values = _carried(problem, gates, continuations, readings, tolerance.false_open)
    else:
        detectors = [gate.detector for gate in gates]
        values = following_values(problem, gates, continuations, readings)
    return as_changes(problem, detectors, values, spare_neurons(problem, len(detectors)))


def _demand_states(fitted: Sequence[Sequence[Continuation]]) -> None:
    """Refuse words that no state behind the old word stands ready for.

    Args:
        fitted: the continuations of each word in the examples that the fit may see.

    Raises:
        EditError: for such a word.
    """
    if any(one.longer for several in fitted for one in several):
        raise EditError("a state behind the old word is where the rest of the new one is to be said, once")
    if not all(any(one.bare for one in several) for several in fitted):
        raise EditError("behind every place of a new word a piece of an old subword comes first")


def _carried(
    problem: EditProblem,
    gates: Sequence[Gate],
    continuations: Sequence[Sequence[Continuation]],
    readings: Sequence[SiteReading],
    share: float,
) -> Tuple[List[Detector], Tensor]:
    """The detectors of the neurons behind all words, and what they add (n x d).

    Raises:
        EditError: as `carrying_neurons`.
    """
    detectors: List[Detector] = []
    values: List[Tensor] = []
    for gate, several in zip(gates, continuations):
        fitted = [one for one in several if one.example <= len(problem.contexts)]
        places = [WordRead(one.example, one.position, one.resumes) for one in fitted if one.bare]
        found = carrying_neurons(problem, gate, places, readings, share)
        detectors += found[0]
        values += found[1]
    return detectors, torch.stack(values)


def following_values(
    problem: EditProblem,
    gates: Sequence[Gate],
    continuations: Sequence[Sequence[Continuation]],
    readings: Sequence[SiteReading],
) -> Tensor:
    """What each gate adds (G x d), so that the model goes on behind the new word as it does behind the old one.

    Minimises the divergence of the next tokens' distributions from those of the model behind the old word, by Adam.
    What is left of an old subword between the two is pushed: the model never says it by itself.

    Args:
        problem: the request, at the site of these gates.
        gates: the G gates.
        continuations: of each gate, in all examples.
        readings: of all examples.
    """
    numbers, aim = _aim(problem, continuations)
    opened = [
        torch.stack([gate.response(readings[n].inputs[: len(pair.target)].cpu()) for gate in gates], dim=1)
        for n, pair in zip(numbers, aim.pairs)
    ]
    scale = float(torch.cat([readings[number].values for number in numbers]).square().mean().sqrt())
    return match(problem.translator, problem.site, replace(aim, activations=opened), scale, _GRADIENT_STEPS)


def _astray(problem: EditProblem, continuations: Sequence[Continuation]) -> float:
    """How far the model by itself goes on otherwise than behind the old word, in nats a token."""
    _, aim = _aim(problem, [continuations])
    now = distributions(problem.translator, problem.site, aim.pairs, aim.places)
    return float(kl_div(now.log(), aim.wanted, reduction="none").sum(-1).mean())


def _aim(problem: EditProblem, continuations: Sequence[Sequence[Continuation]]) -> Tuple[List[int], Aim]:
    """What the model is to say behind new words in some of the fitted examples, and the numbers of these examples."""
    examples = [problem.example, *problem.contexts]
    chosen = [[one for one in several if one.example < len(examples)] for several in continuations]
    share = max(_FITTED // len(chosen), 1)
    used = [one for several in chosen for one in several[:: max(-(-len(several) // share), 1)]]
    numbers = sorted({one.example for one in used})
    rows = {number: row for row, number in enumerate(numbers)}
    pieces = [(rows[one.example], place) for one in used for place in range(one.position, one.rejoins)]
    new = [(rows[one.example], one.rejoins + step) for one in used for step in range(one.length)]
    old = [(rows[one.example], one.resumes + step) for one in used for step in range(one.length)]
    pairs = [_until(examples[number].pair, [*pieces, *new], row) for row, number in enumerate(numbers)]
    before = [_until(examples[number].own, old, row) for row, number in enumerate(numbers)]
    told = distributions(problem.translator, problem.site, before, old)
    pushed = torch.tensor([int(pairs[row].target[position]) for row, position in pieces], dtype=torch.long)
    wanted = torch.cat([one_hot(pushed, told.shape[1]).to(told), told])
    return numbers, Aim(pairs, (), [*pieces, *new], wanted, torch.ones(len(wanted)))


def _until(pair: Pair, places: Sequence[Tuple[int, int]], row: int) -> Pair:
    """A pair as far as its target is looked at, which saves the rest of a long sentence."""
    return Pair(pair.source, pair.target[: 1 + max(position for where, position in places if where == row)])
