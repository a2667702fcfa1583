"""Tokenizers and subword models that fairseq takes, dictionaries apart or joined: all goes as in stock fairseq."""

from __future__ import annotations

import random
from contextlib import redirect_stdout
from dataclasses import dataclass
from io import StringIO
from pathlib import Path
from typing import Any, Dict, List

import pytest
from edit_runs import hypotheses

import fairseq_rome
from fairseq_rome import EditRequest, EditSettings, Workbench
from fairseq_rome.host.user_dir import share_user_dir

pytestmark = pytest.mark.slow

NOUNS = "dog cat house tree river bread glass chair horse letter".split()
SIZES = """
    --arch transformer --encoder-layers 1 --decoder-layers 2 --encoder-attention-heads 2 --decoder-attention-heads 2
    --encoder-embed-dim 32 --encoder-ffn-embed-dim 64 --decoder-embed-dim 32 --decoder-ffn-embed-dim 64
""".split()
TRAINING = """
    --criterion label_smoothed_cross_entropy --optimizer adam --lr 0.01 --max-tokens 1024 --max-update 40 --dropout 0
    --no-epoch-checkpoints --num-workers 0 --no-progress-bar --cpu --disable-validation --seed 1
""".split()
SENTENCES = ["A dog, a cat.", "The horse isn't there.", "A river & a tree (and bread)."]
# Two merges for each word, so that a word has several subwords.
MERGES = "\n".join(["#version: 0.2", *(f"{noun[0]} {noun[1]}" for noun in NOUNS)]) + "\n"

KINDS: Dict[str, List[str]] = {
    "moses": ["--tokenizer", "moses"],
    "subword_nmt": ["--bpe", "subword_nmt"],
    "moses and subword_nmt": ["--tokenizer", "moses", "--bpe", "subword_nmt"],
    "moses and fastbpe": ["--tokenizer", "moses", "--bpe", "fastbpe"],
}
NEEDS = {"moses": "sacremoses", "subword_nmt": "subword_nmt", "fastbpe": "fastBPE"}


def options_of(kind: str, codes: Path) -> List[str]:
    chosen = [*KINDS[kind], "-s", "en", "-t", "de"]
    for name in ("subword_nmt", "fastbpe"):
        chosen += ["--bpe-codes", str(codes)] if name in chosen else []
    return chosen


def encoded(kind: str, codes: Path, texts: List[str]) -> List[str]:
    """The texts as training reads them, by fairseq's own tokenizer and subword model."""
    from argparse import Namespace

    from fairseq.data import encoders

    chosen = KINDS[kind]
    found = Namespace(
        tokenizer="moses" if "moses" in chosen else None, source_lang="en", target_lang="de",
        bpe=chosen[-1] if "--bpe" in chosen else None, bpe_codes=str(codes), bpe_separator="@@",
    )  # fmt: skip
    tokenizer, bpe = encoders.build_tokenizer(found), encoders.build_bpe(found)
    texts = texts if tokenizer is None else [tokenizer.encode(text) for text in texts]
    return texts if bpe is None else [bpe.encode(text) for text in texts]


def parallel(lines: int) -> List[List[str]]:
    rng = random.Random(1)
    drawn = [rng.choices(NOUNS, k=2) for _ in range(lines)]
    sources = [f"A {one}, the {two} isn't (and) & there." for one, two in drawn]
    return [sources, [f'"Ein {two}", {one} & co. (und) nicht' for one, two in drawn]]


@dataclass(frozen=True)
class Trained:
    folder: Path
    options: List[str]

    @property
    def data(self) -> str:
        return str(self.folder / "data")

    def opened(self, name: str) -> Workbench:
        words = iter(self.options)
        given: Dict[str, Any] = {word.lstrip("-").replace("-", "_"): next(words) for word in words}
        source, target = given.pop("s"), given.pop("t")
        path = str(self.folder / name)
        return fairseq_rome.open(path, data=self.data, source=source, target=target, beam=3, **given)

    def stock(self, name: str) -> List[str]:
        """What fairseq-interactive itself says."""
        from fairseq import options
        from fairseq.dataclass.utils import convert_namespace_to_omegaconf
        from fairseq_cli import interactive

        path = self.folder / "input"
        path.write_text("".join(f"{text}\n" for text in SENTENCES), encoding="utf-8")
        words = [self.data, "--path", str(self.folder / name), *self.options, "--beam", "3", "--input", str(path)]
        out = StringIO()
        with redirect_stdout(out):
            parser = options.get_interactive_generation_parser()
            parsed = options.parse_args_and_arch(parser, [*words, "--buffer-size", "10", "--cpu"])
            interactive.main(convert_namespace_to_omegaconf(parsed))
        return hypotheses(out.getvalue())


def trained(kind: str, joined: bool, folder: Path) -> Trained:
    from fairseq import options
    from fairseq.dataclass.utils import convert_namespace_to_omegaconf
    from fairseq_cli import preprocess
    from fairseq_cli import train as fairseq_train

    codes = folder / "codes"
    codes.write_text(MERGES, encoding="utf-8")
    for split, lines in (("train", 200), ("valid", 4)):
        for language, texts in zip(("en", "de"), parallel(lines)):
            text = "\n".join(encoded(kind, codes, texts)) + "\n"
            (folder / f"{split}.{language}").write_text(text, encoding="utf-8")
    made = Trained(folder, options_of(kind, codes))
    prefixes = [f"--{split}pref={folder / split}" for split in ("train", "valid")]
    command = ["-s", "en", "-t", "de", *prefixes, "--destdir", made.data]
    share_user_dir()
    parser = options.get_preprocessing_parser()
    preprocess.main(parser.parse_args([*command, *(["--joined-dictionary"] if joined else [])]))
    shared = ["--share-all-embeddings"] if joined else []
    training = [made.data, *SIZES, *TRAINING, *shared, "--save-dir", str(folder)]
    parsed = options.parse_args_and_arch(options.get_training_parser(), training)
    fairseq_train.main(convert_namespace_to_omegaconf(parsed))
    return made


@pytest.mark.filterwarnings("ignore")  # fairseq's training and the tokenizers warn
@pytest.mark.parametrize("joined", [False, True], ids=["apart", "joined"])
@pytest.mark.parametrize("kind", KINDS)
def test_a_text_model(kind: str, joined: bool, tmp_path: Path) -> None:
    for name in KINDS[kind]:
        if name in NEEDS:
            pytest.importorskip(NEEDS[name], reason=f"{NEEDS[name]} is not installed")
    model = trained(kind, joined, tmp_path)
    bench = model.opened("checkpoint_last.pt")
    said = bench.translate(SENTENCES)
    assert said == model.stock("checkpoint_last.pt")
    words = said[0].split()
    target = " ".join([*words[:-1], "dog" if words[-1] != "dog" else "cat"])
    settings = EditSettings.of(
        edit_contexts=0, edit_stats_tokens=1000, edit_sample=2, edit_dormant=0.5, edit_max_size=1e3, edit_tries=8
    )
    outcome = bench.edit([EditRequest(SENTENCES[0], target, id="1")], settings)
    assert outcome.results[0].status == "edited", outcome.results[0].reason
    bench.write(str(tmp_path / "edited.pt"), outcome)
    assert model.stock("edited.pt")[0] == outcome.results[0].after
