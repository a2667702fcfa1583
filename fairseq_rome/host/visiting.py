"""The states that beam search visits for a sentence: the inputs of sites in all of them, the losing beams included."""

from __future__ import annotations

from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from typing import Any, Dict, Iterator, List, Mapping, Optional, Sequence, Tuple

import torch
from torch import Tensor, nn

from fairseq_rome.host.decoding import Hypothesis, Translator
from fairseq_rome.host.ranks import AHEAD
from fairseq_rome.host.remembered import Entries, Said, digest_of
from fairseq_rome.host.sites import Site, layer_at

States = Mapping[Site, Tensor]
"""For one sentence the inputs of each site (n x d, half precision) in the n states that beam search visits."""


@dataclass(frozen=True)
class Visit:
    """What beam search does for one sentence.

    Args:
        index: of the sentence among those that were asked for.
        hypothesis: what it finds.
        states: what it visits.
    """

    index: int
    hypothesis: Hypothesis
    states: States


def visits(
    translator: Translator, sources: Sequence[Tensor], sites: Sequence[Site], label: str = "decoding"
) -> Iterator[List[Visit]]:
    """Decode sources (token ids) and give the states of each, some sentences at a time; not in their order.

    What is remembered of an unedited model is not decoded again.

    Raises:
        EditError: if a sentence is longer than the model takes.
    """
    translator.check_lengths(sources)
    translator.ranks.agree("sentences", lambda: digest_of(sources))
    entries, ranks = translator.entries(), translator.ranks
    # Each once: whether a sentence is known already when it comes again hangs on how many processes there are.
    places: Dict[Tuple[int, ...], List[int]] = {}
    for index, source in enumerate(sources):
        places.setdefault(tuple(source.tolist()), []).append(index)
    groups = translator.groups(sources, [same[0] for same in places.values()])

    def looked_up() -> Iterator[_Group]:
        for indices in translator.progress(groups, label) if len(groups) > 1 else groups:
            chosen = [sources[index] for index in indices]
            known = ranks.of_first(lambda: _known(translator, entries, chosen, sites))  # noqa: B023 - called at once
            yield _Group([places[tuple(source.tolist())] for source in chosen], chosen, known)

    def decode(group: _Group) -> Tuple[List[Hypothesis], Dict[Site, List[Tensor]]]:
        return _decoded(translator, group.rest, sites)

    for group, (hypotheses, seen) in ranks.each(looked_up(), decode, AHEAD):
        if entries and ranks.first and group.rest:
            entries.keep(group.rest, [Said(one.tokens.tolist(), one.score) for one in hypotheses])
            for site, of in seen.items():
                entries.keep_states(group.rest, site, of)
        yield group.visits(hypotheses, seen)


@dataclass(frozen=True)
class _Group:
    """Sources that are decoded together, but for those of which all is known.

    Args:
        indices: of each source its places among those that were asked for.
        sources: token ids.
        known: by place in the group, what is remembered.
    """

    indices: Sequence[Sequence[int]]
    sources: Sequence[Tensor]
    known: Mapping[int, Tuple[Hypothesis, States]]

    @property
    def rest(self) -> List[Tensor]:
        """The sources that are to be decoded."""
        return [source for place, source in enumerate(self.sources) if place not in self.known]

    def visits(self, hypotheses: Sequence[Hypothesis], seen: Mapping[Site, Sequence[Tensor]]) -> List[Visit]:
        """All visits, with what was found for the rest."""
        new = iter((one, {site: of[number] for site, of in seen.items()}) for number, one in enumerate(hypotheses))
        each = [self.known[place] if place in self.known else next(new) for place in range(len(self.sources))]
        return [Visit(index, *one) for one, indices in zip(each, self.indices) for index in indices]


def _known(
    translator: Translator, entries: Optional[Entries], sources: Sequence[Tensor], sites: Sequence[Site]
) -> Dict[int, Tuple[Hypothesis, States]]:
    """By place among some sources what is remembered, of those of which all is."""
    found: Dict[int, Tuple[Hypothesis, States]] = {}
    if entries is None:
        return found
    remembered = {site: entries.find_states(sources, site) for site in sites}
    for place, one in enumerate(entries.find(sources)):
        known = {site: of[place] for site, of in remembered.items()}
        states = {site: of for site, of in known.items() if of is not None}
        if one is not None and len(states) == len(sites):
            found[place] = translator.hypothesis(torch.tensor(one.tokens), one.score), states
    return found


def _decoded(
    translator: Translator, sources: Sequence[Tensor], sites: Sequence[Site]
) -> Tuple[List[Hypothesis], Dict[Site, List[Tensor]]]:
    """What beam search finds for a batch, and the states by site and sentence; nothing for no sources."""
    if not sources:
        return [], {}
    with _watched(translator.model, sites) as watch:
        hypotheses = translator.decode_batch(sources)
    tokens = translator.batcher.sources(sources)["src_tokens"]
    real = tokens.ne(translator.adapter.source_dictionary.pad()).cpu()
    return hypotheses, {site: watch.by_sentence(site, real) for site in sites}


@dataclass
class _Watch:
    """Notes the inputs of sites while beam search runs over one batch, with the sentence that each row is of.

    Args:
        rows: the sentence of each row of the decoder's batch; None before the encoder's output was spread over beams.
        noted: by site, for each forward pass the sentences of its rows and the inputs (T x rows x d).
    """

    rows: Optional[Tensor] = None
    noted: Dict[Site, List[Tuple[Optional[Tensor], Tensor]]] = field(default_factory=dict)

    def reorder(self, order: Tensor) -> None:
        """Follow the generator, which spreads sentences over beams, moves beams and drops finished sentences."""
        order = order.cpu()
        self.rows = order if self.rows is None else self.rows[order]

    def note(self, site: Site, inputs: Tensor) -> None:
        """Note a forward pass of a site (T x rows x d)."""
        rows = self.rows if site.in_decoder else None
        self.noted.setdefault(site, []).append((rows, inputs.detach().half().cpu()))

    def by_sentence(self, site: Site, real: Tensor) -> List[Tensor]:
        """The inputs of a site (n x d) for each sentence.

        Args:
            site: the site.
            real: B x S, true where the source has a token.
        """
        if not site.in_decoder:
            [(_, inputs)] = self.noted[site]
            return [inputs[:, number][mask] for number, mask in enumerate(real)]
        passes = self.noted[site]
        of = torch.cat([rows.repeat(len(inputs)) for rows, inputs in passes if rows is not None])
        states = torch.cat([inputs.flatten(0, 1) for _, inputs in passes])
        # A stable order leaves each sentence's states together.
        parts = states[of.argsort()].split(of.bincount(minlength=len(real)).tolist())
        return [part.clone() for part in parts]


@contextmanager
def _watched(model: Any, sites: Sequence[Site]) -> Iterator[_Watch]:
    """Watch one call of beam search."""
    watch = _Watch()
    reorder = model.encoder.reorder_encoder_out

    def spread(encoder_out: Any, new_order: Tensor) -> Any:
        watch.reorder(new_order)
        return reorder(encoder_out, new_order)

    def note(site: Site) -> Any:
        return lambda _, args: watch.note(site, args[0])

    with ExitStack() as undo:
        for site in sites:
            first: nn.Module = getattr(layer_at(model, site), site.maps[0])
            undo.callback(first.register_forward_pre_hook(note(site)).remove)
        model.encoder.reorder_encoder_out = spread
        undo.callback(delattr, model.encoder, "reorder_encoder_out")
        yield watch
