"""Edits as data: made in place, taken back exactly, kept in files that know what they apply to."""

from fairseq_rome.patch.changes import (
    Change,
    LowRankChange,
    NeuronChange,
    Patch,
    applied,
    apply_,
    preserved,
    relative_size,
)
from fairseq_rome.patch.files import PatchFile, apply_file_, load_patches, save_patches

__all__ = [
    "Change",
    "LowRankChange",
    "NeuronChange",
    "Patch",
    "PatchFile",
    "applied",
    "apply_",
    "apply_file_",
    "load_patches",
    "preserved",
    "relative_size",
    "save_patches",
]
