"""The subset `edit` of every editing form is what the task itself makes of the same sentences in a data directory."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any, Dict, Iterator, List, Tuple

import pytest
import torch
from kind_samples import BART, OPTIONS, PAIRS, SENTENCES, SYMBOLS, preprocessed

from fairseq_rome.errors import EditError
from fairseq_rome.host.user_dir import share_user_dir

MULTI = "translation_multi_simple_epoch"
FORMS: Dict[str, Tuple[str, List[str]]] = {
    **{name: (name.partition(",")[0], options) for name, options in OPTIONS.items()},
    "padded on the right": (MULTI, [*SYMBOLS, "--left-pad-source", "False"]),
    "the target's symbol at the source": (MULTI, [*PAIRS, "--langs", "en,de", "--encoder-langtok", "tgt"]),
    "no symbols": (MULTI, [*PAIRS, "--langs", "en,de"]),
    "mBART-50": (MULTI, [*SYMBOLS, "--lang-tok-style", "mbart"]),
    "no symbols, multilingual_translation": ("multilingual_translation", PAIRS),
    "a beginning symbol": (BART, [*OPTIONS[BART], "--prepend-bos"]),
}
TARGETS = ["w1 w2 w3", "w9", "w3 w3", "w5 w2"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The data directory `data` and the edit file `test` of the same sentences."""
    found = tmp_path_factory.mktemp("subset")
    for language, lines in (("en", SENTENCES), ("de", TARGETS)):
        for split in ("train", "test"):
            (found / f"{split}.{language}").write_text("\n".join(lines) + "\n", encoding="utf-8")
    preprocessed(found, "data")
    return found


def edit_task(folder: Path, name: str, *more: Any) -> Any:
    from fairseq import options, tasks
    from fairseq.dataclass.utils import convert_namespace_to_omegaconf

    share_user_dir()
    task, given = FORMS[name]
    words = [folder / "data", "--path", "none.pt", "--task", f"{task}_edit", *given, *more]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        parsed = options.parse_args_and_arch(options.get_generation_parser(), [str(word) for word in words])
        return tasks.setup_task(convert_namespace_to_omegaconf(parsed).task)


def tensors(value: Any, path: str = "") -> Iterator[Tuple[str, List[Any]]]:
    if isinstance(value, dict):
        for name, inner in value.items():
            yield from tensors(inner, f"{path}.{name}")
    elif isinstance(value, torch.Tensor):
        yield path, value.tolist()


def sample(dataset: Any) -> Dict[str, List[Any]]:
    dataset.ordered_indices()  # fairseq's data set of several pairs gives no item before that
    return dict(tensors(dataset.collater([dataset[index] for index in range(len(SENTENCES))])))


@pytest.mark.parametrize("name", FORMS)
def test_the_subset_is_as_the_task_loads_it(folder: Path, name: str) -> None:
    task = edit_task(folder, name, "-s", "en", "-t", "de", "--edit-pref", folder / "test")
    task.load_dataset("edit")
    task.load_dataset("test")
    found, wanted = (sample(task.dataset(split)) for split in ("edit", "test"))
    assert found == wanted
    assert {".net_input.src_tokens", ".net_input.prev_output_tokens", ".target"} <= set(found)


@pytest.mark.parametrize("name", [MULTI, "multilingual_translation"])
def test_the_subset_needs_a_direction(folder: Path, name: str) -> None:
    task = edit_task(folder, name, "--edit-pref", folder / "test")
    with pytest.raises(EditError, match="-s and -t are missing: the subset edit is of one direction"):
        task.load_dataset("edit")


@pytest.mark.parametrize("name", ["translation", MULTI, "multilingual_translation", BART])
def test_the_subset_needs_its_file(folder: Path, name: str) -> None:
    with pytest.raises(EditError, match="--edit-pref is missing: the subset edit needs the edit file"):
        edit_task(folder, name, "-s", "en", "-t", "de").load_dataset("edit")
    with pytest.raises(EditError, match=r"nothing\.en"):
        edit_task(folder, name, "-s", "en", "-t", "de", "--edit-pref", folder / "nothing").load_dataset("edit")
