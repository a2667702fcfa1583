"""Checkers of the four editing tasks: whether an output shows the fault that a task is about. Text only."""

from __future__ import annotations

from typing import Sequence, Tuple

from fairseq_rome.errors import EditError
from fairseq_rome.text.checkers.checker import Checker, Observation
from fairseq_rome.text.checkers.hallucination import HallucinationChecker
from fairseq_rome.text.checkers.number import NumberChecker
from fairseq_rome.text.checkers.term import TermChecker
from fairseq_rome.text.checkers.untranslated import UntranslatedChecker

TASKS = ("term", "number", "hallucination", "untranslated")
"""The tasks by name."""


def build_checker(
    task: str, source_lang: str, target_lang: str, training: Sequence[Tuple[str, str]] = ()
) -> Checker:
    """The checker of a task.

    Args:
        task: one of `TASKS`.
        source_lang: code of the source language.
        target_lang: code of the target language.
        training: source and target texts of the training side, which tell what it copies, how long its
            translations are and which strings it repeats.

    Raises:
        EditError: if there is no such task.
    """
    if task == "term":
        return TermChecker(source_lang, target_lang)
    if task == "number":
        return NumberChecker(source_lang, target_lang)
    if task == "hallucination":
        return HallucinationChecker(source_lang, training)
    if task == "untranslated":
        return UntranslatedChecker(source_lang, target_lang, training)
    raise EditError(f"task {task!r}: unknown, expected one of {', '.join(TASKS)}")


__all__ = ["TASKS", "Checker", "Observation", "build_checker"]
