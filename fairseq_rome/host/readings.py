"""What passes a site while the model follows a sentence pair, position by position."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Iterable, List, Optional, Sequence

import torch
from torch import Tensor

from fairseq_rome.host.batches import Batch, Pair, by_size, decoded, forced_logits
from fairseq_rome.host.decoding import Translator
from fairseq_rome.host.sites import Site, only_until, record, record_stream

# Most tokens of a batch: more are no faster on processors, and sentences of more lengths are padded to one.
_BATCH_TOKENS = 1000


@dataclass(frozen=True)
class SiteReading:
    """One sentence pair under teacher forcing, L positions of the site's stack and T target positions.

    Args:
        inputs: L x d inputs of the site.
        keys: L x f keys.
        values: L x d values.
        log_probs: T, log-probability of each target token; 0 of a prefix, which decoding is given and does not choose.
        best: T, the token that the model holds most probable at each target position; there the prefix.
        watched: T, the probability of some tokens together at each target position; zero where none are watched.
    """

    inputs: Tensor
    keys: Tensor
    values: Tensor
    log_probs: Tensor
    best: Tensor
    watched: Tensor


def read_site(
    translator: Translator, pairs: Sequence[Pair], site: Site, watched: Iterable[int] = ()
) -> List[SiteReading]:
    """Read a site on pairs, in their order, and the probability of the tokens that are watched."""
    tokens = torch.tensor(sorted(set(watched)), dtype=torch.long)
    given = int(translator.adapter.target_prefix >= 0)
    found: List[Optional[SiteReading]] = [None] * len(pairs)
    for indices in by_size(pairs, _BATCH_TOKENS):
        batch = translator.batcher.batch([pairs[index] for index in indices])
        with torch.no_grad(), record(translator.model, [site]) as seen:
            logits = forced_logits(translator.model, batch)
        places = reading_places(translator, batch, site)
        for row, index in enumerate(indices):
            inputs, keys, values = (
                part[places[row], row].float()
                for part in (seen[site].inputs, seen[site].keys, seen[site].values)
            )
            real = batch.target_mask[row]
            scores = logits[row, real]
            total = scores.logsumexp(-1)
            chosen = scores.gather(1, batch.target[row, real].unsqueeze(1)).squeeze(1) - total
            best = scores.argmax(-1)
            chosen[:given], best[:given] = 0.0, batch.target[row, real][:given]
            shares = (scores[:, tokens] - total.unsqueeze(1)).exp().sum(-1)
            found[index] = SiteReading(inputs, keys, values, chosen.cpu(), best.cpu(), shares.cpu())
    return [item for item in found if item is not None]


def read_stream(translator: Translator, pairs: Sequence[Pair], site: Site) -> List[Tensor]:
    """The residual stream at a site (L x d) on pairs, in their order.

    Raises:
        EditError: as for `record_stream`.
    """
    found: List[Optional[Tensor]] = [None] * len(pairs)
    for indices in by_size(pairs, _BATCH_TOKENS):
        batch = translator.batcher.batch([pairs[index] for index in indices])
        with torch.no_grad(), record_stream(translator.model, site) as seen, only_until(translator.model, [site]):
            decoded(translator.model, batch, features_only=True)
        places = reading_places(translator, batch, site)
        for row, index in enumerate(indices):
            found[index] = seen[0][places[row], row].float().cpu()
    return [item for item in found if item is not None]


def reading_places(translator: Translator, batch: Batch, site: Site) -> Tensor:
    """B x (S or T), true at the positions of the site's stack that are those of the sentence pair's own tokens."""
    if site.in_decoder:
        return batch.target_mask
    real = batch.source_mask(translator.adapter.source_dictionary.pad())
    return real & real.long().cumsum(1).gt(translator.adapter.source_offset)
