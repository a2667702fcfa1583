"""The journal of a long run: what its results depend on, and which runs keep one."""

from __future__ import annotations

from typing import Any, Dict, Optional, Sequence

import torch

from fairseq_rome.editing.edit_settings import EditSettings
from fairseq_rome.editing.journal import Journal
from fairseq_rome.host.corpus import Corpus
from fairseq_rome.host.other_directions import OtherDirection
from fairseq_rome.methods.registry import method_named
from fairseq_rome.text.requests import EditFile
from fairseq_rome.version import __version__
from fairseq_rome.workbench.opening import OpenModel

SOON_DONE_AGAIN = 8
"""Requests: a run of so few is soon done again, and keeps no journal."""


def journal_of(
    model: OpenModel,
    edit_file: EditFile,
    corpus: Corpus,
    settings: EditSettings,
    beside: str,
    directions: Sequence[OtherDirection] = (),
) -> Journal:
    """The journal of a run, which an interrupted run of the same may have left.

    Args:
        model: the model to edit.
        edit_file: the requests.
        corpus: background sentences.
        settings: of the edit.
        beside: the file that the run is to write; the journal lies next to it.
        directions: other directions, which the edit keeps off.
    """
    return Journal(beside, _described(model, edit_file, corpus, settings, directions))


def described_run(model: OpenModel, settings: EditSettings) -> Dict[str, Any]:
    """What the results of any requests depend on besides these and the data, in plain values."""
    return {
        "version": __version__,
        "weights": model.fingerprint,
        "overrides": repr(model.spec.overrides()),
        "torch": [str(torch.__version__), str(model.translator.batcher.device)],
        "languages": list(model.languages),
        "settings": settings.as_plain(),
        "generation": model.spec.options.search(),
        "batch_size": model.spec.options.values["batch_size"],
    }


def keeps_journal(edit_file: EditFile, settings: EditSettings) -> bool:
    """Whether a run writes its journal: a batch method solves for all requests at once, and has no halfway."""
    return not method_named(settings.method).together and len(edit_file.requests) > SOON_DONE_AGAIN


def kept_by(journal: Optional[Journal]) -> str:
    """What is said where nothing was written of what a journal holds."""
    if journal is None or not journal.done:
        return "nothing was written"
    verb = "is" if journal.done == 1 else "are"
    return f"{done_by(journal)} {verb} done, and kept in {journal.folder}: the same command goes on from there"


def done_by(journal: Journal) -> str:
    """How many requests are done, in words."""
    return f"{journal.done} {'request' if journal.done == 1 else 'requests'}"


def _described(
    model: OpenModel,
    edit_file: EditFile,
    corpus: Corpus,
    settings: EditSettings,
    directions: Sequence[OtherDirection],
) -> Dict[str, Any]:
    """All that the results of the requests depend on, in plain values."""
    codec = model.translator.codec
    targets = [codec.target(request.target) for request in edit_file.requests]
    return {
        **described_run(model, settings),
        "data": [corpus.subset, corpus.fingerprint],
        "directions": [[one.name, one.corpus.fingerprint] for one in directions],
        "requests": [repr(request) for request in edit_file.requests],
        # The same text is other tokens with another subword model or tokenizer, and these other text.
        "sources": [codec.source(request.source).tolist() for request in edit_file.requests],
        "targets": [[target.tolist(), codec.target_text(target)] for target in targets],
        "keep": list(edit_file.keep),
    }
