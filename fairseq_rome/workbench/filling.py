"""The cache of a model filled beforehand: with what edits, mining and evaluation will ask for."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import List, Sequence, Tuple

from torch import Tensor

from fairseq_rome.editing.edit_settings import EditSettings
from fairseq_rome.editing.site_plan import measured_together, plan
from fairseq_rome.host.decoding import Translator
from fairseq_rome.host.sites import Site, find_sites
from fairseq_rome.host.visiting import visits
from fairseq_rome.methods.registry import method_named
from fairseq_rome.statistics import backgrounds
from fairseq_rome.workbench.evaluating import load_test_sets
from fairseq_rome.workbench.workbench import Workbench


@dataclass(frozen=True)
class Filling:
    """What a cache is to hold.

    Args:
        test_sets: prefixes of raw text, or names of subsets of DATA, whose sources are decoded.
        sentences: how many other sentences of the training side are decoded.
        states: whether the states that beam search visits are kept too.
        settings: of the edits to come: method, site, background tokens, other directions and seed count.
    """

    test_sets: Tuple[str, ...] = ()
    sentences: int = 1000
    states: bool = False
    settings: EditSettings = field(default_factory=EditSettings)


@dataclass(frozen=True)
class Filled:
    """What a cache holds after it was filled.

    Args:
        sentences: how many of the sentences that were asked for, each once in a direction.
        decoded: how many of them were not there before.
        sites: those whose statistics are there.
    """

    sentences: int
    decoded: int
    sites: Tuple[Site, ...]


def fill_cache(bench: Workbench, wanted: Filling) -> Filled:
    """Decode and measure what is wanted and not there yet. What is decoded is kept at once, batch by batch.

    Args:
        bench: with the model, and the folder of the cache.
        wanted: what the cache is to hold.

    Raises:
        EditError: for a test set, a direction or a site that there is not.
    """
    model, settings = bench.model, wanted.settings
    translator, corpus = model.translator, bench.background(settings.seed)
    passes = _measured_sites(translator, settings)
    sites = tuple(dict.fromkeys(site for one in passes for site in one))
    asked = [tokens for one in load_test_sets(wanted.test_sets, translator.codec) for tokens in one.tokens]
    asked += map(translator.codec.source, corpus.without_triggers((), wanted.sentences))
    directions = bench.directions((), settings, corpus)
    parts = [(translator, asked)]
    parts += [(one.translator, list(map(one.translator.codec.source, one.sources))) for one in directions]
    with bench.prepared():
        counts = [_decode(*part, sites if wanted.states else ()) for part in parts]
        for together in passes if settings.edit_stats_tokens else ():
            backgrounds(
                translator, corpus, together, settings.edit_stats_tokens, model.spec.cache, model.model_fingerprint,
                directions, settings.weighs_keys,
            )  # fmt: skip
    measured = sites if settings.edit_stats_tokens else ()
    return Filled(sum(many for many, _ in counts), sum(new for _, new in counts), measured)


def _measured_sites(translator: Translator, settings: EditSettings) -> List[List[Site]]:
    """The sites that edits with some settings measure, by pass: of sites that are not named, those of the first try."""
    if not method_named(settings.method).at_site:
        return []
    planned = plan(list(find_sites(translator.model)), settings)
    tried = planned if settings.sites else planned[:1]
    return [measured_together(translator.model, site, settings) for site in tried]


def _decode(translator: Translator, sources: Sequence[Tensor], states: Sequence[Site]) -> Tuple[int, int]:
    """How many different sources there are, and how many of them are decoded now."""
    different = list({tuple(source.tolist()): source for source in sources}.values())
    entries = translator.entries()
    known = translator.ranks.of_first(lambda: entries.find(different) if entries else [])
    for _ in visits(translator, different, states):
        pass
    return len(different), len(different) - sum(one is not None for one in known)
