"""fairseq without its talk: it logs and warns of its own habits wherever it is set up."""

from __future__ import annotations

import logging
import warnings
from contextlib import contextmanager
from typing import Iterator

_TALKATIVE = ("fairseq", "hydra")


@contextmanager
def quiet() -> Iterator[None]:
    """Only let errors and warnings of its logs through inside the context; all is put back on leaving."""
    loggers = [logging.getLogger(name) for name in _TALKATIVE]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(max(logger.getEffectiveLevel(), logging.WARNING))
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        for logger, level in zip(loggers, levels):
            logger.setLevel(level)
