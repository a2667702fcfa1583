"""Real beam search over a list of sentences, through the task's own generator."""

from __future__ import annotations

import math
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Callable, Iterable, Iterator, List, Optional, Sequence, Tuple

import torch
from torch import Tensor, nn

from fairseq_rome.errors import EditError
from fairseq_rome.host.adapters.base import TaskAdapter
from fairseq_rome.host.around import searched
from fairseq_rome.host.batches import Batcher, Pair, by_size, forced_logits
from fairseq_rome.host.codec import TextCodec
from fairseq_rome.host.ranks import AHEAD, ALONE, Ranks
from fairseq_rome.host.remembered import Entries, Remembered, Said, digest_of
from fairseq_rome.host.sites import device_of, find_sites

_BATCH_TOKENS = 4000
# Sentences from which a batch of decoding is large enough for a processor, and how many times its tokens it may then
# have with padding. 64 documentation sentences of 5 to 83 tokens took 8.2 s together, 6.7 s in two halves by length,
# 7.1 s in quarters and 8.6 s in eighths.
_SENTENCES, _PADDED = 16, 1.25
# First tokens that are tried where the usual one is barred. More find better sentences, and take a decoding each.
_BEGINNINGS = 4

Progress = Callable[[Sequence[Any], str], Iterable[Any]]


def silent(items: Sequence[Any], _: str) -> Iterable[Any]:
    """A progress display that shows nothing."""
    return items


@dataclass(frozen=True)
class Hypothesis:
    """The best hypothesis of a sentence: text, token ids with the end symbol, normalised log-probability."""

    text: str
    tokens: Tensor
    score: float


@dataclass(frozen=True)
class Translator:
    """A model with all that turns a source text into a target text.

    Args:
        model: the translation model, in eval mode.
        adapter: of its fairseq task.
        generator: the generator that the task built for it.
        codec: text to tokens and back.
        batcher: tokens to padded samples.
        max_sentences: sentences in one batch of decoding.
        progress: wraps long loops; takes the items and a label.
        remembered: what the model as it was opened has said before; None for a model that remembers nothing.
        ranks: the processes that share batches; all of them decode the same sources.
    """

    model: nn.Module
    adapter: TaskAdapter
    generator: Any
    codec: TextCodec
    batcher: Batcher
    max_sentences: int = 64
    progress: Progress = silent
    remembered: Optional[Remembered] = None
    ranks: Ranks = ALONE

    def translate(self, sentences: Sequence[str], label: str = "decoding") -> List[Hypothesis]:
        """The best hypothesis of each sentence, in their order.

        Raises:
            EditError: if a sentence is longer than the model takes.
        """
        return self.translate_tokens([self.codec.source(sentence) for sentence in sentences], label)

    def translate_otherwise(self, sources: Sequence[str], said: Sequence[Tensor]) -> List[Hypothesis]:
        """What the model says of each source if it may not begin as it does: the best with another first token.

        Args:
            sources: source sentences as text.
            said: what the model says of each, as tokens with all that stands around them.
        """
        pairs = [Pair(self.codec.source(source), tokens) for source, tokens in zip(sources, said)]
        found: List[Hypothesis] = []
        for start in range(0, len(pairs), self.max_sentences):
            part = pairs[start : start + self.max_sentences]
            begins = self._other_beginnings(part)
            tried = [self.decode_batch([pair.source for pair in part], begin) for begin in begins]
            found += [max(several, key=lambda one: one.score) for several in zip(*tried)]
        return found

    def _other_beginnings(self, pairs: Sequence[Pair]) -> List[Tensor]:
        """For some pairs the likeliest beginnings, each B x T, with another first token than the target has."""
        first = int(self.adapter.target_prefix >= 0)
        batch = self.batcher.batch(pairs)
        with torch.no_grad():
            scores = forced_logits(self.model, batch)[:, first].clone()
        scores.scatter_(1, batch.target[:, first].unsqueeze(1), -math.inf)
        scores[:, : self.adapter.target_dictionary.nspecial] = -math.inf
        likely = scores.topk(_BEGINNINGS, dim=1).indices
        return [torch.cat([batch.target[:, :first], likely[:, [rank]]], dim=1) for rank in range(_BEGINNINGS)]

    def translate_tokens(self, sources: Sequence[Tensor], label: str = "decoding") -> List[Hypothesis]:
        """The best hypothesis of each source (token ids with the end symbol), in their order.

        Raises:
            EditError: if a sentence is longer than the model takes.
        """
        self.check_lengths(sources)
        self.ranks.agree("sentences", lambda: digest_of(sources))
        entries = self.entries()
        known = self.ranks.of_first(lambda: entries.find(sources) if entries else [None] * len(sources))
        found = [None if one is None else self.hypothesis(torch.tensor(one.tokens), one.score) for one in known]
        groups = self.groups(sources, [index for index, one in enumerate(found) if one is None])
        shown = self.progress(groups, label) if len(groups) > 1 else groups

        def decode(group: List[int]) -> List[Hypothesis]:
            return self.decode_batch([sources[index] for index in group])

        for group, said in self.ranks.each(shown, decode, AHEAD):
            for index, hypothesis in zip(group, said):
                found[index] = hypothesis
            if entries and self.ranks.first:
                chosen = [sources[index] for index in group]
                entries.keep(chosen, [Said(one.tokens.tolist(), one.score) for one in said])
        return [hypothesis for hypothesis in found if hypothesis is not None]

    def check_lengths(self, sources: Sequence[Tensor]) -> None:
        """Refuse sources (token ids) that the model can't take.

        Raises:
            EditError: if a sentence is longer than the model takes.
        """
        limit = self.adapter.longest_source(self.model)
        for tokens in sources:
            if len(tokens) > limit:
                start = self.codec.source_text(tokens)[:40]
                raise EditError(f"{len(tokens)} tokens in {start!r}..., expected at most {limit}")

    def entries(self) -> Optional[Entries]:
        """What is remembered of the model; None if it is edited or nothing is remembered of it."""
        if self.remembered is None:
            return None
        return self.remembered.while_unedited(self.model, self.adapter, self.generator)

    def groups(self, sources: Sequence[Tensor], indices: Iterable[int]) -> List[List[int]]:
        """Indices of some of the sources in batches.

        The longest come first, as in fairseq's iterators: memory runs out at once or not at all. On a processor a batch
        also ends where more sentences would mostly bring padding.
        """
        order = sorted(indices, key=lambda index: -len(sources[index]))
        least = _SENTENCES if self.batcher.device.type == "cpu" else self.max_sentences
        found: List[List[int]] = []
        tokens = 0
        for index in order:
            length = len(sources[index])
            padded = len(sources[found[-1][0]]) * (len(found[-1]) + 1) if found else 0
            wasteful = bool(found) and len(found[-1]) >= least and padded > _PADDED * (tokens + length)
            if not found or len(found[-1]) == self.max_sentences or wasteful:
                found.append([])
                tokens = 0
            found[-1].append(index)
            tokens += length
        return found

    def decode_batch(self, sources: Sequence[Tensor], begin: Optional[Tensor] = None) -> List[Hypothesis]:
        """The best hypothesis of each source (token ids) of one batch, whatever is remembered.

        Args:
            sources: token ids with the end symbol.
            begin: B x T, the target tokens that each hypothesis has to begin with; None for the task's own.
        """
        net_input = self.batcher.sources(sources)
        with torch.no_grad(), _beam_search(self.model, self.generator):
            results = searched(
                self.model, self.generator, self.codec, lambda: [self.codec.source_text(source) for source in sources],
                net_input, begin, partial(self.adapter.generate, self.generator, self.model),
            )  # fmt: skip
        best = [hypotheses[0] for hypotheses in results]
        # A copy, where fairseq gives a view of what it has of the whole batch.
        return [self.hypothesis(one["tokens"].cpu().clone(), float(one["score"])) for one in best]

    def hypothesis(self, tokens: Tensor, score: float) -> Hypothesis:
        """A hypothesis of token ids, with its text."""
        return Hypothesis(self.codec.target_text(tokens), tokens, score)


@contextmanager
def _beam_search(model: Any, generator: Any) -> Iterator[None]:
    """BART knows the beam size inside the context alone.

    Once a generator has told it, its decoder takes every so-manieth sentence of what the encoder gives, which is
    wrong under teacher forcing.
    """
    tell = getattr(model, "set_beam_size", lambda size: None)
    tell(getattr(generator, "beam_size", 1))
    try:
        yield
    finally:
        tell(1)


def build_translator(
    model: nn.Module,
    adapter: TaskAdapter,
    generation: Any,
    codec: TextCodec,
    max_sentences: int = 64,
    progress: Progress = silent,
) -> Translator:
    """A `Translator` whose decoder start token is read off a real decoding step.

    Args:
        model: the translation model.
        adapter: of its fairseq task.
        generation: fairseq's generation settings (beam, lenpen, ...), a `GenerationConfig` or namespace.
        codec: text to tokens and back.
        max_sentences: sentences in one batch of decoding.
        progress: wraps long loops.

    Raises:
        EditError: if the model has no sites, is no encoder-decoder, or never calls its decoder's embedding.
    """
    find_sites(model)
    if not (hasattr(model, "encoder") and hasattr(model, "decoder")):
        raise EditError(f"{type(model).__name__} is no encoder-decoder model")
    device = device_of(model)
    generator = adapter.build_generator(model, generation)
    end = int(getattr(generator, "eos", adapter.target_dictionary.eos()))
    if end != adapter.target_dictionary.eos():
        codec = replace(codec, target_end=end)
    batcher = Batcher(adapter, _decoder_start(model, adapter, generator, device), device)
    return Translator(model, adapter, generator, codec, batcher, max_sentences, progress)


def _decoder_start(
    model: nn.Module, adapter: TaskAdapter, generator: Any, device: torch.device
) -> int:
    """The token that generation feeds first: the end symbol, or a language symbol in some tasks."""
    seen: List[int] = []

    def note(_: nn.Module, args: Any) -> None:
        seen.append(int(args[0].reshape(-1)[0]))

    end = torch.tensor([adapter.source_dictionary.eos()])
    net_input = {name: part.to(device) for name, part in adapter.source_batch([end]).items()}
    # Encoder and decoder may share one embedding module, so the encoder's call comes first.
    decoder: Any = model.decoder
    shared = decoder.embed_tokens is getattr(model.encoder, "embed_tokens", None)
    handle = decoder.embed_tokens.register_forward_pre_hook(note)
    try:
        with torch.no_grad(), _beam_search(model, generator):
            adapter.generate(generator, model, net_input)
    finally:
        handle.remove()
    if len(seen) <= int(shared):
        raise EditError(
            f"{type(model).__name__} never embedded a target token: it is no encoder-decoder model"
        )
    return seen[int(shared)]


def bits_a_token(translator: Translator, pairs: Sequence[Pair]) -> float:
    """Mean negative log-likelihood of the targets under teacher forcing, base 2: fairseq's `nll_loss`."""
    total, tokens = 0.0, 0

    def scored(indices: List[int]) -> Tuple[float, int]:
        batch = translator.batcher.batch([pairs[index] for index in indices])
        with torch.no_grad():
            scores = forced_logits(translator.model, batch).log_softmax(-1)
        chosen = scores.gather(2, batch.target.unsqueeze(2)).squeeze(2)[batch.target_mask]
        return float(chosen.double().sum()), len(chosen)

    for _, (score, count) in translator.ranks.each(by_size(pairs, _BATCH_TOKENS), scored):
        total -= score
        tokens += count
    return total / max(tokens, 1) / math.log(2)
