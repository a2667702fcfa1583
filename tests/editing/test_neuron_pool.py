"""Which neurons gates may take."""

from __future__ import annotations

from typing import Sequence, Tuple

import pytest
import torch
from patch_samples import ENCODER, gate, low_rank

from fairseq_rome.editing.neuron_pool import NeuronPool
from fairseq_rome.host.sites import Site
from fairseq_rome.patch import HandedOver, Patch
from fairseq_rome.statistics import Background

SITE = Site("decoder", 1)
# What the neurons 0, 1, ... contribute: ten together.
BUSY = (4.0, 1.0, 0.0, 3.0, 2.0)


def spare(pool: NeuronPool, busy: Sequence[float] = BUSY, site: Site = SITE) -> Tuple[int, ...]:
    nothing = torch.zeros(0)
    background = Background(nothing, nothing, nothing, torch.tensor(busy), nothing)
    return pool.spare(site, background, torch.ones(1, len(busy)))


@pytest.mark.parametrize(
    ("share", "expected"),
    [
        (0.0, (2,)),
        (0.05, (2,)),
        (0.15, (2, 1)),
        (0.35, (2, 1, 4)),
        (0.65, (2, 1, 4, 3)),
        (1.0, (2, 1, 4, 3, 0)),
    ],
)
def test_the_most_dormant_first_and_no_more_than_their_share(share: float, expected: Tuple[int, ...]) -> None:
    assert spare(NeuronPool((), share, widen=False)) == expected


def test_what_a_neuron_writes_counts_and_not_how_often_it_is_on() -> None:
    nothing = torch.zeros(0)
    background = Background(nothing, nothing, nothing, torch.tensor([9.0, 1.0, 1.0]), nothing)
    columns = torch.tensor([[0.0, 1.0, 2.0]])
    assert NeuronPool((), 0.2, widen=False).spare(SITE, background, columns) == (0, 1)


def test_what_earlier_edits_own_is_no_room() -> None:
    pool = NeuronPool([gate(2, SITE), gate(3, SITE), gate(4, ENCODER), low_rank(1, SITE)], 0.35, widen=False)
    assert spare(pool) == (1, 4)
    assert spare(pool, site=ENCODER) == (2, 1)
    assert pool.left() == {"decoder.1": (2, 2), "encoder.1": (2, 2)}


def test_what_is_taken_can_be_given_back() -> None:
    pool = NeuronPool((), 0.35, widen=False)
    assert spare(pool) == (2, 1, 4)
    pool.take(gate(1, SITE))
    pool.take(gate(2, SITE))
    assert spare(pool) == (4,)
    assert pool.left() == {"decoder.1": (1, 3)}
    pool.give_back(gate(2, SITE))
    assert spare(pool) == (2, 4)
    assert pool.left() == {"decoder.1": (2, 3)}


@pytest.mark.parametrize("widen", [False, True])
def test_a_resumed_run_finds_the_same_room(widen: bool) -> None:
    """There the edits are taken over before a site is first asked for."""
    through, resumed = (NeuronPool((), 0.35, widen) for _ in range(2))
    for step in range(3):
        through.take(gate(spare(through)[step % 2], SITE))
    for patch in [gate(neuron, SITE) for neuron in sorted(through._taken[SITE])]:
        resumed.take(patch)
    assert spare(resumed) == spare(through)
    assert resumed.left() == through.left()


def test_a_layer_grows_behind_its_end_and_behind_what_it_has_grown_by() -> None:
    pool = NeuronPool((), 0.35, widen=True)
    # Only what is as good as silent is taken: a new neuron costs nothing.
    assert spare(pool)[:4] == (2, 5, 6, 7)
    assert len(spare(pool)) > 50
    pool.take(gate(2, SITE))
    pool.take(gate(5, SITE))
    assert spare(pool)[:2] == (6, 7)
    assert pool.left() == {"decoder.1": (0, 1)}
    # The layer of an earlier run: it has grown to eight, with one edit in the new part.
    again = NeuronPool([gate(5, SITE)], 0.35, widen=True)
    assert spare(again, (*BUSY, 0.5, 0.0, 0.0))[:5] == (2, 6, 7, 8, 9)


def test_without_widening_there_is_no_room_past_the_end() -> None:
    assert spare(NeuronPool((), 0.0, widen=False), (1.0, 2.0)) == ()


def of_twins(pool: NeuronPool) -> Tuple[int, ...]:
    """Of a layer of six, in which the neurons 2 and 3 fire as one, and so do 4 and 5, nearly."""
    keys = torch.eye(6).repeat(4, 1)
    keys[:, 3], keys[:, 5] = keys[:, 2], keys[:, 4]
    keys[0, 5] += 0.5
    nothing = torch.zeros(0)
    moment = keys.T @ keys / len(keys)
    return pool.spare(SITE, Background(nothing, nothing, nothing, moment.diagonal(), moment), torch.eye(6))


def test_neurons_that_fire_together_make_room_behind_the_dormant_ones() -> None:
    assert of_twins(NeuronPool((), 0.0, widen=False)) == ()
    pool = NeuronPool((), 0.0, widen=False, merge=1e-6)
    [free] = of_twins(pool)
    assert {free, pool.merged(SITE)[free].host} == {2, 3} and pool.made() == {}
    pool.take(gate(free, SITE))
    assert of_twins(pool) == () and pool.left() == {"decoder.1": (0, 1)}
    assert pool.made() == {"decoder.1": (1, pytest.approx(0.0, abs=1e-6))}
    pool.give_back(gate(free, SITE))
    assert of_twins(pool) == (free,)
    more = NeuronPool((), 0.0, widen=False, merge=0.05)
    for neuron in of_twins(more):
        more.take(gate(neuron, SITE))
    assert len(of_twins(NeuronPool((), 0.0, widen=False, merge=0.05))) == 2
    [(count, change)] = more.made().values()
    assert count == 2 and 0.0 < change <= 0.05**0.5


def test_what_writes_for_another_neuron_is_neither_merged_again_nor_are_gates() -> None:
    column = f"decoder.layers.{SITE.layer}.fc2.weight"
    host = Patch("gated", SITE, (HandedOver(column, 2, torch.ones(6)),))
    assert of_twins(NeuronPool((host,), 0.0, widen=False, merge=1e-6)) == ()
    assert of_twins(NeuronPool((gate(3, SITE),), 0.0, widen=False, merge=1e-6)) == ()
    assert of_twins(NeuronPool((), 0.0, widen=True, merge=1e-6))[:2] == (6, 7)
