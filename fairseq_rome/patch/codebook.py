"""A cache of hidden states beside a model: what one layer writes is replaced where its input is near a kept one.

After GRACE (Hartvigsen et al. 2023, arXiv 2211.11031): a codebook of keys, each with a value that was learned for it
and a radius within which it is taken. A state that lies in the radius of none passes bit for bit.
"""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Dict, Iterator, List, Mapping, Sequence, Tuple

import torch
from torch import Tensor

from fairseq_rome.algebra import Neighbours
from fairseq_rome.host.sites import Site, add_at_tokens, prepared
from fairseq_rome.patch.beside import Beside


@dataclass(frozen=True, eq=False)
class Codebook(Beside, kind="codebook"):
    """Kept states of a site with the values that take the place of its own.

    Args:
        site: the site.
        keys: n x d, inputs of the site.
        values: n x d, what the site writes instead.
        reach: length n, how far from each key an input may lie to be taken for it; the nearest key alone is asked.
        computed_from: the parameters of the site.
    """

    parts: ClassVar[Tuple[str, ...]] = ("keys", "values", "reach")

    site: Site
    keys: Tensor
    values: Tensor
    reach: Tensor
    computed_from: Tuple[str, ...] = ()

    @contextmanager
    def on(self, model: Any) -> Iterator[None]:
        """As for everything beside a model, which is in eval mode inside.

        Raises:
            EditError: if the model lacks the site.
        """
        index, here = Neighbours(self.keys), self

        def value(inputs: Tensor, _: Tensor) -> Tuple[Tensor, Tensor]:
            nonlocal here
            if here.reach.device != inputs.device:
                here = replace(here, values=here.values.to(inputs.device), reach=here.reach.to(inputs.device))
            distances, numbers = index.nearest(inputs.detach().reshape(-1, inputs.shape[-1]), 1)
            nearest = numbers[:, 0]
            near = distances[:, 0] < here.reach[nearest]
            return near.view(inputs.shape[:-1]), here.values[nearest[near]]

        with prepared(model), add_at_tokens(model, self.site, value, instead=True):
            yield

    @classmethod
    def merged(cls, several: Sequence[Any]) -> Sequence[Codebook]:
        """One for all of a site, so that the nearest key of all is asked."""
        sites: Dict[Site, List[Codebook]] = {}
        for one in several:
            sites.setdefault(one.site, []).append(one)
        return [
            replace(
                parts[0],
                keys=torch.cat([one.keys for one in parts]),
                values=torch.cat([one.values for one in parts]),
                reach=torch.cat([one.reach for one in parts]),
            )
            for parts in sites.values()
        ]

    def describe(self) -> str:
        """How many states it has, and where."""
        return f"{len(self.keys)} kept states at {self.site}"

    def record(self) -> Dict[str, Any]:
        """As for every piece."""
        return {**super().record(), "site": str(self.site), "computed_from": list(self.computed_from)}

    @classmethod
    def from_record(cls, record: Mapping[str, Any], tensors: Mapping[str, Tensor]) -> Codebook:
        """As for every piece."""
        return cls(
            Site.parse(record["site"]), tensors["keys"], tensors["values"], tensors["reach"],
            tuple(map(str, record["computed_from"])),
        )  # fmt: skip
