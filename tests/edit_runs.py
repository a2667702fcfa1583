"""Runs `fairseq-edit` on the demo model in this process, small enough for a test."""

from __future__ import annotations

import hashlib
import importlib
import json
import shutil
import sys
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass
from inspect import signature
from io import StringIO
from pathlib import Path
from types import ModuleType
from typing import Any, Dict, Iterator, List, Sequence

import pytest
import torch

DEMO = Path(__file__).resolve().parents[1] / "scripts" / "demo"
ROOT = DEMO.parents[1]
LANGUAGES = ["-s", "en", "-t", "de"]
SUBWORDS = ["--bpe", "sentencepiece", "--sentencepiece-model", str(DEMO / "spm.model")]
SEARCH = ["--beam", "2", "--cpu"]
QUICK = """
    --edit-stats-tokens 6000 --edit-contexts 8 --edit-references 12 --edit-sample 8 --no-progress-bar
""".split()
SENTENCES = 1000


@dataclass(frozen=True)
class Run:
    """What a run of the command left: exit status and what it printed."""

    status: int
    out: str
    err: str


@dataclass(frozen=True)
class Edited:
    """A checkpoint in which every request of `fixes` holds, and the run that wrote it."""

    path: Path
    run: Run
    data: Path
    base: bytes


def multiplies_halves() -> bool:
    """Whether this torch computes in half precision without a GPU."""
    try:
        torch.nn.functional.linear(*torch.ones(2, 1, 1).half())
    except RuntimeError:
        return False
    return True


needs_halves = pytest.mark.skipif(
    not multiplies_halves(), reason="this torch can't compute in half precision without a GPU"
)


def script(name: str) -> ModuleType:
    """A module of `scripts/demo` or `scripts/benchmarks`, where they import one another by their bare names."""
    folders = [str(ROOT / "scripts" / folder) for folder in ("demo", "benchmarks")]
    sys.path[:0] = folders
    try:
        return importlib.import_module(name)
    finally:
        for folder in folders:
            sys.path.remove(folder)


def lines(name: str) -> List[str]:
    return (DEMO / name).read_text(encoding="utf-8").splitlines()


def probes() -> Dict[str, Any]:
    """The demo's requests by id."""
    return {record["id"]: record for record in map(json.loads, lines("probes.jsonl"))}


def small_data(folder: Path, splits: Sequence[str] = ("train", "valid"), count: int = SENTENCES) -> Path:
    """The demo's data directory with the first of its training pairs alone."""
    from fairseq.data import Dictionary, data_utils, indexed_dataset

    folder.mkdir()
    for language in ("en", "de"):
        shutil.copy(DEMO / "data-bin" / f"dict.{language}.txt", folder)
        symbols = Dictionary.load(str(folder / f"dict.{language}.txt"))
        for split in splits:
            name = f"{split}.en-de.{language}"
            whole = data_utils.load_indexed_dataset(str(DEMO / "data-bin" / name), symbols)
            builder = indexed_dataset.make_builder(str(folder / f"{name}.bin"), "mmap", len(symbols))
            for index in range(min(len(whole), count)):
                builder.add_item(whole[index])
            builder.finalize(str(folder / f"{name}.idx"))
    return folder


def run_edit(data: Path, pref: Any, *more: Any, model: Path = DEMO / "model.pt") -> Run:
    """`fairseq-edit` on the demo model; `more` goes last and so before what stands here."""
    command = [data, "--path", model, "--edit-pref", pref, *LANGUAGES, *SUBWORDS, *SEARCH, *QUICK]
    return run_main([*command, "--edit-cache", data.parent / "cache", *more])


def run_main(arguments: Sequence[Any]) -> Run:
    from fairseq_rome.cli.edit import main

    out, err = StringIO(), StringIO()
    with redirect_stdout(out), redirect_stderr(err):
        status = main([str(argument) for argument in arguments])
    return Run(status, out.getvalue(), err.getvalue())


def hypotheses(output: str, mark: str = "D") -> List[str]:
    """The translations in what fairseq-generate or fairseq-interactive printed, in the order of the input."""
    rows = [line.split("\t") for line in output.splitlines() if line.startswith(f"{mark}-")]
    return [row[-1] for row in sorted(rows, key=lambda row: int(row[0][2:]))]


def refusal(run: Run) -> str:
    """The one line of a run that was refused."""
    assert run.status == 2, run.out
    assert run.err.startswith("fairseq-edit: "), run.err
    assert run.err.endswith("\n")
    assert len(run.err.splitlines()) == 1, run.err
    return run.err


def write_requests(path: Path, *records: Dict[str, Any]) -> Path:
    path.write_text("".join(json.dumps(record) + "\n" for record in records), encoding="utf-8")
    return path


def request(record: Dict[str, Any], **fields: Any) -> Dict[str, Any]:
    """A demo record as a request, without what judges it."""
    kept = ("id", "source", "target", "trigger", "contexts")
    return {**{name: record[name] for name in kept}, **fields}


def open_stock(path: Path, safely: bool = True) -> Dict[str, Any]:
    """A checkpoint as torch alone opens it; before torch 1.13 it could only trust."""
    choice = {"weights_only": safely} if "weights_only" in signature(torch.load).parameters else {}
    return torch.load(path, **choice)


def edits_in(path: Path) -> List[Dict[str, Any]]:
    """What a checkpoint's provenance tells of the edits of its latest run."""
    return open_stock(path)["extra_state"]["fairseq_rome"][-1]["edits"]


def digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def files(folder: Path) -> Iterator[str]:
    """Every file below a folder, hidden ones too, but for the cache of statistics."""
    return (str(path.relative_to(folder)) for path in sorted(folder.rglob("*")) if "cache" not in path.parts)
