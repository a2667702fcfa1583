"""Whether a model still computes what it computed when it was opened."""

from __future__ import annotations

import hashlib
from itertools import chain
from typing import Any, Callable, Dict, List, Mapping, Tuple

import torch
from torch import Tensor, nn

from fairseq_rome.host.around import around
from fairseq_rome.host.checkpoint.tensors import bits_of, is_marker, tensor_fingerprint

# Numbers that are looked at together for a check sum: more make fewer calls, fewer stay in the processor's cache.
_WORDS = 1 << 16


class OpenedWeights:
    """Knows the weights of a model, and whatever else of it edits touch, as they were when it was opened.

    It holds none of the weights themselves, which would keep their memory.

    Args:
        model: as it was opened.
    """

    def __init__(self, model: nn.Module) -> None:
        self.model = model
        self._hooks = _hooks(model)
        self._around = around(model)
        tensors = _tensors(model)
        self._checks = _checks(tensors)
        self._digests = {name: tensor_fingerprint(tensor) for name, tensor in tensors.items()}
        self._places = {name: _place(tensor) for name, tensor in tensors.items()}

    @property
    def fingerprint(self) -> str:
        """SHA-256, in hexadecimal, over names and tensors as they were opened."""
        told = (f"{name} {digest}\n" for name, digest in sorted(self._digests.items()))
        return hashlib.sha256("".join(told).encode()).hexdigest()

    def unchanged(self) -> bool:
        """Whether the model is what it was: the same weights bit for bit, no other hooks, and in eval mode.

        Nor may anything stand around its search that did not then.

        A check sum of all weights is taken each time, in some tens of milliseconds for a hundred megabytes, which shows
        also what was written where torch does not count it, as through `.data`. Weights that torch tells were written
        to or replaced, such as those of an edit that was taken back, are compared by their SHA-256.
        """
        if any(module.training for module in self.model.modules()) or _hooks(self.model) != self._hooks:
            return False
        if around(self.model) != self._around:
            return False
        tensors = _tensors(self.model)
        if tensors.keys() != self._places.keys():
            return False
        moved = {name: tensor for name, tensor in tensors.items() if self._places[name] != _place(tensor)}
        rest = {name: tensor for name, tensor in tensors.items() if name not in moved}
        for part in (moved, rest):  # those first in which an edit would be
            if any(self._checks[name] != check for name, check in _checks(part).items()):
                return False
        if any(tensor_fingerprint(tensor) != self._digests[name] for name, tensor in moved.items()):
            return False
        self._places.update((name, _place(tensor)) for name, tensor in moved.items())
        return True


def _place(tensor: Tensor) -> Tuple[Any, ...]:
    """Where a tensor lies and how it is read, and how often it was written to as far as torch counts."""
    return tensor.data_ptr(), tensor.dtype, tensor.shape, tensor.stride(), tensor.device, tensor._version


def _tensors(model: nn.Module) -> Dict[str, Tensor]:
    """Parameters and buffers by name, without fairseq's markers, whose values are unset memory."""
    named = chain(model.named_parameters(), model.named_buffers())
    return {name: tensor for name, tensor in named if not is_marker(name)}


def _checks(tensors: Mapping[str, Tensor]) -> Dict[str, int]:
    """The check sum of each tensor; one transfer from the device for all."""
    if not tensors:
        return {}
    device = next(iter(tensors.values())).device
    draw = torch.Generator().manual_seed(1)
    factors = torch.randint(2**62, (_WORDS,), generator=draw).mul_(2).add_(1).to(device)
    sums = [_check(bits_of(tensor), factors) for tensor in tensors.values()]
    return dict(zip(tensors, torch.stack(sums).tolist()))


def _check(words: Tensor, factors: Tensor) -> Tensor:
    """A check sum of whole numbers: each counts with a factor of its own, so that two that change places show.

    The upper half of a number is mixed into the lower one first. What changes the highest bit alone, such as a sign,
    would else vanish from the sum where it changes twice.
    """
    total = torch.zeros((), dtype=torch.int64, device=words.device)
    for part in words.split(_WORDS):
        wide = part.long()
        total = total * factors[-1] + ((wide ^ (wide >> 32)) * factors[: len(wide)]).sum()
    return total


def _hooks(model: nn.Module) -> List[Tuple[str, Callable[..., Any]]]:
    """What runs before and after modules, with the modules' names."""
    return [
        (name, hook)
        for name, module in model.named_modules()
        for hooks in (module._forward_pre_hooks, module._forward_hooks)
        for hook in hooks.values()
    ]
