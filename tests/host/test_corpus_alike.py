"""Sentences that begin a new word and go on otherwise, found by their tokens."""

from __future__ import annotations

from typing import Collection, List, Tuple

import pytest
import torch

from fairseq_rome.host.batches import Pair
from fairseq_rome.host.corpus import Corpus

TARGETS = [[5, 6, 7, 2], [5, 8, 2], [9, 5, 6, 7, 5, 6, 2], [9, 2], [6, 7, 2], [5, 2]]


@pytest.mark.parametrize(
    ("words", "most", "ignored", "expected"),
    [
        ([(5, 6, 7)], 9, (), [1, 2, 5]),  # the second says the word as well
        ([(5, 6, 7)], 2, (), [1, 2]),
        ([(5, 6, 7)], 9, (2,), [1, 5]),
        ([(5, 8), (6, 7)], 9, (), [0, 2, 5]),
        ([(4, 3)], 9, (), []),
        ([], 9, (), []),
    ],
)
def test_pairs_that_begin_a_word_and_go_on_otherwise(
    words: Collection[Tuple[int, ...]], most: int, ignored: Tuple[int, ...], expected: List[int]
) -> None:
    pairs = tuple(Pair(torch.tensor([number]), torch.tensor(target)) for number, target in enumerate(TARGETS))
    corpus = Corpus("train", pairs, None)  # type: ignore[arg-type]  # no text is read
    found = corpus.going_on_otherwise(words, most, ignored)
    assert [int(pair.source[0]) for pair in found] == expected
