"""Statistics in cache files that name all that they depend on, so that a stale one is never taken."""

from __future__ import annotations

import hashlib
import json
from contextlib import suppress
from dataclasses import fields, replace
from pathlib import Path
from typing import Dict, List, Optional, Sequence, Tuple

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file, save_file

from fairseq_rome.errors import EditError
from fairseq_rome.files import written_whole
from fairseq_rome.host.batches import Pair
from fairseq_rome.host.corpus import Corpus
from fairseq_rome.host.decoding import Translator
from fairseq_rome.host.other_directions import OtherDirection
from fairseq_rome.host.sites import Site
from fairseq_rome.statistics.background import Background, as_kept
from fairseq_rome.statistics.measuring import chosen_pairs, collect

# Of the cache files; counted up where what they hold changes.
_FORMAT = 2


class RecentStatistics:
    """The statistics that were last read from cache files, with what was computed of them since.

    Args:
        most: sites that stay in memory; 0 for none.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._known: Dict[str, Background] = {}

    def read(self, path: Path, key: Dict[str, str]) -> Optional[Background]:
        """The statistics of a cache file; None where there is none of the key."""
        name = _name(key)
        found = self._known.pop(name, None) or _read(path, key)
        if found is not None and self._most:
            self._known[name] = found
            while len(self._known) > self._most:
                del self._known[next(iter(self._known))]
        return found


def backgrounds(
    translator: Translator,
    corpus: Corpus,
    sites: Sequence[Site],
    tokens: int,
    cache: Optional[str],
    fingerprint: str,
    others: Sequence[OtherDirection] = (),
    moment: bool = True,
    recent: Optional[RecentStatistics] = None,
) -> Dict[Site, Background]:
    """`collect`, or what an earlier `collect` of the same left in the cache.

    Args:
        translator: the model.
        corpus: background sentences.
        sites: all in the encoder, or all in the decoder; those that are not in the cache are measured in one pass.
        tokens: positions at most.
        cache: folder of the cache files; None for no cache. A folder that can't be written to is no cache
            either.
        fingerprint: of the model's weights.
        others: other directions, which are measured too.
        moment: whether the second moment of the keys is needed; what was measured with it serves without, too.
        recent: what of the cache is still in memory; None for nothing.
    """
    if cache is None:
        return collect(translator, corpus, sites, tokens, others, moment)
    shared = _provenance(translator, corpus, sites[0], tokens, fingerprint, others)
    translator.ranks.agree("background sentences", lambda: shared)
    files = {site: _files(Path(cache), {**shared, "site": str(site)}, moment) for site in sites}
    ranks = translator.ranks
    reader = RecentStatistics(0) if recent is None else recent
    known = ranks.of_first(lambda: {site: _first_read(places, reader) for site, places in files.items()})
    found = {site: one for site, one in known.items() if one is not None}
    missing = [site for site in sites if site not in found]
    if missing:
        found.update(collect(translator, corpus, missing, tokens, others, moment))
    for site in missing:
        path, key = files[site][0]
        if ranks.first:
            _write(path, found[site], key)
    return found


def _files(folder: Path, with_moment: Dict[str, str], moment: bool) -> List[Tuple[Path, Dict[str, str]]]:
    """The files that may hold the statistics of a site, each with what it must name; the first is the one to write."""
    keys = [with_moment] if moment else [{**with_moment, "moment": "none"}, with_moment]
    return [(folder / f"{key['site']}-{key['tokens']}-{_name(key)}.safetensors", key) for key in keys]


def _first_read(places: Sequence[Tuple[Path, Dict[str, str]]], reader: RecentStatistics) -> Optional[Background]:
    return next((one for one in (reader.read(*place) for place in places) if one is not None), None)


def _name(key: Dict[str, str]) -> str:
    return hashlib.sha256(json.dumps(key, sort_keys=True).encode()).hexdigest()[:16]


def _provenance(
    translator: Translator,
    corpus: Corpus,
    site: Site,
    tokens: int,
    fingerprint: str,
    others: Sequence[OtherDirection],
) -> Dict[str, str]:
    """All that the statistics depend on; what only some tasks or runs have is there for them alone."""
    (_, _, chosen), *more = chosen_pairs(translator, corpus, site, tokens, others)
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
        return found if found.inputs.dtype == torch.float16 else replace(found, inputs=as_kept([found.inputs]))
    except (OSError, SafetensorError, TypeError):
        # Missing, truncated or of another layout: measured again.
        return None


def _write(path: Path, found: Background, key: Dict[str, str]) -> None:
    held = {f.name: getattr(found, f.name) for f in fields(found)}
    tensors = {name: tensor.contiguous() for name, tensor in held.items() if tensor is not None}
    with suppress(OSError, SafetensorError, EditError):
        path.parent.mkdir(parents=True, exist_ok=True)
        with written_whole(path) as temporary:
            save_file(tensors, temporary, metadata=key)
