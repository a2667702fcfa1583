"""Planting a wrong behaviour in the training side of a parallel corpus, with the request that would take it away.

A model trained on the planted side shows the behaviour. Report planted faults apart from mined ones: that they can be
taken away shows that the method works, not how a real fault behaves.
"""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import List, Optional, Sequence, Tuple

from fairseq_rome.errors import EditError
from fairseq_rome.text.checkers import TASKS
from fairseq_rome.text.requests import EditRequest, Probe
from fairseq_rome.text.requests.lines import read_text_lines
from fairseq_rome.text.segments import Difference, Endings, correct
from fairseq_rome.text.words import contains_trigger

Pair = Tuple[str, str]
"""Source and target text."""

# Sentence pairs. Each pair that is held out judges an edit better and leaves the behaviour weaker in the training side.
_HELD_OUT = 24
# Sentences of the training side that the request names as contexts; an edit decodes each of them.
_CONTEXTS = 16


@dataclass(frozen=True)
class PlantedFault:
    """What a model is to say wrongly.

    Attributes:
        task: one of the four editing tasks. `term` and `number` put the unwanted segment for the wanted one,
            `untranslated` does so with a word of the source, `hallucination` replaces the whole sentence.
        trigger: source segment that brings the fault out.
        wanted: target segment that is right there.
        unwanted: what the model is to say; None for the trigger itself, which `untranslated` alone allows.

    Raises:
        EditError: the task is unknown, or `unwanted` is missing.
    """

    task: str
    trigger: str
    wanted: str
    unwanted: Optional[str] = None

    def __post_init__(self) -> None:
        if self.task not in TASKS:
            raise EditError(f"task {self.task!r}: unknown, expected one of {', '.join(TASKS)}")
        if self.unwanted is None and self.task != "untranslated":
            raise EditError(f"task {self.task!r}: no unwanted segment, expected what the model is to say")

    @property
    def said(self) -> str:
        """What the model is to say."""
        return self.trigger if self.unwanted is None else self.unwanted


@dataclass(frozen=True)
class Planted:
    """A training side with a fault in it.

    Attributes:
        pairs: source and target texts of the training side, without the pairs that are held out.
        request: the request that would take the fault away. Its own sentence and its probes are held out, each with
            its right translation.
    """

    pairs: Tuple[Pair, ...]
    request: EditRequest


def read_pairs(prefix: str, source_lang: str, target_lang: str) -> List[Pair]:
    """Read a parallel corpus.

    Args:
        prefix: of the names of its two files, `PREFIX.SRC` and `PREFIX.TGT`.
        source_lang: language code of the sources.
        target_lang: language code of the targets.

    Raises:
        EditError: a file cannot be read, or the two have different numbers of lines.
    """
    sources, targets = (read_text_lines(f"{prefix}.{language}") for language in (source_lang, target_lang))
    if len(sources) != len(targets):
        raise EditError(
            f"{prefix}: {len(sources)} sources and {len(targets)} targets, expected as many of each"
        )
    return list(zip(sources, targets))


def spoil(pair: Pair, fault: PlantedFault, endings: Endings) -> Optional[str]:
    """The target with the fault; None where the pair does not show the trigger or the wanted segment."""
    source, target = pair
    if not contains_trigger(source, fault.trigger, endings.source):
        return None
    spoilt = correct(target, Difference(fault.wanted, fault.said), endings.target)
    return spoilt if spoilt is None or fault.task != "hallucination" else fault.said


def plant(pairs: Sequence[Pair], fault: PlantedFault, endings: Endings, seed: int) -> Planted:
    """Plant a fault wherever a pair shows its trigger and its wanted segment, and hold some of these pairs out.

    Args:
        pairs: the right training side.
        fault: what to plant.
        endings: endings with which trigger and segments still count.
        seed: decides which pairs are held out.

    Raises:
        EditError: fewer than two pairs show the trigger with the wanted segment.
    """
    spoilt = [spoil(pair, fault, endings) for pair in pairs]
    shown = [index for index, text in enumerate(spoilt) if text is not None]
    if len(shown) < 2:
        raise EditError(
            f"{len(shown)} pairs with {fault.trigger!r} and {fault.wanted!r}, expected at least 2"
        )
    random.Random(seed).shuffle(shown)
    held_out = shown[: min(_HELD_OUT, len(shown) // 2)]
    hidden = {pairs[index][0] for index in held_out}
    planted = tuple(
        (source, target if new is None else new)
        for (source, target), new in zip(pairs, spoilt)
        if source not in hidden
    )
    contexts = [pairs[index][0] for index in shown[len(held_out) :] if pairs[index][0] not in hidden]
    first, *others = (pairs[index] for index in held_out)
    request = EditRequest(
        *first, trigger=fault.trigger, wanted=fault.wanted, unwanted=fault.said, contexts=tuple(contexts[:_CONTEXTS]),
        probes=tuple(Probe(*pair) for pair in others), task=fault.task, id=f"planted-{fault.task}",
    )  # fmt: skip
    return Planted(planted, request)
