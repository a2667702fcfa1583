"""The fairseq task `translation_edit`: translation, with the requests of an edit file as the subset `edit`.

`fairseq-generate --user-dir fairseq_rome --task translation_edit --gen-subset edit --edit-pref fixes` decodes exactly
the requests, with the model's own dictionaries.

`fairseq-generate --user-dir fairseq_rome --task translation_edit --edit-patches a.safetensors:b.safetensors` translates
as the checkpoint does that has these patches in its weights; `fairseq-interactive` likewise. With `--edit-hooks` hooks
hold the gates of the patches beside the model, whose weights stay as they are.
"""

from dataclasses import dataclass, field
from typing import Any, Optional, Sequence

from fairseq.data import LanguagePairDataset, encoders
from fairseq.dataclass import ChoiceEnum
from fairseq.tasks import register_task
from fairseq.tasks.translation import TranslationConfig, TranslationTask
from omegaconf import II

from fairseq_rome.errors import EditError
from fairseq_rome.host.adapters import adapter_for
from fairseq_rome.host.codec import TextCodec
from fairseq_rome.patch import load_patches, patch_paths
from fairseq_rome.patch.fitting import NamedFile
from fairseq_rome.patch.loading import hook_on_load_, hooked_on, patch_on_load_, stack_on
from fairseq_rome.text.requests import read_edit_file

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
    edit_patches: Optional[str] = field(
        default=None,
        metadata={
            "help": "patch files with colons between them, to be made in this order in the weights of --path as they "
            "are read; the file stays as it is"
        },
    )
    edit_hooks: bool = field(
        default=False,
        metadata={
            "help": "hold the gates of --edit-patches by hooks beside the model, whose weights stay as they are"
        },
    )
    # Filled in from the command's own groups.
    text_bpe: Any = II("bpe")
    text_tokenizer: Any = II("tokenizer")


@register_task("translation_edit", dataclass=TranslationEditConfig)
class TranslationEditTask(TranslationTask):
    """Translation whose subset `edit` is the edit file; every other subset comes from the data directory."""

    def build_model(self, cfg: Any, from_checkpoint: bool = False) -> Any:
        """As fairseq's; the model then takes in the patches of `--edit-patches` with its weights, or hooks hold them.

        Raises:
            EditError: if a patch file can't be read, the model is to be trained, or hooks can't hold the patches.
        """
        paths = patch_paths(self.cfg.edit_patches)
        if self.cfg.edit_hooks and not paths:
            raise EditError("--edit-hooks: there is nothing to hold, expected --edit-patches with it")
        if paths and not from_checkpoint:
            raise EditError(
                "--edit-patches is for decoding; to train on, apply the patches to the checkpoint"
            )
        files = [(path, load_patches(path)) for path in paths]
        model = super().build_model(cfg, from_checkpoint)
        if files and self.cfg.edit_hooks:
            _hook_on_load(model, files)
        elif files:
            patch_on_load_(model, files)
        return model

    def inference_step(self, generator: Any, models: Any, sample: Any, *args: Any, **kwargs: Any) -> Any:
        """As fairseq's, with models that have the patches of `--edit-patches`.

        Raises:
            EditError: if a model lacks them.
        """
        if self.cfg.edit_patches and not all(stack_on(model) or hooked_on(model) for model in models):
            raise EditError(
                f"--edit-patches {self.cfg.edit_patches}: a model lacks them, expected one loaded by the task"
            )
        return super().inference_step(generator, models, sample, *args, **kwargs)

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
            adapter_for(self),
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


def _hook_on_load(model: Any, files: Sequence[NamedFile]) -> None:
    try:
        hook_on_load_(model, files)
    except EditError as error:
        raise EditError(
            f"{error}; --edit-hooks holds gates alone, leave it out and the patches are made in the weights"
        ) from error
