"""Running mean and variance of a stream of rows, to bring each row to the scale of all that came before."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Optional, Tuple

import torch
from torch import Tensor

# Added to a standard deviation, as a share of the largest: columns that have hardly moved are not blown up. Smaller
# lets a neuron that fired once outweigh all others: with a thousandth, 4 to 10 in a hundred other sentences more
# changed with each of four edits of a Multi30k model.
_FLOOR = 0.1


@dataclass(frozen=True)
class Running:
    """Statistics of the rows of a stream so far.

    Args:
        rows: 3 x p in double precision: how many rows there were, in each column; their mean; and the sum of their
            squared distances from it.
    """

    rows: Tensor

    @classmethod
    def of(cls, rows: Tensor, before: Optional[Running] = None) -> Running:
        """The statistics after some more rows (n x p), however the stream is cut into pieces (Chan et al. 1979)."""
        new = rows.double()
        count = torch.full_like(new[0], float(len(new)))
        mean = new.mean(0)
        added = torch.stack([count, mean, (new - mean).square().sum(0)])
        if before is None:
            return cls(added)
        (old_count, old_mean, old_squares), total = before.rows.to(new.device), before.rows[0].to(new.device) + count
        apart = mean - old_mean
        squares = old_squares + added[2] + apart.square() * old_count * count / total
        return cls(torch.stack([total, old_mean + apart * count / total, squares]))

    def parts(self, width: int) -> Tuple[Running, Running]:
        """The statistics of the first columns, and of the others: of parts that are of different kinds."""
        return Running(self.rows[:, :width]), Running(self.rows[:, width:])

    def normalised(self, rows: Tensor) -> Tensor:
        """Rows (n x p) less the mean, in units of the standard deviation of each column; in their own type."""
        count, mean, squares = self.rows.to(rows.device)
        deviation = (squares / (count - 1).clamp_min(1)).sqrt()
        floor = (_FLOOR * deviation.max()).clamp_min(torch.finfo(torch.float32).tiny)
        return ((rows.double() - mean) / (deviation + floor)).to(rows.dtype)
