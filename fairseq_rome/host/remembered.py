"""What the model as it was opened says is decoded once: remembered in memory, and in files between runs."""

from __future__ import annotations

import hashlib
import inspect
import json
import struct
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, Dict, Iterable, List, Mapping, NamedTuple, Optional, Sequence

import torch
from torch import Tensor

from fairseq_rome.host.adapters.base import TaskAdapter
from fairseq_rome.host.kept_store import KeptStore
from fairseq_rome.host.opened_weights import OpenedWeights
from fairseq_rome.host.sites import Site
from fairseq_rome.version import __version__

DECODINGS, STATES = "decodings.sqlite", "states.sqlite"
"""The names of the files in a cache folder: of what models say, and of the states that beam search visits for it."""

# Counted up where what is kept changes.
_FORMAT = 1
# Bytes of a key: too many for two sources to have one by chance.
_KEY = 16


class Said(NamedTuple):
    """What a model says for a source: token ids, and the score of the hypothesis."""

    tokens: Sequence[int]
    score: float

    def packed(self) -> bytes:
        """It as bytes."""
        return struct.pack(f"<d{len(self.tokens)}i", self.score, *self.tokens)

    @classmethod
    def unpacked(cls, content: bytes) -> Said:
        """What `packed` made bytes of."""
        score, *tokens = struct.unpack(f"<d{(len(content) - 8) // 4}i", content)
        return cls(tokens, score)


@dataclass(frozen=True)
class Stores:
    """Where a run remembers what the unedited model does.

    Args:
        decodings: what it says.
        states: the inputs of sites in the states that beam search visits.
    """

    decodings: KeptStore
    states: KeptStore

    @classmethod
    def of(cls, folder: Optional[str], most: int) -> Stores:
        """Those of a folder, None for memory alone, with so many bytes each at most."""
        return cls(KeptStore(folder, DECODINGS, most), KeptStore(folder, STATES, most))


@dataclass(frozen=True)
class Remembered:
    """What a model as it was opened says, in one direction and with one way of searching.

    Args:
        weights: of the model as it was opened.
        adapter: of the task in this direction.
        generator: what searches.
        told: whatever else outputs depend on, in plain values: settings of the model and of the search.
        name: the model, the direction and the search, for a person.
        stores: where it is remembered.
    """

    weights: OpenedWeights
    adapter: TaskAdapter
    generator: Any
    told: Mapping[str, Any]
    name: str
    stores: Stores

    def while_unedited(self, model: Any, adapter: TaskAdapter, generator: Any) -> Optional[Entries]:
        """The decodings of a model with what decodes; None if these are others, or anything of the model is edited.

        This is the only way to the decodings, and it compares the model's weights, so that an edited model can neither
        read nor write them. Their keys hold the weights once more.
        """
        same = model is self.weights.model and adapter is self.adapter and generator is self.generator
        return Entries(self._key(), self.name, self.stores) if same and self.weights.unchanged() else None

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
    """What a model's `Remembered` gives out.

    Args:
        key: what it depends on besides the source.
        name: the model, the direction and the search, for a person.
        stores: where it is.
    """

    key: str
    name: str
    stores: Stores

    def find(self, sources: Sequence[Tensor]) -> List[Optional[Said]]:
        """What is remembered for each of some sources (token ids); None for what is not."""
        keys = [self._of(source) for source in sources]
        found = self.stores.decodings.find(keys)
        return [Said.unpacked(found[key]) if key in found else None for key in keys]

    def keep(self, sources: Sequence[Tensor], said: Sequence[Said]) -> None:
        """Remember what the model says for some sources (token ids)."""
        rows = {self._of(source): one.packed() for source, one in zip(sources, said)}
        self.stores.decodings.keep(self.key, self.name, rows)

    def find_states(self, sources: Sequence[Tensor], site: Site) -> List[Optional[Tensor]]:
        """The site's inputs (n x d, half precision) in all states visited for each source; None where not known."""
        keys = [self._of(source, site) for source in sources]
        found = self.stores.states.find(keys)
        return [_unpacked(found[key]) if key in found else None for key in keys]

    def keep_states(self, sources: Sequence[Tensor], site: Site, states: Sequence[Tensor]) -> None:
        """Remember the site's inputs for some sources; arguments as `find_states` gives them."""
        rows = {self._of(source, site): _packed(one) for source, one in zip(sources, states)}
        self.stores.states.keep(f"{self.key} {site}", f"{self.name}, states at {site}", rows)

    def _of(self, source: Tensor, site: Optional[Site] = None) -> bytes:
        of_site = "" if site is None else f" {site}"
        return hashlib.sha256(f"{self.key}{of_site} {source.tolist()}".encode()).digest()[:_KEY]


def digest_of(sources: Sequence[Tensor]) -> str:
    """SHA-256, in hexadecimal, of some sources (token ids) in their order."""
    return hashlib.sha256(repr([source.tolist() for source in sources]).encode()).hexdigest()


def _packed(states: Tensor) -> bytes:
    """Rows in half precision as bytes, their length first."""
    return struct.pack("<i", states.shape[1]) + bytes(states.contiguous().numpy().tobytes())


def _unpacked(content: bytes) -> Tensor:
    (width,) = struct.unpack_from("<i", content)
    return torch.frombuffer(bytearray(content[4:]), dtype=torch.float16).view(-1, width)


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
