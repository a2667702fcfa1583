"""Text to fairseq samples and back: encode as fairseq-interactive does, pad, and locate positions."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Dict, List, Sequence

import torch
from fairseq.data import data_utils
from torch import Tensor, nn

from fairseq_rome.errors import EditError
from fairseq_rome.host.adapters.base import TaskAdapter

# Tokens, of both sides, from which a batch is large enough to use a processor well, and how many times as many padded
# ones it may then have. More of the first makes fewer batches; more of the second, batches with more padding.
_ENOUGH, _PADDED = 500, 1.15


@dataclass(frozen=True)
class Pair:
    """A source sentence and a target sentence as token ids (int64, end symbols included)."""

    source: Tensor
    target: Tensor


@dataclass(frozen=True)
class Batch:
    """Padded pairs in the order that they were given.

    Args:
        net_input: what a fairseq model takes: `src_tokens` (B x S), `src_lengths` (B), `prev_output_tokens`
            (B x T).
        target: B x T token ids, padded on the right.
        padding: the pad index of the target side.
    """

    net_input: Dict[str, Tensor]
    target: Tensor
    padding: int

    @property
    def target_mask(self) -> Tensor:
        """B x T, true where a target token stands."""
        return self.target.ne(self.padding)

    def source_mask(self, padding: int) -> Tensor:
        """B x S, true where a source token stands."""
        return self.net_input["src_tokens"].ne(padding)


@dataclass(frozen=True)
class Batcher:
    """Makes padded samples for a task.

    Args:
        adapter: of the task, which adds its language symbols to sources.
        start: the token that the task's generator feeds to the decoder first.
        device: where the samples are to be.
    """

    adapter: TaskAdapter
    start: int
    device: torch.device

    def sources(self, sources: Sequence[Tensor]) -> Dict[str, Tensor]:
        """`src_tokens` (B x S, padded as the task pads) and `src_lengths` (B), in the given order."""
        return {name: part.to(self.device) for name, part in self.adapter.source_batch(sources).items()}

    def batch(self, pairs: Sequence[Pair]) -> Batch:
        """A teacher-forcing batch of pairs.

        Raises:
            EditError: if `pairs` is empty.
        """
        if not pairs:
            raise EditError("an empty batch was asked for, expected at least one sentence pair")
        pad = self.adapter.target_dictionary.pad()
        target = data_utils.collate_tokens([pair.target for pair in pairs], pad, left_pad=False).to(
            self.device
        )
        previous = target.roll(1, dims=1)
        previous[:, 0] = self.start
        previous[:, 1:][target[:, 1:].eq(pad)] = pad
        net_input = dict(self.sources([pair.source for pair in pairs]), prev_output_tokens=previous)
        return Batch(net_input, target, pad)


def by_size(pairs: Sequence[Pair], max_tokens: int) -> List[List[int]]:
    """Indices in batches of similar lengths, none above `max_tokens` padded target or source tokens.

    A batch that is large enough ends where the next sentence would bring more padding than it is worth.
    """
    order = sorted(range(len(pairs)), key=lambda i: (len(pairs[i].target) + len(pairs[i].source), len(pairs[i].target)))
    batches: List[List[int]] = []
    longest, real = (0, 0), 0
    for index in order:
        lengths = len(pairs[index].source), len(pairs[index].target)
        now = max(longest[0], lengths[0]), max(longest[1], lengths[1])
        padded = (len(batches[-1]) + 1) * sum(now) if batches else 0
        wasteful = real > _ENOUGH and padded > _PADDED * (real + sum(lengths))
        if not batches or max(now) * (len(batches[-1]) + 1) > max_tokens or wasteful:
            batches.append([])
            now, real = lengths, 0
        longest, real = now, real + sum(lengths)
        batches[-1].append(index)
    return batches


def encoded(model: Any, batch: Batch) -> Any:
    """What the encoder hands to the decoder."""
    return model.encoder(batch.net_input["src_tokens"], src_lengths=batch.net_input["src_lengths"])


def decoded(model: Any, batch: Batch, features_only: bool = False) -> Tensor:
    """What the decoder gives under teacher forcing: B x T x V logits, or B x T x d features.

    Part by part, since not every fairseq model takes `features_only` (transformer_align) or can be called
    whole (multilingual_transformer).
    """
    previous = batch.net_input["prev_output_tokens"]
    return model.decoder(previous, encoder_out=encoded(model, batch), features_only=features_only)[0]


def forced_logits(model: nn.Module, batch: Batch) -> Tensor:
    """Logits under teacher forcing, B x T x V, in float32."""
    return decoded(model, batch).float()
