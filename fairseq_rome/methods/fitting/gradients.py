"""Gradients with respect to one matrix, sentence by sentence: what a method may learn from, or keep off."""

from __future__ import annotations

from typing import Any, List, Sequence, Tuple

import torch
from torch import Tensor

from fairseq_rome.host.batches import Pair, by_size, decoded
from fairseq_rome.host.decoding import Translator
from fairseq_rome.host.sites import passing
from fairseq_rome.methods.fitting.values import no_gradients

# Most tokens of a batch: more is faster and takes more memory, a matrix for each sentence. Rounding depends on it.
_BATCH_TOKENS = 1000


def logit_gradients(translator: Translator, name: str, places: Sequence[Tuple[Pair, int]]) -> Tensor:
    """How the logit of the right token changes with a weight matrix, at one position of each of some sentence pairs.

    Args:
        translator: the model; its parameters get no gradient.
        name: of the matrix, d x f, of a linear map.
        places: the pairs, each with a target position.

    Returns:
        n x (d * f), in single precision, in the order of the places.
    """
    model: Any = translator.model
    pairs = [pair for pair, _ in places]
    found: List[Tensor] = [torch.empty(0)] * len(places)
    for indices in by_size(pairs, _BATCH_TOKENS):
        batch = translator.batcher.batch([pairs[index] for index in indices])
        rows, positions = torch.arange(len(indices)), torch.tensor([places[index][1] for index in indices])
        with no_gradients(model), torch.enable_grad(), passing(model, [name]) as passed:
            features = decoded(model, batch, features_only=True)[rows, positions]
            logits = model.decoder.output_layer(features).float()
            right = logits.gather(1, batch.target[rows, positions].unsqueeze(1)).sum()
            # No sentence of a batch depends on another: each has its own part of the gradient of the sum.
            (errors,) = torch.autograd.grad(right, [passed[name].shift])
        gradients = torch.einsum("tbd,tbf->bdf", errors.float(), passed[name].inputs.float())
        for index, gradient in zip(indices, gradients):
            found[index] = gradient.reshape(-1)
    return torch.stack(found)
