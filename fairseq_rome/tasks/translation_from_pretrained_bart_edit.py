"""The fairseq task `translation_from_pretrained_bart_edit`: the editing form of that of fine-tuned mBART models."""

from typing import Any, Sequence

from fairseq.data import AppendTokenDataset, ListDataset
from fairseq.tasks import register_task
from fairseq.tasks.translation_from_pretrained_bart import TranslationFromPretrainedBARTTask
from torch import Tensor

from fairseq_rome.tasks.edit_task import EditTask


@register_task("translation_from_pretrained_bart_edit")
class TranslationFromPretrainedBARTEditTask(EditTask, TranslationFromPretrainedBARTTask):
    """The task with the edit file as its subset `edit`; every sentence ends with the symbol of its language.

    It also decodes on fairseq 0.12, whose own task asks for `args` that it does not keep.
    """

    def __init__(self, args: Any, *dictionaries: Any) -> None:
        super().__init__(args, *dictionaries)
        self.args = args

    def edit_dataset(self, sources: Sequence[Tensor], targets: Sequence[Tensor]) -> Any:
        """As for every editing form."""
        source, target = (
            words.index(f"[{language}]")
            for words, language in (
                (self.source_dictionary, self.args.source_lang),
                (self.target_dictionary, self.args.target_lang),
            )
        )
        ended = AppendTokenDataset(ListDataset(sources, [len(tokens) for tokens in sources]), source)
        closed = [tokens.new_tensor([*tokens.tolist(), target]) for tokens in targets]
        return self.pairs(ended, ended.sizes, closed, eos=target)
