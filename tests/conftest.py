"""What several test files share: a tiny model, as fairseq's own commands write it."""

from __future__ import annotations

import argparse
import fcntl
import gc
import os
import pickle
import random
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Callable, Iterator, List, TypeVar

import pytest
from composing import compose_once
from edit_runs import Edited, run_edit, small_data
from stock_runs import Stock, stock_fairseq

DEMO = Path(__file__).resolve().parents[1] / "scripts" / "demo"
MULTI30K = Path(__file__).resolve().parents[2] / "shared" / "multi30k" / "model"

TINY_ARCHITECTURE = """
    --arch transformer --encoder-layers 2 --decoder-layers 2 --share-all-embeddings
    --encoder-embed-dim 16 --encoder-ffn-embed-dim 32 --encoder-attention-heads 2
    --decoder-embed-dim 16 --decoder-ffn-embed-dim 32 --decoder-attention-heads 2
""".split()
TINY_TRAINING = """
    --criterion label_smoothed_cross_entropy --optimizer adam --lr 0.01 --max-tokens 512 --max-epoch 1
    --no-epoch-checkpoints --num-workers 0 --no-progress-bar --cpu --seed 1
""".split()


def pytest_configure(config: pytest.Config) -> None:
    # Hydra warns of fairseq's own configuration, in the name of whoever called fairseq.
    config.addinivalue_line("filterwarnings", r"ignore:\s*'config' is validated against ConfigStore schema")


def pytest_collection_finish() -> None:
    # What was imported and collected stays to the end: looking through it for garbage took a tenth of the tests' time.
    gc.collect()
    gc.freeze()


def pytest_runtest_setup() -> None:
    compose_once()


@dataclass(frozen=True)
class Tiny:
    """A data directory and a checkpoint trained on it for one step; tests share them, and change nothing."""

    data: Path
    checkpoint: Path
    source: str = "en"
    target: str = "de"

    def task(self) -> Any:
        return translation_task(self.data, self.source, self.target)


def translation_task(data: Path, source: str = "en", target: str = "de") -> Any:
    from fairseq import tasks
    from fairseq.tasks.translation import TranslationConfig

    from fairseq_rome.host.adapters import adapter_for

    settings = {**vars(TranslationConfig()), "data": str(data), "source_lang": source, "target_lang": target}
    # What the defaults take from other parts of fairseq's configuration.
    settings.update(train_subset="train", dataset_impl=None, required_seq_len_multiple=1)
    return adapter_for(tasks.setup_task(argparse.Namespace(**{**settings, "task": "translation"})))


def write_parallel_text(directory: Path, split: str, lines: int, rng: random.Random) -> None:
    words = [f"w{index}" for index in range(20)]
    for language in ("en", "de"):
        text = [" ".join(rng.choices(words, k=rng.randint(2, 6))) for _ in range(lines)]
        (directory / f"{split}.{language}").write_text("\n".join(text) + "\n", encoding="utf-8")


Made = TypeVar("Made")


def made_once(factory: pytest.TempPathFactory, name: str, make: Callable[[Path], Made]) -> Made:
    """What `make` gives and leaves in a folder of its own, made by the first test process of a run that needs it."""
    parallel = "PYTEST_XDIST_WORKER" in os.environ
    shared = factory.getbasetemp().parent if parallel else factory.getbasetemp()
    folder, given = shared / name, shared / f"{name}.pickle"
    with (shared / f"{name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not given.exists():
            folder.mkdir(exist_ok=True)
            given.write_bytes(pickle.dumps(make(folder)))
    made: Made = pickle.loads(given.read_bytes())
    return made


def train(data: Path, save_dir: Path, arguments: List[str]) -> Path:
    """Run fairseq-train in this process, with `arguments` after those of the tiny model."""
    from fairseq import options
    from fairseq.dataclass.utils import convert_namespace_to_omegaconf
    from fairseq_cli import train as fairseq_train

    command = [str(data), *TINY_ARCHITECTURE, *TINY_TRAINING, "--save-dir", str(save_dir), *arguments]
    parsed = options.parse_args_and_arch(options.get_training_parser(), command)
    fairseq_train.main(convert_namespace_to_omegaconf(parsed))
    return save_dir / "checkpoint_last.pt"


@pytest.fixture(scope="session")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Tiny:
    return made_once(tmp_path_factory, "tiny", made_tiny)


def made_tiny(directory: Path) -> Tiny:
    from fairseq import options
    from fairseq_cli import preprocess

    rng = random.Random(1)
    for split, lines in (("train", 40), ("valid", 8), ("test", 8)):
        write_parallel_text(directory, split, lines, rng)
    text = [f"--{split}pref={directory / split}" for split in ("train", "valid", "test")]
    command = ["-s", "en", "-t", "de", *text, "--destdir", str(directory / "data"), "--joined-dictionary"]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        preprocess.main(options.get_preprocessing_parser().parse_args(command))
        checkpoint = train(directory / "data", directory / "checkpoints", [])
    return Tiny(directory / "data", checkpoint)


@dataclass(frozen=True)
class Demo:
    """The committed demo model, open; tests share it, and leave its weights as they were."""

    translator: Any
    task: Any
    state: Any

    @property
    def model(self) -> Any:
        return self.translator.model

    @property
    def codec(self) -> Any:
        return self.translator.codec


@pytest.fixture(scope="session")
def demo() -> Iterator[Demo]:
    from fairseq.data import encoders

    from fairseq_rome.host import checkpoint
    from fairseq_rome.host.codec import TextCodec
    from fairseq_rome.host.decoding import build_translator
    from fairseq_rome.host.sites import prepared

    missing = [
        name for name in ("model.pt", "spm.model", "data-bin/dict.en.txt") if not (DEMO / name).exists()
    ]
    if missing:
        pytest.skip(f"{DEMO} lacks {', '.join(missing)}: bash scripts/make_demo.sh makes them")
    task = translation_task(DEMO / "data-bin")
    state = checkpoint.read_state(DEMO / "model.pt")
    bpe = encoders.build_bpe(
        argparse.Namespace(bpe="sentencepiece", sentencepiece_model=str(DEMO / "spm.model"))
    )
    model = checkpoint.load_model(DEMO / "model.pt", state, task)
    with prepared(model):
        generation = argparse.Namespace(beam=5)
        yield Demo(build_translator(model, task, generation, TextCodec(task, bpe=bpe)), task, state)


@pytest.fixture(scope="session")
def stock() -> Iterator[Stock]:
    """Fairseq's own commands without this package."""
    with stock_fairseq() as one:
        yield one


@pytest.fixture(scope="session")
def edit_data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A part of the demo's data directory, enough for a quick edit."""
    return made_once(tmp_path_factory, "edit_data", lambda folder: small_data(folder / "data"))


@pytest.fixture(scope="session")
def edited(edit_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Edited:
    """The demo model with its four fixes, as `fairseq-edit` wrote it; tests share it, and leave it as it is."""
    return made_once(tmp_path_factory, "edited", lambda folder: edit_of_fixes(edit_data, folder / "edited.pt"))


@pytest.fixture(scope="session")
def widened(edit_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Edited:
    """The same, where no neuron was dormant and the decoder's layers had to grow."""
    options = ["--widen", "--edit-dormant", "0"]
    return made_once(
        tmp_path_factory, "widened", lambda folder: edit_of_fixes(edit_data, folder / "widened.pt", *options)
    )


def edit_of_fixes(data: Path, path: Path, *options: str) -> Edited:
    base = (DEMO / "model.pt").read_bytes()
    run = run_edit(data, DEMO / "fixes", "--save-to", path, *options)
    assert run.status == 0, run.out + run.err
    return Edited(path, run, data, base)
