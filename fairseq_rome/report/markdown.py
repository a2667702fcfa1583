"""Text inside Markdown: shown as it is, whatever marks it holds."""

from __future__ import annotations

import re
from typing import Any

_BREAKS = re.compile(r"\s*[\n\r\v\f\x1c-\x1e\x85\u2028\u2029]\s*")
# Some renderers know no backslash before these three.
_ENTITIES = {"&": "&amp;", "<": "&lt;", ">": "&gt;"}
_SPECIAL = re.compile(r"[&<>]|[\\`*_{}\[\]|~#$!]")


class Markdown(str):
    """Text that is Markdown already."""


def escape(value: Any) -> str:
    """Text for the middle of a line or for the cell of a table; `Markdown` stays as it is."""
    if isinstance(value, Markdown):
        return value
    return _SPECIAL.sub(
        lambda found: _ENTITIES.get(found.group(), "\\" + found.group()), _BREAKS.sub(" ", str(value))
    )


def code(value: Any) -> Markdown:
    """Text as code inside a line; of a list its parts."""
    value = ", ".join(map(str, value)) if isinstance(value, (list, tuple)) else value
    text = _BREAKS.sub(" ", str(value)).strip()
    fence = "`" * (1 + max(map(len, re.findall("`+", text)), default=0))
    space = " " if text.startswith("`") or text.endswith("`") else ""
    return Markdown(f"{fence}{space}{text}{space}{fence}")


def block(value: Any) -> Markdown:
    """Text as a block of code, its lines kept."""
    return Markdown("\n".join(f"    {line}" for line in str(value).splitlines()))
