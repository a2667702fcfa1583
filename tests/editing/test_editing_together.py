"""Batch methods: all requests of a run in one patch."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from conftest import Demo
from demo_edits import RECORDS, of_demo, run
from edit_runs import DEMO, edits_in, lines, run_edit
from patch_samples import run_patch

from fairseq_rome.editing.edit_settings import EditSettings
from fairseq_rome.editing.outcome import EDITED, FAILED, NOTHING
from fairseq_rome.editing.site_plan import range_of
from fairseq_rome.errors import EditError
from fairseq_rome.host.checkpoint import fingerprint, read_state
from fairseq_rome.host.sites import Site
from fairseq_rome.patch import Patch, read_stack

SITES = [Site(stack, layer) for stack in ("encoder", "decoder") for layer in range(4)]


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        ("auto", ["decoder.1", "decoder.2", "decoder.3"]),
        ("decoder.3,decoder.0", ["decoder.0", "decoder.3"]),
        ("encoder.0", ["encoder.0"]),
    ],
)
def test_the_range_of_sites(asked: str, expected: Any) -> None:
    assert [str(site) for site in range_of(SITES, EditSettings(method="memit", site=asked))] == expected


@pytest.mark.parametrize("method", ["memit", "emmet"])
def test_several_requests_in_one_patch(demo: Demo, method: str) -> None:
    requests = [of_demo(number) for number in range(5)]
    right = of_demo(5, target=RECORDS[5]["before"])
    seen: Any = []
    outcome = run(demo, [*requests, right], {"method": method}, observe=seen.append)
    assert [result.status for result in outcome.results] == [EDITED] * 5 + [NOTHING]
    assert [result.request.id for result in seen] == [result.request.id for result in outcome.results]
    [patch] = outcome.patches
    assert (patch.method, patch.site) == (method, Site("decoder", 2))
    assert patch.names == [f"decoder.layers.{layer}.fc2.weight" for layer in range(3)]
    assert [result.patch for result in outcome.results] == [patch] * 5 + [None]
    assert [result.before for result in outcome.results] == [record["before"] for record in RECORDS[:6]]
    assert [result.size > 0 for result in outcome.results] == [True] * 5 + [False]
    assert [(check.requests, check.sampled, check.held) for check in outcome.checks] == [(6, 5, 1.0)]


def test_one_bound_for_all_of_them(demo: Demo) -> None:
    outcome = run(demo, [of_demo(number) for number in range(2)], {"method": "memit", "edit_scale": 0.0})
    assert [result.status for result in outcome.results] == [FAILED] * 2
    assert outcome.stopped.startswith("0% of a sample of the edits hold") and outcome.patches == []
    unbound = {"method": "memit", "edit_scale": 0.0, "edit_min_held": 0.0}
    assert not run(demo, [of_demo(number) for number in range(2)], unbound).stopped
    stopped = run(
        demo, [of_demo(number) for number in range(2)], {"method": "memit", "edit_max_loss": 0.0},
        validation=tuple(pair for pair in demo_pairs(demo)),
    )  # fmt: skip
    assert stopped.stopped.startswith("the validation loss rose") and stopped.patches == []
    assert [result.reason.split(":")[0] for result in stopped.results] == ["taken out again"] * 2


def demo_pairs(demo: Demo) -> Any:
    from fairseq_rome.host.corpus import load_corpus

    return load_corpus(demo.codec, seed=1, most=60).pairs


def test_no_checks_where_none_are_wanted(demo: Demo) -> None:
    outcome = run(demo, [of_demo(0)], {"method": "memit", "edit_batch": 0, "edit_scale": 0.0})
    assert outcome.checks == () and not outcome.stopped and len(outcome.patches) == 1


@pytest.mark.parametrize(("name", "value"), [("edit_steps", 3), ("site", "decoder.2"), ("method", "gated")])
def test_settings_of_all_of_them(demo: Demo, name: str, value: Any) -> None:
    with pytest.raises(EditError, match=f"'{name}' is a setting of the whole run"):
        run(demo, [of_demo(0, settings={name: value})], {"method": "memit"})


def test_keys_of_earlier_edits_count_at_every_site(demo: Demo) -> None:
    [first] = run(demo, [of_demo(0)], {"method": "memit", "edit_cover": 1.0}).patches
    moved = []
    for keys in ({}, {name: 30 * rows for name, rows in first.keys.items()}):
        earlier = [Patch("memit", first.site, (), keys=keys)]
        [patch] = run(demo, [of_demo(3)], {"method": "memit", "edit_cover": 1.0}, earlier=earlier).patches
        deltas = {change.name: change.left @ change.right.T for change in patch.changes}  # type: ignore[union-attr]
        moved.append([float((first.keys[name] @ delta.T).norm()) for name, delta in deltas.items()])
    assert len(moved[0]) == 3
    assert all(kept < 0.5 * free for free, kept in zip(*moved))


def test_sites_of_two_stacks_are_refused(demo: Demo) -> None:
    with pytest.raises(EditError, match="sites encoder.0, decoder.2 lie in several stacks"):
        run(demo, [of_demo(0)], {"method": "memit", "site": "decoder.2,encoder.0"})


def test_nothing_is_written_where_nothing_holds(edit_data: Path, tmp_path: Path) -> None:
    options = ["--method", "memit", "--edit-batch", "0", "--edit-scale", "0", "--keep-going"]
    done = run_edit(edit_data, DEMO / "term", "--save-to", tmp_path / "new.pt", *options)
    assert done.status == 1 and done.out.endswith("1 failed\nnothing holds, and nothing was written\n")
    assert list(tmp_path.iterdir()) == []


def test_the_command_tells_of_every_request_and_can_take_them_back(edit_data: Path, tmp_path: Path) -> None:
    out = tmp_path / "new.pt"
    edited = run_edit(
        edit_data, DEMO / "fixes", "--method", "memit", "--save-to", out, "--log-format", "json"
    )
    assert (edited.status, edited.err) == (0, ""), edited.out
    records = [json.loads(line) for line in edited.out.splitlines()]
    assert [one["status"] for one in records if "status" in one] == [EDITED] * 4
    assert [one["check"]["requests"] for one in records if "check" in one] == [4]
    [edit] = edits_in(out)
    assert (edit["method"], edit["id"]) == ("memit", "1 and 3 more")
    assert [one["source"] for one in edit["requests"]] == lines("fixes.en")
    [patch] = read_stack(read_state(out)).patches
    assert sorted(patch.keys) == sorted(patch.names) == sorted(edit["parameters"])
    taken = run_patch("revert", out, "--all", "--save-to", tmp_path / "old.pt")
    assert taken.status == 0, taken.err
    assert fingerprint(read_state(tmp_path / "old.pt")) == fingerprint(read_state(DEMO / "model.pt"))
