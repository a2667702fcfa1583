"""The table and the figure of `benchmark_curves.py`: means over seeds, and the spread between them."""

from __future__ import annotations

import logging
from pathlib import Path
from statistics import mean
from typing import Any, Callable, Dict, List, Mapping, Optional, Sequence, Tuple

Record = Mapping[str, Any]
Value = Callable[[Record], Optional[float]]

_PANELS: Tuple[Tuple[str, Value], ...] = (
    ("past edits that hold", lambda record: record["held"] / record["edits"]),
    ("probes that show the change", lambda record: record["shown"] / record["probes"] if record["probes"] else None),
    ("other outputs identical", lambda record: record["identical"] / record["unrelated"]),
    ("BLEU on the test set", lambda record: record["bleu"]),
    ("validation loss, bits a token", lambda record: record["loss"]),
)
# A paired bootstrap says nothing of one or two changed sentences.
_A_LOSS = 0.01
# A spread below this is none in three digits.
_SEEN = 0.0005
_HEADER = (
    "method", "edits", "orders", "hold", "probes", "identical", "BLEU", "p", "loss", "CPU s an edit", "patches",
)  # fmt: skip


def draw(records: Sequence[Record], figure: Optional[Path]) -> str:
    """The Markdown table of some results; also draws the figure if a file is named.

    A method that gave up left the model as it was: it is counted among the orders, and has no part in the means.
    """
    points = _points(records)
    groups = {key: _edited(group) for key, group in points.items()}
    if figure is not None:
        _figure({key: group for key, group in groups.items() if group}, figure)
    rows = [_row(*key, groups[key], len(group)) for key, group in points.items()]
    return "\n".join([_line(_HEADER), _line(["---"] * len(_HEADER)), *map(_line, rows)])


def figures_with_origin(records: Sequence[Record]) -> List[Tuple[Dict[str, Any], Mapping[str, str]]]:
    """A row of docs/results.md for each row of the table, with the command that measured it."""
    found = []
    for (method, edits), group in _points(records).items():
        figures = {"method": method, "edits": edits, "orders": len(_edited(group)), "orders_asked": len(group)}
        found.append(({**figures, **_means(_edited(group))}, group[0]["origin"]))
    return found


def _points(records: Sequence[Record]) -> Dict[Tuple[str, int], List[Record]]:
    """The results by method, as these first come, and number of edits, in order."""
    points: Dict[Tuple[str, int], List[Record]] = {}
    for record in records:
        points.setdefault((record["method"], record["edits"]), []).append(record)
    methods = list(dict.fromkeys(method for method, _ in points))
    return {key: points[key] for key in sorted(points, key=lambda key: (methods.index(key[0]), key[1]))}


def _edited(group: Sequence[Record]) -> List[Record]:
    return [record for record in group if not record["fault"]]


def _means(records: Sequence[Record]) -> Dict[str, Any]:
    """The figures of a row; None for what was not measured."""
    found: Dict[str, Any] = {}
    for name, (_, value) in zip(("hold", "probes", "identical", "bleu", "loss"), _PANELS):
        values = _known(value, records)
        found[name] = round(mean(values), 2 if name == "bleu" else 3) if values else None
        spread = max((abs(one - mean(values)) for one in values), default=0.0)
        if name in ("hold", "probes", "identical") and spread >= _SEEN:
            found[f"{name}_spread"] = round(spread, 3)
    intervals = [record["bleu_interval"] for record in records if record["bleu_interval"] is not None]
    found.update({"bleu_spread": round(mean(intervals), 2)} if intervals else {})
    sizes = [record["patch_bytes"] for record in records if record["patch_bytes"] is not None]
    return {
        **found, "p": _p_value(records), "patches_kib": round(mean(sizes) / 1024) if sizes else None,
        "cpu_seconds": round(mean(record["seconds"] for record in records), 2) if records else None,
    }  # fmt: skip


def _p_value(records: Sequence[Record]) -> Optional[float]:
    """The smallest of the orders that lost something."""
    tested = [record["p_value"] for record in records if record["bleu_before"] - record["bleu"] >= _A_LOSS]
    return min(tested, default=None)


def _row(method: str, edits: int, records: Sequence[Record], orders: int) -> List[str]:
    counted = str(orders) if orders == len(records) else f"{len(records)} of {orders}"
    if not records:
        return [method, f"{edits:,}", counted, *[""] * (len(_HEADER) - 3)]
    held, shown, same, bleus, losses = (_known(value, records) for _, value in _PANELS)
    intervals = [record["bleu_interval"] for record in records if record["bleu_interval"] is not None]
    bleu = f"{mean(bleus):.2f}" + (f" ± {mean(intervals):.2f}" if intervals else "")
    p_value = _p_value(records)
    sizes = [record["patch_bytes"] for record in records if record["patch_bytes"] is not None]
    return [
        method, f"{edits:,}", counted, *map(_share, (held, shown, same)),
        bleu, "" if p_value is None else f"{p_value:.3f}",
        f"{mean(losses):.3f}", f"{mean(record['seconds'] for record in records):.2f}", _size(sizes),
    ]  # fmt: skip


def _known(value: Value, records: Sequence[Record]) -> List[float]:
    """The values of the records that have one: some orders begin without a probe."""
    found = [value(record) for record in records]
    return [one for one in found if one is not None]


def _share(values: Sequence[float]) -> str:
    """The mean, and how far the farthest value lies from it."""
    if not values:
        return ""
    middle = mean(values)
    spread = max(abs(value - middle) for value in values)
    return f"{middle:.3f}" + (f" ± {spread:.3f}" if spread >= _SEEN else "")


def _size(sizes: Sequence[int]) -> str:
    return f"{mean(sizes) / 1024:,.0f} KiB" if sizes else "the model"


def _line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _figure(groups: Mapping[Tuple[str, int], Sequence[Record]], path: Path) -> None:
    logging.getLogger("matplotlib").setLevel(logging.WARNING)
    import matplotlib

    matplotlib.use("Agg")
    import numpy as np
    from matplotlib import pyplot

    methods = list(dict.fromkeys(method for method, _ in groups))
    canvas, axes = pyplot.subplots(2, 3, figsize=(11, 6), layout="constrained")
    panels = list(axes.flat)
    for (label, value), axis in zip(_PANELS, panels):
        for number, method in enumerate(methods):
            found = {edits: _known(value, group) for (name, edits), group in groups.items() if name == method}
            counts = sorted(edits for edits, values in found.items() if values)
            middle, low, high = ([of(found[edits]) for edits in counts] for of in (mean, min, max))
            axis.plot(np.array(counts), middle, marker="o", markersize=3, label=method, color=f"C{number}")
            axis.fill_between(counts, low, high, alpha=0.2, color=f"C{number}")
        if any(line.get_xdata().size for line in axis.lines):
            axis.set_xscale("log", base=4)
        axis.xaxis.set_major_formatter("{x:,.0f}")
        axis.set_xlabel("edits")
        axis.set_title(label, fontsize=10)
        axis.grid(alpha=0.3)
    panels[-1].legend(*panels[0].get_legend_handles_labels(), loc="center left")
    panels[-1].axis("off")
    canvas.savefig(path)
    pyplot.close(canvas)
