"""What measures sizes, on sizes that take seconds."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from edit_runs import script

benchmark_size = script("benchmark_size")
SMALL = {"width": 32, "inner": 64, "layers": 2, "symbols": 200}
DEMO = Path(__file__).resolve().parents[2] / "scripts" / "demo"


@pytest.mark.slow
def test_a_model_is_edited_patched_and_reverted(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    edited, applied, opened, loaded, reverted = benchmark_size.of_model(SMALL, str(tmp_path))
    assert reverted["after"] == edited["before"] != reverted["before"] == applied["after"] == opened["after"]
    assert loaded["as_written"]
    printed = capsys.readouterr().out
    assert "patched at load time as written: True; reverted bit for bit: True" in printed
    assert all(found["peak_gb"] > 0 for found in (edited, applied, opened, loaded, reverted))


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """The demo's data directory with its model beside it."""
    folder = tmp_path / "small"
    folder.mkdir()
    for path in [*(DEMO / "data-bin").iterdir(), DEMO / "model.pt", DEMO / "spm.model"]:
        (folder / path.name).symlink_to(path)
    return folder


@pytest.mark.slow
def test_a_term_in_five_of_many_pairs_is_found_in_all_five(data: Path, tmp_path: Path, capsys: Any) -> None:
    large = tmp_path / "large"
    large.mkdir()
    small, started, searched = benchmark_size.of_pairs(1_100_000, data, str(large))
    assert small["pairs"] < started["pairs"] == 100_000
    assert searched["found"] == 5
    assert "MB more memory" in capsys.readouterr().out
