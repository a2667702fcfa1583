"""The other directions of a model for several: what decodes in them, and sentences of each from DATA."""

from __future__ import annotations

import random
from dataclasses import dataclass, replace
from functools import cached_property
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
        known: sentence pairs of DATA, the sources that are decoded among them or not; none where DATA has none.
        sources: sentences that are decoded before and after.
    """

    languages: Direction
    translator: Translator
    known: Corpus
    sources: Tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """Such as `en-fr`."""
        return "-".join(self.languages)

    @cached_property
    def corpus(self) -> Corpus:
        """Sentence pairs for the background: none whose source is decoded."""
        return self.known.without(self.sources)

    def said_of(self, sources: Sequence[str]) -> Tuple[Pair, ...]:
        """Sources with what the model says of each in this direction; none where no sentence of it is to be decoded."""
        if not self.sources:
            return ()
        said = self.translator.translate(sources)
        return tuple(Pair(self.known.codec.source(source), one.tokens) for source, one in zip(sources, said))

    def holding(self, trigger: str, most: int) -> Tuple[Pair, ...]:
        """The first of the corpus's pairs whose source holds a trigger, also with an ending."""
        if not (trigger and self.known.pairs):
            return ()
        # All edits share the texts of what is known, in which a word is looked for.
        found = self.known.with_trigger(trigger, Endings.of(*self.languages).source)
        holding = replace(self.known, pairs=tuple(self.known.pairs[index] for index in found))
        return holding.without(self.sources).pairs[:most]


@dataclass(frozen=True)
class DirectionData:
    """What DATA has of a direction, whatever an edit asks for: read once, it serves all edits.

    Args:
        translator: the model in this direction.
        corpus: sentence pairs; none where DATA has none.
        decoded: sources for a look at what changes, which come after those of the requests.
        most: how many sentences an edit decodes.
    """

    translator: Translator
    corpus: Corpus
    decoded: Tuple[str, ...]
    most: int


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


def direction_data(translator: Translator, place: int, count: int, sample: int, seed: int) -> DirectionData:
    """Read what DATA has of one of the other directions.

    Args:
        translator: the model in this direction.
        place: of this direction among all others, from 0.
        count: how many others there are.
        sample: how many sentences are to be decoded, over all of them.
        seed: of the choice.
    """
    codec = translator.codec
    most = sample // count + int(place < sample % count)
    corpus = _first_there(codec, _LEARNT, seed, max(_MOST_PAIRS // count, 1) + most)
    return DirectionData(translator, corpus, tuple(_decoded(codec, corpus, seed, most)), most)


def other_direction(
    data: DirectionData, edited: Direction, own: Sequence[str], borrowed: Sequence[str], seed: int
) -> OtherDirection:
    """One of the other directions, with the sentences that an edit looks at.

    Args:
        data: of the direction.
        edited: the direction of the edit.
        own: sources of the requests, which are to stay as they are in other directions.
        borrowed: sources of the edited direction, which do where DATA has none of this one.
        seed: of the choice among the requests' sources.

    Raises:
        EditError: if there is no sentence to decode.
    """
    adapter, most = data.translator.adapter, data.most
    alike = adapter.languages[0] == edited[0]
    rest = data.decoded or tuple(borrowed if alike else ())
    # At most half, since these sentences are the hardest and the others the most.
    asked = random.Random(seed).sample(list(own), min((most + 1) // 2, len(own))) if alike else []
    if most and not (asked or rest):
        raise EditError(
            f"{adapter.data}: no sentences of the direction {'-'.join(adapter.languages)}, expected some, or "
            "--edit-directions without it"
        )
    sources = tuple(islice(dict.fromkeys([*asked, *rest]), most))
    return OtherDirection(adapter.languages, data.translator, data.corpus, sources)


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
