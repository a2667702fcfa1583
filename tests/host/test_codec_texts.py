"""Many sentences read as text at once are read as each is alone."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from conftest import Demo

from fairseq_rome.host.codec import content

SENTENCES = ["A man rides a bike.", "Yes.", "The bank is shut, and so is the other bank."]


@pytest.mark.parametrize("segmented", [False, True])
def test_texts_of_many_sentences(demo: Demo, segmented: bool) -> None:
    codec = replace(demo.codec, segmented=segmented, target_end=7)
    dictionary = demo.task.source_dictionary
    end = torch.tensor([dictionary.eos()])
    sources = [demo.codec.source(sentence) for sentence in SENTENCES]
    sources += [end[:0], end, torch.cat([end, sources[0]]), sources[1][:-1], torch.cat([torch.tensor([7]), sources[2]])]
    sources += [torch.cat([torch.tensor([dictionary.bos()]), sources[0]])]
    alone = [
        codec.text(torch.tensor([one for one in content(tokens, dictionary).tolist() if one != 7]), dictionary)
        for tokens in sources
    ]
    assert codec.texts(iter(sources), dictionary) == alone
    assert codec.texts([], dictionary) == []
