"""What the model as it was opened says is decoded once: remembered in memory, and in a file between runs."""

from __future__ import annotations

import hashlib
import inspect
import json
from collections import OrderedDict
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any, Dict, Iterable, List, Mapping, Optional, Sequence

import torch
from torch import Tensor

from fairseq_rome.host.adapters.base import TaskAdapter
from fairseq_rome.host.decoding_file import FILE, DecodingFile, Said
from fairseq_rome.host.opened_weights import OpenedWeights
from fairseq_rome.version import __version__

# Counted up where what is kept changes.
_FORMAT = 1
# Bytes of a key: too many for two sources to have one by chance.
_KEY = 16
# Bytes that a decoding takes in memory, about: its own, and those of each of its tokens, which are numbers of Python's.
_OVERHEAD = 300
_TOKEN = 36


@dataclass
class DecodingStore:
    """Where decodings are remembered: in memory, the last that were used; and in a file if there is a folder.

    Args:
        folder: of the file; None for memory alone.
        most: bytes at most, of each of both.
    """

    folder: Optional[str]
    most: int
    _recent: OrderedDict[bytes, Said] = field(default_factory=OrderedDict, repr=False)
    _bytes: int = 0

    @property
    def _file(self) -> Optional[DecodingFile]:
        return None if self.folder is None else DecodingFile(Path(self.folder) / FILE, self.most)

    def find(self, keys: Sequence[bytes]) -> Dict[bytes, Said]:
        """Those of some keys that are remembered."""
        found = {key: self._recent[key] for key in keys if key in self._recent}
        missing = [key for key in keys if key not in found]
        if missing and self._file:
            found.update(self._file.find(missing))
        self._note(found)
        return found

    def keep(self, model: str, told: str, said: Mapping[bytes, Said]) -> None:
        """Remember some decodings; arguments as for `DecodingFile.keep`."""
        self._note(said)
        if self._file:
            self._file.keep(model, told, said)

    def _note(self, said: Mapping[bytes, Said]) -> None:
        for key, one in said.items():
            if key not in self._recent:
                self._bytes += _size(one)
            self._recent[key] = one
            self._recent.move_to_end(key)
        while self._bytes > self.most:
            self._bytes -= _size(self._recent.popitem(last=False)[1])


@dataclass(frozen=True)
class Remembered:
    """What a model as it was opened says, in one direction and with one way of searching.

    Args:
        weights: of the model as it was opened.
        adapter: of the task in this direction.
        generator: what searches.
        told: whatever else outputs depend on, in plain values: settings of the model and of the search.
        name: the model, the direction and the search, for a person.
        store: where decodings are.
    """

    weights: OpenedWeights
    adapter: TaskAdapter
    generator: Any
    told: Mapping[str, Any]
    name: str
    store: DecodingStore

    def while_unedited(self, model: Any, adapter: TaskAdapter, generator: Any) -> Optional[Entries]:
        """The decodings of a model with what decodes; None if these are others, or anything of the model is edited.

        This is the only way to the decodings, and it compares the model's weights, so that an edited model can neither
        read nor write them. Their keys hold the weights once more.
        """
        same = model is self.weights.model and adapter is self.adapter and generator is self.generator
        return Entries(self._key(), self.name, self.store) if same and self.weights.unchanged() else None

    def _key(self) -> str:
        """SHA-256, in hexadecimal, over all that a hypothesis depends on besides the source's tokens."""
        adapter, generator, model = self.adapter, self.generator, self.weights.model
        search = getattr(generator, "search", None)
        end = torch.tensor([adapter.source_dictionary.eos()])
        told = {
            "format": _FORMAT,
            "weights": self.weights.fingerprint,
            "told": self.told,
            "search": [_plain(generator), _plain(search)],
            "languages": adapter.languages,
            "around": adapter.source_batch([end])["src_tokens"].tolist(),
            "prefix": adapter.target_prefix,
            "dictionaries": [_digest(one.symbols) for one in (adapter.source_dictionary, adapter.target_dictionary)],
            "fast path": sorted({str(getattr(module, "can_use_fastpath", "")) for module in model.modules()}),
            "code": _code([*model.modules(), generator, search, adapter, adapter.task]),
            "versions": [__version__, torch.__version__],
            "device": _device(next(model.parameters()).device),
        }
        return hashlib.sha256(json.dumps(told, sort_keys=True, default=str).encode()).hexdigest()


@dataclass(frozen=True)
class Entries:
    """The decodings that a model's `Remembered` gives out.

    Args:
        key: what they depend on besides the source.
        name: the model, the direction and the search, for a person.
        store: where they are.
    """

    key: str
    name: str
    store: DecodingStore

    def find(self, sources: Sequence[Tensor]) -> List[Optional[Said]]:
        """What is remembered for each of some sources (token ids); None for what is not."""
        keys = [self._of(source) for source in sources]
        found = self.store.find(keys)
        return [found.get(key) for key in keys]

    def keep(self, sources: Sequence[Tensor], said: Sequence[Said]) -> None:
        """Remember what the model says for some sources (token ids)."""
        self.store.keep(self.key, self.name, {self._of(source): one for source, one in zip(sources, said)})

    def _of(self, source: Tensor) -> bytes:
        return hashlib.sha256(f"{self.key} {source.tolist()}".encode()).digest()[:_KEY]


def _size(said: Said) -> int:
    return _OVERHEAD + _TOKEN * len(said.tokens)


def _plain(one: Any) -> Dict[str, Any]:
    """The settings that an object holds as plain values, and its class."""
    kinds = (bool, int, float, str, type(None))
    held = (
        {name: value for name, value in vars(one).items() if isinstance(value, kinds)}
        if one is not None
        else {}
    )
    return {**held, "class": type(one).__qualname__}


def _digest(symbols: Iterable[str]) -> str:
    return hashlib.sha256("\n".join(symbols).encode()).hexdigest()


def _code(objects: Iterable[Any]) -> List[str]:
    """A digest of each file that the classes of some objects are written in, but for torch's and Python's own."""
    classes = {kind for one in objects if one is not None for kind in type(one).__mro__}
    own = {
        kind
        for kind in classes
        if kind.__module__.partition(".")[0] not in ("torch", "builtins", "abc", "typing")
    }
    return sorted({_file_digest(kind) for kind in own})


@lru_cache(maxsize=None)
def _file_digest(kind: type) -> str:
    try:
        return hashlib.sha256(Path(inspect.getfile(kind)).read_bytes()).hexdigest()
    except (OSError, TypeError):  # made at run time, or without a file
        return f"{kind.__module__}.{kind.__qualname__}"


def _device(device: torch.device) -> List[str]:
    """What a device is, and how exactly it multiplies."""
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else ""
    exactness = torch.get_float32_matmul_precision() if hasattr(torch, "get_float32_matmul_precision") else ""
    return [device.type, name, exactness]
