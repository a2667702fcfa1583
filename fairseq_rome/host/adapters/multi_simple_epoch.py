"""The task `translation_multi_simple_epoch`: M2M-100, NLLB-200, mBART-50 and their fine-tuned children."""

from __future__ import annotations

import os
from functools import cached_property
from typing import Any, Optional, Tuple

from fairseq import utils
from fairseq.tasks.translation_multi_simple_epoch import TranslationMultiSimpleEpochTask
from torch import Tensor

from fairseq_rome.host.adapters.base import TaskAdapter, register
from fairseq_rome.host.pairs import BinaryPairs


@register
class MultiSimpleEpochAdapter(TaskAdapter):
    """One direction of a model for many, with language symbols on either side.

    A symbol before the source tells its language or that of the target (`--encoder-langtok`). The target's own
    (`--decoder-langtok`) is a prefix token: the decoder reads the end symbol, then this one, and hypotheses begin with
    it. With `--lang-tok-replacing-bos-eos` both take the places of the end symbols instead, and add no token.
    """

    kind = "translation_multi_simple_epoch"

    @classmethod
    def takes(cls, task: Any) -> bool:
        """As for every adapter."""
        return isinstance(task, TranslationMultiSimpleEpochTask)

    @property
    def languages(self) -> Tuple[str, str]:
        """As given with `-s` and `-t`."""
        return self.task.args.source_lang, self.task.args.target_lang

    @property
    def data(self) -> str:
        """As for every adapter."""
        return str(self.task.args.data)

    @cached_property
    def source_offset(self) -> int:
        """One where a language symbol stands before the source."""
        spec, _ = self.task.args.langtoks["main"]
        return int(bool(spec) and not self.task.args.lang_tok_replacing_bos_eos)

    @cached_property
    def target_prefix(self) -> int:
        """The language symbol of the target, where it is a token of its own."""
        _, spec = self.task.args.langtoks["main"]
        if not spec or self.task.args.lang_tok_replacing_bos_eos:
            return -1
        return int(self.task.data_manager.get_decoder_langtok(self.task.args.target_lang, spec))

    def longest_source(self, model: Any) -> int:
        """As for every adapter; the language symbol counts too."""
        return int(utils.resolve_max_positions(self.max_positions, model.max_positions())[0]) - self.source_offset

    def load_split(self, name: str) -> Optional[BinaryPairs]:
        """The pair of the direction alone: the task itself would load and sample all of its directions."""
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
