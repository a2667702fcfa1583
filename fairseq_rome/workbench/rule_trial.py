"""A dry run of rules: what they would change in a corpus of outputs, without a model."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Tuple

from fairseq_rome.errors import EditError
from fairseq_rome.patch import RuleBook, load_patches
from fairseq_rome.text.output_rules import Rule, RuleChange, rule_changes
from fairseq_rome.text.requests.lines import read_text_lines


@dataclass(frozen=True)
class RuleTrial:
    """What rules would change.

    Args:
        rules: the rules, in their order.
        sentences: how many outputs were looked at.
        changes: those that would change.
    """

    rules: Tuple[Rule, ...]
    sentences: int
    changes: Tuple[RuleChange, ...]

    def count(self, number: int) -> int:
        """How many outputs the rule of a number, from 1, would change."""
        return sum(number in change.rules for change in self.changes)


def try_rules(path: str, sources: str, outputs: str) -> RuleTrial:
    """Look at what the rules of a file would change.

    Args:
        path: a table of rules, or a patch file that holds some.
        sources: file of source sentences.
        outputs: file of what a model says of them, line by line; or their reference translations.

    Raises:
        EditError: if a file can't be read, there are no rules, or the two texts are not of one length.
    """
    pieces = [piece for patch in load_patches(path).patches for piece in patch.beside]
    rules = tuple(rule for piece in pieces if isinstance(piece, RuleBook) for rule in piece.rules)
    if not rules:
        raise EditError(f"{path}: holds no rules, expected a table of them, or what --method rules saved")
    texts = [read_text_lines(one) for one in (sources, outputs)]
    if len(texts[0]) != len(texts[1]):
        raise EditError(
            f"{outputs}: {len(texts[1])} lines, expected {len(texts[0])}, an output for each line of {sources}"
        )
    return RuleTrial(rules, len(texts[0]), tuple(rule_changes(rules, *texts)))
