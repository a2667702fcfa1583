"""What `fairseq-edit-patch` tells, and what it refuses: one line, exit status 2, and nothing written."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any, Dict, Tuple

import pytest
import torch
from edit_runs import digest
from patch_samples import (
    DECODER,
    gate,
    low_rank,
    names,
    new_state,
    refused,
    run_patch,
    saved_patches,
    saved_state,
    twin_state,
)

from fairseq_rome.host.checkpoint import fingerprint, read_state
from fairseq_rome.patch import load_patches, read_stack, with_patches
from fairseq_rome.patch.stack import LEDGER


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of checkpoints and patches that fit and that do not; tests leave it as it is."""
    folder = tmp_path_factory.mktemp("files")
    base = new_state()
    gates, low = [gate(1, id="7"), gate(2, id="8")], low_rank(1, id="9")
    edits = [{"patch": patch.fingerprint} for patch in gates]
    edited = with_patches(base, gates, {"edits": edits, "base": fingerprint(base), "fairseq_rome": "1", "torch": "2"})
    embedded = new_state()
    embedded["model"]["decoder.embed.weight"].add_(1)
    states = {
        "base": base, "edited": edited, "half": new_state(torch.float16), "other": new_state(seed=1),
        "trained": {**edited, "model": {name: weight * 1.1 for name, weight in edited["model"].items()}},
        "damaged": {**edited, "extra_state": {**edited["extra_state"], LEDGER: 3}},
        "embedded": embedded,
        "both": {**edited, "model": {**edited["model"], "decoder.embed.weight": torch.ones(9, 6)}},
    }  # fmt: skip
    states["twin"] = twin = twin_state()
    saved_patches(folder / "twin.safetensors", twin, gate(1))
    for name, state in states.items():
        saved_state(folder / f"{name}.pt", state)
    saved_patches(folder / "7.safetensors", base, gates[0])
    saved_patches(folder / "8.safetensors", base, gates[1])
    saved_patches(folder / "9.safetensors", base, low)
    saved_patches(folder / "10.safetensors", with_patches(base, [low], {}), low_rank(2, id="10"))
    saved_patches(folder / "other.safetensors", new_state(seed=1), gate(3))
    (folder / "cut.safetensors").write_bytes((folder / "7.safetensors").read_bytes()[:-9])
    (folder / "text.pt").write_text("no weights\n")
    return folder


@pytest.fixture
def folder(files: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(files)
    return files


REFUSED: Dict[str, Tuple[str, str]] = {
    "no command": ("", "arguments are required: COMMAND"),
    "another command": ("undo edited.pt", "invalid choice: 'undo'"),
    "no output": ("apply base.pt 7.safetensors", "required: --save-to"),
    "no patch": ("apply base.pt --save-to new", "required: PATCH"),
    "an option of another": ("merge 7.safetensors --save-to new --id 7", "unrecognized arguments: --id 7"),
    "no base": ("apply no.pt 7.safetensors --save-to new", "no.pt: no such file, expected a checkpoint"),
    "no patch file": ("apply base.pt no.safetensors --save-to new", "no.safetensors: no such file, expected a patch"),
    "a damaged patch": ("apply base.pt cut.safetensors --save-to new", "cut.safetensors: .*, expected a patch file"),
    "a checkpoint for a patch": ("apply base.pt edited.pt --save-to new", "edited.pt: .*, expected a patch file"),
    "a patch for a checkpoint": ("apply 7.safetensors 7.safetensors --save-to new", "is a patch file or another"),
    "another base": ("apply base.pt other.safetensors --save-to new", "other.safetensors: .* for another checkpoint"),
    "another type": ("apply half.pt 7.safetensors --save-to new", "7.safetensors: .* is float16, expected float32"),
    "the same twice": ("apply base.pt 7.safetensors 7.safetensors --save-to new", "request 7 is there already"),
    "again": ("apply edited.pt 7.safetensors --save-to new", "7.safetensors: its edit of request 7 is there already"),
    "out of order": ("apply base.pt 10.safetensors 9.safetensors --save-to new", "10.safetensors: out of order"),
    "another between": ("apply base.pt 7.safetensors 9.safetensors --save-to new", "9.safetensors: out of order"),
    "an equal layer": ("apply twin.pt twin.safetensors --save-to new", "twin.pt: .* and .* hold the same numbers"),
    "output exists": ("apply base.pt 7.safetensors --save-to other.pt", "other.pt: exists already; --force"),
    "output is the base": ("apply base.pt 7.safetensors --save-to base.pt --force", "base.pt: is the input file"),
    "output is a patch": ("apply base.pt 7.safetensors --save-to 7.safetensors --force", "is the input file"),
    "output is a folder": ("apply base.pt 7.safetensors --save-to ./", "is a directory"),
    "output in no folder": ("apply base.pt 7.safetensors --save-to no/new", "is no directory"),
    "a damaged list": ("apply damaged.pt 9.safetensors --save-to new", "damaged.pt: the checkpoint's list .* damaged"),
    "changed since": ("apply trained.pt other.safetensors --save-to new", "for another checkpoint"),
    "revert nothing": ("revert edited.pt --save-to new", "nothing to take out: expected patch files, --id or --all"),
    "revert all and one": ("revert edited.pt --all --id 7 --save-to new", "--all takes out every patch: expected no"),
    "revert of the base": ("revert base.pt --all --save-to new", "base.pt: holds no patches, expected an edited"),
    "an unknown patch": ("revert edited.pt 9.safetensors --save-to new", "9.safetensors: edited.pt has no edit"),
    "an unknown request": ("revert edited.pt --id 9 --save-to new", "edited.pt has no patch .* of 7, 8, or 12 l"),
    "a hash cut short": (f"revert edited.pt --id {gate(1).fingerprint[:11]} --save-to new", "has no patch"),
    "revert after training": ("revert trained.pt --id 7 --save-to new", "trained.pt: .* changed by something else"),
    "revert of a damaged list": ("revert damaged.pt --all --save-to new", "damaged.pt: .* is damaged"),
    "revert beside a change": ("revert both.pt --all --save-to new", "both.pt: .* one that no patch touches"),
    "part of it beside a change": ("revert both.pt --id 7 --save-to new", "both.pt: .* one that no patch touches"),
    "revert over the input": ("revert edited.pt --all --save-to edited.pt --force", "is the input file"),
    "merge of other bases": ("merge 7.safetensors other.safetensors --save-to new", "other.*: .* for another"),
    "merge out of order": ("merge 10.safetensors 9.safetensors --save-to new", "9.safetensors: out of order"),
    "merge of one twice": ("merge 7.safetensors 7.safetensors --save-to new", "is there already"),
    "merge over the input": ("merge 7.safetensors --save-to 7.safetensors --force", "is the input file"),
    "merge of a damaged one": ("merge 7.safetensors cut.safetensors --save-to new", "cut.safetensors: "),
    "diff with no checkpoint": ("diff base.pt text.pt --save-to new", "text.pt: is not a checkpoint"),
    "diff of a damaged list": ("diff base.pt damaged.pt --save-to new", "damaged.pt: the checkpoint's list .* damaged"),
    "diff over the input": ("diff base.pt edited.pt --save-to edited.pt --force", "is the input file"),
    "show of nothing": ("show", "required: FILE"),
    "show of text": ("show text.pt", "text.pt: .*, expected a patch file"),
    "show of a folder": ("show .", "is no file"),
    "show of a damaged list": ("show damaged.pt", "damaged.pt: the checkpoint's list of patches is damaged"),
}  # fmt: skip


@pytest.mark.parametrize("name", REFUSED)
def test_one_line_and_nothing_written(folder: Path, name: str) -> None:
    command, message = REFUSED[name]
    before = {path.name: digest(path) for path in folder.iterdir()}
    line = refused(run_patch(*command.split()))
    assert re.search(message, line), line
    assert {path.name: digest(path) for path in folder.iterdir()} == before


def test_a_difference_of_another_kind(folder: Path) -> None:
    run = run_patch("diff", "base.pt", "embedded.pt", "--save-to", "new")
    assert (run.status, run.err) == (1, "")
    assert run.out.splitlines() == [
        "decoder.embed.weight (embeddings): 54 of 54 numbers differ, in 9 of 9 rows",
        "base.pt and embedded.pt differ in more than a patch tells: nothing was written",
    ]
    alike = run_patch("diff", "edited.pt", "edited.pt", "--save-to", "new")
    assert (alike.status, alike.out) == (
        0,
        "edited.pt and edited.pt have the same weights: nothing was written\n",
    )
    assert not (folder / "new").exists()


def test_a_difference_that_a_patch_would_have_to_take_back(folder: Path, tmp_path: Path) -> None:
    run = run_patch("diff", "edited.pt", "base.pt", "--save-to", tmp_path / "new")
    assert (run.status, run.err) == (1, "")
    *reasons, last = run.out.splitlines()
    assert reasons == [
        f"neuron {neuron} of decoder.1 is of the edit of request {request}, which the second checkpoint lacks or has "
        "otherwise; fairseq-edit-patch revert takes it out of the first"
        for neuron, request in ((1, 7), (2, 8))
    ]
    assert last == "edited.pt and base.pt differ in more than a patch tells: nothing was written"
    assert list(tmp_path.iterdir()) == []


def test_a_difference_as_a_patch(folder: Path, tmp_path: Path) -> None:
    state = read_state("edited.pt")
    del state["extra_state"][LEDGER]
    plain, found = saved_state(tmp_path / "plain.pt", state), tmp_path / "found.safetensors"
    run = run_patch("diff", "base.pt", plain, "--save-to", found)
    assert (run.status, run.err) == (0, "")
    assert run.out.startswith("found decoder.1 by diff: diff at decoder.1, neurons 1, 2, 208 bytes\n")
    assert run.out.endswith(f"wrote {found}: base.pt with it is {plain} bit for bit\n")
    assert run_patch("apply", "base.pt", found, "--save-to", tmp_path / "again.pt").status == 0
    again = read_state(tmp_path / "again.pt")["model"]
    assert all(torch.equal(weight, again[name]) for name, weight in state["model"].items())


def test_show_tells_of_files_and_checkpoints(folder: Path) -> None:
    run = run_patch("show", "7.safetensors", "edited.pt", "base.pt")
    assert (run.status, run.err) == (0, "")
    blocks = re.split(r"^(?=\S+: (?:patch file|checkpoint))", run.out, flags=re.M)[1:]
    row = names(DECODER)[0]
    mark = load_patches("7.safetensors").base[row].sha256[:12]
    assert blocks[0].splitlines() == [
        "7.safetensors: patch file, 1 patch",
        f"patch {gate(1).fingerprint[:12]}",
        "  request 7",
        "  edit    gated at decoder.1, neuron 1, 52 bytes",
        f"  base    {row}: float32, 8 x 6, {mark}...",
        *(line for line in blocks[0].splitlines() if "fc1.bias" in line or "fc2.weight" in line),
        "  made by fairseq_rome 0, torch 0",
    ]
    assert blocks[1].startswith("edited.pt: checkpoint, 2 patches\n")
    assert [line for line in blocks[1].splitlines() if "request" in line] == ["  request 7", "  request 8"]
    assert "made by fairseq_rome 1, torch 2" in blocks[1]
    assert blocks[2] == "base.pt: checkpoint, 0 patches\n"


@pytest.mark.parametrize("start", [b"PK\x03\x04\0\0\0\0", b"\x80\x02\0\0\0\0\0\0"])
def test_a_patch_file_whose_length_looks_like_a_checkpoint(start: bytes, tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(start + b'{"a":')
    assert "expected a patch file" in refused(run_patch("show", tmp_path / "a"))


@pytest.mark.parametrize("end", ["| true; exit ${PIPESTATUS[0]}", ">&-"], ids=["on the way", "before"])
def test_what_nobody_reads_is_done(folder: Path, tmp_path: Path, end: str) -> None:
    new = tmp_path / "new.pt"
    command = f"{sys.executable} -u -m fairseq_rome.cli.patch apply base.pt 7.safetensors 8.safetensors --save-to {new}"
    done = subprocess.run(["bash", "-c", f"{command} {end}"], capture_output=True, check=False)
    assert (done.returncode, done.stderr) == (0, b"")
    assert len(read_stack(read_state(tmp_path / "new.pt")).patches) == 2


@pytest.mark.parametrize("command", ["apply base.pt 7.safetensors", "merge 7.safetensors"])
@pytest.mark.parametrize("place", ["before", "after"])
def test_interrupts_tell_what_was_written(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, command: str, place: str
) -> None:
    def interrupt(*_: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("fairseq_rome.files." + ("_flush" if place == "before" else "_flush_folder"), interrupt)
    line = refused(run_patch(*command.split(), "--save-to", tmp_path / "new"))
    told = {"before": "nothing was written", "after": f"{tmp_path / 'new'} was already written whole"}
    assert line == f"fairseq-edit-patch: interrupted; {told[place]}\n"
    assert (tmp_path / "new").exists() == (place == "after")


def test_show_in_json(folder: Path) -> None:
    run = run_patch("show", "--json", "9.safetensors", "edited.pt")
    low, edited = map(json.loads, run.out.splitlines())
    assert (low["file"], low["kind"], len(edited["patches"])) == ("9.safetensors", "patch file", 2)
    [patch] = low["patches"]
    column = names(DECODER)[2]
    assert (patch["neurons"], patch["ranks"], patch["bytes"]) == ([], {column: 1}, 56)
    assert patch["patch"] == low_rank(1).fingerprint
    assert patch["requests"] == [{"id": "9"}]
    assert patch["weights"][column]["shape"] == [6, 8] and len(patch["weights"][column]["sha256"]) == 64


def test_revert_tells_what_stands_on_what_is_taken_out(folder: Path, tmp_path: Path) -> None:
    assert (
        run_patch(
            "apply", "base.pt", "9.safetensors", "10.safetensors", "--save-to", tmp_path / "a.pt"
        ).status
        == 0
    )
    run = run_patch("revert", tmp_path / "a.pt", "9.safetensors", "--save-to", tmp_path / "b.pt")
    assert (
        "\n1 later low-rank patch was computed on top of what was taken out; it stays as it is\n" in run.out
    )
    last = run_patch("revert", tmp_path / "a.pt", "--id", "10", "--save-to", tmp_path / "c.pt")
    assert "later" not in last.out
    again = run_patch("revert", tmp_path / "a.pt", "--id", "10", "--save-to", tmp_path / "c.pt", "--force")
    assert again.out == last.out


def test_a_patch_by_its_hash_where_requests_have_one_name(tmp_path: Path) -> None:
    path = saved_state(tmp_path / "a.pt", with_patches(new_state(), [gate(1, id="1"), gate(2, id="1")], {}))
    hashes = [gate(number).fingerprint[:12] for number in (1, 2)]
    line = refused(run_patch("revert", path, "--id", "1", "--save-to", tmp_path / "b.pt"))
    alike = [f"{hashes[n]} (request 1: gated at decoder.1, neuron {n + 1}, 104 bytes)" for n in range(2)]
    assert line.endswith(f"has 2 patches of that name, expected {alike[0]} or {alike[1]}\n")
    run = run_patch("revert", path, "--id", hashes[0], "--save-to", tmp_path / "b.pt")
    assert run.status == 0
    assert [patch.neurons for patch in read_stack(read_state(tmp_path / "b.pt")).patches] == [[2]]


@pytest.mark.parametrize("command", ["", "show", "apply", "revert", "merge", "diff"])
def test_the_help_teaches(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as left:
        run_patch_loud(*command.split(), "--help")
    out = capsys.readouterr().out
    assert left.value.code == 0
    assert f"usage: fairseq-edit-patch {command}" in out
    assert len(out.splitlines()) > 12 and max(map(len, out.splitlines())) <= 100


def run_patch_loud(*arguments: str) -> int:
    from fairseq_rome.cli.patch import main

    return main(list(arguments))
