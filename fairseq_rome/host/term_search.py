"""A term looked for in token ids, whatever subwords it was cut into there, without turning them into text.

A dictionary's symbols are read as text once. Of a term, letters without blanks in one case, a symbol can end with the
first k letters, hold letters k to l and nothing else, or begin with all from k on. So a term is found by following,
from each symbol that some first letters end, how many letters are done; all counts k are followed at once, a bit for
each. What is found may be more than what is meant (`a part` for `apart`), so that it is to be looked at as text.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cached_property
from typing import Any, List, Tuple

import numpy as np
import torch

from fairseq_rome.host.codec import TextCodec
from fairseq_rome.host.token_files import TokenFile
from fairseq_rome.text.characters import LETTERS, UNSPACED

# Letters of a term that are looked for; the bits of a number hold one count more.
_MOST_LETTERS = 60
# Tokens from the first of a term to its last: as many as it has letters, and some that are blanks alone.
_LONGEST = 2 * _MOST_LETTERS
# Letters that a word is written in one piece with; where no blanks stand between words, any letter may begin one.
_LETTER = re.compile(rf"(?![{UNSPACED}])[{LETTERS}]")
_BEFORE, _AFTER = "\u2581", "@@"


@dataclass(frozen=True)
class Term:
    """What to look for.

    Args:
        text: some words, in any case.
        endings: that may follow its last word; with any of them here, all may.
    """

    text: str
    endings: Tuple[str, ...] = ()


def letters(text: str) -> str:
    """A text in one case and without blanks."""
    return "".join(text.casefold().split())


@dataclass(frozen=True)
class _Steps:
    """What each symbol does for a term; bit k of a number stands for k letters of it.

    Args:
        opens: letters that a symbol ends with, where it begins with them too.
        opens_within: the same where something else that is no letter stands before them in the symbol.
        goes_on: counts after which the symbol is the next letters and nothing else.
        closes: counts after which the symbol begins with all further letters.
        adds: how many letters the symbol has.
        whole: the bit of a whole term.
        at_word: whether the term begins a word, so that a letter must not stand right before it.
        to_word: whether it ends one likewise.
    """

    opens: Any
    opens_within: Any
    goes_on: Any
    closes: Any
    adds: Any
    whole: int
    at_word: bool
    to_word: bool


@dataclass(frozen=True, eq=False)
class TermSearch:
    """Finds terms in the files of one side.

    Args:
        codec: to read symbols as text.
        dictionary: of the side.
    """

    codec: TextCodec
    dictionary: Any

    def sentences(self, file: TokenFile, term: Term) -> Any:
        """Indices, ascending, of the sentences that may hold a term; one that holds it is always among them.

        A term that the model's symbols can't spell is not found, nor one that stands there as bytes.

        Args:
            file: the tokens of the side.
            term: what to look for.
        """
        wanted = letters(term.text)
        if not wanted:
            return np.empty(0, dtype=np.int64)
        ends = not term.endings and len(wanted) <= _MOST_LETTERS and bool(_LETTER.match(wanted[-1]))
        steps = self._steps(wanted[:_MOST_LETTERS], ends)
        places = [start + self._found(steps, tokens, own) for start, own, tokens in file.pieces(_LONGEST)]
        found = np.concatenate(places) if places else np.empty(0, dtype=np.int64)
        return file.sentences_at(found)

    @cached_property
    def _texts(self) -> List[str]:
        """What each symbol adds to a text, without blanks and in one case; a blank for what is no text."""
        special = {self.dictionary.bos(), self.dictionary.pad(), self.dictionary.eos()}
        return [
            " " if index in special else letters(self._text(index)) for index in range(len(self.dictionary))
        ]

    def _text(self, index: int) -> str:
        codec, symbol = self.codec, self.dictionary.symbols[index]
        if codec.tokenizer is not None and not {"&", "@"}.intersection(symbol):
            # Tokenizers write these two alone in other ways, and take long to undo it.
            codec = TextCodec(codec.adapter, None, codec.bpe, codec.segmented, codec.post_process)
        return codec.text(torch.tensor([index]), self.dictionary)

    @cached_property
    def _gluing(self) -> Tuple[Any, Any]:
        """Of each symbol: whether it ends with a letter that the next may be glued to, and whether it can be glued.

        Where subwords bear neither mark nothing is known, and nothing counts as glued.
        """
        symbols = self.dictionary.symbols
        before = any(symbol.startswith(_BEFORE) for symbol in symbols)
        after = any(symbol.endswith(_AFTER) for symbol in symbols)
        ends = [
            (before or symbol.endswith(_AFTER)) and bool(_LETTER.match(text[-1:]))
            for symbol, text in zip(symbols, self._texts)
        ]
        glued = [
            before != after and not symbol.startswith(_BEFORE) and bool(_LETTER.match(text[:1]))
            for symbol, text in zip(symbols, self._texts)
        ]
        return np.array(ends), np.array(glued)

    def _glued(self, tokens: Any, places: Any) -> Any:
        """Whether each place's token goes on with the word of the one before; not where a piece lacks either."""
        ends, glued = self._gluing
        known = (places > 0) & (places < len(tokens))
        held = np.where(known, places, 0)
        return known & ends[tokens[held - 1]] & glued[tokens[held]]

    def _steps(self, term: str, to_word: bool) -> _Steps:
        count, size = len(term), len(self._texts)
        at_word = bool(_LETTER.match(term))
        opens, within, goes_on, closes = (np.zeros(size, dtype=np.int64) for _ in range(4))
        adds = np.zeros(size, dtype=np.int64)
        whole, some = 1 << count, set(term)
        for index, text in enumerate(self._texts):
            if not text:
                goes_on[index] = whole - 1  # a blank may stand anywhere
                continue
            if some.isdisjoint(text):
                continue
            held = [start for start in _starts(text, term) if not (to_word and _goes_on(text, start + count))]
            starts = [(start, whole) for start in held]
            starts += [(len(text) - k, 1 << k) for k in range(1, min(count, len(text) + 1)) if text.endswith(term[:k])]
            for start, bit in starts:
                if not start:
                    opens[index] |= bit
                elif not (at_word and _LETTER.match(text[start - 1])):
                    within[index] |= bit
            adds[index] = len(text)
            for k in range(1, count):
                if term.startswith(text, k):
                    goes_on[index] |= 1 << k
                elif text.startswith(term[k:]) and not (to_word and _goes_on(text, count - k)):
                    closes[index] |= 1 << k
        # Longer ones go on nowhere, and their count must not shift bits out of a number.
        return _Steps(opens, within, goes_on, closes, np.minimum(adds, count), whole, at_word, to_word)

    def _found(self, steps: _Steps, tokens: Any, own: int) -> Any:
        """Places of a piece's own tokens at which the term begins."""
        opening = steps.opens | steps.opens_within
        leads_on = ((opening & steps.whole) != 0, (steps.goes_on | steps.closes) != 0)
        following = np.zeros(own, dtype=bool)
        after = tokens[1 : own + 1]
        following[: len(after)] = leads_on[1][after]
        places = np.flatnonzero((opening != 0)[tokens[:own]] & (leads_on[0][tokens[:own]] | following))
        first = tokens[places]
        states = steps.opens[first]
        if steps.at_word:
            states = np.where(self._glued(tokens, places), 0, states)
        states = states | steps.opens_within[first]
        done: List[Any] = []
        for ahead in range(1, _LONGEST + 1):
            complete = (states & steps.whole) != 0
            last = places[complete] + ahead
            inside = self._glued(tokens, last) if steps.to_word else np.zeros(len(last), dtype=bool)
            done.append(places[complete][~inside])
            alive = ~complete & (states != 0) & (places + ahead < len(tokens))
            places, states = places[alive], states[alive]
            if not len(places):
                break
            symbol = tokens[places + ahead]
            closed = (states & steps.closes[symbol]) != 0
            states = (states & steps.goes_on[symbol]) << steps.adds[symbol]
            states = np.where(closed, steps.whole, states)
        return np.sort(np.concatenate(done))


def _goes_on(text: str, place: int) -> bool:
    """Whether a letter stands at a place of a text."""
    return bool(_LETTER.match(text[place : place + 1]))


def _starts(text: str, term: str) -> List[int]:
    """Where a term stands in a text."""
    return [match.start() for match in re.finditer(f"(?={re.escape(term)})", text)]
