"""What passes a site on background text: inputs, how busy each neuron is, the second moment of the keys.

Streamed over a corpus, padding masked, and cached in a file that names all that it depends on, so that a
stale one is never taken.
"""

from __future__ import annotations

import hashlib
import json
from contextlib import suppress
from dataclasses import dataclass, fields, replace
from functools import cached_property
from pathlib import Path
from typing import Dict, Iterator, List, Optional, Sequence, Tuple

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file, save_file
from torch import Tensor

from fairseq_rome.errors import EditError
from fairseq_rome.files import written_whole
from fairseq_rome.host.batches import Pair, by_size, decoded, encoded
from fairseq_rome.host.corpus import Corpus
from fairseq_rome.host.decoding import Translator
from fairseq_rome.host.other_directions import OtherDirection
from fairseq_rome.host.sites import Activations, Site, record

# Most tokens of a batch: more is faster and takes more memory. Rounding depends on it, so cached statistics do too.
_BATCH_TOKENS = 4000
# Bytes of a site's inputs in single precision above which they are kept in half: 50,000 positions of more than 671
# numbers. Half takes half the memory, and rounds by one part in 2,000; below, edits keep their bits.
_MOST_SINGLE = 128 * 2**20
# Positions that are made single again at a time.
_AT_A_TIME = 4096
# Of the cache files; counted up where what they hold changes.
_FORMAT = 1
# Background positions of all other directions together, as a share of those of the edited one. More hold an edit off
# other directions in rarer states; they take time, and move what is measured away from the edited direction.
_OTHERS_SHARE = 0.5
OF_OTHERS = -1
"""The index that stands for the sentence of every position of another direction."""


@dataclass(frozen=True)
class Background:
    """Statistics of one site over n background positions.

    Args:
        inputs: n x d inputs of `fc1`; in half precision where they are large.
        sentence: length n, index of each position's sentence in the corpus; `OF_OTHERS` in other directions.
        symbol: length n, at a decoder site the token to be predicted there, at an encoder site the token
            itself.
        usage: length f, mean square of each neuron's activation, in the direction where it is largest.
        moment: f x f, second moment of the keys, E[k k^T].
    """

    inputs: Tensor
    sentence: Tensor
    symbol: Tensor
    usage: Tensor
    moment: Tensor

    @cached_property
    def eigen(self) -> Tuple[Tensor, Tensor]:
        """Eigenvalues (length f, ascending) and eigenvectors (f x f, columns) of the moment, each computed once."""
        values, vectors = torch.linalg.eigh(self.moment.double())
        return values.float(), vectors.float()

    @cached_property
    def spread(self) -> Tuple[Tensor, Tensor]:
        """Mean (length d) and covariance (d x d) of the inputs."""
        if self.inputs.dtype == torch.float32:
            mean = self.inputs.mean(0)
            centred = self.inputs - mean
            return mean, centred.T @ centred / len(centred)
        parts = self.inputs.split(_AT_A_TIME)
        total = torch.stack([part.double().sum(0) for part in parts]).sum(0)
        mean = (total / len(self.inputs)).float()
        product = torch.zeros(len(mean), len(mean))
        for part in parts:
            centred = part.float() - mean
            product += centred.T @ centred
        return mean, product / len(self.inputs)

    @property
    def no_inputs(self) -> Tensor:
        """None of the inputs (0 x d), in single precision."""
        return self.inputs[:0].float()


def collect(
    translator: Translator, corpus: Corpus, site: Site, tokens: int, others: Sequence[OtherDirection] = ()
) -> Background:
    """Measure a site over the first sentences of a corpus, up to `tokens` positions; sums in float64.

    Of other directions half as many positions are measured, over all of them: an edit is to leave these as they are,
    and a neuron that is silent in one direction may do the daily work of another.
    """
    rows: List[Tuple[Tensor, Tensor, Tensor]] = []
    sums: List[Tensor] = []
    usages: List[Tensor] = []
    for number, (measured, pairs, chosen) in enumerate(_measured(translator, corpus, site, tokens, others)):
        moment: Optional[Tensor] = None
        before = len(rows)
        for indices, seen, mask, symbols in _stream(measured, pairs, chosen, site):
            keys = seen.keys.transpose(0, 1)[mask].double()
            moment = keys.T @ keys if moment is None else moment.add_(keys.T @ keys)
            of = torch.tensor([OF_OTHERS] * len(indices) if number else indices)
            sentences = of.unsqueeze(1).expand(mask.shape)[mask.cpu()]
            rows.append((seen.inputs.transpose(0, 1)[mask].float().cpu(), sentences, symbols[mask].cpu()))
        assert moment is not None
        usages.append((moment.diagonal() / sum(len(part) for part, _, _ in rows[before:])).float().cpu())
        sums = [moment if not sums else sums[0].add_(moment)]  # the sum alone: a moment is large
    sentence, symbol = (torch.cat([row[part] for row in rows]) for part in (1, 2))
    inputs = _kept([row[0] for row in rows])
    moment = sums[0].div_(len(inputs)).cpu()
    return Background(inputs, sentence, symbol, torch.stack(usages).amax(0), moment.float())


def _measured(
    translator: Translator, corpus: Corpus, site: Site, tokens: int, others: Sequence[OtherDirection]
) -> Iterator[Tuple[Translator, Sequence[Pair], List[int]]]:
    """What is measured: the edited direction, then each other one of which there are pairs."""
    chosen = _first(corpus.pairs, site, tokens)
    yield translator, corpus.pairs, chosen
    learnt = [one for one in others if one.corpus.pairs]
    share = int(_OTHERS_SHARE * sum(_length(corpus.pairs[index], site) for index in chosen)) // max(len(learnt), 1)
    for one in learnt:
        yield one.translator, one.corpus.pairs, _first(one.corpus.pairs, site, share)


def _kept(parts: Sequence[Tensor]) -> Tensor:
    """Rows of inputs as they are kept: in half precision where they are large, and none is beyond its range."""
    size = sum(part.numel() * part.element_size() for part in parts)
    half = size > _MOST_SINGLE and all(bool(part.half().isfinite().all()) for part in parts)
    kept = torch.empty(sum(map(len, parts)), parts[0].shape[1], dtype=torch.float16 if half else torch.float32)
    start = 0
    for part in parts:
        kept[start : start + len(part)] = part
        start += len(part)
    return kept


def inputs_of(translator: Translator, pairs: Sequence[Pair], site: Site) -> Tuple[Tensor, Tensor, Tensor]:
    """A site's inputs (n x d) at every position of some pairs, sentence and symbol as in `Background`."""
    rows = []
    for indices, seen, mask, symbols in _stream(translator, pairs, range(len(pairs)), site):
        sentences = torch.tensor(indices).unsqueeze(1).expand(mask.shape)[mask.cpu()]
        rows.append((seen.inputs.transpose(0, 1)[mask].float().cpu(), sentences, symbols[mask].cpu()))
    inputs, sentence, symbol = (torch.cat(parts) for parts in zip(*rows))
    return inputs, sentence, symbol


def keys_of(translator: Translator, pairs: Sequence[Pair], site: Site, tokens: int) -> Tensor:
    """A site's keys (n x f) at the positions of the first of some pairs, up to so many of them."""
    chosen = _first(pairs, site, tokens)
    return torch.cat([
        seen.keys.transpose(0, 1)[mask].float().cpu()
        for _, seen, mask, _ in _stream(translator, pairs, chosen, site)
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
    translator: Translator, pairs: Sequence[Pair], chosen: Sequence[int], site: Site
) -> Iterator[Tuple[List[int], Activations, Tensor, Tensor]]:
    """Per batch: sentence indices, activations (T x B x C), mask (B x T) and symbols (B x T)."""
    model, batcher = translator.model, translator.batcher
    batches = by_size([pairs[index] for index in chosen], _BATCH_TOKENS)
    for places in translator.progress(batches, f"statistics of {site}"):
        indices = [chosen[place] for place in places]
        batch = batcher.batch([pairs[index] for index in indices])
        with torch.no_grad(), record(model, [site]) as seen:
            if site.in_decoder:
                decoded(model, batch, features_only=True)
            else:
                encoded(model, batch)
        if site.in_decoder:
            yield indices, seen[site], batch.target_mask, batch.target
        else:
            sources = batch.net_input["src_tokens"]
            yield indices, seen[site], batch.source_mask(translator.adapter.source_dictionary.pad()), sources


def background(
    translator: Translator,
    corpus: Corpus,
    site: Site,
    tokens: int,
    cache: Optional[str],
    fingerprint: str,
    others: Sequence[OtherDirection] = (),
) -> Background:
    """`collect`, or what an earlier `collect` of the same left in the cache.

    Args:
        translator: the model.
        corpus: background sentences.
        site: the site.
        tokens: positions at most.
        cache: folder of the cache files; None for no cache. A folder that can't be written to is no cache
            either.
        fingerprint: of the model's weights.
        others: other directions, which are measured too.
    """
    if cache is None:
        return collect(translator, corpus, site, tokens, others)
    key = _provenance(translator, corpus, site, tokens, fingerprint, others)
    name = hashlib.sha256(json.dumps(key, sort_keys=True).encode()).hexdigest()[:16]
    path = Path(cache) / f"{site}-{tokens}-{name}.safetensors"
    found = _read(path, key)
    if found is None:
        found = collect(translator, corpus, site, tokens, others)
        _write(path, found, key)
    return found


def _provenance(
    translator: Translator,
    corpus: Corpus,
    site: Site,
    tokens: int,
    fingerprint: str,
    others: Sequence[OtherDirection],
) -> Dict[str, str]:
    """All that the statistics depend on; what only some tasks or runs have is there for them alone."""
    (_, _, chosen), *more = _measured(translator, corpus, site, tokens, others)
    found = {
        "format": str(_FORMAT),
        "weights": fingerprint,
        "site": str(site),
        "subset": corpus.subset,
        "data": _digest(corpus.pairs, chosen),
        "tokens": str(tokens),
        "start": str(translator.batcher.start),
    }
    around = _around(translator)
    if around:
        found["around"] = around
    if more:
        told = [[_around(one), one.batcher.start, _digest(pairs, chosen)] for one, pairs, chosen in more]
        found["others"] = hashlib.sha256(json.dumps(told).encode()).hexdigest()
    return found


def _digest(pairs: Sequence[Pair], chosen: Sequence[int]) -> str:
    text = hashlib.sha256()
    for index in chosen:
        text.update(pairs[index].source.numpy().tobytes() + pairs[index].target.numpy().tobytes())
    return text.hexdigest()


def _around(translator: Translator) -> str:
    """What the task puts around a source besides the end symbol, such as a language symbol; empty for nothing."""
    end = torch.tensor([translator.adapter.source_dictionary.eos()])
    tokens = translator.batcher.sources([end])["src_tokens"][0].tolist()
    return "" if tokens == end.tolist() else str(tokens)


def _read(path: Path, key: Dict[str, str]) -> Optional[Background]:
    try:
        with safe_open(str(path), framework="pt") as file:
            if file.metadata() != key:
                return None
        # Copied into memory of torch's own: rounding depends on where a tensor lies, and edits are to be the same bits
        # whether their statistics were measured or kept.
        found = Background(**{name: tensor.clone() for name, tensor in load_file(str(path)).items()})
        return found if found.inputs.dtype == torch.float16 else replace(found, inputs=_kept([found.inputs]))
    except (OSError, SafetensorError, TypeError):
        # Missing, truncated or of another layout: measured again.
        return None


def _write(path: Path, found: Background, key: Dict[str, str]) -> None:
    tensors = {f.name: getattr(found, f.name).contiguous() for f in fields(found)}
    with suppress(OSError, SafetensorError, EditError):
        path.parent.mkdir(parents=True, exist_ok=True)
        with written_whole(path) as temporary:
            save_file(tensors, temporary, metadata=key)
