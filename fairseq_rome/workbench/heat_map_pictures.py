"""Heat maps for a report: where the unedited model holds the behaviour that the first requests are about."""

from __future__ import annotations

from typing import Dict, List, Sequence, Tuple

from fairseq_rome.errors import EditError
from fairseq_rome.host.decoding import Translator
from fairseq_rome.host.sites import CROSS_ATTENTION, FFN, SELF_ATTENTION
from fairseq_rome.report import HeatMap
from fairseq_rome.text.requests import EditRequest
from fairseq_rome.tracing import CausalTrace, LocateSettings, StackEffects, locate

_KINDS = {FFN: "FFN", SELF_ATTENTION: "self-attention", CROSS_ATTENTION: "cross-attention"}


def heat_maps(
    translator: Translator, requests: Sequence[EditRequest], most: int, seed: int
) -> Dict[str, Tuple[HeatMap, ...]]:
    """Pictures of the traces of the first requests that can be traced, by id.

    Args:
        translator: the unedited model.
        requests: the requests in order.
        most: requests at most.
        seed: of the noise.
    """
    found: Dict[str, Tuple[HeatMap, ...]] = {}
    chosen = list(requests[:most])
    if not chosen:
        return found
    hypotheses = translator.translate([request.source for request in chosen])
    for request, before in translator.progress(list(zip(chosen, hypotheses)), "tracing"):
        try:
            trace = locate(translator, request, before, LocateSettings(seed=seed))
        except EditError:  # nothing to trace
            continue
        found[request.id] = tuple(_heat_map(trace, effects) for effects in trace.stacks)
    return found


def _heat_map(trace: CausalTrace, effects: StackEffects) -> HeatMap:
    from fairseq_rome.tracing.heat_maps import compact_png

    title = f"{effects.stack}: what brings “{trace.segment}” back"
    description = (
        f"With noise on “{trace.trigger}” its probability falls from {trace.clean:.2g} to {trace.corrupted:.2g}. "
        f"Largest effect of one restored state: {'; '.join(_largest(effects))}."
    )
    return HeatMap(title, compact_png(trace, effects.stack), description)


def _largest(effects: StackEffects) -> List[str]:
    """The largest effect of each kind of state, in words."""
    told = []
    for kind, array in effects.effects.items():
        flat = array.nan_to_num(float("-inf"))
        layer, position = divmod(int(flat.argmax()), flat.shape[1])
        token = effects.tokens[position].replace("\u2581", "")
        told.append(f"{_KINDS[kind]} {float(flat.max()):.2g} (layer {layer}, “{token}”)")
    return told
