"""Causal tracing: which layer and which position carry a behaviour.

Heat maps are in `fairseq_rome.tracing.heat_maps`, apart, for matplotlib is slow to import.
"""

from __future__ import annotations

from fairseq_rome.tracing.carry import find_positive, trace_carry
from fairseq_rome.tracing.causal_trace import CARRY, MODES, NOISE, CausalTrace, StackEffects
from fairseq_rome.tracing.locate_settings import LocateSettings
from fairseq_rome.tracing.locating import locate
from fairseq_rome.tracing.noise import trace_noise
from fairseq_rome.tracing.ranking import RankedSite, order_to_try, ranked_sites, site_list
from fairseq_rome.tracing.trace_files import FORMATS, load_trace, save_trace, write_whole

__all__ = [
    "CARRY",
    "FORMATS",
    "MODES",
    "NOISE",
    "CausalTrace",
    "LocateSettings",
    "RankedSite",
    "StackEffects",
    "find_positive",
    "load_trace",
    "locate",
    "order_to_try",
    "ranked_sites",
    "save_trace",
    "site_list",
    "trace_carry",
    "trace_noise",
    "write_whole",
]
