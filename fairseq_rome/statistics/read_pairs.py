"""Sentence pairs whose inputs at several sites are read in one pass, and once for all attempts of an edit."""

from __future__ import annotations

from typing import Dict, Sequence, Tuple

from torch import Tensor

from fairseq_rome.host.batches import Pair
from fairseq_rome.host.decoding import Translator
from fairseq_rome.host.sites import Site
from fairseq_rome.statistics.measuring import inputs_at


class ReadPairs:
    """Sentence pairs that an edit is to leave as they are, as the model reads them when they are first asked for.

    Args:
        translator: the model and what decodes with it.
        pairs: the sentence pairs.
        sites: where they may be asked for.
    """

    def __init__(self, translator: Translator, pairs: Tuple[Pair, ...], sites: Sequence[Site]) -> None:
        self.translator, self.pairs = translator, pairs
        self._sites = tuple(sites)
        self._known: Dict[Site, Tuple[Tensor, Tensor, Tensor]] = {}

    def inputs(self, site: Site) -> Tuple[Tensor, Tensor, Tensor]:
        """As `inputs_of`, at a site."""
        if site not in self._known:
            wanted = dict.fromkeys((site, *(one for one in self._sites if one.stack == site.stack)))
            self._known.update(inputs_at(self.translator, self.pairs, list(wanted)))
        return self._known[site]
