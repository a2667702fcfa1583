"""`fairseq-edit --widen`, and a second `fairseq-edit` on what a first one wrote."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any, Set

import pytest
import torch
from edit_runs import DEMO, Edited, edits_in, probes, run_edit, write_requests
from edit_runs import request as as_request

from fairseq_rome.host.checkpoint import read_state
from fairseq_rome.patch import read_stack, without_patches

WIDTH = 384
FIFTEEN = probes()["number-fifteen"]


def neurons(path: Path) -> Set[Any]:
    """The neurons that edits of a checkpoint own, with their sites."""
    patches = read_stack(read_state(path)).patches
    owned = [(str(patch.site), neuron) for patch in patches for neuron in patch.neurons]
    assert len(set(owned)) == len(owned)
    return set(owned)


def test_without_widening_the_room_is_told(edit_data: Path, tmp_path: Path) -> None:
    run = run_edit(edit_data, DEMO / "term", "--save-to", tmp_path / "new.pt", "--edit-dormant", "0")
    assert run.status == 1 and not (tmp_path / "new.pt").exists()
    assert "request 1: failed (site decoder." in run.out
    assert "has 0 dormant neurons left, the edit needs " in run.out
    assert "; --widen adds some, --edit-merge frees some)\n" in run.out
    assert "room at decoder.2: 0 of 0 dormant neurons left\n" in run.out


def test_merged_neurons_make_room_and_are_put_back(edit_data: Path, tmp_path: Path) -> None:
    path = tmp_path / "new.pt"
    room = ["--edit-dormant", "0", "--edit-merge", "0.02"]
    run = run_edit(edit_data, DEMO / "term", "--save-to", path, *room)
    assert run.status == 0, run.out + run.err
    [(count, moves)] = re.findall(
        r"^merged at decoder\.2: (\d+) neurons? w\w+ merged with others: what the site writes moves by ([\d.]+)%$",
        run.out, re.M,
    )  # fmt: skip
    assert int(count) > 0 and 0.0 < float(moves) <= 100 * 0.02**0.5
    base, state = read_state(DEMO / "model.pt"), read_state(path)
    [made] = read_stack(state).patches
    column = "decoder.layers.2.fc2.weight"
    [hosts] = [hosts for site, hosts in made.hosts.items() if site.layer == 2]
    changed = (state["model"][column] != base["model"][column]).any(0).nonzero().flatten().tolist()
    assert set(changed) == hosts | set(made.neurons)
    reverted = without_patches(state, [made.fingerprint], {})
    assert all(torch.equal(reverted["model"][name], old) for name, old in base["model"].items())


def test_a_widened_checkpoint_is_a_wider_one_and_nothing_else(widened: Edited) -> None:
    base, state = read_state(DEMO / "model.pt"), read_state(widened.path)
    model = state["cfg"]["model"]
    width = model["decoder_ffn_embed_dim"]
    assert width > WIDTH and width % 8 == 0
    assert model["encoder_ffn_embed_dim"] == WIDTH
    assert {number for _, number in neurons(widened.path)} <= set(range(WIDTH, width))
    for name, old in base["model"].items():
        new = state["model"][name]
        if name.startswith("decoder.layers") and name.endswith(("fc1.weight", "fc1.bias", "fc2.weight")):
            grown = new.shape.index(width)
            assert torch.equal(new.narrow(grown, 0, WIDTH), old), name
        else:
            assert torch.equal(new, old), name
    # One has the new word of another source word, and loses an ending by what carries sentences on behind it.
    assert "other sentences: 7 of 8 decode identically; 7 by certificate" in widened.run.out
    assert "room at" not in widened.run.out
    assert (DEMO / "model.pt").read_bytes() == widened.base


@pytest.mark.parametrize("first", ["edited", "widened"])
def test_a_second_edit_takes_other_neurons(
    first: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    edited: Edited = request.getfixturevalue(first)
    pref = write_requests(tmp_path / "more.jsonl", as_request(FIFTEEN))
    more = ["--edit-contexts", "0", "--edit-stats-tokens", "2000"]
    more += ["--widen", "--edit-dormant", "0"] if first == "widened" else []
    path = tmp_path / "twice.pt"
    run = run_edit(edited.data, pref, "--save-to", path, *more, model=edited.path)
    assert run.status == 0, run.out + run.err
    before, after = neurons(edited.path), neurons(path)
    assert before < after
    assert [one["id"] for one in edits_in(path)] == [FIFTEEN["id"]]
    old, new = read_state(edited.path)["model"], read_state(path)["model"]
    for site, neuron in before:
        stack, layer = site.split(".")
        for part, dim in (("fc1.weight", 0), ("fc1.bias", 0), ("fc2.weight", 1)):
            name = f"{stack}.layers.{layer}.{part}"
            assert torch.equal(old[name].select(dim, neuron), new[name].select(dim, neuron))
    again = run_edit(edited.data, DEMO / "fixes", "--save-to", tmp_path / "no.pt", model=path)
    assert again.out.count(": nothing to do\n") == 4, again.out
