"""`fairseq-edit-patch` from end to end on the demo model: in, out, from the middle of a stack, back to the base."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any, Dict, List

import pytest
import torch
from conftest import Demo
from edit_runs import DEMO, Edited, run_edit
from patch_samples import dense, gate, low_rank, run_patch, saved_patches, saved_state

from fairseq_rome.host.checkpoint import fingerprint, load_model, read_state
from fairseq_rome.host.decoding import build_translator
from fairseq_rome.host.sites import Site
from fairseq_rome.patch import (
    Patch,
    applied,
    load_patches,
    patch_files,
    read_stack,
    save_patches,
    with_patches,
)
from fairseq_rome.workbench.provenance import with_patch_files

ENCODER, DECODER = Site("encoder", 0), Site("decoder", 2)
WIDTH, INNER = 96, 384


def demo_gate(neuron: int, site: Site, **about: Any) -> Patch:
    return gate(neuron, site, WIDTH, **about)


def demo_low_rank(seed: int, site: Site, rank: int = 1, **about: Any) -> Patch:
    return low_rank(seed, site, rank, WIDTH, INNER, **about)


KINDS: Dict[str, Patch] = {
    "neuron": demo_gate(7, DECODER, id="a"),
    "low-rank": demo_low_rank(1, DECODER, rank=3, id="a"),
    "widened": demo_gate(INNER + 3, DECODER, id="a"),
    "neuron in the encoder": demo_gate(7, ENCODER, id="a"),
    "low-rank in the encoder": demo_low_rank(2, ENCODER, id="a"),
    "widened in the encoder": demo_gate(INNER, ENCODER, id="a"),
    "dense": dense(1, DECODER, 2, WIDTH, INNER, id="a"),
}


def demo_state(dtype: torch.dtype) -> Dict[str, Any]:
    state = read_state(DEMO / "model.pt")
    state["model"] = {
        name: weight.to(dtype) if weight.is_floating_point() else weight
        for name, weight in state["model"].items()
    }
    return state


TYPES = {"fp32": torch.float32, "fp16": torch.float16}


@pytest.fixture(scope="module", params=TYPES)
def base(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The demo's checkpoint in a type."""
    return saved_state(tmp_path_factory.mktemp("base") / "model.pt", demo_state(TYPES[request.param]))


def done(*arguments: Any) -> str:
    run = run_patch(*arguments)
    assert (run.status, run.err) == (0, "")
    return run.out


def weights_of(path: Path) -> str:
    return fingerprint(read_state(path))


# Every kind in one type, and every kind of the decoder in the other.
@pytest.mark.parametrize(("base", "kind"), [
    pytest.param(base, kind, marks=[pytest.mark.slow] * (base == "fp16" and "encoder" in kind))
    for base in TYPES for kind in KINDS
], indirect=["base"])  # fmt: skip
def test_applied_and_reverted(base: Path, tmp_path: Path, kind: str) -> None:
    before, state = weights_of(base), read_state(base)
    patch = saved_patches(tmp_path / "a.safetensors", state, KINDS[kind])
    out = done("apply", base, patch, "--save-to", tmp_path / "new.pt")
    after = weights_of(tmp_path / "new.pt")
    assert after != before and weights_of(base) == before
    assert "opens with --user-dir fairseq_rome where torch is 2.6 or newer" in out
    assert f"applied request a: {KINDS[kind].method} at {KINDS[kind].site}, {KINDS[kind].describe()}, " in out
    assert out.endswith(f"wrote {tmp_path / 'new.pt'}: its weights are {after}, those of {base} {before}\n")
    for number, named in enumerate(([patch], ["--id", "a"], ["--all"])):
        back = tmp_path / f"back{number}.pt"
        out = done("revert", tmp_path / "new.pt", *named, "--save-to", back)
        assert weights_of(back) == before
        assert out.endswith(
            f"its weights are {before}, bit for bit those of the unedited checkpoint\n"
        )
        found = read_state(back)
        assert vars(found["cfg"]["model"]) == vars(state["cfg"]["model"])
        assert found["extra_state"] == state["extra_state"] and list(found) == list(state)


@pytest.mark.parametrize(("kind", "left_out"), [("widened", True), ("neuron", False)])
def test_an_optimizer_state_that_no_longer_fits(tmp_path: Path, kind: str, left_out: bool) -> None:
    state = {**demo_state(torch.float32), "last_optimizer_state": {"state": {}}}
    saved_state(tmp_path / "model.pt", state)
    patch = saved_patches(tmp_path / "a.safetensors", state, KINDS[kind])
    out = done("apply", tmp_path / "model.pt", patch, "--save-to", tmp_path / "new.pt")
    assert ("last_optimizer_state is left out: it is of other shapes" in out) == left_out
    assert ("last_optimizer_state" in read_state(tmp_path / "new.pt")) != left_out


def a_hundred() -> List[Patch]:
    sites = [Site(stack, layer) for stack in ("encoder", "decoder") for layer in range(2)]
    return [
        demo_low_rank(n, sites[n % 4], id=str(n))
        if n % 3 == 2
        else demo_gate(INNER - 20 + n, sites[n % 4], id=str(n))
        for n in range(1, 101)
    ]


def test_one_of_a_hundred_is_taken_out(base: Path, tmp_path: Path) -> None:
    before, patches = read_state(base), a_hundred()
    for number, file in enumerate(patch_files(patches, before, {}), start=1):
        save_patches(str(tmp_path / f"{number:03}.safetensors"), file)
    files = sorted(tmp_path.glob("*.safetensors"))
    done("apply", base, *files, "--save-to", tmp_path / "all.pt")
    whole = read_state(tmp_path / "all.pt")
    assert len(read_stack(whole).patches) == 100
    # The 38th is of low rank, and others came after it.
    done("merge", *files, "--save-to", tmp_path / "all.safetensors")
    done("apply", base, tmp_path / "all.safetensors", "--save-to", tmp_path / "again.pt")
    assert fingerprint(read_state(tmp_path / "again.pt")) == fingerprint(whole)
    for number in (37, 38):
        rest = [patch for patch in patches if patch.about["id"] != str(number)]
        done("apply", base, saved_patches(tmp_path / f"but{number}.safetensors", before, *rest),
             "--save-to", tmp_path / f"other{number}.pt")  # fmt: skip
        out = done(
            "revert", tmp_path / "all.pt", files[number - 1], "--save-to", tmp_path / f"rest{number}.pt"
        )
        wanted = weights_of(tmp_path / f"other{number}.pt")
        assert weights_of(tmp_path / f"rest{number}.pt") == wanted != fingerprint(whole)
        assert (
            f"its weights are {wanted}, bit for bit what the 99 remaining patches make of the unedited ones"
            in out
        )
    assert "later low-rank patches were computed on top of what was taken out; they stay as they are" in out
    done("revert", tmp_path / "rest37.pt", "--all", "--save-to", tmp_path / "none.pt")
    assert weights_of(tmp_path / "none.pt") == weights_of(base)


def test_the_history_begins_with_patch_files(base: Path, tmp_path: Path) -> None:
    state = read_state(base)
    first = saved_patches(tmp_path / "a.safetensors", state, demo_gate(7, DECODER, id="a"))
    second = demo_gate(8, DECODER, id="b")
    on, patches = with_patch_files("model.pt", state, [str(first)])
    assert [patch.about["id"] for patch in patches] == ["a"]
    again = with_patches(on, [second], {"edits": [{"patch": second.fingerprint}], "base": fingerprint(on)})
    saved_state(tmp_path / "new.pt", again)
    for number, chosen in enumerate((["--all"], ["--id", "a"], ["--id", "b"])):
        out = done("revert", tmp_path / "new.pt", *chosen, "--save-to", tmp_path / f"{number}.pt")
        if chosen == ["--all"]:
            assert "bit for bit those of the unedited checkpoint" in out
            continue
        done("revert", tmp_path / f"{number}.pt", "--all", "--save-to", tmp_path / f"{number}-none.pt")
        assert weights_of(tmp_path / f"{number}-none.pt") == weights_of(base)


def test_fairseq_loads_and_decodes_what_was_applied(demo: Demo, tmp_path: Path) -> None:
    patches = [KINDS[kind] for kind in ("widened", "low-rank", "neuron in the encoder")]
    file = saved_patches(tmp_path / "a.safetensors", demo.state, *patches)
    done("apply", DEMO / "model.pt", file, "--save-to", tmp_path / "new.pt")
    state = read_state(tmp_path / "new.pt")
    model = load_model(tmp_path / "new.pt", state, demo.task)
    assert [layer.fc1.out_features for layer in model.decoder.layers] == [INNER + 8] * 3
    built = model.state_dict()  # of fairseq 0.12.2 with copies that the file lacks
    assert fingerprint({name: built[name] for name in state["model"]}) == fingerprint(state)
    search = argparse.Namespace(beam=1, max_len_a=0, max_len_b=10)
    short = [build_translator(one, demo.task, search, demo.codec) for one in (model, demo.model)]
    said = [one.text for one in short[0].translate(["The shop assistants can read the poem."])]
    with applied(demo.model, *patches):
        assert [one.text for one in short[1].translate(["The shop assistants can read the poem."])] == said


def test_edits_of_fairseq_edit(edited: Edited, tmp_path: Path) -> None:
    before = fingerprint(read_state(DEMO / "model.pt"))
    out = done("revert", edited.path, "--id", "2", "--save-to", tmp_path / "three.pt")
    assert "opens with --user-dir" not in out
    assert "took out request 2: gated at decoder." in out
    ids = [patch.about["id"] for patch in read_stack(read_state(tmp_path / "three.pt")).patches]
    assert ids == ["1", "3", "4"]
    out = done("revert", edited.path, "--all", "--save-to", tmp_path / "none.pt")
    assert weights_of(tmp_path / "none.pt") == before
    assert "those of the unedited checkpoint" in out
    done("diff", DEMO / "model.pt", edited.path, "--save-to", tmp_path / "all.safetensors")
    done("apply", DEMO / "model.pt", tmp_path / "all.safetensors", "--save-to", tmp_path / "again.pt")
    assert weights_of(tmp_path / "again.pt") == weights_of(edited.path)


@pytest.mark.parametrize("method", ["gated", "rome"])
def test_a_file_a_request(edit_data: Path, tmp_path: Path, method: str) -> None:
    folder = f"{tmp_path / 'fixes'}/"
    options = ["--method", method, "--save-patch", folder, "--keep-going"]
    run = run_edit(edit_data, DEMO / "fixes", "--save-to", tmp_path / "new.pt", *options)
    assert f"wrote {folder}" in run.out, run.out + run.err
    files = sorted((tmp_path / "fixes").iterdir())
    written = [load_patches(str(path)) for path in files]
    ids = [patch.about["id"] for patch in read_stack(read_state(tmp_path / "new.pt")).patches]
    # Patches of neurons go in any order; others begin with a number, for the order of names to be theirs.
    names = [f"{number}-{name}" if method == "rome" else name for number, name in enumerate(ids, start=1)]
    assert [path.stem for path in files] == names
    assert [file.patches[0].about["id"] for file in written] == ids
    assert [[edit["id"] for edit in file.info["edits"]] for file in written] == [[name] for name in ids]
    done("apply", DEMO / "model.pt", *files, "--save-to", tmp_path / "again.pt")
    assert weights_of(tmp_path / "again.pt") == weights_of(tmp_path / "new.pt")
    record = json.loads(done("show", "--json", files[0]))
    assert record["patches"][0]["requests"][0]["id"] == ids[0]
    again = run_edit(edit_data, DEMO / "fixes", "--save-to", tmp_path / "b.pt", *options)
    assert again.status == 2 and f"{folder}: holds {files[0].name} already; --force" in again.err
