"""The task `translation`, and tasks made from it that treat text as it does."""

from __future__ import annotations

import os
from typing import Any, Optional, Tuple

from fairseq import utils
from fairseq.tasks.translation import TranslationTask
from torch import Tensor

from fairseq_rome.host.adapters.base import TaskAdapter, register
from fairseq_rome.host.pairs import BinaryPairs
from fairseq_rome.host.quiet import quiet


@register
class TranslationAdapter(TaskAdapter):
    """One pair of languages, with a dictionary for each."""

    kind = "translation"

    @classmethod
    def takes(cls, task: Any) -> bool:
        """As for every adapter."""
        return isinstance(task, TranslationTask)

    @property
    def languages(self) -> Tuple[str, str]:
        """Given by the user, or inferred by fairseq from the names of the data files."""
        return self.task.cfg.source_lang, self.task.cfg.target_lang

    @property
    def data(self) -> str:
        """As for every adapter."""
        return str(self.task.cfg.data)

    def longest_source(self, model: Any) -> int:
        """As for every adapter."""
        limits = utils.resolve_max_positions(self.max_positions, model.max_positions())
        # Models for several pairs of languages answer by pair.
        return (next(iter(limits.values())) if isinstance(limits, dict) else limits)[0]

    def load_split(self, name: str) -> Optional[Any]:
        """As for every adapter; many pairs without fairseq's data set, which reads them one by one."""
        found = self._in_pieces(name)
        if found is not None:
            return found
        try:
            with quiet():
                self.task.load_dataset(name)
        except FileNotFoundError:
            return None
        return self.task.dataset(name)

    def pair(self, item: Any) -> Tuple[Tensor, Optional[Tensor]]:
        """As for every adapter."""
        source, target = item if isinstance(item, tuple) else (item["source"], item["target"])
        return source.long(), None if target is None else target.long()

    def _in_pieces(self, name: str) -> Optional[BinaryPairs]:
        """A split that is read in pieces, where the task would take its sentences as they are."""
        as_they_are = type(self.task).load_dataset is TranslationTask.load_dataset
        if not as_they_are or self.task.cfg.truncate_source:
            return None
        return BinaryPairs.in_pieces(os.path.join(utils.split_paths(self.data)[0], name), self.languages)
