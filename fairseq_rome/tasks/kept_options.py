"""The options of `translation_from_pretrained_bart`, which fairseq 0.12 forgets to keep.

The task reads its options from `args` to load data, to encode a source and to decode, while the task that it is made
from keeps them in `cfg` alone: stock fairseq ends in an `AttributeError` whatever is asked of it. Where a fairseq keeps
`args`, that is what the task goes on reading.
"""

from typing import Any

from fairseq.tasks.translation_from_pretrained_bart import TranslationFromPretrainedBARTTask


class _Options:
    """What `cfg` holds; an attribute of the task itself comes first."""

    def __get__(self, task: Any, kind: Any) -> Any:
        return self if task is None else task.cfg


if not hasattr(TranslationFromPretrainedBARTTask, "args"):
    TranslationFromPretrainedBARTTask.args = _Options()
