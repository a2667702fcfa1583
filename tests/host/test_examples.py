"""Corrected sentences as tokens where no blanks stand between words, and where all of an output is wrong."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from types import SimpleNamespace
from typing import Any, List, Sequence, Tuple

import pytest
import torch
from fairseq.data import Dictionary
from hypothesis import given, settings
from hypothesis import strategies as st

from fairseq_rome.host.codec import TextCodec
from fairseq_rome.host.decoding import Hypothesis
from fairseq_rome.host.examples import Example, Span, changed_whole, make_example

PIECES = ["这个", "软件", "程式", "很旧", "コーヒー", "电脑", "脑子", "个电"]


@dataclass(frozen=True)
class Pieces:
    """Stands in for a subword model: the pieces that are listed, else characters, behind a mark for each blank."""

    pieces: Sequence[str]

    def encode(self, text: str) -> str:
        return " ".join(re.findall("|".join([*self.pieces, "."]), "\u2581" + text.replace(" ", "\u2581")))

    def decode(self, line: str) -> str:
        return line.replace(" ", "").replace("\u2581", " ").strip()


def codec_of(pieces: Sequence[str] = PIECES, prefixed: bool = False) -> TextCodec:
    dictionary = Dictionary()
    characters = "\u2581这个软件程式很旧新车电脑子用打。コーヒー豆茶abcdefghijklmnopqrstuvwxyz"
    for symbol in [*pieces, *characters, "[zh]"]:
        dictionary.add_symbol(symbol)
    prefix = dictionary.index("[zh]") if prefixed else -1
    adapter: Any = SimpleNamespace(
        source_dictionary=dictionary, target_dictionary=dictionary, target_prefix=prefix,
        with_prefix=lambda tokens: tokens if prefix < 0 else torch.cat([tokens.new_tensor([prefix]), tokens]),
    )  # fmt: skip
    return TextCodec(adapter, bpe=Pieces(pieces))


def symbols(codec: TextCodec, tokens: torch.Tensor) -> List[str]:
    return [codec.adapter.target_dictionary[int(token)] for token in tokens]


def tokens_of(codec: TextCodec, line: str) -> torch.Tensor:
    """Tokens of subwords as they stand, with the end symbol."""
    return codec.adapter.target_dictionary.encode_line(line, add_if_not_exist=False).long()


def corrected(codec: TextCodec, said: str, after: str, trigger: str = "") -> Example:
    """The example of an output, given in the model's own subwords."""
    own = tokens_of(codec, said)
    return make_example(codec, "the software", Hypothesis(codec.target_text(own), own, 0.0), after, trigger)


@pytest.mark.parametrize(
    ("said", "after", "expected", "spans"),
    [
        ("▁ 这个 软件 很旧 。", "这个程式很旧。", "▁ 这个 程式 很旧 。", [(2, 3)]),
        # What stands around the change keeps the model's own subwords, whatever the subword model would take.
        ("▁ 这 个 软 件 很 旧 。", "这个程式很旧。", "▁ 这 个 程式 很 旧 。", [(3, 4)]),
        ("▁ 这个 软件 很 旧 。", "这个软件很新。", "▁ 这个 软件 很 新 。", [(4, 5)]),
        ("▁ 这个 软件 很旧 。", "程式很旧。", "▁ 程式 很旧 。", [(1, 2)]),
        ("▁ 这个 软件 很旧 。", "这个软件很旧", "▁ 这个 软件 很旧", [(4, 4)]),
        # A subword that reaches over the bounds of the change goes, with what can not be parted from it.
        ("▁ 这 个电 脑 很旧 。", "这个车很旧。", "▁ 这个 车 很旧 。", [(1, 3)]),
        ("▁ 用 コ ー ヒ ー 打 。", "用茶打。", "▁ 用 茶 打 。", [(2, 3)]),
        # Letters beside characters.
        ("▁ 用 a b c 打 。", "用abd打。", "▁ 用 a b d 打 。", [(4, 5)]),
    ],
)
def test_without_blanks_the_models_own_subwords_stay_around_the_change(
    said: str, after: str, expected: str, spans: List[Tuple[int, int]]
) -> None:
    codec = codec_of()
    example = corrected(codec, said, after)
    assert symbols(codec, example.pair.target) == [*expected.split(), "</s>"]
    assert [(span.start, span.stop) for span in example.spans] == spans
    assert all(span.opening == span.start and span.rejoins == span.stop for span in example.spans)
    assert codec.target_text(example.pair.target) == after
    assert codec.target_text(example.own.target) == example.before


def test_what_stands_where_a_span_begins_and_where_it_goes_on() -> None:
    codec = codec_of()
    example = corrected(codec, "▁ 这个 软件 很旧 。", "这个程式很旧。")
    (span,) = example.spans
    assert symbols(codec, torch.tensor([span.said])) == ["软件"]
    assert (span.rejoins, span.resumes) == (3, 3)
    assert torch.equal(example.pair.target[span.rejoins :], example.own.target[span.resumes :])


@pytest.mark.parametrize(
    ("said", "after", "wanted", "expected"),
    [
        # A piece of an old subword before the wanted segment, one behind it, both, and none.
        ("▁ 这 个电 脑 很旧 。", "这个车很旧。", "车", Span(1, 2, 3, 3, 4, 0)),
        ("▁ 用 电 脑子 打 。", "用车子打。", "车", Span(2, 2, 3, 4, 4, 0)),
        ("▁ 这 个电 脑子 打 。", "这个车子打。", "车", Span(1, 2, 3, 4, 4, 0)),
        ("▁ 这个 软件 很旧 。", "这个程式很旧。", "程式", Span(2, 2, 3, 3, 3, 0)),
        # A subword of the wanted segment that is one with what stands behind it can't be parted.
        ("▁ 用 车 打 。", "用软件打。", "软", Span(2, 2, 3, 3, 3, 0)),
        # Two wanted segments in one changed place leave it as it is.
        ("▁ 用 电脑 打 。", "用车个车打。", "车", Span(2, 2, 5, 5, 3, 0)),
    ],
)
def test_pieces_of_old_subwords_are_no_part_of_the_wanted_segment(
    said: str, after: str, wanted: str, expected: Span
) -> None:
    codec = codec_of()
    own = tokens_of(codec, said)
    example = make_example(codec, "the software", Hypothesis(codec.target_text(own), own, 0.0), after, "", (wanted,))
    (span,) = example.spans
    assert span == expected._replace(said=int(own[span.opening]))
    assert codec.target_text(example.pair.target) == after
    assert torch.equal(example.pair.target[span.rejoins :], own[span.resumes :])


some_text = st.text(st.sampled_from("这个软件程式很旧电脑子コーヒーab"), min_size=1, max_size=8)


@settings(max_examples=200, deadline=None, derandomize=True)
@given(some_text, some_text, st.booleans())
def test_any_change_gives_the_wanted_text(before: str, after: str, whole: bool) -> None:
    codec = codec_of()
    pieces = codec.pieces(before) if whole else ["\u2581", *before]
    example = corrected(codec, " ".join(pieces), after)
    target, own = example.pair.target.tolist(), example.own.target.tolist()
    assert codec.target_text(example.pair.target) == after
    # Outside of the spans both say the same tokens.
    position = old = 0
    for span in example.spans:
        assert target[position : span.opening] == own[old : old + span.opening - position]
        position, old = span.rejoins, span.resumes
    assert target[position:] == own[old:]


def test_all_of_an_output_is_changed() -> None:
    codec = codec_of()
    example = corrected(codec, "▁ 这个 软件 很旧 。", "这个程式很旧。")
    for free in (True, False):
        whole = changed_whole(example, 0, free)
        last = len(example.own.target) - 1
        expected = Span(0, 0, 5, 5, last, int(example.own.target[0]))
        assert whole.spans == (expected,), "all but the end symbol, the subwords that are alike too"
        assert whole.free is free
        assert whole.pair is example.pair and whole.own is example.own
    assert not example.free


def test_a_language_symbol_before_an_output_is_not_changed() -> None:
    codec = codec_of(prefixed=True)
    own = codec.target("这个软件很旧。")
    assert symbols(codec, own)[:2] == ["[zh]", "▁"]
    example = make_example(codec, "the software", Hypothesis(codec.target_text(own), own, 0.0), "用茶打。", "")
    assert symbols(codec, example.pair.target) == ["[zh]", "▁", "用", "茶", "打", "。", "</s>"]
    whole = changed_whole(example, 1, free=True)
    assert whole.spans == (Span(1, 1, 6, 6, len(own) - 1, int(own[1])),)


@pytest.mark.parametrize(
    ("text", "starts"),
    [
        ("这个软件很旧。", [0, 2, 4, 6]),
        ("用コーヒー豆打", [0, 1, 5, 6]),
        ("ab cd", [0, 1, 3, 4]),
        ("", []),
    ],
)
def test_where_subwords_begin(text: str, starts: List[int]) -> None:
    assert codec_of().piece_starts(text) == frozenset(starts)


def test_where_subwords_begin_that_stand_otherwise_in_the_text() -> None:
    """A subword model may write a character otherwise; where it does so nothing begins."""
    codec = replace(codec_of(), bpe=SimpleNamespace(encode=lambda text: "\u2581ab X cd@@ e \u2581"))
    assert codec.piece_starts("abxcde") == frozenset({0, 3, 5})


def test_where_a_trigger_stands() -> None:
    codec = codec_of(["soft", "ware"])
    example = corrected(codec, "▁ 这 个", "这", "software")
    names = [codec.adapter.source_dictionary[int(token)] for token in example.pair.source]
    assert [names[position] for position in example.trigger] == ["soft", "ware"]
