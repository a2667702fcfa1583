"""Editing methods: those of one request in a file each, `(problem, settings) -> Patch`, and those of many together."""

from __future__ import annotations

from typing import Callable, Dict, Mapping, Sequence

from fairseq_rome.host.sites import Site
from fairseq_rome.methods import alphaedit, gated, nse, rome
from fairseq_rome.methods.base import EditProblem, SiteResources
from fairseq_rome.methods.fitting.batch import emmet, memit
from fairseq_rome.patch import Patch
from fairseq_rome.settings import EditSettings

METHODS: Dict[str, Callable[[EditProblem, EditSettings], Patch]] = {
    "gated": gated.edit,
    "rome": rome.edit,
    "alphaedit": alphaedit.edit,
    "nse": nse.edit,
}
"""The methods of one request by name."""

TOGETHER: Dict[str, Callable[[Sequence[EditProblem], Mapping[Site, SiteResources], EditSettings], Patch]] = {
    "memit": memit,
    "emmet": emmet,
}
"""The methods of many requests by name; the sites in order from the shallowest."""

__all__ = ["METHODS", "TOGETHER", "SiteResources", "EditProblem"]
