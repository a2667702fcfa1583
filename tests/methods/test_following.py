"""One more gate, early in the decoder, behind a new word."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Dict, List, Sequence, Tuple

import pytest
import torch
from conftest import Demo
from demo_edits import of_demo, run

from fairseq_rome.editing.neuron_pool import NeuronPool
from fairseq_rome.editing.outcome import EDITED, Result
from fairseq_rome.errors import EditError
from fairseq_rome.host.batches import Pair
from fairseq_rome.host.examples import Example, Span
from fairseq_rome.host.sites import Site
from fairseq_rome.methods.fitting import following
from fairseq_rome.methods.fitting.following import Continuation, following_steps
from fairseq_rome.patch import Patch, applied
from fairseq_rome.statistics import Background

FIRST, LAST = Site("decoder", 0), Site("decoder", 2)
CARRIED = {"edit_contexts": 12, "edit_references": 20, "site": "decoder.2"}
END = 2


def example(
    own: Sequence[int], target: Sequence[int], spans: Sequence[Tuple[int, int]], resumes: Sequence[int]
) -> Example:
    source = torch.tensor([9, END])
    places = tuple(Span(start, start, stop, stop, old, 0) for (start, stop), old in zip(spans, resumes))
    pairs = (Pair(source, torch.tensor([*tokens, END])) for tokens in (target, own))
    return Example("", "", "", next(pairs), places, (), next(pairs))


def test_where_a_new_word_has_been_read() -> None:
    # The word 20 21 takes the place of 10, and the sentence goes on as it did.
    examples = [
        example([5, 10, 6, 7], [5, 20, 21, 6, 7], [(1, 3)], [2]),
        example([10, 8], [20, 21, 8], [(0, 2)], [1]),
        example([4, 4, 10, 8], [4, 4, 20, 21, 3], [(2, 4)], [3]),  # goes on otherwise: nothing to learn
        example([4, 10, 8], [4, 20, 21, 8], [(1, 3)], [2]),
    ]
    ((step, found),) = following_steps(examples, fitted=3)
    assert found == [Continuation(0, 3, 3, 2, 3), Continuation(1, 2, 2, 1, 2), Continuation(3, 3, 3, 2, 2)]
    assert step.places == ((0, 3), (1, 2), (3, 3))


def test_a_word_that_begins_with_the_old_one() -> None:
    # 20 comes behind the old word 10, in a sentence with another new word before.
    one = example([4, 9, 10, 6], [21, 22, 9, 10, 20, 6], [(0, 2), (4, 5)], [1, 3])
    ((_, first), (_, second)) = following_steps([one] * 3, fitted=3)
    assert not any(place.longer for place in first)
    assert all(place.longer for place in second)


def test_a_piece_of_an_old_subword_behind_the_word() -> None:
    # 10 holds the old word and what stands behind it; 30 is that.
    one = example([5, 10, 6], [5, 20, 30, 6], [(1, 2)], [2])
    one = replace(one, spans=(one.spans[0]._replace(rejoins=3),))
    ((step, found),) = following_steps([one] * 3, fitted=3)
    assert set(found) == {Continuation(number, 2, 3, 2, 2) for number in range(3)}
    assert step.places == ((0, 2), (1, 2), (2, 2))


@pytest.mark.parametrize(
    ("places", "told"),
    [
        ([Continuation(0, 2, 2, 2, 3), Continuation(1, 2, 2, 2, 3, longer=True)], "the rest of the new one"),
        ([Continuation(0, 2, 3, 2, 3), Continuation(1, 4, 5, 4, 1)], "a piece of an old subword comes first"),
    ],
)
def test_words_that_no_state_stands_ready_for(places: List[Continuation], told: str) -> None:
    good = [Continuation(0, 2, 2, 2, 3), Continuation(1, 4, 5, 4, 1)]
    following._demand_states([good])
    with pytest.raises(EditError, match=told):
        following._demand_states([good, places])


def test_a_word_at_several_places_of_a_sentence() -> None:
    twice = example([10, 5, 10, 6], [20, 5, 20, 6], [(0, 1), (2, 3)], [1, 3])
    ((_, found),) = following_steps([twice, twice], fitted=1)  # three times at least, in whichever sentences
    assert [(one.example, one.position) for one in found] == [(0, 1), (0, 3), (1, 1), (1, 3)]
    assert [one.length for one in found] == [1, 2, 1, 2], "up to the next new word, and with the end of the sentence"


def test_no_step_where_few_have_a_word_or_the_fit_sees_none() -> None:
    one = example([10, 5], [20, 5], [(0, 1)], [1])
    other = example([11, 5], [21, 5], [(0, 1)], [1])
    removed = example([10, 5], [5], [(0, 0)], [1])
    ((step, _),) = following_steps([one, one, other, other, other], fitted=5)
    assert [number for number, _ in step.places] == [2, 3, 4], "three must have it"
    assert following_steps([one, one], fitted=2) == []
    assert following_steps([one, other, other, other], fitted=1) == [], "held-out sentences alone have it"
    assert following_steps([removed] * 5, fitted=5) == []
    assert following_steps([], fitted=0) == []
    # A tenth of many examples must have it.
    assert len(following_steps([one] * 3 + [other] * 40, fitted=43)) == 1


def test_a_few_tokens_are_followed() -> None:
    long = example([10, *range(30, 60)], [20, *range(30, 60)], [(0, 1)], [1])
    ((_, found),) = following_steps([long] * 3, fitted=3)
    assert {one.length for one in found} == {6}


@pytest.fixture(scope="module")
def results(demo: Demo) -> Dict[bool, Result]:
    """A carried edit with and without what follows."""
    found = {}
    for follow in (True, False):
        (found[follow],) = run(demo, [of_demo(2)], {**CARRIED, "edit_follow": follow, "edit_complete": False}).results
    return found


def patch_of(result: Result) -> Patch:
    assert result.status == EDITED, result.reason
    assert result.patch is not None
    return result.patch


def test_an_edit_takes_neurons_at_two_sites(results: Dict[bool, Result]) -> None:
    patch = patch_of(results[True])
    assert patch.site == LAST
    assert {site: len(neurons) for site, neurons in patch.taken.items()} == {LAST: 2, FIRST: 1}
    assert patch.neurons == sorted(patch.taken[LAST])
    assert patch.notes["following"] == 1.0
    names = {f"decoder.layers.{layer}.{part}" for layer in (0, 2) for part in ("fc1.weight", "fc1.bias", "fc2.weight")}
    assert set(patch.names) == names


def test_without_it_one_site(results: Dict[bool, Result]) -> None:
    patch = patch_of(results[False])
    assert {site: len(neurons) for site, neurons in patch.taken.items()} == {LAST: 2}
    assert patch.notes["following"] == 0.0


@pytest.mark.parametrize(
    "fields", [{"edit_contexts": 0, "edit_references": 0}, {"site": "decoder.0"}, {"site": "encoder.1"}]
)
def test_none_where_nothing_is_carried_or_nothing_is_earlier(demo: Demo, fields: Dict[str, Any]) -> None:
    (result,) = run(demo, [of_demo(2)], {**CARRIED, **fields}).results
    if result.patch is not None:
        assert set(result.patch.taken) == {result.patch.site}
        assert result.patch.notes["following"] == 0.0
    if not fields.get("site"):
        assert result.status == EDITED


def test_the_output_goes_on_as_it_did(demo: Demo, results: Dict[bool, Result]) -> None:
    result = results[True]
    assert result.after == result.request.target
    with applied(demo.model, patch_of(result)):
        (said,) = demo.translator.translate([result.request.source])
    assert said.text == result.after


def test_it_is_put_on_and_taken_off_bit_for_bit(demo: Demo, results: Dict[bool, Result]) -> None:
    patch = patch_of(results[True])
    before = {name: demo.model.get_parameter(name).detach().clone() for name in patch.names}
    with applied(demo.model, patch):
        changed = [name for name in patch.names if not torch.equal(demo.model.get_parameter(name), before[name])]
    assert set(changed) == set(patch.names)
    assert all(torch.equal(demo.model.get_parameter(name), weight) for name, weight in before.items())
    # Each change also takes itself back, as where an edit is taken out of a checkpoint.
    weights = {name: weight.clone() for name, weight in before.items()}
    for change in patch.changes:
        change.apply_(weights[change.name])
    for change in reversed(patch.changes):
        change.undo_(weights[change.name])
    assert all(torch.equal(weights[name], weight) for name, weight in before.items())


def test_the_pool_takes_and_gets_back_both_sites(results: Dict[bool, Result]) -> None:
    patch = patch_of(results[True])
    pool = NeuronPool((), 1.0, widen=False)

    def free() -> List[set]:
        nothing, busy = torch.zeros(0), torch.ones(512)
        background = Background(nothing, nothing, nothing, busy, nothing)
        return [set(pool.spare(site, background, busy.unsqueeze(0))) for site in (FIRST, LAST)]

    all_of = free()
    pool.take(patch)
    assert [one - left for one, left in zip(all_of, free())] == [patch.taken[FIRST], patch.taken[LAST]]
    assert NeuronPool([patch], 1.0, widen=False)._taken == patch.taken
    pool.give_back(patch)
    assert free() == all_of


def test_a_second_edit_takes_other_neurons_at_both_sites(demo: Demo, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(following, "_WELL", -1.0)  # behind the second word the model goes on well by itself
    outcome = run(demo, [of_demo(2), of_demo(0)], CARRIED)
    first, second = (patch_of(result) for result in outcome.results)
    for site in (FIRST, LAST):
        assert first.taken[site] and second.taken[site]
        assert not first.taken[site] & second.taken[site]
