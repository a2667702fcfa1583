"""torch's checks of plain truth values, without the algebra system that it keeps for symbolic ones."""

from __future__ import annotations

import sys
from contextlib import contextmanager
from typing import Any, Iterator

import torch

_SYMBOLIC = "torch.fx.experimental.symbolic_shapes"


@contextmanager
def plain_checks() -> Iterator[None]:
    """Inside the context a check that holds plainly is over at once, for a process that runs a model and ends.

    torch imports sympy to check the shape of a padding mask, which takes a tenth of all the time of an edit. A check
    that does not hold, or not plainly, goes to torch as ever. A torch that imports nothing for it, or has already
    done so, is left alone; what was changed is put back on leaving.
    """
    checks = getattr(torch, "_check_with", None)
    if checks is None or _SYMBOLIC in sys.modules:
        yield
        return

    def check(error_type: Any, cond: Any, message: Any) -> None:
        if cond is not True:
            checks(error_type, cond, message)

    torch._check_with = check
    try:
        yield
    finally:
        torch._check_with = checks
