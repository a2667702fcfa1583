"""Edits as data: made in place, taken back exactly, kept in files that know what they apply to."""

from fairseq_rome.patch.beside import Beside, besides_on, set_besides_
from fairseq_rome.patch.changes import Change, Patch
from fairseq_rome.patch.codebook import Codebook
from fairseq_rome.patch.comparing import Comparison, compare
from fairseq_rome.patch.composing import composed, grown_widths
from fairseq_rome.patch.datastore import Datastore
from fairseq_rome.patch.demanded_terms import DemandedTerm, DemandedTerms
from fairseq_rome.patch.dense_change import DenseChange
from fairseq_rome.patch.fitting import fitting, merged, told
from fairseq_rome.patch.handed_over import HandedOver
from fairseq_rome.patch.hooks import HookedPatches
from fairseq_rome.patch.in_model import (
    WeightPatches,
    applied,
    apply_,
    differing,
    preserved,
    relative_size,
    restore_,
)
from fairseq_rome.patch.intervention import Intervention
from fairseq_rome.patch.low_rank_change import LowRankChange
from fairseq_rome.patch.marks import Lineage, Mark, lineages
from fairseq_rome.patch.neuron_change import NeuronChange
from fairseq_rome.patch.packing import packed, unpacked
from fairseq_rome.patch.patch_files import (
    PatchFile,
    load_patches,
    patch_file,
    patch_files,
    patch_paths,
    save_patches,
)
from fairseq_rome.patch.patch_folder import check_patch_folder, file_names, is_folder, write_folder
from fairseq_rome.patch.rule_book import RuleBook
from fairseq_rome.patch.stack import Stack, base_weights, read_stack, with_patches, without_patches
from fairseq_rome.patch.trained_corrector import TrainedCorrector

__all__ = [
    "Beside",
    "Change",
    "Codebook",
    "Comparison",
    "Datastore",
    "DemandedTerm",
    "DemandedTerms",
    "DenseChange",
    "HandedOver",
    "HookedPatches",
    "Intervention",
    "Lineage",
    "LowRankChange",
    "Mark",
    "NeuronChange",
    "Patch",
    "PatchFile",
    "RuleBook",
    "Stack",
    "TrainedCorrector",
    "WeightPatches",
    "applied",
    "apply_",
    "base_weights",
    "besides_on",
    "check_patch_folder",
    "compare",
    "composed",
    "differing",
    "file_names",
    "fitting",
    "grown_widths",
    "is_folder",
    "lineages",
    "load_patches",
    "merged",
    "packed",
    "patch_file",
    "patch_files",
    "patch_paths",
    "preserved",
    "read_stack",
    "relative_size",
    "restore_",
    "save_patches",
    "set_besides_",
    "told",
    "unpacked",
    "with_patches",
    "without_patches",
    "write_folder",
]
