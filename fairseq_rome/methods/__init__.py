"""Editing methods, one file each, all of one signature: `(work, settings) -> Patch`."""

from __future__ import annotations

from typing import Callable, Dict

from fairseq_rome.methods import gated, rome
from fairseq_rome.methods.work import Work
from fairseq_rome.patch import Patch
from fairseq_rome.settings import EditSettings

METHODS: Dict[str, Callable[[Work, EditSettings], Patch]] = {"gated": gated.edit, "rome": rome.edit}
"""The methods by name."""

__all__ = ["METHODS", "Work"]
