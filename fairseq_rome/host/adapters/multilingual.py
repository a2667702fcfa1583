"""The task `multilingual_translation`: one model with an encoder and a decoder for each pair, some of them shared."""

from __future__ import annotations

from typing import Any, Optional, Sequence, Tuple

from fairseq import utils
from fairseq.tasks.multilingual_translation import MultilingualTranslationTask
from torch import Tensor

from fairseq_rome.host.adapters.base import register
from fairseq_rome.host.adapters.directions import DirectionAdapter


@register
class MultilingualAdapter(DirectionAdapter):
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
    def max_positions(self) -> Tuple[Optional[int], Optional[int]]:
        """Those of the direction."""
        source, target = next(iter(self.task.max_positions().values()))
        return source, target

    @property
    def weights_prefix(self) -> str:
        """As for every adapter: a file holds each direction's, of which some are the same tensors."""
        return "models.{}-{}.".format(*self.languages)

    def longest_source(self, model: Any) -> int:
        """As for every adapter."""
        found = model.max_positions()
        limits = next(iter(found.values())) if isinstance(found, dict) else found
        return int(utils.resolve_max_positions(self.max_positions, limits)[0])

    def _inference_set(self, sources: Sequence[Tensor]) -> Any:
        found = super()._inference_set(sources)
        found.ordered_indices()  # fairseq's data set of several pairs gives no item before that
        return found
