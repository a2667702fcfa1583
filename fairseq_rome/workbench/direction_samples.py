"""The other directions of an open model, with sentences of each, as an edit and an evaluation take them."""

from __future__ import annotations

from itertools import islice
from typing import List, Mapping, Sequence, Tuple

from fairseq_rome.errors import EditError
from fairseq_rome.evaluation.evaluate import ComparedDirection
from fairseq_rome.host.adapters.base import Direction
from fairseq_rome.host.codec import content
from fairseq_rome.host.corpus import Corpus
from fairseq_rome.host.decoding import Translator
from fairseq_rome.host.other_directions import (
    ALL,
    DirectionData,
    OtherDirection,
    chosen_directions,
    direction_data,
    other_direction,
)
from fairseq_rome.text.requests import EditFile
from fairseq_rome.workbench.opening import OpenModel


def read_directions(model: OpenModel, given: str, sample: int, seed: int) -> Tuple[DirectionData, ...]:
    """What DATA has of the other directions that are asked for.

    Args:
        model: the model that is open.
        given: as for `--edit-directions`.
        sample: sentences to decode, over all directions.
        seed: of their choice.

    Raises:
        EditError: for what is no direction, or one with weights of its own.
    """
    wanted = _served(model, given)
    return tuple(
        direction_data(model.in_direction(one), place, len(wanted), sample, seed) for place, one in enumerate(wanted)
    )


def sampled_directions(
    model: OpenModel, known: Sequence[DirectionData], seed: int, edit_file: EditFile, corpus: Corpus
) -> Tuple[OtherDirection, ...]:
    """The other directions, each with the sentences that are looked at.

    Args:
        model: the model that is open.
        known: of these directions, from `read_directions`.
        seed: of the choice of sentences.
        edit_file: the requests, whose own sentences are to stay as they are in other directions.
        corpus: of the edited direction, whose sources do for a direction of which DATA has none.

    Raises:
        EditError: for a direction without a sentence.
    """
    codec = model.translator.codec
    ends = islice(reversed(corpus.pairs), sum(one.most for one in known))
    borrowed = [codec.source_text(content(pair.source, codec.adapter.source_dictionary)) for pair in ends]
    own = list(dict.fromkeys(request.source for request in edit_file.requests))
    return tuple(other_direction(one, model.languages, own, borrowed, seed) for one in known)


def _served(model: OpenModel, given: str) -> Sequence[Direction]:
    """The directions that the model that is open can serve."""
    found: List[Direction] = []
    for one in chosen_directions(model.adapter, given):
        if model.serves(one):
            found.append(one)
        elif given != ALL:
            own, name = "-".join(model.languages), "-".join(one)
            raise EditError(
                f"--edit-directions: {name} has weights of its own, which are not those of {own}, expected directions "
                "that share all of them"
            )
    return found


def notes_on_directions(model: OpenModel, given: str) -> Tuple[str, ...]:
    """That some directions are not looked at, since the open model lacks their weights; nothing where all are.

    Args:
        model: the model that is open.
        given: as for `--edit-directions`.
    """
    if given != ALL:
        return ()
    left = ["-".join(one) for one in model.adapter.other_directions() if not model.serves(one)]
    if not left:
        return ()
    return (f"other directions with weights of their own are not looked at: {', '.join(left)}",)


def compared_directions(
    model: OpenModel, before: Translator, after: Translator, sources: Mapping[str, Sequence[str]]
) -> Tuple[ComparedDirection, ...]:
    """Two models side by side in other directions.

    Args:
        model: the model that is open, whose directions these are.
        before: the model without the edit, in its own direction.
        after: the edited model likewise.
        sources: sentences to decode, by direction such as `en-fr`.
    """
    found = []
    for name, sentences in sources.items():
        source, _, target = name.partition("-")
        old, new = (model.in_direction((source, target), one) for one in (before, after))
        found.append(ComparedDirection(name, old, new, tuple(sentences)))
    return tuple(found)
