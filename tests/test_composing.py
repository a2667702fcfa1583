"""The memory of composed configurations gives what hydra gives."""

from __future__ import annotations

from typing import Any, List

import pytest
from composing import composed_once
from fairseq import options
from fairseq.dataclass import utils


def configuration(words: List[str]) -> Any:
    parsed = options.parse_args_and_arch(options.get_interactive_generation_parser(), words)
    return utils.convert_namespace_to_omegaconf(parsed)


def test_it_is_hydras_own_with_other_paths_and_other_options(monkeypatch: pytest.MonkeyPatch) -> None:
    compose = utils.compose.__wrapped__
    calls: List[List[str]] = []

    def counted(name: str, overrides: List[str], strict: bool) -> Any:
        calls.append(overrides)
        return compose(name, overrides=overrides, strict=strict)

    translation = ["--task", "translation", "-s", "en", "-t", "de"]
    several = ["--task", "translation_multi_simple_epoch", "--langs", "en,de", "--lang-pairs", "en-de"]
    commands = [
        ["/a/data", "--path", "/a/model.pt", "--input", "/a/b.txt", *translation],
        ["/b/data", "--path", "/b/c-d/model.pt", "--input", "/c.txt", *translation],
        ["/b/data:/b/data2", "--path", "/b/it's {odd}.pt", *translation],
        ["/b/data", "--path", "relative.pt", *translation, "--bpe", "sentencepiece", "--sentencepiece-model", "/a/spm"],
        ["/b/data", "--path", "/b/model.pt", *several],
        ["/c/data", "--path", "/c/model.pt", *several],
    ]
    with monkeypatch.context() as patch:
        patch.setattr(utils, "compose", compose)
        wanted = [configuration(words) for words in commands]
    monkeypatch.setattr(utils, "compose", composed_once(counted))
    for _ in range(2):
        found = [configuration(words) for words in commands]
        assert found == wanted
        found[0].common.seed = 5  # a copy, which nobody else sees
    assert len(calls) == 4
