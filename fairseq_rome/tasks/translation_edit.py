"""The fairseq task `translation_edit`: translation, with the requests of an edit file as the subset `edit`.

`fairseq-generate --user-dir fairseq_rome --task translation_edit --gen-subset edit --edit-pref fixes` decodes exactly
the requests, with the model's own dictionaries.
"""

from dataclasses import dataclass, field
from typing import Any, Optional

from fairseq.data import LanguagePairDataset, encoders
from fairseq.dataclass import ChoiceEnum
from fairseq.tasks import register_task
from fairseq.tasks.translation import TranslationConfig, TranslationTask
from omegaconf import II

from fairseq_rome.batching import TextCodec
from fairseq_rome.errors import EditError
from fairseq_rome.requests import read_edit_file

SUBSET = "edit"


@dataclass
class TranslationEditConfig(TranslationConfig):
    """Settings of the task `translation_edit`."""

    edit_pref: Optional[str] = field(
        default=None,
        metadata={
            "help": "edit file: prefix of parallel text PREF.SRC and PREF.TGT, or a .tsv, .jsonl or .yaml file"
        },
    )
    edit_input: ChoiceEnum(["raw", "bpe"]) = field(  # type: ignore[valid-type]
        default="raw",
        metadata={"help": "raw: text goes through --tokenizer and --bpe; bpe: it is segmented already"},
    )
    # Filled in from the command's own groups.
    text_bpe: Any = II("bpe")
    text_tokenizer: Any = II("tokenizer")


@register_task("translation_edit", dataclass=TranslationEditConfig)
class TranslationEditTask(TranslationTask):
    """Translation whose subset `edit` is the edit file; every other subset comes from the data directory."""

    def load_dataset(self, split: str, epoch: int = 1, combine: bool = False, **kwargs: Any) -> None:
        """Load a split of the data directory, or the edit file as the split `edit`.

        Raises:
            EditError: if the split is `edit` and `--edit-pref` is missing or can't be read.
        """
        if split != SUBSET:
            super().load_dataset(split, epoch=epoch, combine=combine, **kwargs)
            return
        if not self.cfg.edit_pref:
            raise EditError("--edit-pref is missing: the subset edit needs the edit file")
        requests = read_edit_file(self.cfg.edit_pref, self.cfg.source_lang, self.cfg.target_lang).requests
        codec = TextCodec(
            self,
            encoders.build_tokenizer(self.cfg.text_tokenizer),
            encoders.build_bpe(self.cfg.text_bpe),
            self.cfg.edit_input == "bpe",
        )
        sources = [codec.source(request.source) for request in requests]
        targets = [codec.target(request.target) for request in requests]
        self.datasets[split] = LanguagePairDataset(
            sources, [len(tokens) for tokens in sources], self.src_dict,
            targets, [len(tokens) for tokens in targets], self.tgt_dict,
            left_pad_source=self.cfg.left_pad_source,
            left_pad_target=self.cfg.left_pad_target,
        )  # fmt: skip

    def get_batch_iterator(self, dataset: Any, *args: Any, **kwargs: Any) -> Any:
        """As fairseq's, but the edit file is never cut down to a multiple of some batch size."""
        if dataset is self.datasets.get(SUBSET):
            kwargs["required_batch_size_multiple"] = 1
        return super().get_batch_iterator(dataset, *args, **kwargs)
