"""The steps of Adam."""

from __future__ import annotations

import math
from typing import Tuple

import torch
from torch import Tensor

_DECAY, _SQUARE_DECAY, _EPSILON = 0.9, 0.999, 1e-8


class Adam:
    """Adam (Kingma and Ba 2015, arXiv 1412.6980, algorithm 1) on one tensor, with its authors' settings unless told.

    The numbers are those of `torch.optim.Adam`. Making any optimiser of torch's imports its compiler, which takes
    as long as all other imports of an edit but torch and fairseq themselves.

    Args:
        tensor: what is optimised, changed in place.
        rate: size of a step, in units of the tensor.
        decays: of the mean of gradients and of that of their squares, in a step. Small ones forget faster, and a search
            that comes near its goal in few steps does not run past it.
    """

    def __init__(
        self, tensor: Tensor, rate: float, decays: Tuple[float, float] = (_DECAY, _SQUARE_DECAY)
    ) -> None:
        self._tensor = tensor
        self._rate, self._decays = rate, decays
        self._mean, self._square = torch.zeros_like(tensor), torch.zeros_like(tensor)
        self._steps = 0

    def step(self, gradient: Tensor, share: float = 1.0) -> None:
        """One step down a gradient, of the tensor's shape, and so large a share of the rate."""
        self._steps += 1
        decay, square_decay = self._decays
        with torch.no_grad():
            self._mean.lerp_(gradient, 1 - decay)
            self._square.mul_(square_decay).addcmul_(gradient, gradient, value=1 - square_decay)
            # Both means began with zero and are too small by a factor that the number of steps tells.
            length = (self._square.sqrt() / math.sqrt(1 - square_decay**self._steps)).add_(_EPSILON)
            self._tensor.addcdiv_(self._mean, length, value=-share * self._rate / (1 - decay**self._steps))
