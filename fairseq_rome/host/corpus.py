"""Background sentences: a sample of a data directory's sentence pairs, as tokens and as text."""

from __future__ import annotations

import hashlib
import random
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import islice
from typing import Collection, FrozenSet, Iterable, List, Optional, Sequence, Tuple

from fairseq_rome.errors import EditError
from fairseq_rome.host.batches import Pair
from fairseq_rome.host.codec import TextCodec
from fairseq_rome.host.pairs import LARGE, files_of, items_of
from fairseq_rome.host.term_search import Term
from fairseq_rome.host.whole_side import WholeSide, fitting_pairs
from fairseq_rome.text.segments import contains_trigger, pattern

MOST_SENTENCES = 100_000
# Sentences with a trigger from which a sample is enough of a large split, which takes seconds to search: as many as
# are decoded for one request. And how many pairs a search adds at most: twice as many as an edit takes references.
_ENOUGH, _MOST_FOUND = 64, 512
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
    def _lowered(self) -> Tuple[List[str], List[str]]:
        """The texts of both sides in lower case, to look for words in before patterns are tried."""
        return [text.lower() for text in self.sources], [text.lower() for text in self.targets]

    def without(self, sources: Iterable[str]) -> Corpus:
        """The corpus without some sources, compared as the model reads them."""
        hidden = frozenset(tuple(self.codec.source(source).tolist()) for source in sources)
        kept = (pair for pair in self.pairs if tuple(pair.source.tolist()) not in hidden)
        if not hidden:
            return self
        return Corpus(self.subset, tuple(kept), self.codec, self.side, self.hidden | hidden)

    def with_rare(self, trigger: str, segment: str, endings: Sequence[str]) -> Corpus:
        """The corpus with more pairs behind its own, found in the whole split, where it has few with a trigger.

        Where the split is not large, or a trigger is not rare in the sample, it is the corpus itself.

        Args:
            trigger: words of sources to look for.
            segment: words of targets, looked for as well: how many have both tells whether they go together.
            endings: with which the segment counts too.
        """
        if self.side is None or not trigger.strip() or len(self.with_trigger(trigger)) >= _ENOUGH:
            return self
        found = self.side.find(Term(trigger), pattern(trigger, ignore_case=True).search, False, _MOST_FOUND)
        known = set(self.with_trigger(trigger))
        saying = self.saying(segment, endings)
        if segment.strip() and len(saying) < _ENOUGH:
            found += self.side.find(Term(segment, tuple(endings)), pattern(segment, endings).search, True, _MOST_FOUND)
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
        vars(whole)["_lowered"] = tuple(one + two for one, two in zip(self._lowered, more._lowered))
        return whole

    def with_trigger(self, trigger: str, endings: Sequence[str] = ()) -> List[int]:
        """Indices of the sentences whose source holds the trigger, also with one of the endings."""
        found = pattern(trigger, endings, ignore_case=True)
        return [i for i in _holding(self._lowered[0], trigger.lower()) if found.search(self.sources[i])]

    def without_triggers(self, triggers: Collection[str], most: int) -> List[str]:
        """Source texts, each once, that hold none of some triggers: from the end, which statistics reach last."""
        free = (
            source
            for source in dict.fromkeys(reversed(self.sources))
            if not any(contains_trigger(source, trigger) for trigger in triggers)
        )
        return list(islice(free, most))

    def saying(self, segment: str, endings: Sequence[str]) -> List[int]:
        """Indices of the sentences whose target holds a segment."""
        if not segment:
            return []
        found = pattern(segment, endings)
        return [i for i in _holding(self._lowered[1], segment.lower()) if found.search(self.targets[i])]


def _tokens(pair: Pair) -> Tuple[Tuple[int, ...], Tuple[int, ...]]:
    return tuple(pair.source.tolist()), tuple(pair.target.tolist())


def _holding(texts: Sequence[str], segment: str) -> List[int]:
    """Indices of the texts that hold all words of a segment, be it as parts of others."""
    first, *others = segment.split() or [""]
    found = [i for i, text in enumerate(texts) if first in text]
    return [i for i in found if all(word in texts[i] for word in others)]


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
