"""The fairseq task `translation_multi_simple_epoch_edit`: the editing form of that of M2M-100 and its kin."""

from typing import Any, Sequence

from fairseq.data import ListDataset
from fairseq.tasks import register_task
from fairseq.tasks.translation_multi_simple_epoch import TranslationMultiSimpleEpochTask
from torch import Tensor

from fairseq_rome.tasks.edit_task import EditTask


@register_task("translation_multi_simple_epoch_edit")
class TranslationMultiSimpleEpochEditTask(EditTask, TranslationMultiSimpleEpochTask):
    """The task with the edit file, in the direction of `-s` and `-t`, as its subset `edit`."""

    def edit_dataset(self, sources: Sequence[Tensor], targets: Sequence[Tensor]) -> Any:
        """As for every editing form; language symbols stand where the task puts them."""
        given = self.args
        source_spec, target_spec = given.langtoks["main"]
        # Does nothing where the symbols take the places of the end symbols, which is the last step's part.
        begun = self.data_manager.src_dataset_tranform_func(
            given.source_lang, given.target_lang, ListDataset(sources, [len(tokens) for tokens in sources]), source_spec
        )
        found = self.pairs(begun, begun.sizes, targets)
        if not given.lang_tok_replacing_bos_eos:
            return found
        return self.data_manager.alter_dataset_langtok(
            found,
            src_eos=self.source_dictionary.eos(),
            src_lang=given.source_lang,
            tgt_eos=self.target_dictionary.eos(),
            tgt_lang=given.target_lang,
            src_langtok_spec=source_spec,
            tgt_langtok_spec=target_spec,
        )
