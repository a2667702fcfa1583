"""A small network that scores what may stand in a place of a text."""

from __future__ import annotations

import math
from typing import List

import torch
from algebra_problems import few, seeds
from hypothesis import given
from hypothesis import strategies as st

from fairseq_rome.algebra import SlotQuestions, SlotScorer, fit_slot_scorer

WORDS = 12


def asked(draw: torch.Generator, count: int, padding: int) -> SlotQuestions:
    """Questions of two or three candidates, with as many columns of padding as are wanted."""

    def numbers(width: int) -> torch.Tensor:
        return torch.randint(1, WORDS + 1, (count, width), generator=draw)

    there = torch.ones(count, 3, dtype=torch.bool)
    there[::2, 2] = False
    source = torch.cat([torch.zeros(count, 1, dtype=torch.long), numbers(5)], 1)
    parts: List[torch.Tensor] = [numbers(3), source, numbers(3), numbers(3)]
    marks = torch.zeros(count, 3, 2)
    marks[:, 0, 0] = 1
    candidates, source, before, behind = (torch.nn.functional.pad(part, (0, padding)) for part in parts)
    marks, there = (torch.cat([one, one.new_zeros(count, padding, *one.shape[2:])], 1) for one in (marks, there))
    return SlotQuestions(candidates, marks, there, source, before, behind)


def scorer(draw: torch.Generator) -> SlotScorer:
    shapes = ((WORDS, 4), (4, 4), (8, 18), (8,), (8,))
    return SlotScorer(*(torch.randn(shape, generator=draw) for shape in shapes))


@few
@given(seeds, st.integers(1, 6), st.integers(1, 4))
def test_padding_changes_no_score(seed: int, count: int, padding: int) -> None:
    network = scorer(torch.Generator().manual_seed(seed))
    plain, padded = (
        network.scores(asked(torch.Generator().manual_seed(seed), count, wide)) for wide in (0, padding)
    )
    assert torch.allclose(plain, padded[:, :3], atol=1e-5) and bool((padded[:, 3:] == -math.inf).all())
    assert bool((plain[::2, 2] == -math.inf).all())


@few
@given(seeds)
def test_a_sentence_of_unknown_words_is_scored_too(seed: int) -> None:
    draw = torch.Generator().manual_seed(seed)
    nothing = SlotQuestions(*(torch.zeros_like(one) for one in vars(asked(draw, 2, 0)).values()))
    there = torch.ones(2, 3, dtype=torch.bool)
    found = scorer(draw).scores(SlotQuestions(**{**vars(nothing), "there": there}))
    assert bool(found.isfinite().all()) and torch.allclose(found, found[:1, :1].expand_as(found))


def test_it_learns_which_word_of_the_source_decides() -> None:
    draw = torch.Generator().manual_seed(3)
    questions, new = asked(draw, 1000, 0), asked(draw, 100, 0)
    for one in (questions, new):
        one.there[:, 2] = False  # nothing would tell it from the second
    right = questions.source.eq(5).any(1).long()
    trained = fit_slot_scorer(questions, right, WORDS, 300, 1)
    found = trained.scores(new).argmax(1)
    assert (found == new.source.eq(5).any(1)).float().mean() > 0.95
    assert trained.vectors.dtype == torch.half and not any(one.requires_grad for one in trained.tensors.values())
