"""What `fairseq-edit` refuses: one line, exit status 2, and every file as it was."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import Any, Callable, Dict, Iterator, List, Tuple

import pytest
import torch
from edit_runs import (
    DEMO,
    digest,
    files,
    lines,
    refusal,
    run_edit,
    run_main,
)

from fairseq_rome.host.checkpoint import read_state

MODEL = DEMO / "model.pt"


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    """A folder for the input of a test, which it finds as it left it, but for what it wrote itself."""
    base = digest(MODEL)
    yield tmp_path
    assert digest(MODEL) == base


def state_with(change: Callable[[Dict[str, Any]], Any]) -> Callable[[Path], None]:
    def save(path: Path) -> None:
        state = read_state(MODEL)
        change(state)
        torch.save(state, path)

    return save


def cut(path: Path) -> None:
    path.write_bytes(MODEL.read_bytes()[:100_000])


def put(name: str, value: float) -> Callable[[Path], None]:
    return state_with(lambda state: state["model"].update({name: torch.tensor([value])}))


def without_encoder(state: Dict[str, Any]) -> None:
    state["model"] = {
        name: tensor for name, tensor in state["model"].items() if not name.startswith("encoder")
    }


class Forbidden:
    """Makes a folder when it is unpickled."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> Tuple[Any, ...]:
        return os.mkdir, (str(self.mark),)


def with_code(path: Path) -> None:
    state_with(lambda state: state.update(extra=Forbidden(path.parent / "mark")))(path)


CHECKPOINTS: Dict[str, Tuple[Callable[[Path], Any], str]] = {
    "missing": (lambda path: None, "no such file"),
    "a directory": (lambda path: path.mkdir(), "is a directory"),
    "truncated": (cut, "truncated or damaged"),
    "not a checkpoint": (lambda path: path.write_text("no weights\n"), "is not a checkpoint"),
    "other torch file": (lambda path: torch.save([1], path), "not a fairseq checkpoint"),
    "sharded": (lambda path: shutil.copy(MODEL, path.with_name("bad-shard0.pt")), "sharded"),
    "fsdp": (state_with(lambda state: state.update(fsdp_metadata={})), "FSDP"),
    "quantised": (put("decoder.layers.0.fc1.centroids", 1.0), "product-quantised"),
    "language model": (state_with(without_encoder), "expected an encoder-decoder"),
    "code": (with_code, "mkdir, which is not among what a checkpoint may name"),
    "nan": (
        put("decoder.layers.0.fc1.bias", float("nan")),
        "decoder.layers.0.fc1.bias holds NaN or infinity",
    ),
    "infinity": (
        put("encoder.layers.1.fc2.bias", float("inf")),
        "encoder.layers.1.fc2.bias holds NaN or infinity",
    ),
}


@pytest.mark.parametrize("kind", CHECKPOINTS)
def test_checkpoints(folder: Path, kind: str) -> None:
    make, expected = CHECKPOINTS[kind]
    make(folder / "bad.pt")
    there = list(files(folder))
    run = run_edit(DEMO / "data-bin", DEMO / "term", "--save-to", folder / "new.pt", model=folder / "bad.pt")
    assert expected in refusal(run)
    assert str(folder / "bad.pt") in run.err
    assert list(files(folder)) == there


def test_ensemble(folder: Path) -> None:
    run = run_edit(
        DEMO / "data-bin", DEMO / "term", "--save-to", folder / "new.pt", "--path", f"{MODEL}:{MODEL}"
    )
    assert "several checkpoints (an ensemble)" in refusal(run)


def test_other_dictionary(folder: Path) -> None:
    for language in ("en", "de"):
        symbols = lines(f"data-bin/dict.{language}.txt")[:-5]
        (folder / f"dict.{language}.txt").write_text("\n".join(symbols) + "\n", encoding="utf-8")
    run = run_edit(folder, DEMO / "term", "--save-to", folder / "new.pt", "--edit-cache", "none")
    assert "does not fit the dictionaries" in refusal(run)


GOOD = {"fix.en": "The bank opens .\n", "fix.de": "Die Bank öffnet .\n"}
EDIT_FILES: Dict[str, Tuple[Dict[str, str], str, str]] = {
    "missing": ({}, "fix", "fix.en: no such file"),
    "missing side": ({"fix.en": GOOD["fix.en"]}, "fix", "fix.de: no such file"),
    "different lengths": ({**GOOD, "fix.de": GOOD["fix.de"] * 2}, "fix", "fix.en:2: line missing"),
    "empty line": ({"fix.en": "The bank .\n\n", "fix.de": "Die Bank .\n\n"}, "fix", "fix.en:2: empty"),
    "empty file": ({"fix.en": "", "fix.de": ""}, "fix", "fix.en:1: the file is empty"),
    "missing file by name": ({}, "fix.jsonl", "fix.jsonl: no such file"),
    "no JSON": ({"fix.jsonl": "{'source'\n"}, "fix.jsonl", "fix.jsonl:1:2: Expecting property name"),
    "bad YAML": ({"fix.yaml": "- source: [\n"}, "fix.yaml", "expected YAML"),
    "unknown field": ({"fix.jsonl": '{"source": "a", "traget": "b"}\n'}, "fix.jsonl", "'traget'"),
    "unknown symbol": ({**GOOD, "fix.de": "Die 銀行 öffnet .\n"}, "fix", "not in the target dictionary"),
    "unknown setting": (
        {"fix.jsonl": '{"source": "a", "target": "b", "settings": {"sight": "x"}}\n'}, "fix.jsonl",
        "fix.jsonl:1: unknown setting 'sight'",
    ),
    "unknown site of one": (
        {"fix.jsonl": '{"source": "a", "target": "b", "settings": {"site": "decoder.9"}}\n'}, "fix.jsonl",
        "no site decoder.9 in this model",
    ),
    "setting of the run": (
        {"fix.jsonl": '{"source": "a", "target": "b", "settings": {"seed": 2}}\n'}, "fix.jsonl",
        "fix.jsonl:1: 'seed' is a setting of the whole run",
    ),
}  # fmt: skip


@pytest.mark.parametrize("kind", EDIT_FILES)
def test_edit_files(edit_data: Path, folder: Path, kind: str) -> None:
    texts, pref, expected = EDIT_FILES[kind]
    for name, text in texts.items():
        (folder / name).write_text(text, encoding="utf-8")
    run = run_edit(edit_data, folder / pref, "--save-to", folder / "new.pt")
    assert expected in refusal(run)
    assert sorted(files(folder)) == sorted(texts)


OPTIONS: Dict[str, Tuple[List[Any], str]] = {
    "unknown site": (["--site", "decoder.9"], "no site decoder.9 in this model, expected one of: encoder.0"),
    "no site at all": (["--site", "the last"], "the last"),
    "unknown method": (["--method", "guess"], "invalid choice: 'guess'"),
    "unknown option": (["--edit-sight", "decoder.0"], "unrecognized arguments: --edit-sight"),
    "no number": (["--edit-steps", "many"], "invalid int value: 'many'"),
    "below zero": (["--edit-steps=-1"], "edit_steps is -1"),
    "other direction": (["-s", "de", "-t", "en"], "translates en-de, expected a model for -s de -t en"),
    "other language": (["-t", "fr"], "term.fr: no such file; expected, for en-fr, parallel text"),
    "overrides": (["--model-overrides", "{"], "--model-overrides '{': expected a Python dictionary"),
    "output missing": (["--save-to", ""], "--save-to is missing"),
    "output in no folder": (["--save-to", "/nowhere/new.pt"], "/nowhere is no directory"),
    "output a directory": (["--save-to", DEMO], f"{DEMO}: is a directory"),
    "output exists": (["--save-to", DEMO / "README.md"], "exists already; --force overwrites it"),
    "output is the input": (["--save-to", MODEL, "--force"], "never written over"),
    "an empty patch name": (["--edit-patches", ""], "--edit-patches '': a name is empty, expected patch files"),
    "a colon too many": (["--edit-patches", "a::b"], "--edit-patches 'a::b': a name is empty"),
    "patch missing": (["--edit-patches", "no.safetensors"], "no.safetensors: no such file, expected a patch file"),
    "output is a patch": (
        ["--edit-patches", DEMO / "README.md", "--save-to", DEMO / "README.md", "--force"],
        "README.md: is the input file",
    ),
    "output is an edit file": (["--save-to", DEMO / "term.de", "--force"], "term.de: is the input file"),
    "patch over an edit file": (["--save-patch", DEMO / "term.en", "--force"], "term.en: is the input file"),
    "output is a dictionary": (["--save-to", "DATA/dict.en.txt", "--force"], "dict.en.txt: is the input file"),
    "output is the subword model": (["--save-to", DEMO / "spm.model", "--force"], "spm.model: is the input file"),
    "patch over a patch": (
        ["--edit-patches", DEMO / "README.md", "--save-patch", DEMO / "README.md", "--force"],
        "README.md: is the input file",
    ),
    "one output for both": (["--save-to", "same.pt", "--save-patch", "./same.pt"], "is what --save-to names as well"),
    "gate": (["--gate", "locality"], "condition 'locality': expected FIGURE>=NUMBER"),
    "sites missing": (["--site", "/nowhere.yaml"], "/nowhere.yaml: No such file"),
    "settings missing": (["--edit-config", "/nowhere.yaml"], "/nowhere.yaml: No such file"),
}


@pytest.mark.parametrize("kind", OPTIONS)
def test_options(edit_data: Path, folder: Path, kind: str) -> None:
    more, expected = OPTIONS[kind]
    more = [str(one).replace("DATA", str(edit_data)) for one in more]
    readme = digest(DEMO / "README.md")
    assert expected in refusal(run_edit(edit_data, DEMO / "term", "--save-to", folder / "new.pt", *more))
    assert list(files(folder)) == []
    assert digest(DEMO / "README.md") == readme


def test_language_without_dictionary(folder: Path) -> None:
    for language in ("en", "fr"):
        (folder / f"fix.{language}").write_text(GOOD["fix.en"], encoding="utf-8")
    run = run_edit(DEMO / "data-bin", folder / "fix", "--save-to", folder / "new.pt", "-t", "fr")
    assert "dict.fr.txt: missing or unfit" in refusal(run)


SETTINGS = {
    "- method\n": "holds a list",
    "method: [\n": "expected a YAML mapping",
    "method: guess\n": "method is 'guess', expected one of: alphaedit, constrained, ",
    "edit_steps: many\n": "edit_steps is 'many', expected int",
    "edit_steps: true\n": "edit_steps is True, expected int",
    "edit_stepps: 3\n": "unknown setting 'edit_stepps'",
    "site: ${nowhere}\n": "nowhere",
}


def test_sites_of_requests_that_are_not_there(edit_data: Path, folder: Path) -> None:
    (folder / "sites.yaml").write_text("'9': decoder.1\n", encoding="utf-8")
    run = run_edit(edit_data, DEMO / "term", "--save-to", folder / "new.pt", "--site", folder / "sites.yaml")
    assert "sites for '9', expected ids of requests in the edit file" in refusal(run)
    (folder / "sites.yaml").write_text("'1': 3\n", encoding="utf-8")
    run = run_edit(edit_data, DEMO / "term", "--save-to", folder / "new.pt", "--site", folder / "sites.yaml")
    assert "1 is 3, expected sites such as 'decoder.3,decoder.2'" in refusal(run)


@pytest.mark.parametrize("text", SETTINGS)
def test_settings_files(edit_data: Path, folder: Path, text: str) -> None:
    (folder / "bad.yaml").write_text(text, encoding="utf-8")
    run = run_edit(
        edit_data, DEMO / "term", "--save-to", folder / "new.pt", "--edit-config", folder / "bad.yaml"
    )
    assert f"{folder / 'bad.yaml'}: " in refusal(run)
    assert SETTINGS[text] in run.err
    assert list(files(folder)) == ["bad.yaml"]


def test_arguments_that_are_missing() -> None:
    assert "--edit-pref" in refusal(run_main([DEMO / "data-bin", "--path", MODEL]))
    assert "--path is missing" in refusal(
        run_main([DEMO / "data-bin", "--edit-pref", DEMO / "term", "--dry-run"])
    )
    assert "required: data" in refusal(run_main(["--path", MODEL, "--edit-pref", DEMO / "term"]))
    nowhere = ["/nowhere", "--path", MODEL, "--edit-pref", DEMO / "term", "--dry-run"]
    assert "/nowhere: no such directory" in refusal(run_main(nowhere))
