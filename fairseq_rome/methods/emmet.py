"""EMMET: as MEMIT, with every request as an equality constraint on each site's change (arXiv 2403.14236)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Mapping, Sequence

from fairseq_rome.methods.base import CoverSettings, EditProblem, Method, SiteResources, register

if TYPE_CHECKING:
    from fairseq_rome.host.sites import Site
    from fairseq_rome.patch import Patch


@dataclass(frozen=True)
class EmmetSettings(CoverSettings):
    """Settings of `emmet`: those of every method that weighs keys."""


@register
class Emmet(Method[EmmetSettings]):
    """All requests in one solve, as constraints."""

    name = "emmet"
    summary = "as memit, with every request as a constraint"
    settings_class = EmmetSettings
    weighs_keys = True
    spread = 3

    def fit_all(
        self, problems: Sequence[EditProblem], resources: Mapping[Site, SiteResources], settings: EmmetSettings
    ) -> Patch:
        """Change each site so that its share of what is still missing at the deepest is met for every request.

        Returns:
            As for `memit`.

        Raises:
            EditError: if no request has a value, the sites are not of one stack, or a solve fails.
        """
        from fairseq_rome.algebra import equality_update
        from fairseq_rome.methods.fitting.batch import fit_range

        return fit_range(self.name, equality_update, problems, resources, settings)
