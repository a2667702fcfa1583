"""What the editing forms of fairseq's tasks add to them: patches at load time, and an edit file as the subset `edit`.

Each kind of task has its form in a file of this folder, which bears the name of the task with `_edit` behind it (that
of `translation` is `translation_edit`) and takes the task's own options and those of `EditTaskConfig`.
"""

from dataclasses import dataclass, field
from functools import cached_property, partial
from typing import Any, Dict, Optional, Sequence

from fairseq.data import LanguagePairDataset, encoders
from fairseq.dataclass import ChoiceEnum, FairseqDataclass
from fairseq.dataclass.utils import gen_parser_from_dataclass
from fairseq.tasks import FairseqTask
from torch import Tensor

from fairseq_rome.errors import EditError
from fairseq_rome.host.adapters import adapter_for
from fairseq_rome.host.around import around, searched, source_texts
from fairseq_rome.host.codec import TextCodec
from fairseq_rome.patch import load_patches, patch_paths
from fairseq_rome.patch.fitting import NamedFile
from fairseq_rome.patch.loading import hook_on_load_, hooked_on, patch_on_load_, stack_on
from fairseq_rome.text.requests import read_edit_file
from fairseq_rome.text.requests.markup import AUTO, MARKUP

SUBSET = "edit"


@dataclass
class EditTaskConfig(FairseqDataclass):
    """Settings that every editing form adds to those of its task."""

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
    edit_markup: ChoiceEnum([*MARKUP]) = field(  # type: ignore[valid-type]
        default=AUTO,
        metadata={"help": "auto: [[ ]] around words of parallel text are taken off; none: brackets are text"},
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


class EditTask(FairseqTask):
    """Stands before the class of a task: its subset `edit` is the edit file, and its models take patches in.

    Every other subset comes from the data directory.
    """

    @classmethod
    def add_args(cls, parser: Any) -> None:
        """The options of the task and those of `EditTaskConfig`."""
        super().add_args(parser)
        gen_parser_from_dataclass(parser, EditTaskConfig())

    @property
    def _given(self) -> Any:
        """The options; legacy tasks keep them in `args`."""
        return self.args if self.cfg is None else self.cfg

    def build_model(self, cfg: Any, from_checkpoint: bool = False) -> Any:
        """As fairseq's; the model then takes in the patches of `--edit-patches` with its weights, or hooks hold them.

        Raises:
            EditError: if a patch file can't be read, the model is to be trained, or hooks can't hold the patches.
        """
        paths = patch_paths(self._given.edit_patches)
        if self._given.edit_hooks and not paths:
            raise EditError("--edit-hooks: there is nothing to hold, expected --edit-patches with it")
        if paths and not from_checkpoint:
            raise EditError(
                "--edit-patches is for decoding; to train on, apply the patches to the checkpoint"
            )
        files = [(path, load_patches(path)) for path in paths]
        model = super().build_model(cfg, from_checkpoint)
        if files and self._given.edit_hooks:
            _hook_on_load(model, files)
        elif files:
            patch_on_load_(model, files)
        return model

    def inference_step(
        self, generator: Any, models: Any, sample: Any, prefix_tokens: Any = None, constraints: Any = None
    ) -> Any:
        """As fairseq's, with models that have the patches of `--edit-patches`, and what these have around the search.

        Where words are demanded on the command line (`--constraints`) these are demanded alone, and no rules act.

        Raises:
            EditError: if a model lacks them.
        """
        patches = self._given.edit_patches
        if patches and not all(stack_on(model) or hooked_on(model) for model in models):
            raise EditError(f"--edit-patches {patches}: a model lacks them, expected one loaded by the task")
        step = super().inference_step
        if not (patches and around(models[0])) or constraints is not None:
            return step(generator, models, sample, prefix_tokens=prefix_tokens, constraints=constraints)

        def search(net_input: Dict[str, Tensor], begin: Any, words: Any = None) -> Any:
            part = {**sample, "net_input": net_input}
            return step(generator, models, part, prefix_tokens=begin, constraints=words)

        codec, net_input = self._codec, sample["net_input"]
        sources = partial(source_texts, codec, net_input["src_tokens"])
        return searched(models[0], generator, codec, sources, net_input, prefix_tokens, search)

    def load_dataset(self, split: str, epoch: int = 1, combine: bool = False, **kwargs: Any) -> None:
        """Load a split of the data directory, or the edit file as the split `edit`.

        Raises:
            EditError: if the split is `edit` and `--edit-pref` is missing or can't be read, or the direction is
                missing.
        """
        if split != SUBSET:
            super().load_dataset(split, epoch=epoch, combine=combine, **kwargs)
            return
        given, adapter = self._given, adapter_for(self)
        if not given.edit_pref:
            raise EditError("--edit-pref is missing: the subset edit needs the edit file")
        if not all(adapter.languages):
            raise EditError("-s and -t are missing: the subset edit is of one direction")
        requests = read_edit_file(given.edit_pref, *adapter.languages, given.edit_markup).requests
        codec = self._codec
        sources = [codec.source(request.source) for request in requests]
        targets = [codec.target(request.target) for request in requests]
        self.datasets[split] = self.edit_dataset(sources, targets)

    @cached_property
    def _codec(self) -> TextCodec:
        """Text to the task's tokens and back; made once, since subword models are read from files."""
        given = self._given
        # Groups of the command's own configuration, or all of its options side by side.
        groups = [getattr(given, name, given) for name in ("text_tokenizer", "text_bpe")]
        return TextCodec(
            adapter_for(self), encoders.build_tokenizer(groups[0]), encoders.build_bpe(groups[1]),
            given.edit_input == "bpe",
        )  # fmt: skip

    def edit_dataset(self, sources: Sequence[Tensor], targets: Sequence[Tensor]) -> Any:
        """The requests as the task itself would load them from a data directory.

        Args:
            sources: token ids with the end symbol.
            targets: the same, behind the token that every hypothesis begins with, if any.
        """
        return self.pairs(sources, [len(tokens) for tokens in sources], targets)

    def pairs(self, sources: Any, sizes: Sequence[int], targets: Sequence[Tensor], **more: Any) -> Any:
        """Fairseq's data set of sentence pairs, padded as the task pads.

        Args:
            sources: token ids.
            sizes: of the sources.
            targets: token ids.
            more: whatever else fairseq's class takes.
        """
        return LanguagePairDataset(
            sources, sizes, self.source_dictionary,
            targets, [len(tokens) for tokens in targets], self.target_dictionary,
            left_pad_source=self._given.left_pad_source,
            left_pad_target=self._given.left_pad_target,
            **more,
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
