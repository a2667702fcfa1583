"""The memory of composed configurations gives what hydra gives."""

from __future__ import annotations

from typing import Any, List

import pytest
from composing import composed_once, initialised_later
from fairseq import options
from fairseq.dataclass import utils
from hydra.experimental import initialize

TRANSLATION = ["--task", "translation", "-s", "en", "-t", "de"]
COMMANDS = [
    ["/a/data", "--path", "/a/model.pt", "--input", "/a/b.txt", *TRANSLATION],
    ["/b/data", "--path", "/b/c-d/model.pt", "--input", "/c.txt", *TRANSLATION],
    ["/b/data:/b/data2", "--path", "/b/it's {odd}.pt", *TRANSLATION, "--bpe", "sentencepiece"],
    ["/b/data", "--path", "b.pt", "--task", "translation_multi_simple_epoch", "--lang-pairs", "en-de", "--beam", "3"],
]


def configurations() -> List[Any]:
    parsed = [options.parse_args_and_arch(options.get_interactive_generation_parser(), words) for words in COMMANDS]
    return list(map(utils.convert_namespace_to_omegaconf, parsed))


def test_it_is_hydras_own_with_other_paths_and_other_options(monkeypatch: pytest.MonkeyPatch) -> None:
    compose = getattr(utils.compose, "__wrapped__", utils.compose)
    calls: List[List[str]] = []

    def counted(name: str, overrides: List[str], strict: bool) -> Any:
        calls.append(overrides)
        return compose(name, overrides=overrides, strict=strict)

    monkeypatch.setattr(utils, "compose", compose)
    monkeypatch.setattr(utils, "initialize", initialize)
    wanted = configurations()
    monkeypatch.setattr(utils, "compose", composed_once(counted, utils))
    monkeypatch.setattr(utils, "initialize", initialised_later)
    for _ in range(2):
        found = configurations()
        assert found == wanted
        found[0].common.seed = 5  # a copy, which nobody else sees
    assert len(calls) == 3
