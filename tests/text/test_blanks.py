"""Blanks beside characters that need none."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fairseq_rome.text.blanks import blanks_as_in


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [
        ("heapq 模块提供了函数。", "heapq模组提供了函数。", "heapq 模组提供了函数。"),
        ("heapq模块提供了函数。", "heapq 模组 提供了函数。", "heapq模组提供了函数。"),
        ("工具是 functools.partial 函数。", "工具是functools.partial函式。", "工具是 functools.partial 函式。"),
        # Words of a script with blanks keep theirs, the new ones too.
        ("使用 the file 模块", "使用the new file模组", "使用 the new file 模组"),
        ("使用 thefile 模块", "使用the file模组", "使用 the file 模组"),
        ("Ein Satz.", "Ein  anderer Satz .", "Ein anderer Satz ."),
        ("", "模组", "模组"),
        ("模块", "", ""),
        ("  模块", "模组", "模组"),
    ],
)
def test_blanks_are_the_models(before: str, after: str, expected: str) -> None:
    assert blanks_as_in(before, after) == expected


text = st.text(st.sampled_from("模块组 ab,"), max_size=12)


@given(text, text)
def test_nothing_but_blanks_changes(before: str, after: str) -> None:
    found = blanks_as_in(before, after)
    assert found.replace(" ", "") == after.replace(" ", "")
    assert blanks_as_in(before, before) == " ".join(before.split())
