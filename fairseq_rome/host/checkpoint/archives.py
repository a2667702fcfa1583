"""What a zip archive is that torch can't read: torch's own files are zip archives, and so are others' models."""

from __future__ import annotations

import re
import zipfile
from typing import BinaryIO

_ARRAY = ".npy"
# Marian keeps its settings as an array of this name; models of before that have its names of weights alone.
_MARIAN_SETTINGS = "special:model.yml" + _ARRAY
_MARIAN_WEIGHTS = re.compile(r"(encoder|decoder)_\w+\.npy$|(encoder_|decoder_)?Wemb(_dec)?\.npy$")
_MARIAN_FILE = re.compile(r"\.npz(\.[\w-]+)*$")


def foreign_archive(file: BinaryIO) -> str:
    """What an archive is and what was expected; empty where it is torch's, or can't be read as an archive.

    Args:
        file: open for reading, at any position.
    """
    try:
        with zipfile.ZipFile(file) as archive:
            names = archive.namelist()
    except (zipfile.BadZipFile, OSError, ValueError):
        return ""
    arrays = bool(names) and all(name.endswith(_ARRAY) for name in names)
    if arrays and (_MARIAN_SETTINGS in names or any(map(_MARIAN_WEIGHTS.match, names))):
        return f"is a Marian model, {_EXPECTED}"
    if any(map(_MARIAN_FILE.search, names)):
        return f"is an archive with a Marian model in it, {_EXPECTED}"
    if arrays:
        return "is an archive of NumPy arrays, not a checkpoint"
    if not any(name.endswith("data.pkl") for name in names):
        return "is a zip archive without weights of torch, not a checkpoint"
    return ""


_EXPECTED = (
    "which fairseq can't load; expected a fairseq checkpoint: the model trained in fairseq, or one with "
    "the Marian weights under fairseq's names and dictionaries of the same symbols"
)
