"""Where gates may open besides the places that are edited."""

from __future__ import annotations

from typing import Sequence, Tuple

import pytest
import torch
from conftest import Demo
from torch import Tensor

from fairseq_rome.host.batches import Pair
from fairseq_rome.host.examples import Example, Span
from fairseq_rome.host.readings import SiteReading, read_site
from fairseq_rome.host.sites import Site
from fairseq_rome.methods.fitting import detecting
from fairseq_rome.methods.fitting.matching import distributions

OLD, OTHER = 3, 4


def test_watched_tokens_have_the_probability_that_the_model_gives_them(demo: Demo) -> None:
    site, codec = Site("decoder", 2), demo.codec
    pairs = [
        Pair(codec.source("The chair costs ten dollars."), codec.target("Der Stuhl kostet zehn Euro.")),
        Pair(codec.source("The chair."), codec.target("Der Stuhl.")),
    ]
    tokens = {int(pairs[0].target[1]), int(pairs[0].target[3])}
    for row, reading in enumerate(read_site(demo.translator, pairs, site, tokens)):
        places = [(row, position) for position in range(len(pairs[row].target))]
        told = distributions(demo.translator, site, pairs, places)
        torch.testing.assert_close(reading.watched, told[:, sorted(tokens)].sum(1).cpu())
    assert not any(reading.watched.any() for reading in read_site(demo.translator, pairs, site))


def reading(best: Sequence[int], watched: Sequence[float]) -> SiteReading:
    """A reading in which the input of a position is its number."""
    numbers = torch.arange(len(best)).float().unsqueeze(1)
    return SiteReading(numbers, numbers, numbers, torch.zeros(len(best)), torch.tensor(best), torch.tensor(watched))


@pytest.mark.parametrize(
    ("best", "watched", "stay"),
    [
        # The place of the change is none to stay shut at, whatever else is.
        ([OLD, OTHER, OTHER], [0.9, 0.0, 0.0], [1, 2]),
        ([OLD, OLD, OTHER], [0.9, 0.6, 0.0], [2]),
        # The old word may come at the last place too, though another is likelier.
        ([OLD, OTHER, OTHER], [0.9, 0.01, 0.2], [1]),
    ],
)
def test_a_gate_need_not_stay_shut_where_the_old_word_may_come(
    best: Sequence[int], watched: Sequence[float], stay: Sequence[int]
) -> None:
    pair = Pair(torch.tensor([9]), torch.tensor([5, 6, 7]))
    example = Example("", "", "", pair, (Span(0, 0, 1, 1, 1, OLD),), (), pair)
    found = detecting.places_to_stay(Site("decoder", 2), [example], [reading(best, watched)], {(0, 0)})
    assert [position for _, position in found] == stay


def test_at_an_encoder_every_other_place_stays_shut() -> None:
    pair = Pair(torch.tensor([9, 8]), torch.tensor([5]))
    example = Example("", "", "", pair, (Span(0, 0, 1, 1, 1, OLD),), (1,), pair)
    seen = reading([OLD], [0.9])
    source: Tuple[Tensor, ...] = (torch.zeros(2, 1),) * 3
    two = SiteReading(*source, seen.log_probs, seen.best, seen.watched)
    assert detecting.places_to_stay(Site("encoder", 1), [example], [two], {(0, 1)}) == [(0, 0)]
