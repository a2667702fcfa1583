"""What stands around a search: demanded words, rules, and nothing for any other source."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Dict, List, Sequence

import pytest
import torch
from conftest import Demo
from edit_runs import lines

from fairseq_rome.errors import EditError
from fairseq_rome.host.around import around, searched, source_texts, standing_around


@dataclass(frozen=True, eq=False)
class Around:
    """Demands words of some sources, and puts a word behind some outputs."""

    demanded: Dict[str, Sequence[str]] = field(default_factory=dict)
    behind: str = ""

    def terms(self, source: str) -> Sequence[str]:
        return self.demanded.get(source, ())

    def finished(self, source: str, output: str) -> str:
        return f"{output}{self.behind}"


def said(demo: Demo) -> List[str]:
    return [one.text for one in demo.translator.translate(lines("fixes.en"))]


def test_demanded_words_are_said_and_other_sources_searched_as_ever(demo: Demo) -> None:
    sources, before = lines("fixes.en"), said(demo)
    with standing_around(demo.model, Around({sources[1]: ["Ufer"], sources[3]: ["Dollar", "Blume"]})):
        now = said(demo)
    assert "Ufer" in now[1] and "Dollar" in now[3] and "Blume" in now[3]
    assert [number for number, (old, new) in enumerate(zip(before, now)) if old != new] == [1, 3]
    assert said(demo) == before and not around(demo.model)


def test_they_act_one_after_the_other_on_tokens_too(demo: Demo) -> None:
    before = demo.translator.translate(lines("fixes.en")[:2])
    with standing_around(demo.model, Around(behind=" Ja")), standing_around(demo.model, Around(behind=" Nein")):
        now = demo.translator.translate(lines("fixes.en")[:2])
    for old, new in zip(before, now):
        assert new.text == f"{old.text} Ja Nein" and new.score == old.score
        assert torch.equal(new.tokens, demo.codec.target(new.text))


def test_a_generator_without_beam_search_takes_no_words(demo: Demo) -> None:
    [source] = lines("fixes.en")[:1]
    net_input = demo.translator.batcher.sources([demo.codec.source(source)])
    demanded, refused = Around({source: ["Ufer"]}), pytest.raises(EditError, match="object has no beam search")
    with standing_around(demo.model, demanded), refused:
        searched(demo.model, object(), demo.codec, lambda: [source], net_input, None, lambda *_: [])


def test_a_padded_batch_gives_its_sources(demo: Demo) -> None:
    sources = lines("fixes.en")
    batch = demo.translator.batcher.sources([demo.codec.source(source) for source in sources])
    as_given = [demo.codec.source_text(demo.codec.source(source)) for source in sources]
    assert source_texts(demo.codec, batch["src_tokens"]) == as_given
