"""Opens what a command works on: task, checkpoint, model, text codec, corpus, as the parsed options say."""

from __future__ import annotations

import argparse
import ast
import hashlib
import os
import sys
from dataclasses import dataclass
from typing import Any, Dict, Iterable, Mapping, Optional, Sequence, Tuple

import torch
from torch import nn

from fairseq_rome.cli.history import with_patch_files
from fairseq_rome.cli.interrupts import held_back
from fairseq_rome.errors import EditError
from fairseq_rome.host.checkpoint import load_model, read_state
from fairseq_rome.host.codec import TextCodec
from fairseq_rome.host.decoding import Progress, Translator, build_translator, silent
from fairseq_rome.host.sites import prepared
from fairseq_rome.text.requests import EditFile

_MAX_SENTENCES = 128


@dataclass(frozen=True)
class Opened:
    """A checkpoint that is open for editing.

    Args:
        path: the file.
        state: its raw contents.
        task: the fairseq task.
        translator: the model and what decodes with it.
        overrides: `--model-overrides`.
        cfg: the whole fairseq configuration.
    """

    path: str
    state: Dict[str, Any]
    task: Any
    translator: Translator
    overrides: Dict[str, Any]
    cfg: Any

    @property
    def languages(self) -> Sequence[str]:
        """Source and target language, given or inferred from the names of the data files."""
        return (self.task.cfg.source_lang, self.task.cfg.target_lang)


def setup_task(args: argparse.Namespace) -> Tuple[Any, Any]:
    """The configuration of fairseq and its task, with a clear error where the data directory does not fit.

    Raises:
        EditError: if dictionaries are missing or the languages can't be told.
    """
    from fairseq import tasks, utils
    from fairseq.dataclass.utils import convert_namespace_to_omegaconf

    with held_back():  # fairseq logs all of its settings where it is interrupted here
        cfg = convert_namespace_to_omegaconf(args)
    if not all(os.path.isdir(folder) for folder in utils.split_paths(args.data)):
        raise EditError(f"{args.data}: no such directory, expected the data directory of fairseq-preprocess")
    try:
        task = tasks.setup_task(cfg.task)
    except (FileNotFoundError, AssertionError) as error:
        where = error.filename if isinstance(error, FileNotFoundError) and error.filename else args.data
        raise EditError(
            f"{where}: missing or unfit; expected dict.SRC.txt and dict.TGT.txt for -s and -t"
        ) from error
    except Exception as error:  # fairseq raises plain Exception where it can't infer the languages
        raise EditError(f"{args.data}: {error}") from error
    return cfg, task


def open_checkpoint(args: argparse.Namespace, patches: Sequence[str] = ()) -> Opened:
    """Open everything that the options name, on the device that fairseq would choose.

    Args:
        args: the parsed options.
        patches: patch files, whose edits are made in the checkpoint as it is read.

    Raises:
        EditError: for whatever a user can put right.
    """
    if not args.path:
        raise EditError("--path is missing, expected the checkpoint to edit")
    try:
        overrides = ast.literal_eval(args.model_overrides)
    except (ValueError, SyntaxError):
        overrides = None
    if not isinstance(overrides, dict):
        raise EditError(f"--model-overrides {args.model_overrides!r}: expected a Python dictionary")
    state = read_state(args.path, trust=args.trust_checkpoint)
    cfg, task = setup_task(args)
    _check_languages(args.path, state, task)
    if patches:
        built = load_model(args.path, state, task, overrides).state_dict()
        state, _ = with_patch_files(args.path, state, patches, built)
    model = to_device(load_model(args.path, state, task, overrides), args)
    return Opened(args.path, state, task, translator_for(model, task, cfg, args), overrides, cfg)


def _check_languages(path: str, state: Mapping[str, Any], task: Any) -> None:
    """Refuse the two languages the wrong way round; other names for them are the user's own affair."""
    saved = state["args"] if state.get("args") is not None else state["cfg"].get("task")
    names = vars(saved) if isinstance(saved, argparse.Namespace) else saved
    if not isinstance(names, Mapping):
        return
    trained = (names.get("source_lang"), names.get("target_lang"))
    given = (task.cfg.source_lang, task.cfg.target_lang)
    if trained[0] != trained[1] and given == trained[::-1]:
        source, target = given
        raise EditError(f"{path}: translates {target}-{source}, expected a model for -s {source} -t {target}")


def to_device(model: nn.Module, args: argparse.Namespace) -> nn.Module:
    """The model on a GPU if there is one, unless `--cpu`; as fairseq's own commands choose."""
    return model.cuda() if torch.cuda.is_available() and not args.cpu else model


def translator_for(model: nn.Module, task: Any, cfg: Any, args: argparse.Namespace) -> Translator:
    """A translator with the text processing, the generation settings and the progress bar of the options."""
    codec = TextCodec(
        task, task.build_tokenizer(cfg.tokenizer), task.build_bpe(cfg.bpe), args.edit_input == "bpe",
        cfg.common_eval.post_process,
    )  # fmt: skip
    size = args.batch_size or _MAX_SENTENCES
    with prepared(model):
        return build_translator(model, task, cfg.generation, codec, size, progress_bar(args))


def progress_bar(args: argparse.Namespace) -> Progress:
    """The progress bar of fairseq in the format asked for; silent with `--no-progress-bar` or outside a terminal."""
    from fairseq.logging import progress_bar as bars

    shown = args.log_format or ("tqdm" if sys.stderr.isatty() else None)
    if args.no_progress_bar or shown is None:
        return silent

    def wrap(items: Sequence[Any], label: str) -> Iterable[Any]:
        return bars.progress_bar(items, log_format=shown, log_interval=args.log_interval, prefix=label)

    return wrap


def check_symbols(edit_file: EditFile, codec: TextCodec) -> None:
    """Refuse text that the dictionaries can't spell.

    Raises:
        EditError: naming the line and the symbols.
    """
    source, target = codec.task.source_dictionary, codec.task.target_dictionary
    for request in edit_file.requests:
        for text, dictionary, side in (
            (request.source, source, "source"),
            (request.target, target, "target"),
        ):
            unknown = codec.unknown(text, dictionary)
            if unknown:
                raise EditError(
                    f"{request.origin}: {', '.join(map(repr, unknown))} not in the {side} dictionary, "
                    f"expected text that the model's {len(dictionary)} symbols can spell"
                )


def cache_folder(args: argparse.Namespace, overrides: Mapping[str, Any]) -> Optional[str]:
    """Where statistics are kept; None for `--edit-cache none`.

    They are known by the model's weights. With other settings these compute something else, so overrides have a folder
    of their own within `--edit-cache`, or the user's cache folder.
    """
    if args.edit_cache == "none":
        return None
    home = os.environ.get("XDG_CACHE_HOME") or os.path.join(os.path.expanduser("~"), ".cache")
    folder = args.edit_cache or os.path.join(home, "fairseq_rome")
    if not overrides:
        return folder
    return os.path.join(folder, hashlib.sha256(repr(overrides).encode()).hexdigest()[:16])


def load_again(opened: Opened, state: Dict[str, Any]) -> nn.Module:
    """A model of another state, as the opened one was built."""
    return load_model(opened.path, state, opened.task, opened.overrides)


def reopened(
    opened: Opened,
    state: Dict[str, Any],
    args: argparse.Namespace,
) -> Translator:
    """Another state as a later user would meet it: on the same device, in half precision under `--fp16`.

    Args:
        opened: the checkpoint that is open.
        state: the other state.
        args: the parsed options.
    """
    model = to_device(load_again(opened, state), args)
    if args.fp16:
        model.half()
    return translator_for(model, opened.task, opened.cfg, args)


def unedited(opened: Opened, args: argparse.Namespace) -> Translator:
    """The unedited model to compare with: in half precision under `--fp16`, which edits are not computed in."""
    return reopened(opened, opened.state, args) if args.fp16 else opened.translator
