"""A checkpoint as fairseq wrote it years ago: settings in `args` alone, and the projections of attention in one."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any, Dict

import pytest
import torch
from edit_runs import DEMO, LANGUAGES, SUBWORDS, hypotheses, open_stock, run_edit
from stock_runs import Case, Stock

from fairseq_rome import open as open_bench
from fairseq_rome.host.checkpoint import read_state
from fairseq_rome.patch import read_stack

SOURCES = ["The shop assistants can read the poem.", "He sees a tall tree.", "The girls can read."]
PARTS = ("q_proj", "k_proj", "v_proj")


def fused(weights: Dict[str, torch.Tensor]) -> Dict[str, torch.Tensor]:
    """Weights with the three projections of each attention in one."""
    found = {name: one for name, one in weights.items() if not any(f".{part}." in name for part in PARTS)}
    for name in weights:
        if ".q_proj." in name:
            three = [weights[name.replace("q_proj", part)] for part in PARTS]
            found[name.replace("q_proj.", "in_proj_")] = torch.cat(three)
    return found


@pytest.fixture(scope="module")
def old(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The demo's model in the old form."""
    state: Dict[str, Any] = read_state(str(DEMO / "model.pt"))
    settings = argparse.Namespace(**vars(state.pop("cfg")["model"]))
    path = tmp_path_factory.mktemp("old") / "model.pt"
    torch.save({**state, "args": settings, "model": fused(state["model"])}, path)
    return path


def test_it_says_what_the_new_form_says(old: Path, edit_data: Path) -> None:
    said = [
        open_bench(
            str(path), data=str(edit_data), source="en", target="de", bpe="sentencepiece",
            sentencepiece_model=str(DEMO / "spm.model"), beam=2,
        ).translate(SOURCES)
        for path in (DEMO / "model.pt", old)
    ]  # fmt: skip
    assert said[0] == said[1]


def test_it_is_edited_in_its_own_form_and_stock_fairseq_reads_it(
    old: Path, edit_data: Path, stock: Stock, tmp_path: Path
) -> None:
    saved = tmp_path / "edited.pt"
    run = run_edit(edit_data, DEMO / "term", "--save-to", saved, model=old)
    assert (run.status, run.err) == (0, "") and "1 request: 1 edited" in run.out
    before, after = open_stock(old, safely=False)["model"], open_stock(saved)["model"]
    assert list(before) == list(after) and any("in_proj_weight" in name for name in after)
    changed = {name for name in before if not torch.equal(before[name], after[name])}
    assert changed and all(".fc1." in name or ".fc2." in name for name in changed)
    assert read_stack(read_state(str(saved))).patches
    words = [edit_data, "--path", saved, *LANGUAGES, *SUBWORDS, "--beam", "2", "--cpu"]
    (tmp_path / "sources.en").write_text("\n".join(SOURCES) + "\n", encoding="utf-8")
    printed = stock.run([Case("old", "interactive", words, tmp_path, str(tmp_path / "sources.en"))], tmp_path)["old"]
    assert hypotheses(printed)[0] == (DEMO / "term.de").read_text("utf-8").splitlines()[0]
