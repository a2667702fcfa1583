"""The fairseq task `translation_edit`: translation, with the requests of an edit file as the subset `edit`.

`fairseq-generate --user-dir fairseq_rome --task translation_edit --gen-subset edit --edit-pref fixes` decodes exactly
the requests, with the model's own dictionaries.

`fairseq-generate --user-dir fairseq_rome --task translation_edit --edit-patches a.safetensors:b.safetensors` translates
as the checkpoint does that has these patches in its weights; `fairseq-interactive` likewise. With `--edit-hooks` hooks
hold the gates of the patches beside the model, whose weights stay as they are.
"""

from dataclasses import dataclass
from typing import Any

from fairseq.tasks import register_task
from fairseq.tasks.translation import TranslationConfig, TranslationTask
from omegaconf import II

from fairseq_rome.tasks.edit_task import EditTask, EditTaskConfig


@dataclass
class TranslationEditConfig(EditTaskConfig, TranslationConfig):
    """Settings of the task `translation_edit`."""

    # Filled in from the command's own groups.
    text_bpe: Any = II("bpe")
    text_tokenizer: Any = II("tokenizer")


@register_task("translation_edit", dataclass=TranslationEditConfig)
class TranslationEditTask(EditTask, TranslationTask):
    """Translation whose subset `edit` is the edit file; every other subset comes from the data directory."""
