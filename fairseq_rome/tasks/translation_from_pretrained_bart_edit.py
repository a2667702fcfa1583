"""The fairseq task `translation_from_pretrained_bart_edit`: the editing form of that of fine-tuned mBART models."""

from typing import Any, List, Sequence

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
        ended = self._with_symbols(sources, self.source_dictionary, self.args.source_lang)
        closed = self._with_symbols(targets, self.target_dictionary, self.args.target_lang)
        return self.pairs(ended, [len(tokens) for tokens in ended], closed, eos=int(closed[0][-1]))

    def _with_symbols(self, sentences: Sequence[Tensor], words: Any, language: str) -> List[Tensor]:
        """Token ids with the language symbol at the end, and with `--prepend-bos` one beginning symbol."""
        begins = bool(self.args.prepend_bos)
        symbol = words.index(f"[{language}]")
        return [
            tokens.new_tensor([words.bos()] * (begins and int(tokens[0]) != words.bos()) + [*tokens.tolist(), symbol])
            for tokens in sentences
        ]
