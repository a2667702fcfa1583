"""The task `multilingual_translation`: one model with an encoder and a decoder for each pair, some of them shared."""

from __future__ import annotations

import os
from typing import Any, Optional, Sequence, Tuple

from fairseq import utils
from fairseq.tasks.multilingual_translation import MultilingualTranslationTask
from torch import Tensor

from fairseq_rome.host.adapters.base import TaskAdapter, register
from fairseq_rome.host.pairs import BinaryPairs


@register
class MultilingualAdapter(TaskAdapter):
    """One direction of several, each with a dictionary for every language.

    Language symbols take the places of end symbols: the source's end with `--encoder-langtok`, and what the decoder
    reads first with `--decoder-langtok`.
    """

    kind = "multilingual_translation"

    @classmethod
    def takes(cls, task: Any) -> bool:
        """As for every adapter."""
        return isinstance(task, MultilingualTranslationTask)

    @property
    def languages(self) -> Tuple[str, str]:
        """As given with `-s` and `-t`."""
        return self.task.args.source_lang, self.task.args.target_lang

    @property
    def data(self) -> str:
        """As for every adapter."""
        return str(self.task.args.data)

    @property
    def max_positions(self) -> Tuple[Optional[int], Optional[int]]:
        """Those of the direction."""
        source, target = next(iter(self.task.max_positions().values()))
        return source, target

    def longest_source(self, model: Any) -> int:
        """As for every adapter."""
        found = model.max_positions()
        limits = next(iter(found.values())) if isinstance(found, dict) else found
        return int(utils.resolve_max_positions(self.max_positions, limits)[0])

    def load_split(self, name: str) -> Optional[BinaryPairs]:
        """As for every adapter."""
        dictionaries = (self.source_dictionary, self.target_dictionary)
        for folder in utils.split_paths(self.data):
            found = BinaryPairs.opened(os.path.join(folder, name), self.languages, dictionaries)
            if found is not None:
                return found
        return None

    def pair(self, item: Any) -> Tuple[Tensor, Optional[Tensor]]:
        """As for every adapter."""
        source, target = item
        return source.long(), None if target is None else target.long()

    def _inference_set(self, sources: Sequence[Tensor]) -> Any:
        found = super()._inference_set(sources)
        found.ordered_indices()  # fairseq's data set of several pairs gives no item before that
        return found
