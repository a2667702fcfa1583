"""The fairseq task `multilingual_translation_edit`: the editing form of that of older multilingual models."""

from collections import OrderedDict
from typing import Any, Sequence

from fairseq.data import RoundRobinZipDatasets
from fairseq.tasks import register_task
from fairseq.tasks.multilingual_translation import MultilingualTranslationTask
from torch import Tensor

from fairseq_rome.tasks.edit_task import EditTask


@register_task("multilingual_translation_edit")
class MultilingualTranslationEditTask(EditTask, MultilingualTranslationTask):
    """The task with the edit file, in the direction of `-s` and `-t`, as its subset `edit`."""

    def edit_dataset(self, sources: Sequence[Tensor], targets: Sequence[Tensor]) -> Any:
        """As for every editing form; language symbols take the places of end symbols."""
        source, target = self.args.source_lang, self.args.target_lang
        altered = self.alter_dataset_langtok(
            super().edit_dataset(sources, targets),
            src_eos=self.source_dictionary.eos(),
            src_lang=source,
            tgt_eos=self.target_dictionary.eos(),
            tgt_lang=target,
        )
        pair = f"{source}-{target}"
        return RoundRobinZipDatasets(OrderedDict([(pair, altered)]), eval_key=pair)
