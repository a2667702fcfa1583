"""The algebra of edits, in plain torch: factors in, factors out, no model.

Shapes: a key k has length f, a value v length d, a feed-forward weight W is d x f. Vectors of a set are rows.
"""

from fairseq_rome.algebra.adam import Adam
from fairseq_rome.algebra.detectors import (
    Detector,
    Negatives,
    Whitening,
    choose_threshold,
    discriminant,
    fit_detector,
    respond,
)
from fairseq_rome.algebra.least_squares import batch_update, compact, equality_update, insert_keys, ridged
from fairseq_rome.algebra.logistic import least_logistic, logistic_loss
from fairseq_rome.algebra.merging import Merge, change_of, merges
from fairseq_rome.algebra.neighbours import Neighbours, distance_to_nearest
from fairseq_rome.algebra.normalising import Running
from fairseq_rome.algebra.projecting import off_span, orthonormal_rows
from fairseq_rome.algebra.reduced_rank import AffineMap, reduced_rank
from fairseq_rome.algebra.sequential import alphaedit_update, nse_neurons, nse_update, null_space
from fairseq_rome.algebra.slot_scorer import SlotQuestions, SlotScorer, fit_slot_scorer

__all__ = [
    "Adam",
    "AffineMap",
    "Detector",
    "Merge",
    "Negatives",
    "Neighbours",
    "Running",
    "SlotQuestions",
    "SlotScorer",
    "Whitening",
    "alphaedit_update",
    "batch_update",
    "change_of",
    "choose_threshold",
    "compact",
    "equality_update",
    "discriminant",
    "distance_to_nearest",
    "fit_detector",
    "fit_slot_scorer",
    "insert_keys",
    "least_logistic",
    "logistic_loss",
    "merges",
    "nse_neurons",
    "nse_update",
    "null_space",
    "off_span",
    "orthonormal_rows",
    "reduced_rank",
    "respond",
    "ridged",
]
