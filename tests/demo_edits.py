"""Runs `edit` on the demo model in this process, small enough for a test."""

from __future__ import annotations

from typing import Any, Dict, Sequence

import torch
from conftest import Demo
from edit_runs import probes

from fairseq_rome.editing.edit_settings import EditSettings
from fairseq_rome.editing.outcome import Outcome
from fairseq_rome.editing.run import edit
from fairseq_rome.editing.surroundings import Surroundings
from fairseq_rome.host.corpus import load_corpus
from fairseq_rome.patch import Patch, packed
from fairseq_rome.settings import with_settings
from fairseq_rome.text.requests import EditFile, EditRequest
from fairseq_rome.text.segments import Endings

QUICK = EditSettings(edit_contexts=0, edit_stats_tokens=2000, edit_sample=4, edit_tries=1)
RECORDS = list(probes().values())


def of_demo(number: int, **fields: Any) -> EditRequest:
    """One of the demo's requests."""
    record = RECORDS[number]
    given = {name: record[name] for name in ("id", "source", "target", "trigger")}
    return EditRequest(**{**given, **fields})


def run(demo: Demo, requests: Sequence[EditRequest], settings: Dict[str, Any], **more: Any) -> Outcome:
    """The outcome of some requests with quick settings, but for those given."""
    corpus = load_corpus(demo.codec, seed=1, most=400)
    surroundings = Surroundings(corpus, Endings.of("en", "de"), **more)
    return edit(
        demo.translator, EditFile(tuple(requests)), with_settings(QUICK, settings, "test"), surroundings
    )


def assert_same_bits(patches: Sequence[Patch], others: Sequence[Patch]) -> None:
    """The same changes, keys and notes, bit for bit."""
    (records, tensors), (other_records, other_tensors) = packed(patches), packed(others)
    assert records == other_records
    assert list(tensors) == list(other_tensors)
    assert all(torch.equal(tensor, other_tensors[name]) for name, tensor in tensors.items())
