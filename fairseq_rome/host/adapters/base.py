"""What an adapter tells of a fairseq task, and how adapters are registered."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any, ClassVar, Dict, List, Optional, Sequence, Tuple, Type

import torch
from torch import Tensor

from fairseq_rome.errors import EditError

Direction = Tuple[str, str]
"""Codes of a source and of a target language."""

ADAPTERS: List[Type[TaskAdapter]] = []
"""The kinds of tasks that are known, in the order in which they are asked: a kind before the one it is made from."""


def register(adapter: Type[TaskAdapter]) -> Type[TaskAdapter]:
    """Make a kind of task known; used as a decorator."""
    ADAPTERS.insert(0, adapter)
    return adapter


class TaskAdapter(ABC):
    """One kind of fairseq task: its languages, dictionaries, data, and how it decodes.

    The rest of the package asks the adapter and never the task, because kinds of tasks keep their options in different
    places and treat languages in different ways.

    Args:
        task: the task, which fairseq has set up.
    """

    kind: ClassVar[str]
    """The name of the kind, for messages."""

    def __init__(self, task: Any) -> None:
        self.task = task

    @classmethod
    @abstractmethod
    def takes(cls, task: Any) -> bool:
        """Whether a task is of this kind."""

    @property
    @abstractmethod
    def languages(self) -> Tuple[str, str]:
        """Codes of the source and of the target language."""

    @property
    @abstractmethod
    def data(self) -> str:
        """The data directory, for messages."""

    def other_directions(self) -> Tuple[Direction, ...]:
        """The directions besides this one that the task names and the data directory has sentences of."""
        return ()

    def in_direction(self, source: str, target: str) -> TaskAdapter:
        """The adapter of another direction of the same task; the model and the dictionaries are the same objects.

        Args:
            source: code of the source language.
            target: code of the target language.

        Raises:
            EditError: if the task has no such direction.
        """
        own = "-".join(self.languages)
        raise EditError(f"direction {source}-{target}: the task {self.kind} has one direction alone, {own}")

    @property
    def weights_prefix(self) -> str:
        """What the names of this direction's weights begin with; empty where all directions have the same weights."""
        return ""

    @property
    def source_dictionary(self) -> Any:
        """The fairseq dictionary of the source side."""
        return self.task.source_dictionary

    @property
    def target_dictionary(self) -> Any:
        """The fairseq dictionary of the target side."""
        return self.task.target_dictionary

    @property
    def max_positions(self) -> Tuple[Optional[int], Optional[int]]:
        """The longest source and the longest target, in tokens, that the task takes; None for no limit."""
        return self.task.max_positions()

    def build_tokenizer(self, options: Any) -> Optional[Any]:
        """Fairseq's tokenizer of a configuration group; None for none."""
        return self.task.build_tokenizer(options)

    def build_bpe(self, options: Any) -> Optional[Any]:
        """Fairseq's subword model of a configuration group; None for none."""
        return self.task.build_bpe(options)

    @property
    def source_offset(self) -> int:
        """How many tokens the task puts before those of a source."""
        return 0

    @property
    def target_prefix(self) -> int:
        """The token that every hypothesis begins with, such as a language symbol; -1 for none."""
        return -1

    def with_prefix(self, target: Tensor) -> Tensor:
        """Target token ids with the token that every hypothesis begins with."""
        prefix = self.target_prefix
        return target if prefix < 0 else torch.cat([target.new_tensor([prefix]), target])

    def on_symbols(self, more: int) -> str:
        """What to do where a checkpoint has other symbols than the dictionaries of the task; empty for no advice.

        Args:
            more: symbols of the checkpoint without a place in the dictionary; below zero where it has too few.
        """
        return ""

    @abstractmethod
    def longest_source(self, model: Any) -> int:
        """The longest source, in tokens, that both the task and a model take."""

    @abstractmethod
    def load_split(self, name: str) -> Optional[Any]:
        """The sentence pairs of a split of the data directory; None where it has no such split.

        Args:
            name: such as `train`.

        Returns:
            A sequence of items that `pair` takes.
        """

    @abstractmethod
    def pair(self, item: Any) -> Tuple[Tensor, Optional[Tensor]]:
        """Source and target token ids (int64) of an item of a split, as the codec gives them; None without a target."""

    def source_batch(self, sources: Sequence[Tensor]) -> Dict[str, Tensor]:
        """What the encoder takes for some sources, in their order.

        Args:
            sources: token ids with the end symbol.

        Returns:
            `src_tokens` (B x S, padded as the task pads, with what the task adds to a source) and `src_lengths` (B).
        """
        dataset = self._inference_set(sources)
        sample = dataset.collater([dataset[index] for index in range(len(sources))])
        order = sample["id"].argsort()
        return {name: sample["net_input"][name][order] for name in ("src_tokens", "src_lengths")}

    def _inference_set(self, sources: Sequence[Tensor]) -> Any:
        """The task's own data set of some sources."""
        return self.task.build_dataset_for_inference(list(sources), [len(tokens) for tokens in sources])

    def build_generator(self, model: Any, generation: Any) -> Any:
        """The task's own generator for a model.

        Args:
            model: the translation model.
            generation: fairseq's generation settings.
        """
        return self.task.build_generator([model], generation)

    def generate(
        self, generator: Any, model: Any, net_input: Dict[str, Tensor], begin: Optional[Tensor] = None,
        constraints: Optional[Tensor] = None,
    ) -> List[List[Dict[str, Any]]]:
        """The hypotheses of each source, best first, as fairseq's generators give them.

        Args:
            generator: from `build_generator`.
            model: the translation model.
            net_input: from `source_batch`, on the model's device.
            begin: B x T tokens with which every hypothesis of a source has to begin, padded on the right; None for
                those that the task asks for.
            constraints: B x C, words that every hypothesis of a source has to hold, as fairseq packs them; None for
                none.
        """
        given = {"prefix_tokens": begin, "constraints": constraints}
        more = {name: tokens for name, tokens in given.items() if tokens is not None}
        return self.task.inference_step(generator, [model], {"net_input": net_input}, **more)
