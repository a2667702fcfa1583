"""MEMIT: all requests of a run in one least-squares change of each of several sites (arXiv 2210.07229)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Mapping, Sequence

from fairseq_rome.methods.base import CoverSettings, EditProblem, Method, SiteResources, register

if TYPE_CHECKING:
    from fairseq_rome.host.sites import Site
    from fairseq_rome.patch import Patch


@dataclass(frozen=True)
class MemitSettings(CoverSettings):
    """Settings of `memit`: those of every method that weighs keys."""


@register
class Memit(Method[MemitSettings]):
    """All requests in one solve, by least squares."""

    name = "memit"
    summary = "all requests in one update, least squares over a range of sites"
    settings_class = MemitSettings
    weighs_keys = True
    spread = 3

    def fit_all(
        self, problems: Sequence[EditProblem], resources: Mapping[Site, SiteResources], settings: MemitSettings
    ) -> Patch:
        """Change each site by its share of what is still missing at the deepest, for all requests at once.

        Returns:
            One patch with a change of each site; a request that no value could be computed for has no part in it
            (`left_out` in its notes).

        Raises:
            EditError: if no request has a value, the sites are not of one stack, or a solve fails.
        """
        from fairseq_rome.algebra import batch_update
        from fairseq_rome.methods.fitting.batch import fit_range

        return fit_range(self.name, batch_update, problems, resources, settings)
