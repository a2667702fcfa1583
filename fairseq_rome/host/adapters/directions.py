"""What adapters of tasks with several directions share: options in `args`, and files of the one direction alone."""

from __future__ import annotations

import copy
import os
from typing import Any, Optional, Tuple

from fairseq import utils
from torch import Tensor

from fairseq_rome.errors import EditError
from fairseq_rome.host.adapters.base import Direction, TaskAdapter
from fairseq_rome.host.pairs import BinaryPairs


class DirectionAdapter(TaskAdapter):
    """The direction of `-s` and `-t`, of a task that knows several."""

    @property
    def languages(self) -> Tuple[str, str]:
        """As given with `-s` and `-t`."""
        return self.task.args.source_lang, self.task.args.target_lang

    @property
    def data(self) -> str:
        """As for every adapter."""
        return str(self.task.args.data)

    def other_directions(self) -> Tuple[Direction, ...]:
        """Those of `--lang-pairs` that DATA has sentences of."""
        there = {name for folder in utils.split_paths(self.data) for name in os.listdir(folder)}
        found = []
        for pair in dict.fromkeys(self.task.args.lang_pairs):
            source, _, target = pair.partition("-")
            if (source, target) != self.languages and any(
                f"{split}.{order}.{source}.idx" in there
                for split in ("train", "valid", "test")
                for order in (pair, f"{target}-{source}")
            ):
                found.append((source, target))
        return tuple(found)

    def in_direction(self, source: str, target: str) -> DirectionAdapter:
        """As for every adapter: a task that differs in its two languages alone."""
        known = list(self.task.langs)
        for code in (source, target):
            if code not in known:
                told = ", ".join(known)
                raise EditError(
                    f"direction {source}-{target}: {code} is no language of the task, expected one of: {told}"
                )
        task = copy.copy(self.task)
        task.args = copy.copy(task.args)
        task.args.source_lang, task.args.target_lang = source, target
        self._turn(task, source, target)
        return type(self)(task)

    def _turn(self, task: Any, source: str, target: str) -> None:
        """Give a copy of the task what else it knows of its direction."""
        task.lang_pairs = task.eval_lang_pairs = task.model_lang_pairs = [f"{source}-{target}"]

    def load_split(self, name: str) -> Optional[BinaryPairs]:
        """The pairs of the direction alone: the task itself would load, and may sample, all of its directions."""
        dictionaries = (self.source_dictionary, self.target_dictionary)
        for folder in utils.split_paths(self.data):
            found = BinaryPairs.opened(os.path.join(folder, name), self.languages, dictionaries)
            if found is not None:
                return found
        return None

    def pair(self, item: Any) -> Tuple[Tensor, Optional[Tensor]]:
        """As for every adapter."""
        source, target = item
        return source.long(), None if target is None else self.with_prefix(target.long())
