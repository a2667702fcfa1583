"""Adapters: each kind of fairseq task is known by one of them, and the rest are refused by name."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
import torch
from conftest import Demo, Tiny

from fairseq_rome.errors import EditError
from fairseq_rome.host.adapters import adapter_for
from fairseq_rome.host.adapters.base import ADAPTERS, register
from fairseq_rome.host.adapters.translation import TranslationAdapter


def test_translation_is_known(tiny: Tiny) -> None:
    adapter = tiny.task()
    assert isinstance(adapter, TranslationAdapter)
    assert adapter.languages == ("en", "de") and adapter.data == str(tiny.data)
    assert adapter.load_split("nothing") is None
    split = adapter.load_split("valid")
    assert split is not None
    source, target = adapter.pair(split[0])
    assert target is not None and (source.dtype, target.dtype) == (torch.int64, torch.int64)
    assert int(source[-1]) == adapter.source_dictionary.eos() == int(target[-1])


def test_other_kinds_are_refused_by_name() -> None:
    message = "task SimpleNamespace: models of this kind can't be edited, expected one of: .*translation"
    with pytest.raises(EditError, match=message):
        adapter_for(SimpleNamespace())


def test_a_new_kind_is_one_class(demo: Demo) -> None:
    class Other(TranslationAdapter):
        kind = "other"

        @classmethod
        def takes(cls, task: Any) -> bool:
            return isinstance(task, SimpleNamespace)

    register(Other)
    try:
        assert isinstance(adapter_for(SimpleNamespace()), Other)
        assert type(adapter_for(demo.task.task)) is TranslationAdapter
    finally:
        ADAPTERS.remove(Other)


def test_sources_keep_their_order_in_a_batch(demo: Demo) -> None:
    sources = [demo.codec.source(text) for text in ("A dog.", "The shop assistants can read the poem.", "Two men.")]
    batch = demo.task.source_batch(sources)
    assert batch["src_lengths"].tolist() == [len(tokens) for tokens in sources]
    pad = demo.task.source_dictionary.pad()
    for row, tokens in zip(batch["src_tokens"], sources):
        assert row[row.ne(pad)].tolist() == tokens.tolist()
