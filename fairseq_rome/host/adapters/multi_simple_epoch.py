"""The task `translation_multi_simple_epoch`: M2M-100, NLLB-200, mBART-50 and their fine-tuned children."""

from __future__ import annotations

import copy
from functools import cached_property
from typing import Any

from fairseq import utils
from fairseq.tasks.translation_multi_simple_epoch import TranslationMultiSimpleEpochTask

from fairseq_rome.host.adapters.base import register
from fairseq_rome.host.adapters.directions import DirectionAdapter

# What NLLB-200's own fairseq puts behind the language symbols; for another, any three names do.
_DATA_TAGS = ("MINED_DATA", "MMT_BT_DATA", "SMT_BT_DATA")


@register
class MultiSimpleEpochAdapter(DirectionAdapter):
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

    def on_symbols(self, more: int) -> str:
        """Every language brings a symbol, and the fairseq of NLLB-200 puts three more behind them."""
        advice = "expected --langs or --lang-dict with the languages of training in their order"
        if more != len(_DATA_TAGS):
            return advice
        return (
            f"{advice}; for NLLB-200, whose own fairseq adds three symbols by --add-data-source-prefix-tags, put three "
            f"names behind them, as in --langs ...,{self.task.langs[-1]},{','.join(_DATA_TAGS)}"
        )

    def _turn(self, task: Any, source: str, target: str) -> None:
        super()._turn(task, source, target)
        task.source_langs, task.target_langs = [source], [target]
        # The task takes one dictionary for all sources and one for all targets, and reads those of one direction alone.
        more = {source: self.source_dictionary, target: self.target_dictionary}
        task.dicts = {**task.dicts, **more}
        task.data_manager = copy.copy(task.data_manager)
        task.data_manager.args, task.data_manager.dicts = task.args, task.dicts
        task.data_manager.lang_pairs = task.lang_pairs

    def longest_source(self, model: Any) -> int:
        """As for every adapter; the language symbol counts too."""
        return int(utils.resolve_max_positions(self.max_positions, model.max_positions())[0]) - self.source_offset
