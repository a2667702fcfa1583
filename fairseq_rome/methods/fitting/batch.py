"""Many requests in one change of each site, spread over a range of sites: what MEMIT and EMMET have in common.

Values are optimised for each request at the deepest site, on the model as it is. Then the sites change one after the
other, from the shallowest: each adds its share of what is still missing at the deepest (Meng et al. 2023, arXiv
2210.07229, algorithm 1), for all requests in one solve.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Callable, List, Mapping, Sequence, Tuple

import torch
from torch import Tensor

from fairseq_rome.algebra import compact
from fairseq_rome.errors import EditError
from fairseq_rome.host.batches import Batch, by_size, decoded, encoded
from fairseq_rome.host.decoding import Translator
from fairseq_rome.host.readings import reading_places
from fairseq_rome.host.sites import (
    SELF_ATTENTION,
    Site,
    State,
    find_states,
    layer_at,
    only_until,
    parameter_names,
    record,
    record_states,
)
from fairseq_rome.methods.base import CoverSettings, EditProblem, SiteResources, ValueSettings, solvable
from fairseq_rome.methods.fitting.pushes import Pushes, cover_of, find_pushes, mean_rows
from fairseq_rome.patch import LowRankChange, Patch, applied

Update = Callable[[Tensor, Tensor, Tensor], Tuple[Tensor, Tensor]]

# Most tokens of a batch under teacher forcing: more is faster and takes more memory. Rounding depends on it.
_BATCH_TOKENS = 3000


def fit_range(
    method: str,
    update: Update,
    problems: Sequence[EditProblem],
    resources: Mapping[Site, SiteResources],
    settings: CoverSettings,
) -> Patch:
    """All requests in one change of each site.

    Args:
        method: name of the method, for the patch.
        update: takes keys (m x f), what each is to add (m x d) and the moment of what should stay (f x f), and gives
            two factors of the change.
        problems: the requests, all at the deepest site.
        resources: of each site of the range, from the shallowest to the deepest.
        settings: how values are fitted, and what stands against them.

    Returns:
        One patch with a change of each site; a request that no value could be computed for has no part in it
        (`left_out` in its notes).

    Raises:
        EditError: if no request has a value, the sites are not of one stack, or a solve fails.
    """
    sites = list(resources)
    deepest = sites[-1]
    if len({site.stack for site in sites}) > 1:
        raise EditError(f"sites {', '.join(map(str, sites))} lie in several stacks, expected one of them")
    translator = problems[0].translator
    requests = _with_values(problems, settings)
    target = torch.cat([request.additions for request in requests])
    notes = {"rank": float(len(target)), "left_out": float(len(problems) - len(requests))}
    patch = Patch(method, deepest, (), notes)
    for number, site in enumerate(sites):
        with applied(translator.model, patch):
            keys, streams = _observed(translator, requests, site, deepest)
        if number == 0:
            target = target + streams
        cover = cover_of(resources[site].background, resources[site].owned_keys, settings)
        with solvable(site):
            factors = update(keys, (target - streams) / (len(sites) - number), cover)
        name = parameter_names(translator.model, site)["fc2.weight"]
        change = LowRankChange(name, *compact(*factors))
        patch = replace(patch, changes=(*patch.changes, change), keys={**patch.keys, name: keys})
    return patch


def _with_values(problems: Sequence[EditProblem], settings: ValueSettings) -> List[Pushes]:
    """Pushes of each request that has a value.

    Raises:
        EditError: if none has.
    """
    found, reasons = [], []
    for problem in problems[0].translator.progress(problems, "values"):
        try:
            found.append(find_pushes(problem, settings))
        except EditError as error:
            reasons.append(str(error))
    if not found:
        raise EditError(f"none of {len(problems)} requests has a value: {reasons[0]}")
    return found


def _observed(
    translator: Translator, requests: Sequence[Pushes], site: Site, deepest: Site
) -> Tuple[Tensor, Tensor]:
    """Of all steps of all requests, the mean key at a site (m x f) and the residual stream at the deepest (m x d)."""
    keys, streams = [], []
    for request in translator.progress(requests, f"keys of {site}"):
        rows: List[Tuple[Tensor, Tensor]] = [(torch.empty(0), torch.empty(0))] * len(request.pairs)
        for indices in by_size(request.pairs, _BATCH_TOKENS):
            batch = translator.batcher.batch([request.pairs[index] for index in indices])
            seen = _forward(translator, batch, site, deepest)
            for row, (index, places) in enumerate(zip(indices, reading_places(translator, batch, site))):
                rows[index] = seen[0][places, row].float(), seen[1][places, row].float()
        keys.append(mean_rows([row[0] for row in rows], request.steps))
        streams.append(mean_rows([row[1] for row in rows], request.steps))
    return torch.cat(keys), torch.cat(streams)


def _forward(translator: Translator, batch: Batch, site: Site, deepest: Site) -> Tuple[Tensor, Tensor]:
    """Keys at a site and the residual stream behind the deepest, both T x B x C.

    The stream is what the feed-forward network is added to and what it adds. Where layers normalise first, that
    sum is not to be seen from outside; all that the stack's layers have written, which differs from it by the
    embeddings alone, serves as well.
    """
    model: Any = translator.model
    before = bool(getattr(layer_at(model, deepest), "normalize_before", False))
    written = [
        state
        for state in find_states(model)
        if before and state.site.stack == deepest.stack and _writes_until(state, deepest)
    ]
    both = [site, deepest]
    with torch.no_grad(), record(model, both) as seen, record_states(model, written) as states, only_until(model, both):
        if site.in_decoder:
            decoded(model, batch, features_only=True)
        else:
            encoded(model, batch)
    last = seen[deepest]
    stream = torch.stack(list(states.values())).sum(0) if before else last.inputs + last.values
    return seen[site].keys, stream


def _writes_until(state: State, deepest: Site) -> bool:
    """Whether a state of a stack is written before a site's value, or is that value."""
    if state.site.layer != deepest.layer:
        return state.site.layer < deepest.layer
    # The first network of a layer with two runs before its cross-attention.
    return not deepest.part or state.site == deepest or state.kind == SELF_ATTENTION
