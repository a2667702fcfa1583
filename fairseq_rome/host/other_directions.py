"""The other directions of a model for several: what decodes in them, and sentences of each from DATA."""

from __future__ import annotations

import random
from dataclasses import dataclass
from itertools import islice
from typing import List, Sequence, Tuple

from fairseq_rome.errors import EditError
from fairseq_rome.host.adapters.base import Direction, TaskAdapter
from fairseq_rome.host.batches import Pair
from fairseq_rome.host.codec import TextCodec, content
from fairseq_rome.host.corpus import Corpus
from fairseq_rome.host.decoding import Translator
from fairseq_rome.host.pairs import items_of
from fairseq_rome.text.segments import Endings

ALL, NO_DIRECTIONS = "all", "none"
"""Values of `--edit-directions` that name no direction."""

# Sentence pairs of all other directions together that are read. Statistics take the first of them, half as many
# positions as of the edited direction: 10,000 by default, which are some 600 sentences. The others are there for the
# triggers that they hold: more find rarer ones, and take a second for some 20,000.
_MOST_PAIRS = 20_000
# Where the sentences to decode come from, the first that there is: best what the background does not come from.
_DECODED = ("valid", "test", "train")
_LEARNT = ("train", "valid", "test")


@dataclass(frozen=True)
class OtherDirection:
    """A direction that an edit is not for.

    Args:
        languages: codes of source and target.
        translator: the model that is edited, in this direction.
        corpus: sentence pairs for the background; none where DATA has none.
        sources: sentences that are decoded before and after.
    """

    languages: Direction
    translator: Translator
    corpus: Corpus
    sources: Tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """Such as `en-fr`."""
        return "-".join(self.languages)

    def holding(self, trigger: str, most: int) -> Tuple[Pair, ...]:
        """The first of the corpus's pairs whose source holds a trigger, also with an ending."""
        if not (trigger and self.corpus.pairs):
            return ()
        found = self.corpus.with_trigger(trigger, Endings.of(*self.languages).source)
        return tuple(self.corpus.pairs[index] for index in found[:most])


@dataclass(frozen=True)
class DirectionChoice:
    """Which sentences of the other directions are wanted.

    Args:
        sample: how many are decoded, over all directions.
        seed: of their choice.
        own: sources of the edited direction: those of the requests, which are to stay as they are in other directions.
        borrowed: sources of the edited direction for a direction of which DATA has none.
    """

    sample: int
    seed: int = 1
    own: Tuple[str, ...] = ()
    borrowed: Tuple[str, ...] = ()


def chosen_directions(adapter: TaskAdapter, given: str) -> Tuple[Direction, ...]:
    """The other directions that `--edit-directions` asks for.

    Args:
        adapter: of the edited direction.
        given: `all`, which are those of `--lang-pairs` that DATA has sentences of; `none`; or names with commas.

    Raises:
        EditError: for what is no direction, or the edited one.
    """
    if given == ALL:
        return adapter.other_directions()
    if given == NO_DIRECTIONS:
        return ()
    found: List[Direction] = []
    for name in given.split(","):
        source, _, target = name.strip().partition("-")
        if not (source and target):
            raise EditError(
                f"--edit-directions {given!r}: {name.strip()!r} is no direction, expected such as en-fr,en-de, or all, "
                "or none"
            )
        if (source, target) == adapter.languages:
            raise EditError(f"--edit-directions: {name.strip()} is the direction of the edit, expected others")
        adapter.in_direction(source, target)
        found.append((source, target))
    return tuple(dict.fromkeys(found))


def other_direction(
    translator: Translator, edited: Direction, place: int, count: int, choice: DirectionChoice
) -> OtherDirection:
    """One of the other directions, with its sentences.

    Args:
        translator: the model in this direction.
        edited: the direction of the edit.
        place: of this direction among all others, from 0.
        count: how many others there are.
        choice: which sentences are wanted of all.

    Raises:
        EditError: if there is no sentence to decode.
    """
    codec, languages = translator.codec, translator.adapter.languages
    most = choice.sample // count + int(place < choice.sample % count)
    corpus = _first_there(codec, _LEARNT, choice.seed, max(_MOST_PAIRS // count, 1) + most)
    own = choice.own if languages[0] == edited[0] else ()
    # At most half, since these sentences are the hardest and the others the most.
    sources = list(random.Random(choice.seed).sample(own, min((most + 1) // 2, len(own))))
    rest = _decoded(codec, corpus, choice.seed, most)
    if not rest and languages[0] == edited[0]:
        rest = list(choice.borrowed)
    if most and not (sources or rest):
        raise EditError(
            f"{translator.adapter.data}: no sentences of the direction {'-'.join(languages)}, expected some, or "
            "--edit-directions without it"
        )
    sources = list(islice(dict.fromkeys([*sources, *rest]), most))
    return OtherDirection(languages, translator, corpus.without(sources), tuple(sources))


def _decoded(codec: TextCodec, corpus: Corpus, seed: int, most: int) -> List[str]:
    """Sources to decode: of another split than the corpus is from, or from its end, which statistics reach last."""
    found = _first_there(codec, [name for name in _DECODED if name != corpus.subset], seed, most)
    pairs = found.pairs or tuple(reversed(corpus.pairs))[:most]
    dictionary = codec.adapter.source_dictionary
    return [codec.source_text(content(pair.source, dictionary)) for pair in pairs]


def _first_there(codec: TextCodec, subsets: Sequence[str], seed: int, most: int) -> Corpus:
    """Some pairs of the first of some splits that there is, in random order; no pairs where there is none."""
    adapter = codec.adapter
    limits = adapter.max_positions
    for subset in subsets:
        split = adapter.load_split(subset)
        if split is None:
            continue
        chosen = random.Random(seed).sample(range(len(split)), min(most, len(split)))
        pairs = [
            Pair(source, target)
            for source, target in map(adapter.pair, items_of(split, chosen, len(chosen)))
            if target is not None
            and all(limit is None or len(side) <= limit for limit, side in zip(limits, (source, target)))
        ]
        if pairs:
            return Corpus(subset, tuple(pairs), codec)
    return Corpus("", (), codec)
