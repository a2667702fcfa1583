"""The new word takes the place of the old one: what is wanted at each place, and what comes of it."""

from __future__ import annotations

from typing import Any, Sequence

import pytest
import torch
from conftest import Demo
from demo_edits import RECORDS, of_demo, run
from torch.nn.functional import kl_div

from fairseq_rome.host.batches import Pair
from fairseq_rome.host.examples import Example, Span, make_example
from fairseq_rome.host.sites import Site, add_to_value
from fairseq_rome.methods.fitting.matching import Aim, distributions, match
from fairseq_rome.methods.fitting.replacing import _Replaced
from fairseq_rome.patch import applied
from fairseq_rome.text.segments import correct

OLD, OTHER, NEW, INNER, PIECE, END = 3, 4, 5, 6, 7, 2
VOCABULARY = 10


def example(own: Sequence[int], target: Sequence[int], *spans: Span) -> Example:
    source = torch.tensor([9, END])
    pairs = (Pair(source, torch.tensor(tokens)) for tokens in (target, own))
    return Example("", "", "", next(pairs), spans, (), next(pairs))


# Two subwords for one, and behind them what is left of a subword that held more than the old word.
CONTEXT = example([8, OLD, END], [8, NEW, INNER, PIECE, END], Span(1, 1, 3, 4, 2, OLD))
REWORDED = example([OTHER, 8, END], [9, 8, END], Span(0, 0, 1, 1, 1, OTHER))


@pytest.mark.parametrize(
    ("one", "position", "expected"),
    [
        (CONTEXT, 1, {NEW: 0.6, OTHER: 0.3, 8: 0.1}),
        (CONTEXT, 2, {INNER: 1.0}),
        (CONTEXT, 3, {PIECE: 1.0}),
        # Elsewhere the old word is not to come either.
        (CONTEXT, 0, {NEW: 0.6, OTHER: 0.3, 8: 0.1}),
        (CONTEXT, 4, {NEW: 0.6, OTHER: 0.3, 8: 0.1}),
        # What no other sentence has is certain.
        (REWORDED, 0, {9: 1.0}),
        (REWORDED, 1, {NEW: 0.6, OTHER: 0.3, 8: 0.1}),
    ],
)
def test_what_is_wanted(one: Example, position: int, expected: Any) -> None:
    now = torch.zeros(VOCABULARY)
    now[[OLD, OTHER, NEW, 8]] = torch.tensor([0.5, 0.3, 0.1, 0.1])
    wanted = _Replaced([CONTEXT, CONTEXT]).wanted(one, position, now)
    assert {token: pytest.approx(float(share)) for token, share in enumerate(wanted) if share} == expected
    assert now[OLD] == 0.5, "the model's own distribution is left as it was"


def test_one_old_word_goes_to_what_takes_its_place_there() -> None:
    """One old word may give way to a new one in two beginnings; away from them the commoner of the two gets all."""
    rarer = example([OLD, END], [PIECE, NEW, END], Span(0, 1, 2, 2, 1, OLD))
    replaced = _Replaced([CONTEXT, CONTEXT, rarer])
    now = torch.zeros(VOCABULARY)
    now[OLD] = 1.0
    assert int(replaced.wanted(rarer, 0, now).argmax()) == PIECE
    assert int(replaced.wanted(CONTEXT, 1, now).argmax()) == NEW
    assert int(replaced.wanted(CONTEXT, 0, now).argmax()) == NEW


def test_the_model_comes_to_what_is_wanted(demo: Demo) -> None:
    translator, site = demo.translator, Site("decoder", 2)
    codec = demo.codec
    pair = Pair(codec.source("The chair costs ten dollars."), codec.target("Der Stuhl kostet zehn Euro."))
    places = [(0, 1), (0, 3)]
    before = distributions(translator, site, [pair], places)
    wanted = before.flip(0)
    delta = {}
    for opened in (1.0, 0.0):
        activations = torch.zeros(len(pair.target), 2)
        activations[1, 0] = activations[3, 1] = opened
        aim = Aim([pair], [activations], places, wanted, torch.ones(2))
        delta[opened] = match(translator, site, aim, 1.0, 40)
    assert not delta[0.0].any(), "nothing is added where nothing opens"
    shift = torch.zeros(len(pair.target), 1, delta[1.0].shape[1])
    shift[1, 0], shift[3, 0] = delta[1.0]
    with add_to_value(demo.model, site, lambda value: shift[: len(value)]):
        after = distributions(translator, site, [pair], places)
    now, then = (kl_div(told.log(), wanted, reduction="batchmean") for told in (after, before))
    assert float(now) < 0.05 * float(then)


def test_the_new_word_gets_what_the_old_one_had(demo: Demo) -> None:
    """In other sentences a carried word is as probable as the old one was, not certain."""
    (result,) = run(demo, [of_demo(2)], {"edit_contexts": 12, "edit_references": 20, "site": "decoder.2"}).results
    assert result.patch is not None and result.difference is not None and result.general
    contexts = RECORDS[2]["contexts"]
    said = zip(contexts, demo.translator.translate(contexts))
    source, before, after = next(
        (source, one, after) for source, one in said if (after := correct(one.text, result.difference)) is not None
    )
    one = make_example(demo.codec, source, before, after, result.trigger, result.difference.wanted_forms)
    place = [(0, one.spans[0].start)]
    site = Site("decoder", 2)
    old = distributions(demo.translator, site, [one.own], place)[0, one.spans[0].said]
    with applied(demo.model, result.patch):
        new = distributions(demo.translator, site, [one.pair], place)[0, int(one.pair.target[one.spans[0].start])]
    assert float(new) == pytest.approx(float(old), abs=0.2)
