"""Adapters: the one place that knows what a kind of fairseq task does. Each kind is a file of this folder."""

from __future__ import annotations

import importlib
import pkgutil
from typing import Any

from fairseq_rome.errors import EditError
from fairseq_rome.host.adapters.base import ADAPTERS, TaskAdapter, register

__all__ = ["TaskAdapter", "adapter_for", "register"]


def adapter_for(task: Any) -> TaskAdapter:
    """The adapter of a fairseq task.

    Args:
        task: a task that fairseq has set up.

    Raises:
        EditError: if no adapter knows this kind of task.
    """
    for module in pkgutil.iter_modules(__path__):
        importlib.import_module(f"{__name__}.{module.name}")
    for adapter in ADAPTERS:
        if adapter.takes(task):
            return adapter(task)
    known = ", ".join(adapter.kind for adapter in ADAPTERS)
    raise EditError(f"task {type(task).__name__}: models of this kind can't be edited, expected one of: {known}")
