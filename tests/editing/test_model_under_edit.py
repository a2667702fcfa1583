"""What an edit of a run has of those before it: their keys, and the neurons that they made."""

from __future__ import annotations

from typing import List, Tuple

import pytest
import torch
from conftest import Demo
from demo_edits import of_demo, run

from fairseq_rome.editing import model_under_edit
from fairseq_rome.editing.outcome import EDITED, FAILED
from fairseq_rome.patch import LowRankChange, Patch, applied, besides_on

WEIGHT = "decoder.layers.2.fc2.weight"


def moved(patch: Patch, keys: torch.Tensor) -> float:
    """How far a patch moves what the site writes for some keys."""
    [change] = patch.changes
    assert isinstance(change, LowRankChange)
    return float((keys @ change.right @ change.left.T).norm())


def test_keys_of_edits_that_the_model_has_already_are_kept(demo: Demo) -> None:
    settings = {"method": "alphaedit", "site": "decoder.2", "edit_cover": 1.0}
    [first] = run(demo, [of_demo(0)], settings).patches

    def second(earlier: Tuple[Patch, ...]) -> List[Patch]:
        with applied(demo.model, first):
            return run(demo, [of_demo(3)], settings, earlier=earlier).patches

    [blind], [aware] = second(()), second((first,))
    keys = first.keys[WEIGHT]
    assert moved(aware, keys) < 0.1 * moved(blind, keys)


def test_low_rank_edits_of_a_layer_that_has_grown(demo: Demo) -> None:
    requests = [
        of_demo(0),
        of_demo(1, settings={"method": "rome", "site": "decoder.2"}),
        of_demo(3),
        of_demo(5, settings={"method": "alphaedit", "site": "decoder.2"}),
    ]
    outcome = run(demo, requests, {"edit_dormant": 0.0, "widen": True})
    assert [result.status for result in outcome.results] == [EDITED] * 4
    grown = [patch for patch in outcome.patches if patch.method == "gated"]
    widths = [len(change.right) for patch in outcome.patches for change in patch.changes
              if isinstance(change, LowRankChange)]  # fmt: skip
    assert all(patch.site.layer == 2 and min(patch.neurons) >= 384 for patch in grown)
    assert widths == [384 + len(grown[0].neurons), 384 + len(grown[0].neurons) + len(grown[1].neurons)]
    assert demo.model.get_parameter(WEIGHT).shape[1] == 384


def test_edits_in_the_weights_and_beside_them_go_together(demo: Demo) -> None:
    methods = ((0, "knn"), (1, "rules"), (3, "gated"))
    requests = [of_demo(number, settings={"method": method}) for number, method in methods]
    outcome = run(demo, requests, {"method": "knn"})
    assert [result.status for result in outcome.results] == [EDITED] * 3
    assert [(bool(patch.changes), bool(patch.beside)) for patch in outcome.patches] == [
        (False, True), (False, True), (True, False),
    ]  # fmt: skip
    assert not besides_on(demo.model)
    with applied(demo.model, *outcome.patches):
        said = [one.text for one in demo.translator.translate([request.source for request in requests])]
    assert said == [result.after for result in outcome.results] == [request.target for request in requests]


def test_what_is_beside_the_model_is_taken_out_with_its_edit(demo: Demo) -> None:
    # More than all edits can hold: the first check stops the run, and every edit is taken out again.
    outcome = run(demo, [of_demo(0), of_demo(1)], {"method": "rules", "edit_batch": 1, "edit_min_held": 1.5})
    assert [result.status for result in outcome.results] == [FAILED] * 2
    assert [result.after for result in outcome.results] == [result.before for result in outcome.results]
    assert not outcome.patches and not besides_on(demo.model)


@pytest.mark.parametrize(
    "method", [pytest.param("rome", marks=pytest.mark.slow), "alphaedit", pytest.param("nse", marks=pytest.mark.slow)]
)
def test_values_are_kept_to_the_norm_of_the_first(
    demo: Demo, method: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(model_under_edit, "_REFERENCE", 1)
    requests = [of_demo(number) for number in (0, 1, 3, 5)]

    def norms(keep: bool) -> List[float]:
        settings = {"method": method, "site": "decoder.2", "edit_cover": 1.0, "edit_keep_norm": keep}
        return [patch.notes["value_norm"] for patch in run(demo, requests, settings).patches]

    (first, *others), (same, *kept) = norms(False), norms(True)
    assert first == same and len(kept) > 1
    assert max(others) > 1.01 * first
    assert max(kept) <= 1.0001 * first


def test_few_edits_tell_no_norm(demo: Demo) -> None:
    settings = {"method": "rome", "site": "decoder.2"}
    requests = [of_demo(number) for number in (0, 1)]
    [plain, kept] = (run(demo, requests, {**settings, "edit_keep_norm": keep}).patches for keep in (False, True))
    assert [patch.fingerprint for patch in plain] == [patch.fingerprint for patch in kept]
