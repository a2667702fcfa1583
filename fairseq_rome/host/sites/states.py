"""States of a fairseq Transformer: what each part of a layer writes, recorded, and overwritten position by position.

A *state* is the output of one layer's feed-forward network, self-attention or cross-attention before it is added to
the residual stream, T x B x C as fairseq's layers pass it. A *cell* is a state at one position.
"""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Callable, Collection, Dict, Iterator, List, Sequence, Set

import torch
from torch import Tensor, nn

from fairseq_rome.errors import EditError
from fairseq_rome.host.sites.feed_forward import find_sites
from fairseq_rome.host.sites.site import Site

FFN, SELF_ATTENTION, CROSS_ATTENTION = "ffn", "self_attention", "cross_attention"
KINDS = (FFN, SELF_ATTENTION, CROSS_ATTENTION)
"""The kinds of states."""
_ATTENTIONS = {SELF_ATTENTION: "self_attn", CROSS_ATTENTION: "encoder_attn"}


@dataclass(frozen=True)
class State:
    """What one part of one layer writes.

    Args:
        site: the layer.
        kind: one of `KINDS`.
    """

    site: Site
    kind: str

    def __str__(self) -> str:
        return f"{self.site} {self.kind}"


@dataclass(frozen=True)
class Cell:
    """A state at one position, and the value that it is to take there.

    Args:
        state: the state.
        position: in its stack's sequence, from 0.
        value: d.
    """

    state: State
    position: int
    value: Tensor


def find_states(model: nn.Module) -> Dict[State, nn.Module]:
    """All states of a model, layer by layer with the encoder first, each with the module that writes it.

    Raises:
        EditError: as for `find_sites`.
    """
    found: Dict[State, nn.Module] = {}
    for site, layer in find_sites(model).items():
        # Both sites of a layer with two have the same attention.
        parts = {FFN: site.maps[1], **({} if site.part else _ATTENTIONS)}
        for kind, part in parts.items():
            module = getattr(layer, part, None)
            if module is not None:
                found[State(site, kind)] = module
    return found


@contextmanager
def record_states(model: nn.Module, states: Collection[State]) -> Iterator[Dict[State, Tensor]]:
    """Record states, T x B x d each; each forward pass overwrites what the one before left.

    Raises:
        EditError: if the model lacks a state; on leaving without another exception, if one was never written.
    """
    recorded: Dict[State, Tensor] = {}

    def change(state: State, output: Tensor) -> Tensor:
        recorded[state] = output.detach()
        return output

    with _changed(model, states, change):
        yield recorded


@contextmanager
def overwrite(model: nn.Module, cells: Sequence[Cell]) -> Iterator[None]:
    """Overwrite one cell in each row: in every forward pass inside the context row i of the batch takes `cells[i]`.

    Raises:
        EditError: if the model lacks a state; on leaving without another exception, if one was never written.
    """
    rows: Dict[State, List[int]] = {}
    for row, cell in enumerate(cells):
        rows.setdefault(cell.state, []).append(row)

    def change(state: State, output: Tensor) -> Tensor:
        chosen = [cells[row] for row in rows[state]]
        changed = output.clone()
        places = torch.tensor([cell.position for cell in chosen]), torch.tensor(rows[state])
        changed[places] = torch.stack([cell.value for cell in chosen]).to(changed)
        return changed

    with _changed(model, rows, change):
        yield


@contextmanager
def _changed(
    model: nn.Module, states: Collection[State], change: Callable[[State, Tensor], Tensor]
) -> Iterator[None]:
    """Pass states through `change` wherever they are written."""
    modules = find_states(model)
    for state in states:
        if state not in modules:
            raise EditError(
                f"no state {state} in this model, expected one of: {', '.join(map(str, modules))}"
            )
    written: Set[State] = set()

    def hook(state: State) -> Callable[[nn.Module, Any, Any], Any]:
        def after(_: nn.Module, __: Any, output: Any) -> Any:
            written.add(state)
            # Attention modules also return their weights.
            if isinstance(output, tuple):
                return (change(state, output[0]), *output[1:])
            return change(state, output)

        return after

    handles = [modules[state].register_forward_hook(hook(state)) for state in dict.fromkeys(states)]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()
    _demand_written([str(state) for state in states if state not in written])


@contextmanager
def add_to_embeddings(encoder: nn.Module, addend: Tensor) -> Iterator[None]:
    """Add to what an encoder's embedding gives for its tokens, before it is scaled and positions are added.

    A decoder may share the embedding: only the encoder may run inside the context.

    Args:
        encoder: with an `embed_tokens`.
        addend: B x S x d.

    Raises:
        EditError: if the encoder embeds no tokens, as for speech.
    """
    embedding = embedding_of(encoder)
    ran: List[bool] = []

    def after(_: nn.Module, __: Any, output: Tensor) -> Tensor:
        ran.append(True)
        return output + addend.to(output)

    handle = embedding.register_forward_hook(after)
    try:
        yield
    finally:
        handle.remove()
    _demand_written([] if ran else ["source embedding"])


def embedding_of(encoder: nn.Module) -> nn.Module:
    """The module that embeds an encoder's tokens.

    Raises:
        EditError: if there is none, as for speech.
    """
    embedding = getattr(encoder, "embed_tokens", None)
    if not isinstance(embedding, nn.Module):
        raise EditError(f"{type(encoder).__name__} embeds no tokens, expected an encoder of text")
    return embedding


def _demand_written(silent: Sequence[str]) -> None:
    if silent:
        raise EditError(f"{', '.join(silent)} never ran in the forward pass: it can't be traced")
