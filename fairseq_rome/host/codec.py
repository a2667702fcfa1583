"""Text to tokens and back, as fairseq-interactive does it, and which word a token belongs to."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import takewhile
from typing import Any, FrozenSet, Iterable, List, Optional, Sequence, Tuple

import torch
from fairseq.data import data_utils
from torch import Tensor

from fairseq_rome.host.adapters.base import TaskAdapter
from fairseq_rome.text.tags import leading_tags

# How SentencePiece marks where a word starts; before a symbol that a user gave it, it may stand alone.
_WORD_START = "\u2581"


@dataclass(frozen=True)
class TextCodec:
    """Turns text into tokens and back through the task's dictionaries, tokenizer and subword model.

    Args:
        adapter: of the task that owns the dictionaries.
        tokenizer: fairseq tokenizer (`--tokenizer`) or None.
        bpe: fairseq subword model (`--bpe`) or None.
        segmented: all text, what comes in and what comes out, is in subwords: nothing encodes or joins it.
        post_process: how to join subwords of hypotheses (`--post-process`) when there is no `bpe`.
        target_end: what a task's targets carry behind the end symbol, such as mBART's language symbol; -1 for
            nothing.
    """

    adapter: TaskAdapter
    tokenizer: Optional[Any] = None
    bpe: Optional[Any] = None
    segmented: bool = False
    post_process: Optional[str] = None
    target_end: int = -1

    def _subwords(self, text: str) -> str:
        if self.segmented:
            return text
        if self.tokenizer is not None:
            text = self.tokenizer.encode(text)
        return text if self.bpe is None else self.bpe.encode(text)

    def source(self, text: str) -> Tensor:
        """Token ids of a source sentence, int64, with the end symbol."""
        return self.adapter.source_dictionary.encode_line(
            self._subwords(text), add_if_not_exist=False, append_eos=True
        ).long()

    def target(self, text: str) -> Tensor:
        """Token ids of a target sentence, int64, with the end symbol and what the task puts around it."""
        tokens = self.adapter.target_dictionary.encode_line(
            self._subwords(text), add_if_not_exist=False, append_eos=True
        ).long()
        tokens = self.adapter.with_prefix(tokens)
        return tokens if self.target_end < 0 else torch.cat([tokens, tokens.new_tensor([self.target_end])])

    def pieces(self, text: str) -> List[str]:
        """The subwords of a sentence, as they are looked up in a dictionary."""
        return self._subwords(text).split()

    def piece_starts(self, text: str) -> FrozenSet[int]:
        """Where the subwords of a text begin, in characters, as far as they stand in it letter by letter."""
        starts: List[int] = []
        position = 0
        for piece in self.pieces(text):
            bare = piece.replace("\u2581", "").replace("@@", "")
            found = text.find(bare, position)
            if bare and found >= 0:
                starts.append(found)
                position = found + len(bare)
        return frozenset(starts)

    def tags(self, source: str) -> Tuple[str, ...]:
        """The words at the beginning of a source that tell the direction: each is a symbol of the dictionary."""
        return tuple(takewhile(self._is_symbol, leading_tags(source)))

    def _is_symbol(self, word: str) -> bool:
        pieces = [piece for piece in self.pieces(word) if piece != _WORD_START]
        dictionary = self.adapter.source_dictionary
        return len(pieces) == 1 and dictionary.index(pieces[0]) >= dictionary.nspecial

    def unknown(self, text: str, dictionary: Any) -> List[str]:
        """The subwords of a sentence that the dictionary lacks, as often as they stand in it."""
        known = dictionary.encode_line(self._subwords(text), add_if_not_exist=False, append_eos=False)
        pieces = self.pieces(text)
        return [piece for piece, index in zip(pieces, known.tolist()) if index == dictionary.unk()]

    def text(self, tokens: Tensor, dictionary: Any) -> str:
        """The text of token ids, subwords joined as fairseq-interactive joins them unless all text is segmented."""
        return self._text(tokens.tolist(), dictionary)

    def texts(self, sentences: Iterable[Tensor], dictionary: Any) -> List[str]:
        """The texts of many sentences' token ids up to their end symbols, quicker than one by one."""
        each = list(sentences)
        if not each:
            return []
        tokens, lengths = torch.cat(each), torch.tensor([one.numel() for one in each])
        stops = lengths.cumsum(0)
        ends = _counted(tokens.eq(dictionary.eos()))
        # A token before its sentence's end symbol has as many end symbols up to it as all sentences before have.
        kept = ends[1:].eq(ends[stops - lengths].repeat_interleave(lengths))
        for silent in {dictionary.bos(), self.adapter.target_prefix, self.target_end}:
            kept &= tokens.ne(silent)
        symbols = list(map(dictionary.symbols.__getitem__, tokens[kept].tolist()))
        places = [0, *_counted(kept)[stops].tolist()]
        return [self._joined(symbols[start:stop]) for start, stop in zip(places, places[1:])]

    def _text(self, ids: Sequence[int], dictionary: Any) -> str:
        # As `Dictionary.string` does, in a fifth of its time.
        ends = (dictionary.bos(), dictionary.eos(), self.adapter.target_prefix)
        return self._joined([dictionary.symbols[token] for token in ids if token not in ends])

    def _joined(self, symbols: Sequence[str]) -> str:
        """The text of some symbols."""
        line = " ".join(symbols)
        if self.segmented:
            return line
        joined = (
            data_utils.post_process(line, self.post_process) if self.bpe is None else self.bpe.decode(line)
        )
        return joined if self.tokenizer is None else self.tokenizer.decode(joined)

    def target_text(self, tokens: Tensor) -> str:
        """The text of target token ids."""
        return self.text(tokens[tokens.ne(self.target_end)], self.adapter.target_dictionary)

    def source_text(self, tokens: Tensor) -> str:
        """The text of source token ids."""
        return self.text(tokens, self.adapter.source_dictionary)

    def word_of(self, tokens: Tensor, dictionary: Any) -> List[int]:
        """The index of the word, by spaces, that each token belongs to; an end symbol has the last."""
        owners: List[int] = []
        before: List[str] = []
        for end in range(1, len(tokens) + 1):
            now = self.text(tokens[:end], dictionary).split()
            # A token without text of its own, such as a lone word-start mark, belongs to the word that it
            # opens.
            owners.append(len(now) if now == before else len(now) - 1)
            before = now
        return [max(min(owner, len(before) - 1), 0) for owner in owners]


def _counted(flags: Tensor) -> Tensor:
    """How many of some flags are true before each place, and in all."""
    return torch.cat([torch.zeros(1, dtype=torch.long), flags.cumsum(0)])


def content(tokens: Tensor, dictionary: Any) -> Tensor:
    """The tokens before the first end symbol."""
    # On tokens in a list: for a sentence that is quicker than any of torch's operations, and a corpus has many.
    ids, end = tokens.tolist(), dictionary.eos()
    return tokens[: ids.index(end)] if end in ids else tokens
