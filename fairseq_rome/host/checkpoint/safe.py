"""Opening a torch file without running code: ``weights_only``, or our unpickler where torch is too old."""

from __future__ import annotations

import argparse
import pickle
import zipfile
from _codecs import encode
from collections import OrderedDict
from contextlib import contextmanager
from types import ModuleType
from typing import Any, BinaryIO, Dict, Iterator, List, Mapping

import torch

from fairseq_rome.host.checkpoint.standins import SAFE_GLOBALS, PickledArray, PickledDtype, PickledMeter

_VERSION = tuple(int(part) for part in torch.__version__.split(".")[:2])
# Since 2.6 weights_only is torch's default, and it takes a stand-in under another class's name.
_TEACHABLE = _VERSION >= (2, 6)
# weights_only came with 1.13; earlier versions pass an unknown argument on to the unpickler.
_UNRESTRICTED: Dict[str, Any] = {"weights_only": False} if _VERSION >= (1, 13) else {}

_TORCH_GLOBALS: Dict[str, Any] = {
    "_codecs.encode": encode,  # how pickle protocol 2 spells bytes
    "collections.OrderedDict": OrderedDict,
    "torch.Size": torch.Size,
    "torch._utils._rebuild_parameter": torch._utils._rebuild_parameter,
    "torch._utils._rebuild_tensor": torch._utils._rebuild_tensor,
    "torch._utils._rebuild_tensor_v2": torch._utils._rebuild_tensor_v2,
    **{str(value): value for value in vars(torch).values() if isinstance(value, torch.dtype)},
}

# What a pickle may set state on: instances of these, never a class or a function, which all code shares.
_BUILDABLE = (argparse.Namespace, OrderedDict, torch.Tensor, PickledArray, PickledDtype, PickledMeter)


class ForbiddenGlobalError(pickle.UnpicklingError):
    """A pickle asks for something that is not on the list; worded as torch words it."""


class _RestrictedUnpickler(pickle._Unpickler):
    """Python's own unpickler, which finds and fills what is on a list and nothing else."""

    allowed: Mapping[str, Any] = {}
    stack: List[Any]
    dispatch = dict(pickle._Unpickler.dispatch)

    def find_class(self, module: str, name: str) -> Any:
        known = self.allowed.get(f"{module}.{name}")
        if known is None:
            raise ForbiddenGlobalError(f"Unsupported global: GLOBAL {module}.{name}")
        return known

    def load_build(self) -> None:
        target = self.stack[-2]
        if not isinstance(target, _BUILDABLE):
            raise ForbiddenGlobalError(f"Setting the state of GLOBAL {target!r}")
        super().load_build()  # type: ignore[misc]

    dispatch[pickle.BUILD[0]] = load_build  # type: ignore[assignment]


def _pickle_module(allowed: Mapping[str, Any]) -> ModuleType:
    """A ``pickle_module`` for ``torch.load``, restricted to torch's own globals and the allowed ones."""

    class Unpickler(_RestrictedUnpickler):
        pass

    Unpickler.allowed = {**_TORCH_GLOBALS, **allowed}
    module = ModuleType("restricted_pickle")
    module.Unpickler = Unpickler  # type: ignore[attr-defined]
    module.load = lambda file, **options: Unpickler(file, **options).load()  # type: ignore[attr-defined]
    return module


@contextmanager
def _only(allowed: Mapping[str, Any]) -> Iterator[None]:
    """Let ``weights_only`` accept torch's own globals and the allowed ones, whatever was added before."""
    before = torch.serialization.get_safe_globals()
    torch.serialization.clear_safe_globals()
    torch.serialization.add_safe_globals([(value, name) for name, value in allowed.items()])
    try:
        yield
    finally:
        torch.serialization.clear_safe_globals()
        torch.serialization.add_safe_globals(before)


def allow_safe_globals() -> None:
    """Teach ``torch.load`` the globals of fairseq checkpoints, so that stock fairseq opens them safely.

    fairseq calls ``torch.load`` without further words. Since torch 2.6 that refuses every checkpoint trained
    with command-line arguments, for the ``argparse.Namespace`` in it. Older versions need no teaching.
    """
    if _TEACHABLE:
        torch.serialization.add_safe_globals([(value, name) for name, value in SAFE_GLOBALS.items()])


def load_safely(file: BinaryIO, allowed: Mapping[str, Any] = SAFE_GLOBALS) -> Any:
    """``torch.load`` on the CPU, without ever running code that the file names.

    Args:
        file: a seekable file, open for reading bytes.
        allowed: what the file may name beside torch's own globals; name to what is put in its place.

    Raises:
        pickle.UnpicklingError: the file names something else. Damaged files raise whatever torch raises.
    """
    if _TEACHABLE:
        with _only(allowed):
            return torch.load(file, map_location="cpu", weights_only=True)
    if zipfile.is_zipfile(file):
        with zipfile.ZipFile(file) as archive:
            if any(name.endswith("/constants.pkl") for name in archive.namelist()):
                raise pickle.UnpicklingError("a TorchScript archive")  # torch.load would run torch.jit.load
    file.seek(0)
    return torch.load(file, map_location="cpu", pickle_module=_pickle_module(allowed), **_UNRESTRICTED)


def load_trusted(file: BinaryIO) -> Any:
    """``torch.load`` on the CPU, running whatever code the file names."""
    return torch.load(file, map_location="cpu", **_UNRESTRICTED)
