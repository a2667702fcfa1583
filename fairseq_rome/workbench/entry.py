"""How Python opens a workbench: `fairseq_rome.open`."""

from __future__ import annotations

from typing import Any, Optional, Sequence

from fairseq_rome.host.configuration import FairseqOptions
from fairseq_rome.host.decoding import Progress, silent
from fairseq_rome.host.user_dir import share_user_dir
from fairseq_rome.workbench.opening import open_model
from fairseq_rome.workbench.specs import CACHE_SIZE, ModelSpec
from fairseq_rome.workbench.workbench import Workbench


def open_workbench(
    path: str,
    *,
    data: str,
    source: Optional[str] = None,
    target: Optional[str] = None,
    task: str = "translation",
    bpe: Optional[str] = None,
    tokenizer: Optional[str] = None,
    device: str = "cpu",
    patches: Sequence[str] = (),
    trust: bool = False,
    cache: Optional[str] = None,
    cache_size: int = CACHE_SIZE,
    progress: Progress = silent,
    **options: Any,
) -> Workbench:
    """Open a fairseq checkpoint, as `fairseq_rome.open`.

    Args:
        path: the checkpoint.
        data: the data directory of fairseq-preprocess, with the dictionaries and a training side.
        source: code of the source language; None to infer it from the data directory.
        target: code of the target language, likewise.
        task: name of the fairseq task.
        bpe: name of the subword model, such as `sentencepiece`; its file goes to an option of its own, such as
            `sentencepiece_model`.
        tokenizer: name of the tokenizer, such as `moses`.
        device: where the model computes, such as `cpu` or `cuda`.
        patches: patch files whose edits are made in the checkpoint as it is read.
        trust: allow a checkpoint that runs code when it is loaded.
        cache: folder where statistics, and what the unedited model says, are kept between runs; None for none.
        cache_size: most megabytes of what the unedited model says; what was used least recently goes.
        progress: wraps long loops; takes the items and a label.
        options: any other option of fairseq-generate by its name, such as `beam=4`.

    Raises:
        EditError: for whatever a user can put right.
    """
    share_user_dir()
    found = FairseqOptions.of(path, data, source, target, task, bpe, tokenizer, **options)
    half = bool(found.values.get("fp16"))
    spec = ModelSpec(
        found, device, half, patches=tuple(patches), trust=trust, cache=cache, cache_size=cache_size
    )  # fmt: skip
    return Workbench(open_model(spec, progress))
