"""The table and the figure of many edits; what they show needs data that is not here."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Dict

import pytest
from edit_runs import script

figure = script("curve_figure")


def point(**changes: Any) -> Dict[str, Any]:
    record = {
        "method": "memit", "seed": 1, "edits": 4, "held": 4, "probes": 2, "shown": 1, "unrelated": 10, "identical": 9,
        "bleu": 30.0, "bleu_interval": 1.5, "bleu_before": 31.0, "p_value": 0.03, "loss": 2.0, "loss_before": 1.9,
        "seconds": 0.5, "patch_bytes": 2048, "fault": "",
    }  # fmt: skip
    return {**record, **changes}


def rows(*records: Dict[str, Any]) -> Dict[str, str]:
    """The lines of a table by method and number of edits."""
    lines = figure.draw(records, None).splitlines()[2:]
    return {" ".join(line.split(" | ")[:2]).lstrip("| "): line for line in lines}


def test_orders_are_averaged_with_the_farthest_one_told() -> None:
    found = rows(point(), point(seed=2, held=2, bleu=32.0, p_value=0.4), point(edits=1, held=1))
    assert list(found) == ["memit 1", "memit 4"]
    assert found["memit 4"] == (
        "| memit | 4 | 2 | 0.750 ± 0.250 | 0.500 | 0.900 | 31.00 ± 1.50 | 0.030 | 2.000 | 0.50 | 2 KiB |"
    )


@pytest.mark.parametrize(("faults", "counted"), [(["too large", ""], "1 of 2"), (["too large"], "0 of 1")])
def test_a_method_that_gave_up_is_counted_and_not_averaged(faults: list, counted: str) -> None:
    refused = {"held": 0, "patch_bytes": 0}
    found = rows(*(point(fault=fault, **(refused if fault else {})) for fault in faults))
    cells = found["memit 4"].split(" | ")
    assert cells[2] == counted
    assert cells[3] == ("1.000" if "" in faults else "")


def test_an_order_without_a_probe_says_nothing_of_probes() -> None:
    assert rows(point(probes=0, shown=0), point(seed=2))["memit 4"].split(" | ")[4] == "0.500"
    assert rows(point(probes=0, shown=0))["memit 4"].split(" | ")[4] == ""


def test_the_whole_model_has_no_patch_size() -> None:
    assert rows(point(patch_bytes=None))["memit 4"].endswith("| the model |")


def test_a_row_of_the_results_has_the_figures_of_its_line() -> None:
    told = {"command": "measure", "measured_with": "0", "measured_commit": "c"}
    other = point(seed=2, held=2, bleu=32.0, p_value=0.4)
    records = [point(origin=told), other, point(method="rome", fault="no", origin=told)]
    [(memit, first), (rome, _)] = figure.figures_with_origin(records)
    assert first == told
    assert memit == {
        "method": "memit", "edits": 4, "orders": 2, "orders_asked": 2, "hold": 0.75, "hold_spread": 0.25,
        "probes": 0.5, "identical": 0.9, "bleu": 31.0, "bleu_spread": 1.5, "loss": 2.0, "p": 0.03,
        "patches_kib": 2, "cpu_seconds": 0.5,
    }  # fmt: skip
    assert (rome["orders"], rome["orders_asked"], rome["hold"]) == (0, 1, None)


def test_a_curve_for_each_method_that_made_edits(tmp_path: Path) -> None:
    records = [point(), point(edits=16), point(method="rome"), point(method="emmet", fault="too large")]
    figure.draw(records, tmp_path / "curves.svg")
    drawn = (tmp_path / "curves.svg").read_text()
    assert "<!-- rome -->" in drawn and "<!-- memit -->" in drawn and "<!-- emmet -->" not in drawn
