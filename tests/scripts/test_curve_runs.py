"""Many edits of the demo model, judged on the way: they are in the model where it is judged, and out afterwards."""

from __future__ import annotations

from pathlib import Path
from typing import Any, List

import pytest
import torch
from edit_runs import DEMO, probes, script

import fairseq_rome
from fairseq_rome import EditRequest, Workbench

runs = script("curve_runs")
options = script("bench_options")
REQUESTS = [
    EditRequest(record["source"], record["target"], id=record["id"])
    for record in list(probes().values())
    if record["task"] in ("term", "number")
][:3]


@pytest.fixture(scope="module")
def bench(edit_data: Path) -> Workbench:
    return fairseq_rome.open(
        str(DEMO / "model.pt"), data=str(edit_data), source="en", target="de", bpe="sentencepiece",
        sentencepiece_model=str(DEMO / "spm.model"), beam=2, cache=str(edit_data.parent / "cache"),
    )  # fmt: skip


def a_run(bench: Workbench, method: str) -> Any:
    given = [] if method == runs.TUNING else [f"method={method}"]
    quick = {"edit_contexts": 0, "edit_stats_tokens": 2000, "edit_batch": 0, "edit_sample": 0}
    return runs.Run(bench, options.settings_of(given, **quick), [], (1, 3), 1e-3)


@pytest.mark.parametrize("method", ["gated", "memit", runs.TUNING])
def test_a_method_is_judged_at_each_count(bench: Workbench, method: str) -> None:
    weights = {name: tensor.clone() for name, tensor in bench.model.translator.model.state_dict().items()}
    before = bench.translate([request.source for request in REQUESTS])
    seen: List[Any] = []

    def judge(stop: Any) -> bool:
        seen.append((stop, bench.translate([request.source for request in REQUESTS])))
        return True

    runs.follow(a_run(bench, method), method, REQUESTS, 1, judge)
    assert [stop.edits for stop, _ in seen] == [1, 3]
    assert all(stop.seconds > 0 and not stop.fault for stop, _ in seen)
    assert all((stop.patch_bytes is None) == (method == runs.TUNING) for stop, _ in seen)
    assert seen[0][1] != before and seen[0][1] != seen[1][1]
    if method == "gated":
        assert seen[1][1] == [request.target for request in REQUESTS]
        assert seen[0][0].patch_bytes < seen[1][0].patch_bytes and seen[0][0].seconds < seen[1][0].seconds
    after = bench.model.translator.model.state_dict()
    assert all(torch.equal(weights[name], tensor) for name, tensor in after.items())


@pytest.mark.parametrize("method", ["gated", "memit", runs.TUNING])
def test_a_curve_is_followed_as_long_as_its_judge_wants(bench: Workbench, method: str) -> None:
    seen: List[int] = []
    runs.follow(a_run(bench, method), method, REQUESTS, 1, lambda stop: bool(seen.append(stop.edits)))
    assert seen == [1]


def test_a_method_that_gives_up_says_why(bench: Workbench) -> None:
    seen: List[Any] = []
    run = a_run(bench, "memit")
    hopeless = [EditRequest(one.source, one.target, id=one.id, settings={"site": "decoder.0"}) for one in REQUESTS]
    runs.follow(run, "memit", hopeless, 1, lambda stop: bool(seen.append(stop)))
    assert seen[0].fault and seen[0].patch_bytes == 0
