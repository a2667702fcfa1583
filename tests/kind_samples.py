"""A tiny model of each kind of task, edited; and fairseq's own commands on it in this process."""

from __future__ import annotations

import random
import warnings
from contextlib import redirect_stdout
from dataclasses import dataclass, replace
from io import StringIO
from pathlib import Path
from types import ModuleType
from typing import Any, Dict, List, Sequence

import fairseq_rome
from fairseq_rome import EditRequest, EditSettings, Workbench
from fairseq_rome.host.user_dir import share_user_dir
from fairseq_rome.text.requests import EditFile

PAIRS = ["--lang-pairs", "en-de,de-en"]
SYMBOLS = [*PAIRS, "--langs", "en,de", "--encoder-langtok", "src", "--decoder-langtok"]
SHARED = """
    --share-encoders --share-decoders --share-encoder-embeddings --share-decoder-embeddings
""".split()
ENDS = "translation_multi_simple_epoch, symbols in the places of end symbols"
APART = "multilingual_translation, nothing shared"
BART = "translation_from_pretrained_bart"
KINDS: Dict[str, List[str]] = {
    "translation": ["--arch", "transformer"],
    "translation_multi_simple_epoch": ["--arch", "transformer", "--max-update", "120"],
    ENDS: ["--arch", "transformer"],
    # Its update is a batch of each direction.
    "multilingual_translation": ["--arch", "multilingual_transformer", *SHARED, "--max-update", "60"],
    APART: ["--arch", "multilingual_transformer"],
    BART: ["--arch", "mbart_base", "--lr", "0.003"],
}
"""The name of the task, and in what it differs, with the options of the architecture."""
OPTIONS: Dict[str, List[str]] = {
    "translation": [],
    "translation_multi_simple_epoch": SYMBOLS,
    ENDS: [*SYMBOLS, "--lang-tok-replacing-bos-eos"],
    "multilingual_translation": [*PAIRS, "--encoder-langtok", "tgt", "--decoder-langtok"],
    APART: [*PAIRS, "--encoder-langtok", "tgt", "--decoder-langtok"],
    BART: ["--langs", "en,de"],
}
FLAGS = ("--decoder-langtok", "--lang-tok-replacing-bos-eos")
SIZES = """
    --encoder-layers 2 --decoder-layers 2 --encoder-embed-dim 32 --encoder-ffn-embed-dim 64 --encoder-attention-heads 2
    --decoder-embed-dim 32 --decoder-ffn-embed-dim 64 --decoder-attention-heads 2 --share-all-embeddings
""".split()
TRAINING = """
    --criterion label_smoothed_cross_entropy --optimizer adam --lr 0.01 --max-tokens 512 --max-update 250 --seed 1
    --no-epoch-checkpoints --num-workers 0 --no-progress-bar --cpu --disable-validation
""".split()
WORDS = 20
SENTENCES = ["w1 w2 w3", "w7", "w4 w4 w5 w19 w0 w2", "w11 w3"]
QUICK: Dict[str, Any] = {
    "edit_contexts": 0, "edit_stats_tokens": 200, "edit_sample": 2, "edit_dormant": 0.5, "edit_max_size": 1e3,
    "edit_tries": 8, "edit_cover": 0.1, "edit_batch": 0,
}  # fmt: skip
MORE: Dict[str, Dict[str, Any]] = {APART: {"site": "models.en-de.decoder.0"}}
"""What every method needs to edit such a model at once."""


@dataclass(frozen=True)
class Kind:
    """A checkpoint and what fairseq must be told of it."""

    name: str
    data: Path
    checkpoint: Path

    @property
    def task(self) -> str:
        return self.name.partition(",")[0]

    @property
    def options(self) -> List[str]:
        return OPTIONS[self.name]

    def at(self, checkpoint: Path) -> Kind:
        return replace(self, checkpoint=checkpoint)

    def words(self, source: str = "en", target: str = "de", form: str = "") -> List[str]:
        """DATA and the options that every command takes; `form` goes behind the name of the task."""
        words = [str(self.data), "--path", str(self.checkpoint), "--task", self.task + form, *self.options]
        words += ["-s", source, "-t", target] if source else []
        return [*words, "--beam", "3", "--max-len-a", "1", "--max-len-b", "4", "--cpu"]

    def opened(self) -> Workbench:
        given: Dict[str, Any] = {"task": self.task}
        words = iter(self.options)
        for word in words:
            given[word[2:].replace("-", "_")] = True if word in FLAGS else next(words)
        return fairseq_rome.open(
            str(self.checkpoint), data=str(self.data), source="en", target="de", beam=3, max_len_a=1, max_len_b=4,
            **given,
        )  # fmt: skip


def preprocessed(folder: Path, name: str, *more: Any) -> Path:
    """The data directory `name` of `train`, `valid` and `test` in a folder, as far as they are there."""
    from fairseq import options
    from fairseq_cli import preprocess

    text = [
        f"--{split}pref={folder / split}"
        for split in ("train", "valid", "test")
        if (folder / f"{split}.en").exists()
    ]
    command = ["-s", "en", "-t", "de", *text, "--destdir", str(folder / name), "--joined-dictionary", *more]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        preprocess.main(options.get_preprocessing_parser().parse_args([str(word) for word in command]))
    return folder / name


def small_parallel_data(folder: Path) -> Path:
    """Of a language whose words are those of the other, each one for the next."""
    rng = random.Random(1)
    for split, lines in (("train", 400), ("valid", 4), ("test", 4)):
        sources = [rng.choices(range(WORDS), k=rng.randint(1, 6)) for _ in range(lines)]
        for language, step in (("en", 0), ("de", 1)):
            text = [" ".join(f"w{(word + step) % WORDS}" for word in words) for words in sources]
            (folder / f"{split}.{language}").write_text("\n".join(text) + "\n", encoding="utf-8")
    return preprocessed(folder, "data")


def trained_kind(name: str, data: Path, folder: Path) -> Kind:
    """Trained by fairseq-train's own code for some updates."""
    from fairseq_cli import train

    kind = Kind(name, data, folder / "checkpoint_last.pt")
    words = [str(data), *SIZES, *TRAINING, *KINDS[name], "--task", kind.task, *kind.options]
    if "--lang-pairs" not in words:
        words += ["-s", "en", "-t", "de"]
    if name == APART:
        words.remove("--share-all-embeddings")
    run(train, "get_training_parser", [*words, "--save-dir", str(folder)])
    return kind


def run(command: ModuleType, parser: str, words: Sequence[Any]) -> str:
    """What one of fairseq's commands prints in this process."""
    from fairseq import options
    from fairseq.dataclass.utils import convert_namespace_to_omegaconf

    share_user_dir()
    out = StringIO()
    with redirect_stdout(out), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        parsed = options.parse_args_and_arch(getattr(options, parser)(), [str(word) for word in words])
        command.main(convert_namespace_to_omegaconf(parsed))
    # How long a sentence took is another matter.
    return "".join(line for line in out.getvalue().splitlines(True) if not line.startswith("W-"))


def interactive(kind: Kind, folder: Path, *more: Any, direction: Sequence[str] = ("en", "de"), form: str = "") -> str:
    """What fairseq-interactive prints of `SENTENCES`."""
    from fairseq_cli import interactive as command

    path = folder / "input.txt"
    path.write_text("".join(f"{sentence}\n" for sentence in SENTENCES), encoding="utf-8")
    words = [*kind.words(*direction, form), "--input", path, "--buffer-size", "10", "--max-tokens", "1000", *more]
    return run(command, "get_interactive_generation_parser", words)


def generate(kind: Kind, *more: Any, direction: Sequence[str] = ("en", "de"), form: str = "") -> str:
    """What fairseq-generate prints."""
    from fairseq_cli import generate as command

    return run(command, "get_generation_parser", [*kind.words(*direction, form), *more])


def with_other_end(said: str) -> str:
    """A sentence with another last word."""
    words = said.split() or ["w1"]
    return " ".join([*words[:-1], "w9" if words[-1] != "w9" else "w8"])


@dataclass(frozen=True)
class Edits:
    """An edit of a kind's model, in a checkpoint and in a patch file; and the word that it was made for."""

    wanted: str
    checkpoint: Path
    patch: Path


def edit_by(kind: Kind, method: str, folder: Path) -> Edits:
    """The first of `SENTENCES`, edited to end on another word."""
    bench = kind.opened()
    [before] = bench.translate(SENTENCES[:1])
    request = EditRequest(SENTENCES[0], with_other_end(before), id="1")
    settings = EditSettings.of(method=method, **QUICK, **MORE.get(kind.name, {}))
    outcome = bench.edit(EditFile((request,)), settings)
    assert outcome.results[0].status == "edited", outcome.results[0].reason
    written = Edits(request.target.split()[-1], folder / "edited.pt", folder / "fix.safetensors")
    bench.write(str(written.checkpoint), outcome, settings)
    bench.save_patches(str(written.patch), outcome, settings)
    return written
