"""What adapters of tasks with several directions share: options in `args`, and files of the one direction alone."""

from __future__ import annotations

import os
from typing import Any, Optional, Tuple

from fairseq import utils
from torch import Tensor

from fairseq_rome.host.adapters.base import TaskAdapter
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
