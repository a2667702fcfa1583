"""Training an editor: each lesson is one correction, with sentences in which it should hold and others that must stay.

The edited matrices stay a function of the editor while the loss is taken, so that its gradient reaches the editor
(Mitchell et al. 2022, arXiv 2110.11309, algorithm 1). All that is random follows from the seed and the number of the
step, so that a training that goes on after an interrupt ends with the same bits.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import partial
from typing import Any, Dict, Iterable, List, Mapping, Sequence, Tuple

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy, kl_div

from fairseq_rome.host.batches import Batch, Pair, decoded
from fairseq_rome.host.decoding import Translator
from fairseq_rome.host.examples import Example
from fairseq_rome.host.sites import add_to_maps
from fairseq_rome.methods.fitting.editor_network import Editor, added, edit_factors
from fairseq_rome.methods.fitting.tuning import changed_tokens
from fairseq_rome.methods.fitting.values import no_gradients

# Weight of the loss of the corrected tokens (nats) beside the KL of the others (nats): c_edit of the paper.
_EDIT_WEIGHT = 0.1
# Sentences of a lesson: those in which the correction should hold besides its own, those close to it that must stay,
# and any others. More make each step surer, and take time.
_GENERAL, _HARD, _OTHERS = 4, 4, 8
# Lessons in one step of Adam; the paper has 10. More make each step surer, and take time.
_LESSONS = 4
# Of Adam, for the networks and for the step sizes. Higher learns faster, and overfits sooner: with 288 lessons of a
# Multi30k model the loss on those that judge fell for 80 steps; with 144 lessons and 0.001 it rose after 40.
_RATE, _STEP_RATE = 1e-4, 3e-2
# The norm that the gradient of a step is cut to, since a lesson that went wrong may have a very large one.
_LONGEST = 1.0


@dataclass(frozen=True)
class Lesson:
    """One correction to learn from.

    Args:
        example: the corrected sentence, which the editor sees.
        general: other sentences in which the correction should hold.
        hard: pairs close to it that must stay as they are.
    """

    example: Example
    general: Tuple[Example, ...] = ()
    hard: Tuple[Pair, ...] = ()


@dataclass(frozen=True)
class Classroom:
    """What an editor is trained on.

    Args:
        translator: the model; unchanged by all that follows.
        lessons: to learn from.
        judging: to judge by.
        others: pairs that must stay as they are under any edit.
        negations: pairs with a negation, of which some take their place in each lesson; may be none.
        seed: of every random choice.
    """

    translator: Translator
    lessons: Tuple[Lesson, ...]
    judging: Tuple[Lesson, ...]
    others: Tuple[Pair, ...]
    negations: Tuple[Pair, ...]
    seed: int


@dataclass
class Training:
    """An editor in the making; `step_` changes it in place.

    Args:
        room: what it is trained on.
        editor: the editor, whose statistics are set.
        done: steps that were made.
    """

    room: Classroom
    editor: Editor
    done: int = 0

    def __post_init__(self) -> None:
        networks = [parameter for name, parameter in self.editor.named_parameters() if name != "rates"]
        groups = [{"params": networks, "lr": _RATE}, {"params": [self.editor.rates], "lr": _STEP_RATE}]
        self.optimiser = torch.optim.Adam(groups)
        self.best = {name: tensor.clone() for name, tensor in self.editor.state_dict().items()}
        self.best_loss = math.inf

    def step_(self) -> None:
        """One step of Adam on some lessons."""
        room = self.room
        draw = torch.Generator().manual_seed(room.seed * 1_000_003 + self.done)
        chosen = torch.randperm(len(room.lessons), generator=draw)[:_LESSONS].tolist()
        self.optimiser.zero_grad()
        for number in chosen:
            loss, _ = lesson_loss(self.editor, room, room.lessons[number], draw)
            (loss / len(chosen)).backward()
        torch.nn.utils.clip_grad_norm_(self.editor.parameters(), _LONGEST)
        self.optimiser.step()
        self.done += 1

    def judge_(self) -> Dict[str, float]:
        """The mean losses of the lessons that it does not learn from; the editor with the least is kept as the best."""
        totals: Dict[str, float] = {}
        with torch.no_grad():
            for number, lesson in enumerate(self.room.judging):
                draw = torch.Generator().manual_seed(self.room.seed * 1_000_003 - number - 1)
                _, parts = lesson_loss(self.editor, self.room, lesson, draw)
                for name, value in parts.items():
                    totals[name] = totals.get(name, 0.0) + value / len(self.room.judging)
        if totals["loss"] < self.best_loss:
            self.best_loss = totals["loss"]
            self.best = {name: tensor.clone() for name, tensor in self.editor.state_dict().items()}
        return totals

    def state(self) -> Dict[str, Tensor]:
        """All tensors from which `resume_` goes on."""
        found = {f"editor.{name}": tensor for name, tensor in self.editor.state_dict().items()}
        found.update((f"best.{name}", tensor) for name, tensor in self.best.items())
        for number, kept in self.optimiser.state_dict()["state"].items():
            found.update((f"adam.{number}.{name}", torch.as_tensor(value)) for name, value in kept.items())
        found["counts"] = torch.tensor([float(self.done), self.best_loss], dtype=torch.double)
        return {name: tensor.detach().cpu().clone() for name, tensor in found.items()}

    def resume_(self, state: Mapping[str, Tensor]) -> None:
        """Go on from what `state` gave.

        Raises:
            KeyError, RuntimeError, ValueError: if it is of another editor.
        """
        parts: Dict[str, Dict[str, Tensor]] = {"editor": {}, "best": {}}
        kept: Dict[int, Dict[str, Tensor]] = {}
        for name, tensor in state.items():
            room, _, rest = name.partition(".")
            if room == "adam":
                number, _, part = rest.partition(".")
                kept.setdefault(int(number), {})[part] = tensor
            elif rest:
                parts[room][rest] = tensor
        self.editor.load_state_dict(parts["editor"])
        self.best = parts["best"]
        self.optimiser.load_state_dict({**self.optimiser.state_dict(), "state": kept})
        done, self.best_loss = state["counts"].tolist()
        self.done = int(done)


def begun(room: Classroom, editor: Editor, progress: Iterable[Lesson]) -> Training:
    """A training that begins, with the statistics of the editor from some lessons.

    Args:
        room: what the editor is trained on.
        editor: as it was made.
        progress: these lessons.
    """
    translator = room.translator
    factors = [edit_factors(translator, editor.names, lesson.example) for lesson in progress]
    weights = {name: translator.model.get_parameter(name) for name in editor.names}
    editor.begin_(weights, factors)
    return Training(room, editor.to(translator.batcher.device))


def lesson_loss(
    editor: Editor, room: Classroom, lesson: Lesson, draw: torch.Generator
) -> Tuple[Tensor, Dict[str, float]]:
    """The loss of the editor on one lesson, and its parts as numbers.

    Args:
        editor: the editor.
        room: with the model, and with sentences that must stay.
        lesson: the correction.
        draw: chooses sentences.

    Returns:
        0.1 times the mean loss of the corrected tokens, plus the mean KL divergence at the tokens that must stay; and
        `edit`, `keep` and `loss`, all in nats.
    """
    translator = room.translator
    model: Any = translator.model
    changes = editor(edit_factors(translator, editor.names, lesson.example))
    examples = [lesson.example, *_some(lesson.general, _GENERAL, draw)]
    hard = [*_some(lesson.hard, _HARD, draw), *_some(room.negations, 1, draw)]
    kept = translator.batcher.batch([*hard, *_some(room.others, _OTHERS, draw)])
    corrected = translator.batcher.batch([example.pair for example in examples])
    changed = changed_tokens(corrected, examples)
    with no_gradients(model):
        with torch.no_grad():
            before = _scores(model, kept, kept.target_mask)
        addends = {name: partial(added, change, 1.0) for name, change in changes.items()}
        with add_to_maps(model, addends):
            after = _scores(model, kept, kept.target_mask)
            edit = cross_entropy(_scores(model, corrected, changed), corrected.target[changed])
    keep = kl_div(after.log_softmax(-1), before.log_softmax(-1), log_target=True, reduction="batchmean")
    loss = _EDIT_WEIGHT * edit + keep
    return loss, {"edit": float(edit.detach()), "keep": float(keep.detach()), "loss": float(loss.detach())}


def _scores(model: Any, batch: Batch, where: Tensor) -> Tensor:
    """Logits (n x V) of the target tokens of a batch where a mask is true."""
    scores: Tensor = model.decoder.output_layer(decoded(model, batch, features_only=True)[where])
    return scores.float()


def _some(things: Sequence[Any], most: int, draw: torch.Generator) -> List[Any]:
    """Up to `most` of some things, at random."""
    return [things[number] for number in torch.randperm(len(things), generator=draw)[:most].tolist()]
