"""Stand-ins for the classes outside torch that fairseq checkpoints name; none of them can run code.

numpy's own reconstructors are not safe to offer: a pickle can hand ``numpy.dtype`` a state with false flags,
after which numpy takes bytes of the file for object pointers. The stand-ins know numbers only, and check.
"""

from __future__ import annotations

import argparse
import re
from pickle import UnpicklingError
from typing import Any, Dict

import numpy as np

_NUMBER = re.compile(r"b1|[iu][1248]|f[248]|c8|c16")


def _refused(name: str) -> UnpicklingError:
    """Worded as torch words it for a name that is not on its list."""
    return UnpicklingError(f"Unsupported global: GLOBAL {name} of something else than numbers")


class PickledDtype:
    """Takes the place of ``numpy.dtype`` while a file is opened: kind, size and byte order of a number."""

    def __init__(self, code: Any, align: Any = False, copy: Any = False) -> None:
        if not isinstance(code, str) or not _NUMBER.fullmatch(code):
            raise _refused("numpy.dtype")
        self.code = code
        self.order = "="

    def __setstate__(self, state: Any) -> None:
        if state[1] in ("<", ">"):
            self.order = state[1]

    def resolve(self) -> np.dtype[Any]:
        """The dtype that numpy itself makes of the recorded letters."""
        return np.dtype(self.order + self.code)


class PickledArray(np.ndarray):
    """An array read from a checkpoint; pickled again, it is an ordinary ``numpy.ndarray``."""

    def __setstate__(self, state: Any) -> None:
        _, shape, dtype, fortran, raw = state
        if not isinstance(dtype, PickledDtype):
            raise _refused("numpy.ndarray")
        count = 1
        for size in shape:
            if type(size) is not int or size < 0:
                raise _refused("numpy.ndarray")
            count *= size
        real = dtype.resolve()
        if count * real.itemsize != len(raw):  # numpy checks too, but its product can overflow
            raise _refused("numpy.ndarray")
        super().__setstate__((1, tuple(shape), real, bool(fortran), raw))  # type: ignore[arg-type]

    def __reduce__(self) -> Any:
        return self.view(np.ndarray).__reduce__()


class PickledMeter:
    """Takes the place of the training meters that fairseq pickled as objects before version 0.9."""


def _empty_array(subtype: Any, shape: Any, kind: Any) -> PickledArray:
    """What ``numpy.core.multiarray._reconstruct`` does, for arrays of numbers."""
    return PickledArray((0,))


def _number(dtype: Any, raw: Any) -> Any:
    """What ``numpy.core.multiarray.scalar`` does, for numbers."""
    if not isinstance(dtype, PickledDtype):
        raise _refused("numpy.core.multiarray.scalar")
    return np.frombuffer(raw, dtype.resolve())[0]


SAFE_GLOBALS: Dict[str, Any] = {
    "argparse.Namespace": argparse.Namespace,
    "numpy.dtype": PickledDtype,
    "numpy.ndarray": PickledArray,
    "fairseq.meters.AverageMeter": PickledMeter,
    "fairseq.meters.TimeMeter": PickledMeter,
    "fairseq.meters.StopwatchMeter": PickledMeter,
}
for _module in ("numpy.core.multiarray", "numpy._core.multiarray"):  # before and since numpy 2
    SAFE_GLOBALS[f"{_module}.scalar"] = _number
    SAFE_GLOBALS[f"{_module}._reconstruct"] = _empty_array
"""Name in the pickle to what is put in its place.

OmegaConf nodes, which fairseq 0.10 wrote, are left out: they name any class as the type of their values.
"""
