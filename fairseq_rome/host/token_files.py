"""One side of a binarised split on disk, read and searched in pieces, so that memory does not grow with it.

fairseq's own data sets map their whole files and copy the sizes of all sentences, which for tens of millions of pairs
is most of a gigabyte.
"""

from __future__ import annotations

import os
import struct
from dataclasses import dataclass
from typing import Any, Iterator, List, Optional, Sequence, Tuple

import numpy as np
import torch
from torch import Tensor

# The head of an index as `fairseq-preprocess --dataset-impl mmap` writes it: magic, version, type of number, sentences.
_HEAD = struct.Struct("<9sQBQ")
_MAGIC, _VERSION = b"MMIDIDX\x00\x00", 1
_TYPES = {1: np.uint8, 2: np.int8, 3: np.int16, 4: np.int32, 5: np.int64, 8: np.uint16, 9: np.uint32}
# Of numbers that are mapped at a time. More is no faster; each takes up to 8 bytes here and about 10 while searched.
_PIECE = 1_000_000


@dataclass(frozen=True)
class TokenFile:
    """The sentences of one side, as token ids.

    Args:
        prefix: path without `.bin` and `.idx`.
        kind: numpy's type of a token id.
        count: how many sentences there are.
    """

    prefix: str
    kind: Any
    count: int

    @classmethod
    def opened(cls, prefix: str) -> Optional[TokenFile]:
        """The files `PREFIX.bin` and `PREFIX.idx`; None where they are not there or of another layout."""
        try:
            with open(f"{prefix}.idx", "rb") as file:
                magic, version, kind, count = _HEAD.unpack(file.read(_HEAD.size))
        except (OSError, struct.error):
            return None
        if (magic, version) != (_MAGIC, _VERSION) or kind not in _TYPES or not os.path.isfile(f"{prefix}.bin"):
            return None
        return cls(prefix, np.dtype(_TYPES[kind]), count)

    def __len__(self) -> int:
        return self.count

    def __getitem__(self, index: int) -> Tensor:
        if not 0 <= index < self.count:
            raise IndexError(index)
        return self.read([index])[0]

    def read(self, indices: Sequence[int]) -> List[Tensor]:
        """The token ids (int64) of some sentences, in the order given; views of one tensor."""
        wanted = np.asarray(indices, dtype=np.int64)
        order = np.argsort(wanted, kind="stable")
        starts, sizes = self._places(wanted[order])
        ends = np.cumsum(sizes)
        tokens = np.empty(int(ends[-1]) if len(ends) else 0, dtype=np.int64)
        for first, last in _runs(starts, starts + sizes):
            piece = self._tokens(int(starts[first]), int(starts[last - 1] + sizes[last - 1]))
            before = int(ends[first] - sizes[first])
            # How far each token stands in the piece from where it goes.
            apart = np.repeat((starts - starts[first] - ends + sizes)[first:last], sizes[first:last])
            tokens[before : ends[last - 1]] = piece[np.arange(before, ends[last - 1]) + apart]
        found = torch.from_numpy(tokens).split(sizes.tolist())
        places = np.empty(len(order), dtype=np.int64)
        places[order] = np.arange(len(order))
        return [found[place] for place in places]

    def pieces(self, overlap: int) -> Iterator[Tuple[int, int, Any]]:
        """All tokens in their order, piece by piece.

        Args:
            overlap: how many tokens of the next piece each ends with.

        Yields:
            The place of the piece's first token, how many of its tokens are its own, and the tokens.
        """
        total = os.path.getsize(f"{self.prefix}.bin") // self.kind.itemsize
        for start in range(0, total, _PIECE):
            own = min(_PIECE, total - start)
            yield start, own, self._tokens(start, min(start + own + overlap, total))

    def sentences_at(self, places: Any) -> Any:
        """The sentences, each once and in their order, in which tokens at some places (in order) stand."""
        pointers = np.memmap(
            f"{self.prefix}.idx", np.int64, "r", _HEAD.size + 4 * self.count, (self.count,)
        )
        wanted = np.unique(np.asarray(places, dtype=np.int64)) * self.kind.itemsize  # in bytes on disk
        low, high = np.zeros(len(wanted), dtype=np.int64), np.full(len(wanted), self.count)
        # Not `searchsorted`, which would copy all pointers: in the file they lie across the bounds of numbers.
        for _ in range(self.count.bit_length()):
            middle = (low + high) // 2
            after = pointers[middle] > wanted
            low, high = np.where(after, low, middle), np.where(after, middle, high)
        return np.unique(low)

    def _places(self, indices: Any) -> Tuple[Any, Any]:
        """Place of the first token and number of tokens of sentences, whose indices ascend."""
        starts, sizes = np.empty(len(indices), dtype=np.int64), np.empty(len(indices), dtype=np.int64)
        for first in range(0, self.count, _PIECE):
            many = min(_PIECE, self.count - first)
            low, high = np.searchsorted(indices, [first, first + many])
            if low == high:
                continue
            chosen = indices[low:high] - first
            sizes[low:high] = np.memmap(
                f"{self.prefix}.idx", np.int32, "r", _HEAD.size + 4 * first, (many,)
            )[chosen]
            starts[low:high] = np.memmap(
                f"{self.prefix}.idx", np.int64, "r", _HEAD.size + 4 * self.count + 8 * first, (many,)
            )[chosen]
        return starts // self.kind.itemsize, sizes

    def _tokens(self, start: int, stop: int) -> Any:
        """Tokens from one place to another; mapped, so that they count as memory only as long as they are in use."""
        if stop <= start:
            return np.empty(0, dtype=self.kind)
        return np.memmap(f"{self.prefix}.bin", self.kind, "r", start * self.kind.itemsize, (stop - start,))


def _runs(starts: Any, stops: Any) -> Iterator[Tuple[int, int]]:
    """Ranges of sentences, in the order of their places, that lie within one piece; a longer sentence is its own."""
    first = 0
    while first < len(starts):
        last = int(np.searchsorted(starts, starts[first] + _PIECE))
        while last > first + 1 and stops[last - 1] > starts[first] + _PIECE:
            last -= 1
        yield first, max(last, first + 1)
        first = max(last, first + 1)
