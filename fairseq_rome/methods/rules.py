"""Rules after the model: regular expressions that replace the unwanted words in what it says; no weight changes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from fairseq_rome.methods.base import EditProblem, Method, register
from fairseq_rome.settings import Settings

if TYPE_CHECKING:
    from fairseq_rome.patch import Patch


@dataclass(frozen=True)
class RulesSettings(Settings):
    """Settings of `rules`: it has none of its own."""


@register
class Rules(Method[RulesSettings]):
    """One request at a time, by rules on outputs."""

    name = "rules"
    summary = "behind the model, unwanted words are replaced where the source holds the trigger"
    settings_class = RulesSettings
    changes_weights = False
    at_site = False

    def fit(self, problem: EditProblem, settings: RulesSettings) -> Patch:
        """One rule for each form of the unwanted segment.

        Raises:
            EditError: where the request only adds words, so that there is nothing to replace.
        """
        from fairseq_rome.methods.fitting.texts import where_it_is_wanted
        from fairseq_rome.patch import Patch, RuleBook
        from fairseq_rome.text.output_rules import rules_of

        case = problem.case
        rules = rules_of(case.difference, where_it_is_wanted(problem), case.request.id)
        return Patch(self.name, problem.site, (), {"rules": float(len(rules))}, beside=(RuleBook(rules),))
