"""Why a checkpoint does not fit the dictionaries or the architecture, in words that a user can act on."""

from __future__ import annotations

import textwrap
from typing import Any, List, Mapping

from fairseq_rome.host.adapters.base import TaskAdapter

# Characters of fairseq's own words. More tell more of a model that does not fit at all, and fill the screen.
_MOST = 200


def misfit(state: Mapping[str, Any], adapter: TaskAdapter, error: Exception) -> str:
    """What does not fit, and what to do where that is known.

    Args:
        state: the raw contents of the file.
        adapter: of the task that was to build its model.
        error: what building it or loading its weights ended in.
    """
    return _symbols(state["model"], adapter) or _first_line(error)


def _symbols(weights: Mapping[str, Any], adapter: TaskAdapter) -> str:
    """How many symbols the weights are for, where the dictionaries have others; empty where they agree."""
    told: List[str] = []
    for side in ("encoder", "decoder"):
        dictionary = adapter.source_dictionary if side == "encoder" else adapter.target_dictionary
        for name, weight in weights.items():
            if name.endswith(f"{side}.embed_tokens.weight") and weight.shape[0] != len(dictionary):
                rows, known = int(weight.shape[0]), len(dictionary)
                hint = adapter.on_symbols(rows - known)
                told.append(f"the {side} has {rows} symbols, the task's dictionary {known}" + (hint and f"; {hint}"))
    return told[0] if told else ""


def _first_line(error: Exception) -> str:
    first = str(error).split("\n\t", 1)[-1].split("\n", 1)[0].strip()
    return textwrap.shorten(first, _MOST, placeholder=" ...")
