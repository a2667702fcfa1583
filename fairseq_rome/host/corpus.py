"""Background sentences: a sample of a data directory's sentence pairs, as tokens and as text."""

from __future__ import annotations

import hashlib
import random
from dataclasses import dataclass, replace
from functools import cached_property, partial
from itertools import islice
from typing import Collection, FrozenSet, Iterable, Iterator, List, Optional, Sequence, Set, Tuple

from fairseq_rome.errors import EditError
from fairseq_rome.host.batches import Pair
from fairseq_rome.host.codec import TextCodec
from fairseq_rome.host.pairs import LARGE, files_of, items_of
from fairseq_rome.host.term_search import Term
from fairseq_rome.host.whole_side import WholeSide, fitting_pairs
from fairseq_rome.text.tags import without_tags
from fairseq_rome.text.words import Segments, contains_trigger, pattern, those_with_trigger

MOST_SENTENCES = 100_000
# Sentences with a trigger from which a sample is enough of a large split, which takes seconds to search: as many as
# are decoded for one request. And how many pairs a search adds at most: twice as many as an edit takes references.
_ENOUGH, _MOST_FOUND = 64, 512
# Texts that are read at a time where a few may be enough.
_AT_A_TIME = 500
_SUBSETS = ("train", "valid", "test")


@dataclass(frozen=True)
class Corpus:
    """Sentence pairs in random order, each once.

    Args:
        subset: the split that they come from, `train` wherever DATA has one.
        pairs: source and target tokens.
        codec: to read the tokens as text.
        side: all pairs of the split, where it is so large that the pairs may be a small part; else None.
        hidden: token ids of sources that must not be among the pairs.
    """

    subset: str
    pairs: Tuple[Pair, ...]
    codec: TextCodec
    side: Optional[WholeSide] = None
    hidden: FrozenSet[Tuple[int, ...]] = frozenset()

    @cached_property
    def sources(self) -> List[str]:
        """The source texts."""
        dictionary = self.codec.adapter.source_dictionary
        return self.codec.texts((pair.source for pair in self.pairs), dictionary)

    @cached_property
    def targets(self) -> List[str]:
        """The target texts."""
        dictionary = self.codec.adapter.target_dictionary
        return self.codec.texts((pair.target for pair in self.pairs), dictionary)

    @cached_property
    def fingerprint(self) -> str:
        """SHA-256, in hexadecimal, of all tokens in their order."""
        digest = hashlib.sha256()
        for pair in self.pairs:
            digest.update(pair.source.numpy().tobytes() + b"\t" + pair.target.numpy().tobytes() + b"\n")
        return digest.hexdigest()

    @cached_property
    def _lower_sources(self) -> List[str]:
        """The source texts in lower case, to look for words in before patterns are tried."""
        return [text.lower() for text in self.sources]

    @cached_property
    def _lower_targets(self) -> List[str]:
        """The target texts likewise."""
        return [text.lower() for text in self.targets]

    def without(self, sources: Iterable[str]) -> Corpus:
        """The corpus without some sources, compared as the model reads them."""
        hidden = frozenset(tuple(self.codec.source(source).tolist()) for source in sources)
        lengths = set(map(len, hidden))
        found = {
            index
            for index, pair in enumerate(self.pairs)
            if pair.source.numel() in lengths and tuple(pair.source.tolist()) in hidden
        }
        if not hidden:
            return self
        kept = [index for index in range(len(self.pairs)) if index not in found]
        rest = replace(self, pairs=tuple(self.pairs[index] for index in kept), hidden=self.hidden | hidden)
        for name in {"sources", "targets"}.intersection(vars(self)):
            vars(rest)[name] = [vars(self)[name][index] for index in kept]
        return rest

    def with_rare(self, triggers: Segments, segments: Segments, endings: Sequence[str]) -> Corpus:
        """The corpus with more pairs behind its own, found in the whole split, where it has few with a trigger.

        Where the split is not large, or a trigger is not rare in the sample, it is the corpus itself.

        Args:
            triggers: words of sources to look for, in one form or several.
            segments: words of targets, looked for as well: how many have both tells whether they go together.
            endings: with which a segment counts too.
        """
        known = set(self.with_trigger(triggers))
        if self.side is None or len(known) >= _ENOUGH:
            return self
        found: List[Pair] = []
        for one in (triggers,) if isinstance(triggers, str) else triggers:
            holds = partial(contains_trigger, trigger=one)
            found += self.side.find(Term(without_tags(one)), holds, False, _MOST_FOUND) if one.strip() else []
        saying = self.saying(segments, endings)
        if len(saying) < _ENOUGH:
            for one in (segments,) if isinstance(segments, str) else segments:
                said = pattern(one, endings).search
                found += self.side.find(Term(one, tuple(endings)), said, True, _MOST_FOUND) if one.strip() else []
            known.update(saying)
        seen = {_tokens(self.pairs[index]) for index in known}
        new = {_tokens(pair): pair for pair in found if tuple(pair.source.tolist()) not in self.hidden}
        return self._followed_by([pair for tokens, pair in new.items() if tokens not in seen])

    def _followed_by(self, pairs: Sequence[Pair]) -> Corpus:
        """The corpus with some pairs more; of its own no text is read again."""
        if not pairs:
            return self
        more = Corpus(self.subset, tuple(pairs), self.codec)
        whole = replace(self, pairs=(*self.pairs, *pairs))
        vars(whole)["sources"] = [*self.sources, *more.sources]
        vars(whole)["targets"] = [*self.targets, *more.targets]
        vars(whole)["_lower_sources"] = [*self._lower_sources, *more._lower_sources]
        vars(whole)["_lower_targets"] = [*self._lower_targets, *more._lower_targets]
        return whole

    def with_trigger(self, trigger: Segments, endings: Sequence[str] = ()) -> List[int]:
        """Indices of the sentences whose source holds the trigger, or one of several, also with one of the endings."""
        return self._holding(0, trigger, tuple(endings))

    def without_triggers(self, triggers: Collection[str], most: int) -> List[str]:
        """Source texts, each once, that hold none of some triggers: from the end, which statistics reach last."""
        free = (
            source
            for source in _unique(self._from_the_end())
            if not any(contains_trigger(source, trigger) for trigger in triggers)
        )
        return list(islice(free, most))

    def _from_the_end(self) -> Iterator[str]:
        """The source texts from the last to the first; as long as nobody wants all of them, no more are read."""
        dictionary = self.codec.adapter.source_dictionary
        for stop in range(len(self.pairs), 0, -_AT_A_TIME):
            start = max(stop - _AT_A_TIME, 0)
            if "sources" in vars(self):
                some = self.sources[start:stop]
            else:
                some = self.codec.texts((pair.source for pair in self.pairs[start:stop]), dictionary)
            yield from reversed(some)

    def saying(self, segment: Segments, endings: Sequence[str] = ()) -> List[int]:
        """Indices of the sentences whose target holds a segment, or one of several, also with one of the endings."""
        return self._holding(1, segment, tuple(endings))

    def _holding(self, side: int, segments: Segments, endings: Tuple[str, ...]) -> List[int]:
        """Indices of the sentences that hold one of some segments; on the source side (0) in any case."""
        several = (segments,) if isinstance(segments, str) else segments
        filled = tuple(one for one in several if one.strip())
        likely = _likely(self._lower_targets if side else self._lower_sources, filled)
        if side == 0:
            found_in = those_with_trigger([self.sources[index] for index in likely], filled, endings)
            return [likely[place] for place in found_in]
        found = pattern(filled, endings)
        return [index for index in likely if found.search(self.targets[index])]


def _likely(texts: Sequence[str], segments: Sequence[str]) -> List[int]:
    """Indices of the texts, in lower case, that hold all words of one of the segments, be it as parts of others."""
    found: Set[int] = set()
    for segment in segments:
        first, *others = sorted(segment.lower().split(), key=len, reverse=True)  # the longest is mostly the rarest
        holding = [index for index, text in enumerate(texts) if first in text]
        found.update(index for index in holding if all(word in texts[index] for word in others))
    return sorted(found)


def _unique(texts: Iterable[str]) -> Iterator[str]:
    """Each text once, as soon as it comes."""
    seen: Set[str] = set()
    for text in texts:
        if text not in seen:
            seen.add(text)
            yield text


def _tokens(pair: Pair) -> Tuple[Tuple[int, ...], Tuple[int, ...]]:
    return tuple(pair.source.tolist()), tuple(pair.target.tolist())


def load_corpus(codec: TextCodec, seed: int, most: int = MOST_SENTENCES) -> Corpus:
    """A random sample of the training side of the task's DATA, or of another split where there is none.

    Args:
        codec: of the task, to read the tokens as text.
        seed: of the sample.
        most: sentences at most.

    Raises:
        EditError: if DATA has none of the splits train, valid and test.
    """
    for subset in _SUBSETS:
        split = codec.adapter.load_split(subset)
        if split is None:
            continue
        order = _order(len(split), seed, most)
        items = items_of(split, order, max(most // 4, 1))
        pairs = tuple(islice(fitting_pairs(codec, items), most))
        if pairs:
            files = files_of(split) if len(split) > MOST_SENTENCES else None
            side = WholeSide(split, files, codec) if files is not None else None
            return Corpus(subset, pairs, codec, side)
    raise EditError(f"{codec.adapter.data}: no sentence pairs, expected one of the splits {', '.join(_SUBSETS)}")


def _order(count: int, seed: int, most: int) -> List[int]:
    """Indices in random order: all of them, or more than enough of a large split."""
    if count > LARGE:
        return random.Random(seed).sample(range(count), min(count, 2 * most))  # some are too long
    order = list(range(count))
    random.Random(seed).shuffle(order)
    return order


def validation_pairs(corpus: Corpus, most: int = 512) -> Tuple[Pair, ...]:
    """Pairs to watch a model's loss on: the validation side of DATA, or the end of the corpus where there is none.

    Args:
        corpus: background sentences.
        most: pairs at most.
    """
    adapter = corpus.codec.adapter
    split = adapter.load_split("valid")
    if split is None:
        return corpus.pairs[-most:]
    return tuple(islice(fitting_pairs(corpus.codec, (split[index] for index in range(len(split)))), most))
