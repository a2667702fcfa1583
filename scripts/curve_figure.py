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
_HEADER = (
    "method", "edits", "orders", "hold", "probes", "identical", "BLEU", "p", "loss", "CPU s an edit", "patches",
)  # fmt: skip


def draw(records: Sequence[Record], figure: Optional[Path]) -> str:
    """The Markdown table of some results; also draws the figure if a file is named.

    A method that gave up left the model as it was: it is counted among the orders, and has no part in the means.
    """
    points: Dict[Tuple[str, int], List[Record]] = {}
    for record in records:
        points.setdefault((record["method"], record["edits"]), []).append(record)
    groups = {key: [record for record in group if not record["fault"]] for key, group in points.items()}
    if figure is not None:
        _figure({key: group for key, group in groups.items() if group}, figure)
    methods = list(dict.fromkeys(method for method, _ in groups))
    rows = [
        _row(*key, groups[key], len(points[key]))
        for key in sorted(groups, key=lambda key: (methods.index(key[0]), key[1]))
    ]
    return "\n".join([_line(_HEADER), _line(["---"] * len(_HEADER)), *map(_line, rows)])


def _row(method: str, edits: int, records: Sequence[Record], orders: int) -> List[str]:
    counted = str(orders) if orders == len(records) else f"{len(records)} of {orders}"
    if not records:
        return [method, f"{edits:,}", counted, *[""] * (len(_HEADER) - 3)]
    held, shown, same, bleus, losses = (_known(value, records) for _, value in _PANELS)
    intervals = [record["bleu_interval"] for record in records if record["bleu_interval"] is not None]
    bleu = f"{mean(bleus):.2f}" + (f" ± {mean(intervals):.2f}" if intervals else "")
    tested = [record["p_value"] for record in records if record["bleu_before"] - record["bleu"] >= _A_LOSS]
    sizes = [record["patch_bytes"] for record in records if record["patch_bytes"] is not None]
    return [
        method, f"{edits:,}", counted, *map(_share, (held, shown, same)),
        bleu, f"{min(tested):.3f}" if tested else "",
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
    return f"{middle:.3f}" + (f" ± {spread:.3f}" if spread >= 0.0005 else "")


def _size(sizes: Sequence[int]) -> str:
    return f"{mean(sizes) / 1024:,.0f} KiB" if sizes else "the model"


def _line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _figure(groups: Mapping[Tuple[str, int], Sequence[Record]], path: Path) -> None:
    import matplotlib

    matplotlib.use("Agg")
    logging.getLogger("matplotlib").setLevel(logging.WARNING)
    from matplotlib import pyplot

    methods = list(dict.fromkeys(method for method, _ in groups))
    canvas, axes = pyplot.subplots(2, 3, figsize=(11, 6), layout="constrained")
    panels = list(axes.flat)
    for (label, value), axis in zip(_PANELS, panels):
        for number, method in enumerate(methods):
            found = {edits: _known(value, group) for (name, edits), group in groups.items() if name == method}
            counts = sorted(edits for edits, values in found.items() if values)
            middle, low, high = ([of(found[edits]) for edits in counts] for of in (mean, min, max))
            axis.plot(counts, middle, marker="o", markersize=3, label=method, color=f"C{number}")
            axis.fill_between(counts, low, high, alpha=0.2, color=f"C{number}")
        axis.set_xscale("log", base=4)
        axis.xaxis.set_major_formatter("{x:,.0f}")
        axis.set_xlabel("edits")
        axis.set_title(label, fontsize=10)
        axis.grid(alpha=0.3)
    panels[-1].legend(*panels[0].get_legend_handles_labels(), loc="center left")
    panels[-1].axis("off")
    canvas.savefig(path)
    pyplot.close(canvas)
