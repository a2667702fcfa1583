"""The options of fairseq as one frozen value, and the task that they set up."""

from __future__ import annotations

import difflib
import os
from dataclasses import dataclass
from functools import cached_property
from types import SimpleNamespace
from typing import Any, Dict, List, Mapping, NoReturn, Optional

from fairseq_rome.errors import EditError
from fairseq_rome.host.adapters import TaskAdapter, adapter_for
from fairseq_rome.host.quiet import quiet

_ALWAYS_TOLD = ("beam", "lenpen")


@dataclass(frozen=True)
class FairseqOptions:
    """Every option of fairseq-generate by its name, with those of the task, the tokenizer and the subword model.

    Args:
        values: a value for each option, as fairseq's own parser gives them.
    """

    values: Mapping[str, Any]

    @classmethod
    def of(
        cls,
        path: str,
        data: str,
        source: Optional[str] = None,
        target: Optional[str] = None,
        task: str = "translation",
        bpe: Optional[str] = None,
        tokenizer: Optional[str] = None,
        **options: Any,
    ) -> FairseqOptions:
        """The defaults of fairseq-generate with some options changed.

        Args:
            path: the checkpoint.
            data: the data directory of fairseq-preprocess.
            source: code of the source language; None to infer it from the data directory.
            target: code of the target language, likewise.
            task: name of the fairseq task.
            bpe: name of the subword model, such as `sentencepiece`.
            tokenizer: name of the tokenizer, such as `moses`.
            options: any other option of fairseq-generate by its name, such as `beam=4`. Text is read as the words of a
                command line are; any other value is taken as it is.

        Raises:
            EditError: for an option that fairseq-generate does not have, or a name that it does not know.
        """
        chosen: List[str] = [data, "--path", path, "--task", task]
        for flag, name in (("--bpe", bpe), ("--tokenizer", tokenizer)):
            chosen += [] if name is None else [flag, name]
        given = {**options, "source_lang": source, "target_lang": target}
        usual = _parsed(chosen)
        for name in given:
            if name not in usual:
                near = difflib.get_close_matches(name, usual, 3)
                hint = f"; close to it: {', '.join(near)}" if near else ""
                raise EditError(f"option {name!r}: fairseq-generate has no such option{hint}")
        words = {name: value for name, value in given.items() if isinstance(value, str)}
        chosen += [f"--{name.replace('_', '-')}={value}" for name, value in words.items()]
        others = {name: value for name, value in given.items() if name not in words}
        return cls({**_parsed(chosen), **others})

    @property
    def data(self) -> str:
        """The data directory."""
        return str(self.values["data"])

    @cached_property
    def cfg(self) -> Any:
        """The same as fairseq's configuration, a `DictConfig` with a group for each part."""
        from fairseq.dataclass.utils import convert_namespace_to_omegaconf

        with quiet():
            return convert_namespace_to_omegaconf(SimpleNamespace(**self.values))

    def set_up_task(self) -> TaskAdapter:
        """The task with its dictionaries.

        Raises:
            EditError: if the data directory or a dictionary is missing, the languages can't be told, or the kind of
                task is unknown.
        """
        from fairseq import tasks, utils

        if not all(os.path.isdir(folder) for folder in utils.split_paths(self.data)):
            raise EditError(f"{self.data}: no such directory, expected the data directory of fairseq-preprocess")
        try:
            with quiet():
                task = tasks.setup_task(self.cfg.task)
        except (FileNotFoundError, AssertionError) as error:
            where = error.filename if isinstance(error, FileNotFoundError) and error.filename else self.data
            raise EditError(
                f"{where}: missing or unfit; expected dict.SRC.txt and dict.TGT.txt for -s and -t"
            ) from error
        except Exception as error:  # fairseq raises plain Exception where it can't infer the languages
            raise EditError(f"{self.data}: {error}") from error
        return adapter_for(task)

    def changed_search(self) -> Dict[str, Any]:
        """Fairseq's generation settings that are not its defaults, with beam and lenpen in any case."""
        from fairseq.dataclass.configs import GenerationConfig

        usual = vars(GenerationConfig())
        return {
            name: value
            for name, value in self.search().items()
            if name in _ALWAYS_TOLD or (name in usual and value != usual[name] and not name.startswith("_"))
        }

    def search(self) -> Dict[str, Any]:
        """All of fairseq's generation settings, in plain values."""
        from omegaconf import OmegaConf

        found = OmegaConf.to_container(self.cfg.generation, resolve=True)
        assert isinstance(found, dict)
        return {str(name): value for name, value in found.items()}


def _parsed(words: List[str]) -> Dict[str, Any]:
    """The value of every option where these words are given to fairseq's own parser."""
    from fairseq import options

    def refuse(message: str) -> NoReturn:
        raise EditError(message)

    parser = options.get_generation_parser()
    parser.error = refuse
    return dict(vars(options.parse_args_and_arch(parser, input_args=words)))
