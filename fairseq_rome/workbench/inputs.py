"""The files that a run reads, which nothing that it writes may replace."""

from __future__ import annotations

import os
from glob import escape, glob
from typing import Iterable, List, Optional, Sequence

from fairseq_rome.text.requests import COMPANIONS
from fairseq_rome.workbench.specs import ModelSpec

# Options of fairseq that name files of the tokenizer or the subword model.
_TEXT_MODELS = ("sentencepiece_model", "bpe_codes", "bpe_vocab", "gpt2_encoder_json", "gpt2_vocab_bpe")
_DATA = ("dict.*.txt", "*.bin", "*.idx")


def input_files(
    spec: ModelSpec, prefixes: Iterable[str], languages: Sequence[str], others: Iterable[Optional[str]] = ()
) -> List[str]:
    """The checkpoint, patches, parallel text, other files, subword model and data of a run, as far as they exist.

    Args:
        spec: what is opened.
        prefixes: of parallel text: the edit file and test sets.
        languages: codes of source and target, as far as they are known.
        others: further files.
    """
    values = spec.options.values
    models = (values.get(name) for name in _TEXT_MODELS)
    sides = [
        f"{prefix}.{part}{language}"
        for prefix in prefixes
        for part in ("", *COMPANIONS)
        for language in languages
    ]
    data = [
        path
        for folder in spec.options.data.split(os.pathsep)
        for pattern in _DATA
        for path in glob(os.path.join(escape(folder), pattern))
    ]
    paths = [values["path"], *prefixes, *others, *models, *spec.patches, *sides, *data]
    return [path for path in paths if isinstance(path, str) and os.path.isfile(path)]
