"""What beam search keeps of sources is moved only when a sentence is finished.

At each step fairseq moves the rows of all that it keeps to where their beams went. Of what the encoder gave, and of the
keys and values that the decoder made of it, the rows of one sentence are the same: to move them within their sentence
copies some hundred megabytes a step, which is a fifth of a search, and changes nothing.
"""

from __future__ import annotations

from contextlib import ExitStack, contextmanager
from typing import Any, Callable, Iterator, Optional

from fairseq.modules import MultiheadAttention
from torch import Tensor


class _Rows:
    """The sentence of each row of the decoder's batch.

    Args:
        sentence: by row; None before the encoder's output is spread over beams.
    """

    def __init__(self) -> None:
        self.sentence: Optional[Tensor] = None
        self._order: Optional[Tensor] = None
        self._stay = False

    def stay(self, order: Tensor) -> bool:
        """Whether each row goes to one of its own sentence, and none is dropped."""
        if self.sentence is None:
            return False
        if order is not self._order:  # all that is kept is moved in one order
            same = len(order) == len(self.sentence)
            self._order, self._stay = order, same and bool(self.sentence[order].equal(self.sentence))
        return self._stay

    def move(self, order: Tensor) -> None:
        """Follow an order of the encoder's output, the first of which spreads it."""
        self.sentence = order if self.sentence is None else self.sentence[order]
        self._order = None


@contextmanager
def sources_left_in_place(model: Any) -> Iterator[None]:
    """Save one beam search the moves that change nothing; all that it computes is the same, bit for bit."""
    rows = _Rows()
    reorder = model.encoder.reorder_encoder_out

    def moved(encoder_out: Any, order: Tensor) -> Any:
        if rows.stay(order):
            return encoder_out
        rows.move(order)
        return reorder(encoder_out, order)

    with ExitStack() as undo:
        _put(undo, model.encoder, "reorder_encoder_out", moved)
        for module in model.decoder.modules():
            if isinstance(module, MultiheadAttention) and module.encoder_decoder_attention and _spread(module):
                _put(undo, module, "reorder_incremental_state", _unless(rows, module.reorder_incremental_state))
        yield


def _spread(attention: Any) -> bool:
    """Whether an attention has a row for each beam; BART's has one for each sentence."""
    return getattr(attention, "beam_size", 1) == 1


def _unless(rows: _Rows, reorder: Callable[..., Any]) -> Callable[..., Any]:
    def reordered(state: Any, order: Tensor) -> Any:
        return state if rows.stay(order) else reorder(state, order)

    return reordered


def _put(undo: ExitStack, module: Any, name: str, found: Callable[..., Any]) -> None:
    """Put a function in the place of a module's own until all is undone."""
    own = vars(module).get(name)
    undo.callback(*((delattr, module, name) if own is None else (setattr, module, name, own)))
    setattr(module, name, found)
