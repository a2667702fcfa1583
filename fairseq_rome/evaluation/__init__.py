"""Judges an edited model against the unedited one, by real decoding alone."""

from fairseq_rome.evaluation.evaluate import Plan, checkers_for, evaluate
from fairseq_rome.evaluation.model import (
    KEEP,
    SAMPLE,
    TEST,
    Change,
    Decoded,
    Evaluation,
    JudgedProbe,
    JudgedRequest,
    JudgedSet,
    Score,
)
from fairseq_rome.evaluation.test_sets import SentenceSet, load_test_set

__all__ = [
    "KEEP",
    "SAMPLE",
    "TEST",
    "Change",
    "Decoded",
    "Evaluation",
    "JudgedProbe",
    "JudgedRequest",
    "JudgedSet",
    "Plan",
    "Score",
    "SentenceSet",
    "checkers_for",
    "evaluate",
    "load_test_set",
]
