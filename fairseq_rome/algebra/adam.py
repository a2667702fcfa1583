"""The steps of Adam."""

from __future__ import annotations

import math

import torch
from torch import Tensor

_DECAY, _SQUARE_DECAY, _EPSILON = 0.9, 0.999, 1e-8


class Adam:
    """Adam (Kingma and Ba 2015, arXiv 1412.6980, algorithm 1) on one tensor, with its authors' settings.

    The numbers are those of `torch.optim.Adam`. Making any optimiser of torch's imports its compiler, which takes
    as long as all other imports of an edit but torch and fairseq themselves.

    Args:
        tensor: what is optimised, changed in place.
        rate: size of a step, in units of the tensor.
    """

    def __init__(self, tensor: Tensor, rate: float) -> None:
        self._tensor = tensor
        self._rate = rate
        self._mean, self._square = torch.zeros_like(tensor), torch.zeros_like(tensor)
        self._steps = 0

    def step(self, gradient: Tensor) -> None:
        """One step down a gradient, of the tensor's shape."""
        self._steps += 1
        with torch.no_grad():
            self._mean.lerp_(gradient, 1 - _DECAY)
            self._square.mul_(_SQUARE_DECAY).addcmul_(gradient, gradient, value=1 - _SQUARE_DECAY)
            # Both means began with zero and are too small by a factor that the number of steps tells.
            length = (self._square.sqrt() / math.sqrt(1 - _SQUARE_DECAY**self._steps)).add_(_EPSILON)
            self._tensor.addcdiv_(self._mean, length, value=-self._rate / (1 - _DECAY**self._steps))
