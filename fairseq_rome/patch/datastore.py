"""Key-token pairs beside a model, which are consulted at every decoding step.

As kNN-MT (Khandelwal et al. 2021, arXiv 2010.00710): a key is the input of the decoder's last feed-forward network, its
value the token that is right there, and what the nearest keys vote for is mixed into the model's own distribution.
Where adaptive kNN-MT (Zheng et al. 2021, arXiv 2105.13022) learns when to listen to them, every key here has a reach of
its own. A state that lies in the reach of none passes bit for bit.
"""

from __future__ import annotations

import math
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Dict, Iterator, List, Mapping, Sequence, Tuple

import torch
from torch import Tensor

from fairseq_rome.algebra import Neighbours
from fairseq_rome.host.sites import Site, rescored
from fairseq_rome.patch.beside import Beside


@dataclass(frozen=True, eq=False)
class Datastore(Beside, kind="datastore"):
    """Corrections as key-token pairs.

    Args:
        site: the decoder site whose inputs are keys.
        keys: n x d.
        tokens: length n, the target token that is right at each key.
        reach: length n, how far from each key a state may lie to be its neighbour.
        neighbours: how many keys are asked at a state.
        weight: share of the votes in the distribution; the rest is the model's.
        temperature: of the votes: a key at a share s of its reach votes with exp(-s^2 / temperature).
        computed_from: the parameters of the site.
    """

    parts: ClassVar[Tuple[str, ...]] = ("keys", "tokens", "reach")

    site: Site
    keys: Tensor
    tokens: Tensor
    reach: Tensor
    neighbours: int
    weight: float
    temperature: float
    computed_from: Tuple[str, ...] = ()

    @contextmanager
    def on(self, model: Any) -> Iterator[None]:
        """As for everything beside a model.

        Raises:
            EditError: if the model lacks the site, or its decoder has no plain output layer.
        """
        index, here = Neighbours(self.keys), self

        def rescore(inputs: Tensor, logits: Tensor) -> Tensor:
            nonlocal here
            if here.reach.device != inputs.device:
                here = replace(here, tokens=here.tokens.to(inputs.device), reach=here.reach.to(inputs.device))
            return here.mixed(index, inputs.detach(), logits)

        with rescored(model, self.site, rescore):
            yield

    def mixed(self, index: Neighbours, inputs: Tensor, logits: Tensor) -> Tensor:
        """Logits with the votes of neighbours (arXiv 2010.00710, equations 2 and 3).

        Args:
            index: of the keys.
            inputs: n x d states, on the device of the tokens and the reach.
            logits: n x V; returned as they are where no state has a neighbour.
        """
        distances, numbers = index.nearest(inputs, self.neighbours)
        share = distances / self.reach[numbers]
        near = share < 1
        rows = near.any(1)
        if not bool(rows.any()):
            return logits
        votes = (-share[rows].square() / self.temperature).masked_fill(~near[rows], -math.inf).softmax(1)
        own = logits[rows].float().log_softmax(-1)
        voted = torch.zeros_like(own).scatter_add_(1, self.tokens[numbers[rows]], votes.to(own))
        mixed = torch.logaddexp(own + math.log1p(-self.weight), voted.log() + math.log(self.weight))
        changed = logits.clone()
        changed[rows] = mixed.to(logits.dtype)
        return changed

    @classmethod
    def merged(cls, several: Sequence[Any]) -> Sequence[Datastore]:
        """One for all that are searched alike, so that one search is enough."""
        groups: Dict[Any, List[Datastore]] = {}
        for one in several:
            groups.setdefault((one.site, one.neighbours, one.weight, one.temperature), []).append(one)
        return [
            replace(
                parts[0],
                keys=torch.cat([one.keys for one in parts]),
                tokens=torch.cat([one.tokens for one in parts]),
                reach=torch.cat([one.reach for one in parts]),
            )
            for parts in groups.values()
        ]

    def describe(self) -> str:
        """How many pairs it has, and where."""
        return f"{len(self.keys)} key-token pairs at {self.site}"

    def record(self) -> Dict[str, Any]:
        """As for every piece."""
        told = {"site": str(self.site), "computed_from": list(self.computed_from)}
        search = {"neighbours": self.neighbours, "weight": self.weight, "temperature": self.temperature}
        return {**super().record(), **told, **search}

    @classmethod
    def from_record(cls, record: Mapping[str, Any], tensors: Mapping[str, Tensor]) -> Datastore:
        """As for every piece."""
        return cls(
            Site.parse(record["site"]), tensors["keys"], tensors["tokens"], tensors["reach"],
            int(record["neighbours"]), float(record["weight"]), float(record["temperature"]),
            tuple(map(str, record["computed_from"])),
        )  # fmt: skip
