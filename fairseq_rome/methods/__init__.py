"""Editing methods: those of one request in a file each, `(work, settings) -> Patch`, and those of many together."""

from __future__ import annotations

from typing import Callable, Dict, Mapping, Sequence

from fairseq_rome.methods import alphaedit, gated, nse, rome
from fairseq_rome.methods.together import emmet, memit
from fairseq_rome.methods.work import Ground, Work
from fairseq_rome.patch import Patch
from fairseq_rome.settings import EditSettings
from fairseq_rome.sites import Site

METHODS: Dict[str, Callable[[Work, EditSettings], Patch]] = {
    "gated": gated.edit,
    "rome": rome.edit,
    "alphaedit": alphaedit.edit,
    "nse": nse.edit,
}
"""The methods of one request by name."""

TOGETHER: Dict[str, Callable[[Sequence[Work], Mapping[Site, Ground], EditSettings], Patch]] = {
    "memit": memit,
    "emmet": emmet,
}
"""The methods of many requests by name; the sites in order from the shallowest."""

__all__ = ["METHODS", "TOGETHER", "Ground", "Work"]
