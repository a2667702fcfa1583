"""Which words differ between two texts."""

from __future__ import annotations

import re
from difflib import SequenceMatcher
from typing import Dict, List, Sequence, Union

Piece = Dict[str, Union[str, bool]]

_UNIT = re.compile(r"\w+|[^\w\s]|\s+")


def marked(before: str, after: str) -> Dict[str, List[Piece]]:
    """Both texts as pieces in order, each with whether it differs from the other text.

    Returns:
        `before` and `after`: lists of `{"text": ..., "changed": ...}` whose texts join to the whole again.
    """
    old, new = _UNIT.findall(before), _UNIT.findall(after)
    codes = SequenceMatcher(None, old, new, autojunk=False).get_opcodes()
    return {
        "before": _pieces(old, [(i1, i2, kind != "equal") for kind, i1, i2, _, _ in codes]),
        "after": _pieces(new, [(j1, j2, kind != "equal") for kind, _, _, j1, j2 in codes]),
    }


def _pieces(units: Sequence[str], spans: Sequence[Sequence[int]]) -> List[Piece]:
    return [{"text": "".join(units[i:j]), "changed": bool(changed)} for i, j, changed in spans if j > i]
