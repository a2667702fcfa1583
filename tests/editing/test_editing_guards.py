"""Bounds of a long run: it stops where one is passed, and goes back to the last good check."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any, Dict, List

import pytest
import torch
from conftest import Demo
from demo_edits import RECORDS, assert_same_bits, of_demo, run
from edit_runs import edits_in, run_edit, write_requests
from patch_samples import gate

from fairseq_rome.editing.edit_settings import EditSettings
from fairseq_rome.editing.guards import Guard
from fairseq_rome.editing.outcome import EDITED, FAILED, NOTHING, Outcome, Result
from fairseq_rome.errors import EditError
from fairseq_rome.host.checkpoint import read_state
from fairseq_rome.host.corpus import load_corpus, validation_pairs
from fairseq_rome.text.requests import EditRequest
from fairseq_rome.text.segments import Difference, Endings

# The second pair of requests is bad: one that takes back the first, or one that pushes far too hard.
GOOD = [of_demo(0), of_demo(1)]
UNDONE = [*GOOD, of_demo(0, id="undo", target=RECORDS[0]["before"]), of_demo(3), of_demo(4)]
VIOLENT = [*GOOD, of_demo(3, settings={"method": "rome", "edit_scale": 3.0}), of_demo(4), of_demo(5)]
HELD = "75% of a sample of the edits hold, expected at least 80% (--edit-min-held)"


@pytest.fixture(scope="module")
def good(demo: Demo) -> Outcome:
    """The run of the good requests alone."""
    return run(demo, GOOD, {})


def validation(demo: Demo) -> Any:
    return validation_pairs(load_corpus(demo.codec, 1, 10), 64)


CASES = {
    "edits that are undone": (UNDONE, {"edit_batch": 2}, HELD),
    "loss": (VIOLENT, {"edit_batch": 2, "edit_max_loss": 0.02}, "the validation loss rose from 0.1"),
}


@pytest.mark.parametrize("case", CASES)
def test_a_run_that_passes_a_bound_goes_back(demo: Demo, good: Outcome, case: str) -> None:
    requests, settings, fault = CASES[case]
    seen: List[Result] = []
    outcome = run(demo, requests, settings, validation=validation(demo), observe=seen.append)
    assert [result.status for result in outcome.results] == [EDITED] * 2 + [FAILED] * 3
    assert [bool(check.fault) for check in outcome.checks] == [False, True]
    assert [check.requests for check in outcome.checks] == [2, 4]
    assert outcome.stopped.startswith(fault)
    assert outcome.results[2].reason == f"taken out again: {outcome.stopped}"
    assert outcome.results[4].reason == f"not begun: {outcome.stopped}"
    assert [result.request.id for result in seen] == [request.id for request in requests[:4]]
    assert_same_bits(outcome.patches, good.patches)
    assert [result.after for result in outcome.results[:2]] == [result.after for result in good.results]
    assert outcome.results[3].after == outcome.results[3].before
    assert outcome.room == good.room


def test_a_request_that_failed_before_the_bound_keeps_its_own_reason(demo: Demo) -> None:
    hopeless = of_demo(3, settings={"edit_tries": 0})
    outcome = run(
        demo, [of_demo(0), hopeless], {"edit_batch": 1, "edit_max_loss": 0.0}, validation=validation(demo)
    )
    assert outcome.checks[-1].fault
    assert [check.requests for check in outcome.checks] == [1]
    assert outcome.results[1].reason.startswith("not begun: ")
    outcome = run(demo, [hopeless, of_demo(0), of_demo(1)], {"edit_batch": 2, "edit_max_loss": 0.0},
                  validation=validation(demo))  # fmt: skip
    assert [result.reason.split(":")[0] for result in outcome.results] == [
        "no attempt was made", "taken out again", "not begun",
    ]  # fmt: skip
    assert outcome.patches == []


def test_what_needed_no_edit_has_not_failed_with_the_others(demo: Demo) -> None:
    right = of_demo(6, target=RECORDS[6]["before"])
    helped = of_demo(0, id="again")
    settings = {"edit_batch": 3, "edit_max_loss": 0.0}
    outcome = run(demo, [of_demo(0), right, helped, of_demo(3)], settings, validation=validation(demo))
    assert outcome.stopped and outcome.patches == []
    assert [result.status for result in outcome.results] == [FAILED, NOTHING, FAILED, FAILED]
    # The second of two alike held by the edit of the first, and no longer does.
    assert outcome.results[2].reason.startswith("held at first, but ")


@pytest.mark.parametrize(("batch", "checked"), [(0, []), (1, [1, 2, 3]), (2, [2, 3]), (3, []), (100, [])])
def test_when_a_run_is_checked(demo: Demo, batch: int, checked: List[int]) -> None:
    requests = [of_demo(number, settings={"edit_tries": 0}) for number in range(3)]
    outcome = run(demo, requests, {"edit_batch": batch})
    assert [check.requests for check in outcome.checks] == checked
    assert not outcome.stopped


def test_the_command_writes_what_was_good(edit_data: Path, tmp_path: Path) -> None:
    def records(requests: List[EditRequest]) -> List[Dict[str, Any]]:
        names = ("id", "source", "target", "trigger")
        return [
            {**{name: getattr(one, name) for name in names}, "settings": dict(one.settings)}
            for one in requests
        ]

    fast = "--edit-contexts 0 --edit-tries 1 --edit-stats-tokens 2000 --edit-batch 2 --edit-max-loss 0.02".split()
    pref = write_requests(tmp_path / "five.jsonl", *records(VIOLENT))
    stopped = run_edit(edit_data, pref, "--save-to", tmp_path / "stopped.pt", *fast)
    assert (stopped.status, stopped.err) == (1, ""), stopped.out
    assert "after 4 requests: validation loss " in stopped.out
    assert "; stopped there: the validation loss rose from 0.1" in stopped.out
    assert "5 requests: 2 edited, 3 failed\nwrote " in stopped.out
    assert [one["id"] for one in edits_in(tmp_path / "stopped.pt")] == [one.id for one in GOOD]
    pref = write_requests(tmp_path / "two.jsonl", *records(GOOD))
    assert run_edit(edit_data, pref, "--save-to", tmp_path / "good.pt", *fast).status == 0
    states = [read_state(tmp_path / name)["model"] for name in ("stopped.pt", "good.pt")]
    assert all(torch.equal(tensor, states[1][name]) for name, tensor in states[0].items())


SIZES = {"gated": "in units of 10 times", "rome": "of the weight", "memit": "of a weight"}


@pytest.mark.parametrize("method", SIZES)
def test_a_change_that_is_too_large_is_none(demo: Demo, method: str) -> None:
    outcome = run(demo, GOOD, {"method": method, "edit_max_size": 1e-4})
    assert [result.status for result in outcome.results] == [FAILED] * 2
    fault = f" {SIZES[method]}, expected at most 0.0001 (--edit-max-size)"
    assert all(result.reason.endswith(fault) for result in outcome.results)
    assert [result.after for result in outcome.results] == [record["before"] for record in RECORDS[:2]]
    assert outcome.patches == []


def test_a_gate_is_bounded_by_what_it_adds(demo: Demo, good: Outcome, monkeypatch: pytest.MonkeyPatch) -> None:
    for layer in demo.model.decoder.layers:
        monkeypatch.setattr(layer, "activation_fn", torch.nn.functional.gelu)
    smooth = run(demo, GOOD, {"edit_max_size": 5.0})
    assert [result.status for result in smooth.results] == [EDITED] * 2, smooth.results
    # A gate of a smooth activation needs a sharp row, which is large; what it adds is what it adds to other models.
    sharp, plain = (max(result.size for result in outcome.results) for outcome in (smooth, good))
    assert sharp > 5.0 > plain
    pushed = run(demo, GOOD, {"edit_scale": 1000.0})
    assert [result.status for result in pushed.results] == [FAILED] * 2
    assert all("in units of 10 times, expected at most 10 " in one.reason for one in pushed.results)


WHOLE_RUN = {
    "edit-batch": 3, "edit_max_loss": 1.0, "widen": True, "edit_dormant": 0.5, "seed": 2, "method": "memit",
}  # fmt: skip


@pytest.mark.parametrize("name", WHOLE_RUN)
def test_a_bound_is_one_of_the_whole_run(demo: Demo, name: str) -> None:
    request = of_demo(0, settings={name: WHOLE_RUN[name]}, origin="fixes.jsonl:1")
    with pytest.raises(EditError, match=f"^fixes.jsonl:1: '{name}' is a setting of the whole run"):
        run(demo, [request], {})


def test_a_method_that_is_no_name_is_refused(demo: Demo) -> None:
    with pytest.raises(EditError, match="method is \\['rome'\\], expected str"):
        run(demo, [of_demo(0, settings={"method": ["rome"]})], {})


class Said:
    """Stands for a model: says of each source what it is told to, and counts what it is asked."""

    def __init__(self, wrong: List[str]) -> None:
        self.wrong = wrong
        self.asked: List[str] = []

    def translate(self, sources: List[str], _: str) -> List[Any]:
        self.asked = list(sources)
        return [SimpleNamespace(text="Hund" if source in self.wrong else "Vierbeiner") for source in sources]


def test_an_even_sample_of_what_was_edited_is_asked_again(monkeypatch: pytest.MonkeyPatch) -> None:
    losses = iter([2.0, 2.1, float("nan")])
    monkeypatch.setattr("fairseq_rome.editing.guards.bits_a_token", lambda *_: next(losses))
    said = Said(wrong=["0", "10"])
    guard = Guard(said, (), EditSettings(edit_max_loss=0.2), Endings())  # type: ignore[arg-type]
    results = [
        Result(EditRequest(str(number), "Vierbeiner"), NOTHING if number % 2 else EDITED, "Hund", "Vierbeiner",
               Difference("Hund", "Vierbeiner"), patch=None if number % 2 else gate(1))
        for number in range(200)
    ]  # fmt: skip
    check = guard.check(results)
    assert said.asked == [str(number) for number in range(0, 200, 4)]
    assert (check.requests, check.sampled, check.held, check.fault) == (200, 50, 49 / 50, "")
    assert check.rise == pytest.approx(0.1)
    assert "the validation loss rose from 2.000 to nan" in guard.check(results[:2]).fault
