"""Sole owner of checkpoint files: safe reading, fingerprints, models, edited states, atomic writing."""

from fairseq_rome.host.checkpoint.building import load_model, portable_cfg, portable_state, reloads_alike
from fairseq_rome.host.checkpoint.edited import PROVENANCE, edited_state, lost_parts, stale_parts
from fairseq_rome.host.checkpoint.plain import is_portable
from fairseq_rome.host.checkpoint.reading import (
    State,
    is_checkpoint,
    read_state,
    saved_languages,
    saved_model_cfg,
    saved_task,
)
from fairseq_rome.host.checkpoint.safe import allow_safe_globals
from fairseq_rome.host.checkpoint.tensors import (
    aliases,
    fingerprint,
    parts_of,
    same_bits,
    share_equal_,
    tensor_fingerprint,
)
from fairseq_rome.host.checkpoint.writing import check_output, stage_state, write_state

__all__ = [
    "PROVENANCE",
    "State",
    "aliases",
    "allow_safe_globals",
    "check_output",
    "edited_state",
    "fingerprint",
    "is_checkpoint",
    "is_portable",
    "load_model",
    "lost_parts",
    "parts_of",
    "portable_cfg",
    "portable_state",
    "read_state",
    "reloads_alike",
    "same_bits",
    "saved_languages",
    "saved_model_cfg",
    "saved_task",
    "share_equal_",
    "stage_state",
    "stale_parts",
    "tensor_fingerprint",
    "write_state",
]
