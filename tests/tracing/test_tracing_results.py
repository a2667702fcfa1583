"""What goes into a trace and what comes of it: settings, a ranking of sites, files, heat maps."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any, Dict, List

import pytest
import torch

from fairseq_rome.errors import EditError
from fairseq_rome.host.sites import FFN, SELF_ATTENTION
from fairseq_rome.tracing import (
    CausalTrace,
    LocateSettings,
    StackEffects,
    load_trace,
    ranked_sites,
    save_trace,
    site_list,
)
from fairseq_rome.tracing.heat_maps import compact_png, heat_map, image, labels
from fairseq_rome.tracing.trace_files import from_record, to_record


def made(encoder: List[List[float]], decoder: List[List[float]], **more: Any) -> CausalTrace:
    """A trace of some FFN effects, layers x positions."""
    stacks = tuple(
        StackEffects(
            name, tuple(f"t{i}" for i in range(len(rows[0]))), (0,),
            {SELF_ATTENTION: torch.full((len(rows), len(rows[0])), 9.0), FFN: torch.tensor(rows)},
        )
        for name, rows in (("encoder", encoder), ("models.en-de.decoder", decoder))
    )  # fmt: skip
    texts = {"source": "a", "target": "b", "segment": "c", "trigger": "d", "clean": 0.9, "corrupted": 0.1}
    return CausalTrace(**{"id": "1", "mode": "noise", "stacks": stacks, **texts, **more})


NAN, DECODER = math.nan, "models.en-de.decoder"


@pytest.mark.parametrize(
    ("encoder", "decoder", "order"),
    [
        ([[0.1, 0.5]], [[0.2, 0.0], [0.3, 0.4]], f"encoder.0,{DECODER}.1,{DECODER}.0"),
        ([[0.2], [0.2]], [[0.2], [0.2]], f"{DECODER}.1,{DECODER}.0,encoder.1,encoder.0"),
        ([[-0.1]], [[-0.2], [0.0]], f"{DECODER}.1,encoder.0,{DECODER}.0"),
        ([[NAN, 0.1]], [[NAN, NAN], [0.0, NAN]], f"encoder.0,{DECODER}.1"),
        ([[NAN]], [[NAN]], ""),
    ],
)
def test_ranking(encoder: Any, decoder: Any, order: str) -> None:
    ranked = ranked_sites(made(encoder, decoder))
    assert ",".join(str(one.site) for one in ranked) == order
    tried = site_list(ranked).split(",")
    assert sorted(tried) == sorted(order.split(","))
    assert tried == [site for part in ("decoder", "encoder") for site in order.split(",") if part in site] or not order


@pytest.mark.parametrize("ending", ["json", "safetensors"])
def test_files(tmp_path: Path, ending: str) -> None:
    plain = made([[0.1, 0.5], [0.0, 0.25]], [[0.2, 0.0, 0.1]])
    odd = made(
        [[NAN, 0.1]], [[1 / 3, -1e-30]], source='"\\ $ü\u2028', details={"positive_source": "x", "n": 2}
    )
    for number, trace in enumerate((plain, odd)):
        path = tmp_path / f"{number}.{ending}"
        save_trace(trace, path)
        again = load_trace(path)
        assert to_record(again) == to_record(trace) == to_record(from_record(to_record(trace)))
        for one, other in zip(again.stacks, trace.stacks):
            assert list(one.effects) == list(other.effects)
            for kind, array in other.effects.items():
                assert torch.equal(one.effects[kind].nan_to_num(7.0), array.nan_to_num(7.0))
                assert one.effects[kind].dtype == torch.float32
        assert [type(one.marked) for one in again.stacks] == [tuple, tuple]
        assert site_list(ranked_sites(again)) == site_list(ranked_sites(trace))
    assert sorted(path.name for path in tmp_path.iterdir()) == [f"0.{ending}", f"1.{ending}"]


@pytest.mark.parametrize("ending", ["json", "safetensors"])
@pytest.mark.parametrize("damage", ["missing", "cut", "another format", "text"])
def test_damaged_files(tmp_path: Path, ending: str, damage: str) -> None:
    path = tmp_path / f"trace.{ending}"
    if damage == "another format":
        save_trace(made([[0.0]], [[0.0]]), path)
        path.write_bytes(
            path.read_bytes().replace(b'format": 1', b'format": 9').replace(b'format\\": 1', b'format\\": 9')
        )
    elif damage == "cut":
        save_trace(made([[0.0]], [[0.0]]), path)
        path.write_bytes(path.read_bytes()[:-9])
    elif damage == "text":
        path.write_text("[1]")
    message = "expected a trace" if damage == "missing" else "damaged or no trace of format 1"
    with pytest.raises(EditError, match=message) as caught:
        load_trace(path)
    assert "\n" not in str(caught.value)


def test_a_file_that_cannot_be_written_leaves_nothing(tmp_path: Path) -> None:
    (tmp_path / "taken.json").mkdir()
    for path in (tmp_path / "taken.json", tmp_path / "none" / "trace.json"):
        with pytest.raises(EditError, match="cannot be written"):
            save_trace(made([[0.0]], [[0.0]]), path)
    assert [path.name for path in tmp_path.iterdir()] == ["taken.json"]


def test_json_is_what_any_reader_takes(tmp_path: Path) -> None:
    save_trace(made([[NAN, 0.5]], [[0.0, 0.0]]), tmp_path / "trace.json")
    text = (tmp_path / "trace.json").read_text(encoding="utf-8")
    record = json.loads(text, parse_constant=lambda name: pytest.fail(f"{name} is no JSON"))
    assert record["effects"]["encoder/ffn"] == [[None, 0.5]]


def drawn(figure: Any) -> List[Any]:
    """The panels of a heat map, without their colour bars."""
    return [axes for axes in figure.axes if axes.images]


def test_a_heat_map_has_a_panel_for_each_kind() -> None:
    trace = made([[0.1, 0.2], [0.3, 0.4], [0.0, NAN]], [[0.0, 0.0]])
    attention, ffn = drawn(heat_map(trace, "encoder"))
    assert [axes.get_title() for axes in (attention, ffn)] == ["self-attention", "FFN"]
    (shown,) = ffn.images
    # Layers across, positions down; what was not restored is masked.
    assert shown.get_array().tolist() == [
        [pytest.approx(v) for v in (0.1, 0.3, 0.0)],
        [*map(pytest.approx, (0.2, 0.4)), None],
    ]
    assert shown.get_clim() == (pytest.approx(-0.4), pytest.approx(0.4))
    assert [tick.get_text() for tick in attention.get_yticklabels()] == ["t0 *", "t1"]
    assert [tick.get_fontweight() for tick in attention.get_yticklabels()] == ["bold", "normal"]
    assert heat_map(trace, "encoder").get_suptitle() == (
        "encoder: probability of c gained by one state\ncorrupted run 0.1, clean run 0.9"
    )
    carried = made([[0.1]], [[0.0]], mode="carry")
    assert heat_map(carried, "encoder").get_suptitle().endswith("request run 0.1, positive run 0.9")
    with pytest.raises(EditError, match="no stack 'middle'"):
        heat_map(trace, "middle")


@pytest.mark.parametrize(("largest", "limit"), [(0.0, 0.01), (1e-7, 0.01), (-0.2, 0.2), (NAN, 0.01)])
def test_little_looks_like_little(largest: float, limit: float) -> None:
    (_, ffn) = drawn(heat_map(made([[largest, 0.0]], [[0.0]]), "encoder"))
    assert ffn.images[0].get_clim() == (pytest.approx(-limit), pytest.approx(limit))


@pytest.mark.parametrize("format", ["png", "svg"])
def test_labels_are_shown_as_they_are(format: str) -> None:
    stack = StackEffects("encoder", ("▁5$", "▁$x^", "\\n", "▁", "ß"), (1,), {FFN: torch.zeros(2, 5)})
    trace = made([[0.0]], [[0.0]], stacks=(stack,), segment="5 $ und 6 $ " * 9)
    assert labels(stack) == ("▁5$", "▁$x^ *", "\\n", "▁", "ß")
    data = image(heat_map(trace, "encoder"), format)
    assert data == image(heat_map(trace, "encoder"), format) or format == "svg"
    assert data.startswith(b"\x89PNG" if format == "png" else b"<?xml")


def test_a_picture_for_a_page_is_small() -> None:
    torch.manual_seed(0)
    effects = {kind: torch.rand(12, 30) for kind in ("ffn", "self_attention", "cross_attention")}
    stack = StackEffects("decoder", tuple(f"▁subword{i}" for i in range(30)), (3,), effects)
    trace = made([[0.0]], [[0.0]], stacks=(stack,))
    small, whole = compact_png(trace, "decoder"), image(heat_map(trace, "decoder"))
    assert len(small) <= 15_000 < len(whole)
    assert compact_png(trace, "decoder", most=10**6) == whole


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"mode": "noisy"}, "mode is 'noisy', expected one of: noise, carry"),
        ({"noise": -1.0}, "noise is -1.0, expected a finite number of at least 0"),
        ({"noise": math.nan}, "noise is nan"),
        ({"noise": math.inf}, "noise is inf"),
        ({"samples": 0}, "samples is 0, expected at least 1"),
        ({"batch_tokens": 0}, "batch_tokens is 0, expected at least 1"),
        ({"kinds": (SELF_ATTENTION,)}, "expected ffn and any other of: ffn, self_attention, cross_attention"),
        ({"kinds": (FFN, "fc1")}, "expected ffn and any other of"),
    ],
)
def test_settings_that_cannot_be(change: Dict[str, Any], message: str) -> None:
    with pytest.raises(EditError, match=message):
        LocateSettings(**change)
