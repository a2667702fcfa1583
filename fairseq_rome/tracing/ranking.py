"""From a trace to the order in which sites are worth trying."""

from __future__ import annotations

from dataclasses import dataclass
from typing import List, Sequence

from fairseq_rome.host.sites import FFN, Site
from fairseq_rome.tracing.causal_trace import CausalTrace


@dataclass(frozen=True)
class RankedSite:
    """A feed-forward network with the largest effect of its output at any position."""

    site: Site
    effect: float


def ranked_sites(trace: CausalTrace) -> List[RankedSite]:
    """All feed-forward networks that were traced, the largest effect first.

    Of equal ones the decoder's come first, and later layers before earlier ones.
    """
    found = [
        RankedSite(stack.site(layer), float(row[~row.isnan()].max()))
        for stack in trace.stacks
        for layer, row in enumerate(stack.effects.get(FFN, ()))
        if not row.isnan().all()
    ]
    return sorted(found, key=lambda one: (-one.effect, not one.site.in_decoder, -one.site.layer))


def order_to_try(ranked: Sequence[RankedSite]) -> List[Site]:
    """Ranked sites as an edit tries them: the decoder's first, whatever their effects, then the encoder's.

    Noise on the source makes encoder states look strong, while decoding shows that edits hold best in the decoder.
    """
    return sorted((one.site for one in ranked), key=lambda site: not site.in_decoder)


def site_list(ranked: Sequence[RankedSite]) -> str:
    """Sites as `fairseq-edit --site` takes them, in the order in which it tries them."""
    return ",".join(map(str, order_to_try(ranked)))
