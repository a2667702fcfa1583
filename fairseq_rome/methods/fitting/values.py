"""What a site's value is to gain: optimised, or taken from where the model is right."""

from __future__ import annotations

import math
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Callable, Iterator, List, Optional, Sequence

import torch
from torch import Tensor, nn
from torch.nn.functional import kl_div

from fairseq_rome.algebra import Adam
from fairseq_rome.host.batches import Batch, Pair
from fairseq_rome.host.corpus import Corpus
from fairseq_rome.host.decoding import Translator
from fairseq_rome.host.readings import read_site, reading_places
from fairseq_rome.host.sites import Site, add_to_value, computed_once, parameter_names

# Log-probability from which a pushed token is the clear choice, and the share of the pushed tokens that must reach it
# before the search stops. Higher pushes harder and breaks more.
_CLEAR, _MET = math.log(0.9), 0.95
# Weight of the KL term (nats) at the positions to keep, beside the mean loss of the pushed tokens (nats). Higher keeps
# more of what the sentences say otherwise, and takes more steps or fails to push.
_KL_WEIGHT = 0.3
# Weight of an addition's squared length, in units of the site's root mean square value. Higher makes additions shorter.
_NORM_WEIGHT = 1e-3
# Of Adam, in the same unit a step. Higher is faster and overshoots.
_LEARNING_RATE = 0.3
# Most positions to keep that enter the KL term. More keep more, and take memory of the size of the vocabulary each.
_KEPT = 64
# Log-probability from which the model itself says a token rightly, so that its value there may be taken.
_RIGHT = math.log(0.5)


@dataclass(frozen=True)
class Goal:
    """What additions to a site's value are to achieve on some sentence pairs.

    Args:
        pairs: the sentence pairs.
        activations: for each pair L x G, how far each of G additions is switched on at each position of the
            site's stack.
        push: for each pair T, true where the target token is to become the clear choice.
        guide: for each pair T, true where the target token is to gain, with no demand on how far.
        keep: for each pair T, true where the model's distribution is to stay.
        avoid: a token that is to lose where `guide` is true.
    """

    pairs: Sequence[Pair]
    activations: Sequence[Tensor]
    push: Sequence[Tensor]
    guide: Sequence[Tensor]
    keep: Sequence[Tensor]
    avoid: int


def optimise_values(translator: Translator, site: Site, goal: Goal, scale: float, steps: int) -> Tensor:
    """What to add to a site's value so that the pushed target tokens become the model's clear choice.

    Minimises over the additions -log p(pushed tokens) + a KL term at the positions to keep + a norm penalty (as ROME's
    value, arXiv 2202.05262, equation 4, with the KL taken on the sentences themselves), by Adam, all sentences at
    once; it stops when nearly all pushed tokens have at least nine tenths of the probability.

    Args:
        translator: the model; its parameters get no gradient.
        site: where to add.
        goal: what to achieve.
        scale: root mean square of the site's values, the unit of the search.
        steps: most gradient steps.

    Returns:
        G x d.
    """
    model = translator.model
    batch = translator.batcher.batch(goal.pairs)
    opened = padded(goal.activations, reading_places(translator, batch, site))
    pushed, guided, kept = (_rows(batch, masks) for masks in (goal.push, goal.guide, goal.keep))
    kept, demands = _sample(kept, _KEPT), len(pushed)
    moved = torch.cat([pushed, guided])
    wanted = batch.target[moved[:, 0], moved[:, 1]].unsqueeze(1)
    width = model.get_parameter(parameter_names(model, site)["fc2.bias"]).numel()
    delta = torch.zeros(opened.shape[2], width, device=opened.device, requires_grad=True)
    optimiser = Adam(delta, _LEARNING_RATE)
    run = forward(model, batch, site)
    with torch.no_grad():
        reference = run(kept).log_softmax(-1)
    with no_gradients(model), computed_once(model, site), torch.enable_grad():
        for _ in range(steps):
            with add_to_value(model, site, lambda value: added(opened, delta * scale, value)):
                scores = run(torch.cat([moved, kept])).log_softmax(-1)
            missing = -scores[: len(moved)].gather(1, wanted).squeeze(1)
            if demands and float(missing[:demands].detach().quantile(_MET)) < -_CLEAR:
                break
            avoided = -torch.log1p(-scores[demands : len(moved), goal.avoid].exp().clamp_max(1 - 1e-6))
            drift = kl_div(scores[len(moved) :], reference, log_target=True, reduction="none").sum(-1)
            loss = (missing.sum() + avoided.sum()) / len(moved)
            loss = loss + _KL_WEIGHT * drift.mean() + _NORM_WEIGHT * delta.square().sum(-1).mean()
            optimiser.step(torch.autograd.grad(loss, delta)[0])
    return (delta.detach() * scale).cpu()


@contextmanager
def no_gradients(model: nn.Module) -> Iterator[None]:
    """Gradients for what is optimised alone, and none for the model's parameters."""
    learning = [parameter for parameter in model.parameters() if parameter.requires_grad]
    for parameter in learning:
        parameter.requires_grad_(False)
    try:
        yield
    finally:
        for parameter in learning:
            parameter.requires_grad_(True)


def _rows(batch: Batch, masks: Sequence[Tensor]) -> Tensor:
    """The (sentence, position) rows, n x 2, where masks over target positions are true."""
    columns = [mask.unsqueeze(1).float() for mask in masks]
    return padded(columns, batch.target_mask)[..., 0].nonzero()


def added(opened: Tensor, delta: Tensor, value: Tensor) -> Tensor:
    """What G additions (G x d) give where each is on so far (B x L x G), laid out as a value is (L x B x d)."""
    return torch.einsum("blg,gd->lbd", opened, delta).to(value.dtype)


def padded(rows: Sequence[Tensor], places: Tensor) -> Tensor:
    """Rows (length x G) laid at the true places of a mask (B x L): B x L x G. Places past a row's length stay zero."""
    out = torch.zeros(*places.shape, rows[0].shape[1], device=places.device)
    for line, row, mask in zip(out, rows, places):
        line[mask.nonzero()[: len(row), 0]] = row.to(out.device)
    return out


def _sample(rows: Tensor, most: int) -> Tensor:
    """Up to `most` rows, evenly spread."""
    return rows if len(rows) <= most else rows[torch.linspace(0, len(rows) - 1, most).long()]


def forward(model: Any, batch: Batch, site: Site) -> Callable[[Tensor], Tensor]:
    """Logits (n x V) of a batch at n (sentence, position) rows; for a decoder site the encoder runs once."""
    net = batch.net_input

    def encode() -> Any:
        return model.encoder(net["src_tokens"], src_lengths=net["src_lengths"])

    memory = None
    if site.in_decoder:
        with torch.no_grad():
            memory = encode()

    def logits(places: Tensor) -> Tensor:
        encoded = encode() if memory is None else memory
        features = model.decoder(net["prev_output_tokens"], encoder_out=encoded, features_only=True)[0]
        return model.decoder.output_layer(features[places[:, 0], places[:, 1]]).float()

    return logits


def value_from_examples(
    translator: Translator, site: Site, corpus: Corpus, token: int, most: int = 64
) -> Optional[Tensor]:
    """A decoder site's mean value (length d) where the corpus says a token and the model agrees; None if nowhere."""
    pairs = [pair for pair in corpus.pairs if bool(pair.target.eq(token).any())][:most]
    found: List[Tensor] = []
    for pair, seen in zip(pairs, read_site(translator, pairs, site)):
        right = pair.target.eq(token) & seen.log_probs.gt(_RIGHT)
        found.extend(seen.values.cpu()[right])
    return torch.stack(found).mean(0) if found else None
