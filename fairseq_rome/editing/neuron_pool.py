"""Which neurons gates may take: dormant ones that no edit owns, and if wanted new ones past the end of a layer."""

from __future__ import annotations

import math
from typing import Dict, List, Mapping, Sequence, Set, Tuple

import torch
from torch import Tensor

from fairseq_rome.algebra import Merge, change_of, merges
from fairseq_rome.host.sites import Site
from fairseq_rome.patch import Patch
from fairseq_rome.statistics import Background

# Neurons past the end of a layer that one edit is offered where layers may grow: more than the steps of a segment, and
# than what is to stand behind its words.
_NEW_AT_ONCE = 128
# Most that `share` may be where layers may grow. Higher takes more old neurons before it adds new ones: files stay
# smaller, and more of what the layer wrote is lost.
_SILENT = 1e-5
_TINY = torch.finfo(torch.float64).tiny


class NeuronPool:
    """The neurons of each site that edits own and that they may still take.

    Dormant are the neurons that contribute least to what their layer writes on the background, as many as contribute
    no more than a given share of it together: taking all of them costs the model no more than that. Where a layer may
    grow only those are taken that are as good as silent, because a new neuron costs nothing.

    Args:
        earlier: edits that the model has already.
        share: of what a layer writes, as mean squares, that its dormant neurons may hold together.
        widen: whether there are new neurons where the dormant ones run out.
        merge: where they run out and layers don't grow, the share of what a layer writes, as mean squares, by which
            merging neurons that fire together may move it.
    """

    def __init__(self, earlier: Sequence[Patch], share: float, widen: bool, merge: float = 0.0) -> None:
        self.share = min(share, _SILENT) if widen else share
        self.widen = widen
        self.merge = 0.0 if widen else max(merge, 0.0)
        self._taken: Dict[Site, Set[int]] = {}
        self._hosts: Dict[Site, Set[int]] = {}
        self._dormant: Dict[Site, List[int]] = {}
        self._merged: Dict[Site, Dict[int, Merge]] = {}
        self._measured: Dict[Site, Tuple[Tensor, Tensor]] = {}
        self._width: Dict[Site, int] = {}
        for patch in earlier:
            self.take(patch)
        self._earlier, self._earlier_hosts = (
            {site: frozenset(neurons) for site, neurons in found.items()} for found in (self._taken, self._hosts)
        )

    def take(self, patch: Patch) -> None:
        """Note what an edit owns."""
        for site, neurons in patch.taken.items():
            self._taken.setdefault(site, set()).update(neurons)
        for site, neurons in patch.hosts.items():
            self._hosts.setdefault(site, set()).update(neurons)

    def give_back(self, patch: Patch) -> None:
        """The neurons of an edit that was taken out are free again."""
        for site, neurons in patch.taken.items():
            self._taken[site].difference_update(neurons)

    def spare(self, site: Site, background: Background, columns: Tensor) -> Tuple[int, ...]:
        """The neurons that an edit at a site may take, the most dormant first.

        Args:
            site: the site.
            background: its statistics before this run's edits.
            columns: d x f, `fc2` then.
        """
        taken = self._taken.get(site, set())
        if site not in self._dormant:
            self._width[site] = columns.shape[1]
            contributions = background.usage.double() * columns.double().square().sum(0)
            self._dormant[site] = self._least(site, contributions)
            total = float(contributions.sum())
            self._merged[site] = self._together(site, background, columns, total) if self.merge else {}
        free = [neuron for neuron in self._dormant[site] if neuron not in taken]
        # A patch of another run, of which more neurons were dormant, may have one write for two that is merged here.
        free += [neuron for neuron in self._merged[site] if neuron not in taken | self._hosts.get(site, set())]
        if self.widen:
            first = max([self._width[site], *(neuron + 1 for neuron in taken)])
            free += range(first, first + _NEW_AT_ONCE)
        return tuple(free)

    def left(self) -> Mapping[str, Tuple[int, int]]:
        """By site how many dormant and merged neurons are free, and how many there were before this run."""
        rooms = {site: {*dormant, *self._merged[site]} for site, dormant in self._dormant.items()}
        return {str(site): (len(room - self._taken.get(site, set())), len(room)) for site, room in rooms.items()}

    def merged(self, site: Site) -> Mapping[int, Merge]:
        """The neurons among those that `spare` gave that have to be merged first, with what they are merged into."""
        return self._merged.get(site, {})

    def made(self) -> Mapping[str, Tuple[int, float]]:
        """By site how many neurons are merged, and by which share of it this moves what it writes.

        That is a share of root mean squares on the background, of what the layer writes neuron by neuron.
        """
        found: Dict[str, Tuple[int, float]] = {}
        for site, merged in self._merged.items():
            made = {neuron: one for neuron, one in merged.items() if neuron in self._taken.get(site, ())}
            if made:
                found[str(site)] = len(made), change_of(*self._measured[site], made)
        return found

    def _together(self, site: Site, background: Background, columns: Tensor, total: float) -> Dict[int, Merge]:
        """The merges that there is a bound for, of neurons that neither edits nor dormant neurons have to do with."""
        allowed = torch.ones(columns.shape[1], dtype=torch.bool)
        allowed[[*self._earlier.get(site, ()), *self._earlier_hosts.get(site, ()), *self._dormant[site]]] = False
        # In units of what the layer writes, counted neuron by neuron as for those that are dormant.
        self._measured[site] = background.second_moment, columns / math.sqrt(max(total, _TINY))
        return merges(*self._measured[site], allowed, math.sqrt(self.merge))

    def _least(self, site: Site, contributions: Tensor) -> List[int]:
        earlier = self._earlier.get(site, frozenset())
        order = [int(neuron) for neuron in contributions.sort(stable=True).indices if int(neuron) not in earlier]
        within = contributions[order].cumsum(0) <= self.share * contributions.sum()
        return order[: int(within.sum())]
