"""All methods by name: every file of this folder that registers one."""

from __future__ import annotations

import importlib
import pkgutil
from typing import Any, Dict

from fairseq_rome import methods
from fairseq_rome.errors import EditError
from fairseq_rome.methods.base import Method, registered


def all_methods() -> Dict[str, Method[Any]]:
    """The methods by name, in the order of their names."""
    for found in pkgutil.iter_modules(methods.__path__):
        if not found.ispkg:
            importlib.import_module(f"{methods.__name__}.{found.name}")
    return {name: registered[name] for name in sorted(registered)}


def method_named(name: str) -> Method[Any]:
    """The method of a name.

    Raises:
        EditError: if there is none.
    """
    found = all_methods()
    if name not in found:
        raise EditError(f"no method {name!r}, expected one of: {', '.join(found)}")
    return found[name]
