"""Statistics of sites, streamed over a corpus with padding masked; sites of one stack are measured in one pass."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import partial
from typing import Dict, Iterator, List, Mapping, NamedTuple, Optional, Sequence, Tuple

import torch
from torch import Tensor

from fairseq_rome.host.batches import Pair, by_size, decoded, encoded
from fairseq_rome.host.corpus import Corpus
from fairseq_rome.host.decoding import Translator
from fairseq_rome.host.other_directions import OtherDirection
from fairseq_rome.host.sites import Activations, Site, only_until, record
from fairseq_rome.statistics.background import OF_OTHERS, Background, as_kept

# Most tokens of a batch: more is faster and takes more memory. Rounding depends on it, so cached statistics do too.
_BATCH_TOKENS = 4000
# Background positions of all other directions together, as a share of those of the edited one. More hold an edit off
# other directions in rarer states; they take time, and move what is measured away from the edited direction.
_OTHERS_SHARE = 0.5


def collect(
    translator: Translator, corpus: Corpus, sites: Sequence[Site], tokens: int,
    others: Sequence[OtherDirection] = (), moment: bool = True,
) -> Dict[Site, Background]:  # fmt: skip
    """Measure sites of one stack over the first sentences of a corpus, up to `tokens` positions; sums in float64.

    Of other directions half as many positions are measured, over all of them: an edit is to leave these as they are,
    and a neuron that is silent in one direction may do the daily work of another.

    Args:
        translator: the model.
        corpus: background sentences.
        sites: all in the encoder, or all in the decoder.
        tokens: positions at most.
        others: other directions.
        moment: whether the second moment of the keys is measured.
    """
    sums = {site: _Sums() for site in sites}
    where: List[Tuple[Tensor, Tensor]] = []
    for number, (measured, pairs, chosen) in enumerate(chosen_pairs(translator, corpus, sites[0], tokens, others)):
        batches = _batches(measured, pairs, chosen, sites)
        work = partial(_measured, measured, pairs, sites, moment)
        for indices, (places, symbols, parts) in translator.ranks.each(batches, work):
            of = torch.tensor([OF_OTHERS] * len(indices) if number else indices)
            where.append((of[places], symbols))
            for site, one in sums.items():
                one.add(parts[site])
        for one in sums.values():
            one.end_direction()
    sentence, symbol = (torch.cat(parts) for parts in zip(*where))
    return {site: one.background(sentence, symbol) for site, one in sums.items()}


class _Part(NamedTuple):
    """What one batch of n positions adds to the statistics of a site."""

    inputs: Tensor  # n x d
    squares: Tensor  # f, the sum of each neuron's squared activation
    product: Optional[Tensor]  # f x f, the product of the keys with themselves


def _measured(
    translator: Translator, pairs: Sequence[Pair], sites: Sequence[Site], moment: bool, indices: Sequence[int]
) -> Tuple[Tensor, Tensor, Dict[Site, _Part]]:
    """Of each position of a batch the place of its sentence among the indices and the symbol; and the parts."""
    seen, mask, symbols = _passed(translator, pairs, indices, sites)
    parts = {}
    for site in sites:
        keys = seen[site].keys.transpose(0, 1)[mask].double()
        inputs = seen[site].inputs.transpose(0, 1)[mask].float().cpu()
        parts[site] = _Part(inputs, keys.square().sum(0).cpu(), (keys.T @ keys).cpu() if moment else None)
    return mask.cpu().nonzero()[:, 0], symbols[mask].cpu(), parts


@dataclass
class _Sums:
    """What is summed up for one site.

    Args:
        inputs: by batch, n x d.
        squares: by batch of the direction that is measured, the sum of each neuron's squared activation.
        usages: by direction that was measured, the mean of the same.
        product: f x f, the sum of the products of the keys with themselves; empty where there is none.
    """

    inputs: List[Tensor] = field(default_factory=list)
    squares: List[Tensor] = field(default_factory=list)
    usages: List[Tensor] = field(default_factory=list)
    product: List[Tensor] = field(default_factory=list)
    _positions: int = 0

    def add(self, part: _Part) -> None:
        """Add a batch."""
        self.inputs.append(part.inputs)
        self.squares.append(part.squares)
        self._positions += len(part.inputs)
        if part.product is not None:  # one alone: it is large
            self.product = [self.product[0].add_(part.product) if self.product else part.product]

    def end_direction(self) -> None:
        """What comes is of another direction."""
        self.usages.append((torch.stack(self.squares).sum(0) / self._positions).float())
        self.squares, self._positions = [], 0

    def background(self, sentence: Tensor, symbol: Tensor) -> Background:
        """The statistics, with the sentence and the symbol of each position."""
        moment = self.product[0].div_(len(sentence)).float() if self.product else None
        return Background(as_kept(self.inputs), sentence, symbol, torch.stack(self.usages).amax(0), moment)


def chosen_pairs(
    translator: Translator, corpus: Corpus, site: Site, tokens: int, others: Sequence[OtherDirection]
) -> Iterator[Tuple[Translator, Sequence[Pair], List[int]]]:
    """What is measured: the edited direction, then each other one of which there are pairs."""
    chosen = _first(corpus.pairs, site, tokens)
    yield translator, corpus.pairs, chosen
    learnt = [one for one in others if one.corpus.pairs]
    share = int(_OTHERS_SHARE * sum(_length(corpus.pairs[index], site) for index in chosen)) // max(len(learnt), 1)
    for one in learnt:
        yield one.translator, one.corpus.pairs, _first(one.corpus.pairs, site, share)


def inputs_of(translator: Translator, pairs: Sequence[Pair], site: Site) -> Tuple[Tensor, Tensor, Tensor]:
    """A site's inputs (n x d) at every position of some pairs, sentence and symbol as in `Background`."""
    return inputs_at(translator, pairs, [site])[site]


def inputs_at(
    translator: Translator, pairs: Sequence[Pair], sites: Sequence[Site]
) -> Dict[Site, Tuple[Tensor, Tensor, Tensor]]:
    """As `inputs_of`, at several sites of one stack."""
    rows: Dict[Site, List[Tuple[Tensor, Tensor, Tensor]]] = {site: [] for site in sites}
    for indices, seen, mask, symbols in _stream(translator, pairs, range(len(pairs)), sites):
        sentences = torch.tensor(indices).unsqueeze(1).expand(mask.shape)[mask.cpu()]
        for site, found in rows.items():
            found.append((seen[site].inputs.transpose(0, 1)[mask].float().cpu(), sentences, symbols[mask].cpu()))
    whole = {site: [torch.cat(parts) for parts in zip(*found)] for site, found in rows.items()}
    return {site: (inputs, sentence, symbol) for site, (inputs, sentence, symbol) in whole.items()}


def keys_of(translator: Translator, pairs: Sequence[Pair], site: Site, tokens: int) -> Tensor:
    """A site's keys (n x f) at the positions of the first of some pairs, up to so many of them."""
    chosen = _first(pairs, site, tokens)
    return torch.cat([
        seen[site].keys.transpose(0, 1)[mask].float().cpu()
        for _, seen, mask, _ in _stream(translator, pairs, chosen, [site])
    ])  # fmt: skip


def _first(pairs: Sequence[Pair], site: Site, tokens: int) -> List[int]:
    chosen: List[int] = []
    for index, pair in enumerate(pairs):
        if tokens <= 0 and chosen:
            break
        chosen.append(index)
        tokens -= _length(pair, site)
    return chosen


def _length(pair: Pair, site: Site) -> int:
    return len(pair.target if site.in_decoder else pair.source)


def _stream(
    translator: Translator, pairs: Sequence[Pair], chosen: Sequence[int], sites: Sequence[Site]
) -> Iterator[Tuple[List[int], Mapping[Site, Activations], Tensor, Tensor]]:
    """Per batch: sentence indices, activations (T x B x C) by site, mask (B x T) and symbols (B x T)."""
    for indices in _batches(translator, pairs, chosen, sites):
        yield (indices, *_passed(translator, pairs, indices, sites))


def _batches(
    translator: Translator, pairs: Sequence[Pair], chosen: Sequence[int], sites: Sequence[Site]
) -> Iterator[List[int]]:
    """Indices of the chosen pairs in batches."""
    batches = by_size([pairs[index] for index in chosen], _BATCH_TOKENS)
    for places in translator.progress(batches, f"statistics of {' and '.join(map(str, sites))}"):
        yield [chosen[place] for place in places]


def _passed(
    translator: Translator, pairs: Sequence[Pair], indices: Sequence[int], sites: Sequence[Site]
) -> Tuple[Mapping[Site, Activations], Tensor, Tensor]:
    """Of one batch: activations (T x B x C) by site, mask (B x T) and symbols (B x T)."""
    model = translator.model
    batch = translator.batcher.batch([pairs[index] for index in indices])
    with torch.no_grad(), record(model, sites) as seen, only_until(model, sites):
        if sites[0].in_decoder:
            decoded(model, batch, features_only=True)
        else:
            encoded(model, batch)
    if sites[0].in_decoder:
        return seen, batch.target_mask, batch.target
    sources = batch.net_input["src_tokens"]
    return seen, batch.source_mask(translator.adapter.source_dictionary.pad()), sources
