"""Hydra's `compose` with a memory: composing fairseq's configuration anew takes most of a short command."""

from __future__ import annotations

import contextlib
import copy
import functools
import os
import re
import sys
from types import ModuleType
from typing import Any, Callable, Dict, Iterator, List, Tuple

PATH = re.compile(r"([\w.]+)='(/[\w/.+-]*)'")
"""What sets an option to a path in which hydra's grammar has nothing to read."""


def compose_once() -> None:
    """Give the memory to fairseq, if it is imported."""
    utils = sys.modules.get("fairseq.dataclass.utils")
    if utils is not None and not hasattr(utils.compose, "__wrapped__"):
        vars(utils).update(compose=composed_once(utils.compose, utils), initialize=initialised_later)


@contextlib.contextmanager
def initialised_later(**_: Any) -> Iterator[None]:
    """In place of hydra's `initialize`, which reads the source of every caller to find where it was called."""
    yield


def composed_once(compose: Callable[..., Any], utils: ModuleType) -> Callable[..., Any]:
    """The same as `compose`, whose result follows from its arguments alone; each caller has a copy.

    Paths differ from test to test and are put in afterwards, as hydra does.
    """
    known: Dict[Tuple[str, ...], Any] = {}
    folder = os.path.join(os.path.dirname(os.path.dirname(utils.__file__ or "")), "config")

    @functools.wraps(compose)
    def composed(name: str, overrides: List[str], strict: bool) -> Any:
        from hydra.experimental import initialize_config_dir
        from omegaconf import OmegaConf

        paths = [found.groups() for found in map(PATH.fullmatch, overrides) if found]
        others = [one for one in overrides if not PATH.fullmatch(one)]
        arguments = (name, str(strict), *(option for option, _ in paths), "", *others)
        if arguments not in known:
            with initialize_config_dir(config_dir=folder):
                known[arguments] = compose(name, overrides=overrides, strict=strict)
        made = copy.deepcopy(known[arguments])
        for option, path in paths:
            OmegaConf.update(made, option, path)
        return made

    return composed
