"""The task `translation_from_pretrained_bart`: mBART, fine-tuned on one direction."""

from __future__ import annotations

from typing import Any, Optional, Tuple

from fairseq.tasks.translation_from_pretrained_bart import TranslationFromPretrainedBARTTask
from torch import Tensor

from fairseq_rome.host.adapters.base import register
from fairseq_rome.host.adapters.translation import TranslationAdapter
from fairseq_rome.host.codec import content


@register
class PretrainedBartAdapter(TranslationAdapter):
    """One pair of languages, each with a symbol behind the end symbol; the decoder reads that of the target first.

    With `--prepend-bos` training puts a beginning symbol before both sides. The decoder says it before every
    translation; the sources that fairseq-interactive encodes have none.
    """

    kind = "translation_from_pretrained_bart"

    @classmethod
    def takes(cls, task: Any) -> bool:
        """As for every adapter."""
        return isinstance(task, TranslationFromPretrainedBARTTask)

    @property
    def target_prefix(self) -> int:
        """The beginning symbol where the model was trained with it."""
        begins = getattr(self.task.args, "prepend_bos", False)
        return int(self.target_dictionary.bos()) if begins else -1

    def pair(self, item: Any) -> Tuple[Tensor, Optional[Tensor]]:
        """As for every adapter: the data set for inference adds the source's language symbol by itself."""
        source, target = item["source"], item["target"]
        start = int(int(source[0]) == self.source_dictionary.bos())
        end = len(content(source, self.source_dictionary)) + 1
        return source[start:end].long(), None if target is None else target.long()
