"""Facts about the tensors of a state: their fingerprints, and which names mean the same tensor."""

from __future__ import annotations

import hashlib
from typing import Any, Dict, Iterable, List, Mapping, MutableMapping, Tuple

import torch
from torch import Tensor

# Numbers of a weight that are looked at together: more take more memory beside the weight, fewer take longer.
_PART = 1 << 22
_BITS = {1: torch.uint8, 2: torch.int16, 4: torch.int32, 8: torch.int64}


def is_marker(name: str) -> bool:
    """Whether a name is of a buffer that tells fairseq a device and a dtype; its value is unset memory."""
    return name.endswith("._float_tensor")


def parts_of(tensor: Tensor) -> Iterable[Tensor]:
    """The numbers of a tensor, in parts of a few megabytes."""
    return tensor.reshape(-1).split(_PART)


def same_bits(one: Tensor, two: Tensor) -> bool:
    """Whether two tensors are the same bit for bit: 0.0 is not -0.0, and a NaN can be equal to another."""
    if one.dtype != two.dtype or one.shape != two.shape or one.device != two.device:
        return False
    return torch.equal(bits_of(one), bits_of(two))


def bits_of(tensor: Tensor) -> Tensor:
    """The bytes of a tensor, in its own order, as whole numbers of eight bytes, or of its own size where that fails."""
    flat = tensor.detach().contiguous().reshape(-1)
    size = flat.element_size()
    if flat.numel() * size % 8:
        return flat.view(_BITS[size])
    aligned = flat if flat.storage_offset() * size % 8 == 0 else flat.clone()
    return aligned.view(torch.int64)


def share_equal_(weights: MutableMapping[str, Tensor], others: Mapping[str, Tensor]) -> None:
    """Put in place of each weight the one of the same name among others, where it is the same bit for bit.

    Two states of one model then take little more memory than one. No state's tensors are ever changed in place.
    """
    for name, weight in weights.items():
        other = others.get(name)
        if other is not None and same_bits(weight, other):
            weights[name] = other


def tensor_fingerprint(tensor: Tensor) -> str:
    """SHA-256, in hexadecimal, of a tensor's dtype, shape and bytes, wherever and however it is stored."""
    data = tensor.detach().cpu().contiguous()
    digest = hashlib.sha256(f"{data.dtype} {tuple(data.shape)} ".encode())
    digest.update(data.reshape(-1).view(torch.uint8).numpy().data)
    return digest.hexdigest()


def fingerprint(state: Mapping[str, Any]) -> str:
    """SHA-256, in hexadecimal, over a checkpoint's names and tensors, in any order and without markers.

    Args:
        state: a checkpoint's state, or its ``state["model"]`` alone.
    """
    weights = state["model"] if isinstance(state.get("model"), Mapping) else state
    digest = hashlib.sha256()
    for name in sorted(name for name in weights if not is_marker(name)):
        digest.update(f"{name} {tensor_fingerprint(weights[name])}\n".encode())
    return digest.hexdigest()


def aliases(weights: Mapping[str, Tensor]) -> Dict[str, Tuple[str, ...]]:
    """For each name, all names that are the same memory seen in the same way, itself among them.

    Equal values in separate memory are no aliases: two layers' biases may both be zero. Averaging checkpoints
    stores shared weights separately; the built model's ``state_dict()`` tells those.
    """
    groups: Dict[Any, List[str]] = {}
    for name, tensor in weights.items():
        place = (tensor.data_ptr(), tensor.dtype, tensor.shape, tensor.stride()) if tensor.numel() else name
        groups.setdefault(place, []).append(name)
    return {name: tuple(names) for names in groups.values() for name in names}
