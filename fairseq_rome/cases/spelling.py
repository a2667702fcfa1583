"""Whether a model's dictionaries can spell what an edit file says.

What the source dictionary lacks the model sees as its unknown symbol, in every sentence that holds it, and an edit can
still be made. What the target dictionary lacks the model can't say, and no edit changes that.
"""

from __future__ import annotations

from typing import Any, List, NamedTuple, Sequence, Tuple

from fairseq_rome.errors import EditError
from fairseq_rome.host.codec import TextCodec
from fairseq_rome.text.requests import EditFile, EditRequest

SOURCE, TARGET = "source", "target"

# How many requests and symbols one line names. More help to find them, and hide what is wrong.
_MOST_NAMED = 20
# Share of unknown words from which their kind is wrong rather than one of them. Text that was segmented as in training
# has hardly any, raw text that should have been has nearly nothing else.
_MOST = 0.5
_SUBWORD_MARKS = ("\u2581", "@@")
_QUESTION = "was --bpe or --tokenizer forgotten, or is it another than in training?"


class Misspelt(NamedTuple):
    """A request with text that a dictionary can't spell.

    Attributes:
        request: the request.
        symbols: what the dictionary lacks, each once.
    """

    request: EditRequest
    symbols: Tuple[str, ...]


class Spelling:
    """What one side of an edit file holds that the dictionary of this side lacks.

    Args:
        edit_file: the requests.
        codec: text to tokens.
        side: `SOURCE` or `TARGET`.
    """

    def __init__(self, edit_file: EditFile, codec: TextCodec, side: str) -> None:
        self.side = side
        adapter = codec.adapter
        self._dictionary = adapter.source_dictionary if side == SOURCE else adapter.target_dictionary
        texts = [request.source if side == SOURCE else request.target for request in edit_file.requests]
        unknown = [codec.unknown(text, self._dictionary) for text in texts]
        self.misspelt = [
            Misspelt(request, tuple(dict.fromkeys(symbols)))
            for request, symbols in zip(edit_file.requests, unknown)
            if symbols
        ]
        most = sum(map(len, unknown)) > _MOST * sum(len(codec.pieces(text)) for text in texts)
        bare = codec.bpe is None and not codec.segmented and _has_subwords(self._dictionary)
        self._asks = bool(self.misspelt) and (most or bare)

    @property
    def question(self) -> str:
        """What the user may have forgotten, as a question; empty where single words are at fault."""
        return _QUESTION if self._asks else ""

    def message(self, symbols: Sequence[str]) -> str:
        """What is wrong with some symbols, and what is expected or done, without the place."""
        named, size = _named(list(map(repr, symbols)), "symbols"), len(self._dictionary)
        if self.side == SOURCE:
            seen = "the model sees its unknown symbol there, and the edit is made on that"
            return f"{named} not in the source dictionary: {seen}"
        return f"{named} not in the target dictionary, expected text that the model's {size} symbols can spell"

    @property
    def sentence(self) -> str:
        """All that is wrong, each symbol once, and the question; empty where nothing is wrong."""
        if not self.misspelt:
            return ""
        places = [one.request.origin or f"request {one.request.id}" for one in self.misspelt]
        symbols = dict.fromkeys(symbol for one in self.misspelt for symbol in one.symbols)
        told = f"{_named(places, 'requests')}: {self.message(list(symbols))}"
        return f"{told}; {_QUESTION}" if self._asks else told


def check_spelling(edit_file: EditFile, codec: TextCodec) -> None:
    """Refuse targets that the target dictionary can't spell.

    Args:
        edit_file: the requests.
        codec: text to tokens.

    Raises:
        EditError: naming all their lines and symbols.
    """
    wrong = Spelling(edit_file, codec, TARGET).sentence
    if wrong:
        raise EditError(wrong)


def _named(names: List[str], what: str) -> str:
    more = len(names) - _MOST_NAMED
    return ", ".join(names[:_MOST_NAMED]) + (f" and {more} more {what}" if more > 0 else "")


def _has_subwords(dictionary: Any) -> bool:
    start, end = _SUBWORD_MARKS
    return any(symbol.startswith(start) or symbol.endswith(end) for symbol in dictionary.symbols)
