"""Constrained decoding: the search has to say the wanted term where the source holds the trigger; no weight changes.

By fairseq's lexically constrained beam search with dynamic beam allocation (Post and Vilar 2018, arXiv 1804.06609; Hu
et al. 2019, NAACL N19-1090).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from fairseq_rome.errors import EditError
from fairseq_rome.methods.base import EditProblem, Method, register
from fairseq_rome.settings import Settings

if TYPE_CHECKING:
    from fairseq_rome.patch import Patch


@dataclass(frozen=True)
class ConstrainedSettings(Settings):
    """Settings of `constrained`: it has none of its own."""


@register
class Constrained(Method[ConstrainedSettings]):
    """One request at a time, by a term that the search has to say."""

    name = "constrained"
    summary = "the search has to say the wanted words where the source holds the trigger"
    settings_class = ConstrainedSettings
    changes_weights = False
    at_site = False

    def fit(self, problem: EditProblem, settings: ConstrainedSettings) -> Patch:
        """The wanted segment as it is in the request; its other forms are not known before a sentence is decoded.

        Raises:
            EditError: where the request only removes words, so that there is nothing to demand, or where the change
                hangs on no trigger, so that every output would have to hold the term.
        """
        from fairseq_rome.methods.fitting.texts import where_it_is_wanted
        from fairseq_rome.patch import DemandedTerm, DemandedTerms, Patch

        difference, source = problem.case.difference, where_it_is_wanted(problem)
        if not difference.wanted:
            raise EditError("constrained decoding demands words, and the request only removes some")
        if not source:
            raise EditError("constrained decoding demands words by the source, expected --edit-scope trigger")
        terms = DemandedTerms((DemandedTerm(source, difference.wanted),))
        return Patch(self.name, problem.site, (), {}, beside=(terms,))
