"""Teacher-forced runs of one sentence pair, with states put in one at a time and many at once in a batch.

A restored run differs from the run that it starts from in one cell. Restored runs are the rows of a batch, so that a
sentence takes one pass for each batch of them; the decoder's start from encoder output that is computed once.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product
from typing import Any, Dict, List, Sequence

import torch
from torch import Tensor

from fairseq_rome.host.batches import Batch, Pair, encoded
from fairseq_rome.host.decoding import Translator
from fairseq_rome.host.sites import (
    Cell,
    State,
    add_to_embeddings,
    embedding_of,
    find_states,
    overwrite,
    record_states,
)
from fairseq_rome.tracing.causal_trace import StackEffects


@dataclass(frozen=True)
class Runs:
    """R runs of one sentence pair that differ in what is added to the source embeddings.

    The target is cut behind the last token in question: a decoder looks no further.

    Args:
        model: the model, prepared (`sites.prepared`).
        batch: the sentence pair as the model takes it, one row.
        asked: positions of the target tokens whose probability is asked for, k of them.
        additions: R x S x d.
        offset: positions that the task puts before the source's own tokens.
        batch_tokens: tokens at most in one batch, but at least one row.
    """

    model: Any
    batch: Batch
    asked: Tensor
    additions: Tensor
    offset: int
    batch_tokens: int

    @property
    def size(self) -> int:
        """R."""
        return len(self.additions)

    @property
    def sources(self) -> Tensor:
        """S source tokens as the encoder sees them."""
        return self.batch.net_input["src_tokens"][0]

    @property
    def length(self) -> int:
        """Target positions that run."""
        return self.batch.net_input["prev_output_tokens"].shape[1]

    def log_probs(self) -> Tensor:
        """R x k, of the tokens asked for."""
        with torch.no_grad():
            return self._decode(self._encode(range(self.size)), self.size)

    def states(self, states: Sequence[State]) -> Dict[State, Tensor]:
        """States of the first run, T x d each."""
        with torch.no_grad(), record_states(self.model, states) as seen:
            self._decode(self._encode([0]), 1)
        return {state: seen[state][:, 0] for state in states}

    def restored(self, cells: Sequence[Cell]) -> Tensor:
        """Cells x R x k log-probabilities of the tokens asked for, each with one cell overwritten."""
        in_decoder = [cell.state.site.in_decoder for cell in cells]
        found = torch.empty(len(cells), self.size, len(self.asked), device=self.asked.device)
        with torch.no_grad():
            memory = self._encode(range(self.size)) if any(in_decoder) else None
            for stack in (False, True):
                chosen = [index for index, side in enumerate(in_decoder) if side is stack]
                rows = list(product(chosen, range(self.size)))
                most = max(1, self.batch_tokens // max(len(self.sources), self.length))
                for start in range(0, len(rows), most):
                    indices, runs = zip(*rows[start : start + most])
                    with overwrite(self.model, [cells[index] for index in indices]):
                        own = _rows(memory, runs) if stack else self._encode(runs)
                        found[list(indices), list(runs)] = self._decode(own, len(runs))
        return found

    def _encode(self, runs: Sequence[int]) -> Any:
        net_input = {
            name: tokens.repeat_interleave(len(runs), 0) for name, tokens in self.batch.net_input.items()
        }
        with add_to_embeddings(self.model.encoder, self.additions[list(runs)]):
            return encoded(self.model, Batch(net_input, self.batch.target, self.batch.padding))

    def _decode(self, memory: Any, rows: int) -> Tensor:
        previous = self.batch.net_input["prev_output_tokens"].expand(rows, -1)
        features = self.model.decoder(previous, encoder_out=memory, features_only=True)[0]
        # The output layer is the widest: only where it is asked for.
        logits = self.model.decoder.output_layer(features[:, self.asked]).float()
        wanted = self.batch.target[:, self.asked].expand(rows, -1).unsqueeze(2)
        return logits.gather(2, wanted).squeeze(2) - logits.logsumexp(-1)


def _rows(memory: Any, runs: Sequence[int]) -> Any:
    """What the decoder reads of the encoder's output for some runs, from that for all.

    Not by the encoder's own `reorder_encoder_out`: once BART has been told a beam size it reorders nothing.
    """
    states, padding = memory["encoder_out"][0], memory["encoder_padding_mask"]
    return {
        "encoder_out": [states[:, list(runs)]],
        "encoder_padding_mask": [mask[list(runs)] for mask in padding],
    }


def force(translator: Translator, pair: Pair, asked: Sequence[int], batch_tokens: int) -> Runs:
    """One run of a sentence pair, nothing added.

    Args:
        translator: the model, prepared.
        pair: the sentence pair.
        asked: positions of the target tokens whose probability is asked for.
        batch_tokens: see `Runs`.

    Raises:
        EditError: if the model's encoder embeds no tokens.
    """
    whole = translator.batcher.batch([pair])
    stop = max(asked) + 1
    net_input = dict(whole.net_input, prev_output_tokens=whole.net_input["prev_output_tokens"][:, :stop])
    batch = Batch(net_input, whole.target[:, :stop], whole.padding)
    sources = net_input["src_tokens"][0]
    embedding: Any = embedding_of(translator.model.encoder)  # type: ignore[arg-type]
    nothing = torch.zeros(1, len(sources), embedding.weight.shape[1], device=sources.device)
    places = torch.tensor(list(asked), device=sources.device)
    return Runs(translator.model, batch, places, nothing, _offset(sources, pair.source), batch_tokens)


def _offset(seen: Tensor, source: Tensor) -> int:
    """Where a source's own tokens begin in what the encoder sees: some tasks put a language symbol first."""
    words = source[:-1].tolist()
    shifts = range(len(seen) - len(words) + 1)
    return next((shift for shift in shifts if seen[shift : shift + len(words)].tolist() == words), 0)


def states_of(model: Any, in_decoder: bool, kinds: Sequence[str]) -> List[State]:
    """The states of some kinds of the decoder, or of the encoder: one of each kind a layer, that of `fc1` and `fc2`."""
    return [
        state
        for state in find_states(model)
        if state.site.in_decoder is in_decoder and state.kind in kinds and not state.site.part
    ]


def symbols(tokens: Tensor, dictionary: Any) -> List[str]:
    """Tokens as the subwords that a dictionary has for them."""
    return [dictionary[token] for token in tokens.tolist()]


def arranged(
    states: Sequence[State],
    tokens: Sequence[str],
    marked: Sequence[int],
    cells: Sequence[Cell],
    effects: Tensor,
    blank: float,
) -> StackEffects:
    """The effects of one stack's cells as arrays.

    Args:
        states: those of the stack.
        tokens: a subword for each position.
        marked: positions to mark.
        cells: what was restored.
        effects: of each cell.
        blank: effect of the other cells.
    """
    layers = 1 + max(state.site.layer for state in states)
    kinds = dict.fromkeys(state.kind for state in states)
    arrays = {kind: torch.full((layers, len(tokens)), blank) for kind in kinds}
    for cell, effect in zip(cells, effects.tolist()):
        arrays[cell.state.kind][cell.state.site.layer, cell.position] = effect
    return StackEffects(states[0].site.stack, tuple(tokens), tuple(marked), arrays)
