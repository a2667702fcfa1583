"""Heat maps of a trace: a panel for each kind of state, layers across, subwords down, as in ROME's figures."""

from __future__ import annotations

from io import BytesIO
from typing import Any, Dict, Tuple

from matplotlib import colormaps
from matplotlib.figure import Figure
from PIL import Image
from torch import Tensor

from fairseq_rome.host.sites import CROSS_ATTENTION, FFN, SELF_ATTENTION
from fairseq_rome.tracing.causal_trace import CARRY, CausalTrace, StackEffects

IMAGES = ("png", "svg")
"""Formats that heat maps are written in."""
_TITLES = {FFN: "FFN", SELF_ATTENTION: "self-attention", CROSS_ATTENTION: "cross-attention"}
_LONGEST = 44
_ROW, _LEAST_HEIGHT, _FRAME = 0.17, 1.2, 1.6
_PANEL, _LABELS = 1.5, 1.6
_DPI = 110
_SMALLER_DPI = (_DPI, 96, 84, 72, 60)
_COMPACT_BYTES = 15_000
# A ground of its own, so that dark and light pages show the same; a cell that was not restored is no white one.
_GROUND, _INK, _BLANK = "#ffffff", "#222222", "#d8d8d8"
_COLOURS = 128
# In probability: where a whole panel has less, it is to look like little.
_LEAST_SCALE = 0.01


def heat_map(trace: CausalTrace, stack: str) -> Figure:
    """The effects of one stack.

    Each panel has a scale of its own, symmetric about zero: red gains, blue loses, white does neither, and grey was
    not restored. Labels of the trigger (encoder) or of the segment (decoder) have a star.

    Args:
        trace: the trace.
        stack: name of one of its stacks.

    Raises:
        EditError: if the trace has no such stack.
    """
    effects = trace.stack(stack)
    figure = Figure(figsize=_size(effects), dpi=_DPI, layout="constrained", facecolor=_GROUND)
    panels = figure.subplots(1, len(effects.effects), sharey=True, squeeze=False)[0]
    for axes, (kind, array) in zip(panels, effects.effects.items()):
        _panel(figure, axes, _TITLES.get(kind, kind), array)
    _label(panels[0], effects)
    figure.suptitle(_title(trace, effects), fontsize=9, color=_INK).set_parse_math(False)
    return figure


def _panel(figure: Figure, axes: Any, title: str, array: Tensor) -> None:
    limit = max(float(array.nan_to_num().abs().max()), _LEAST_SCALE)
    shown = axes.imshow(
        array.T.numpy(), cmap=colormaps["RdBu_r"].with_extremes(bad=_BLANK), vmin=-limit, vmax=limit,
        aspect="auto", interpolation="nearest",
    )  # fmt: skip
    axes.set_title(title, fontsize=9, color=_INK)
    axes.set_xticks(range(len(array)))
    axes.set_xlabel("layer", fontsize=8, color=_INK)
    axes.tick_params(labelsize=7, colors=_INK, length=2)
    bar = figure.colorbar(
        shown, ax=axes, location="bottom", ticks=[-limit, 0, limit], format="{x:.2g}", aspect=14
    )
    bar.ax.tick_params(labelsize=7, colors=_INK, length=2)


def image(figure: Figure, format: str = "png", dpi: float = _DPI) -> bytes:
    """A figure as a file of one of `IMAGES`; PNG with a palette, a third of the size of one without."""
    buffer = BytesIO()
    # Without the date that SVG would carry.
    metadata: Dict[str, Any] = {"Date": None} if format == "svg" else {}
    figure.savefig(buffer, format=format, dpi=dpi, facecolor=_GROUND, metadata=metadata)
    if format != "png":
        return buffer.getvalue()
    small = BytesIO()
    Image.open(buffer).convert("RGB").quantize(_COLOURS).save(small, "PNG", optimize=True)
    return small.getvalue()


def compact_png(trace: CausalTrace, stack: str, most: int = _COMPACT_BYTES) -> bytes:
    """A heat map small enough to be a part of a page.

    Args:
        trace: the trace.
        stack: name of one of its stacks.
        most: bytes that it should not exceed; that of a very long sentence may, to stay legible.
    """
    figure = heat_map(trace, stack)
    data = b""
    for dpi in _SMALLER_DPI:
        data = image(figure, "png", dpi)
        if len(data) <= most:
            break
    return data


def labels(effects: StackEffects) -> Tuple[str, ...]:
    """A label for each position: its subword, with a star where the position is marked."""
    return tuple(
        f"{token} *" if position in effects.marked else token for position, token in enumerate(effects.tokens)
    )


def _size(effects: StackEffects) -> Tuple[float, float]:
    """Width and height in inches."""
    height = max(_LEAST_HEIGHT, _ROW * len(effects.tokens)) + _FRAME
    return _LABELS + _PANEL * len(effects.effects), height


def _label(axes: Any, effects: StackEffects) -> None:
    axes.set_yticks(range(len(effects.tokens)), labels=list(labels(effects)))
    for position, text in enumerate(axes.get_yticklabels()):
        text.set_parse_math(False)  # a dollar is a dollar
        text.set_fontweight("bold" if position in effects.marked else "normal")
    meaning = "target subword predicted (* segment)" if effects.in_decoder else "source subword (* trigger)"
    axes.set_ylabel(meaning, fontsize=8, color=_INK)


def _title(trace: CausalTrace, effects: StackEffects) -> str:
    short = trace.segment if len(trace.segment) <= _LONGEST else trace.segment[: _LONGEST - 3] + "..."
    low, high = ("request", "positive") if trace.mode == CARRY else ("corrupted", "clean")
    return (
        f"{effects.stack}: probability of {short} gained by one state\n"
        f"{low} run {trace.corrupted:.3g}, {high} run {trace.clean:.3g}"
    )
