"""Every kind of multilingual task decodes here as stock fairseq-interactive does, byte for byte, and can be edited."""

from __future__ import annotations

import random
import warnings
from contextlib import redirect_stdout
from dataclasses import dataclass, replace
from functools import lru_cache
from io import StringIO
from pathlib import Path
from typing import Any, Callable, Dict, List, Optional, Tuple

import pytest
import torch
from conftest import write_parallel_text
from edit_runs import hypotheses, open_stock

import fairseq_rome
from fairseq_rome import EditError, EditRequest, EditSettings, Workbench
from fairseq_rome.host.checkpoint import is_portable
from fairseq_rome.host.sites import Site, prepared
from fairseq_rome.host.user_dir import share_user_dir
from fairseq_rome.text.requests import EditFile

MULTI = "--task translation_multi_simple_epoch --langs en,de --lang-pairs en-de,de-en"
BOTH = f"{MULTI} --encoder-langtok src --decoder-langtok"
KINDS: Dict[str, str] = {
    "M2M-100": BOTH,
    "target's token at the source": f"{MULTI} --encoder-langtok tgt",
    "mBART-50": f"{BOTH} --lang-tok-style mbart",
    "in the places of end symbols": f"{BOTH} --lang-tok-replacing-bos-eos",
    "a list of languages": "--task translation_multi_simple_epoch --lang-pairs en-de,de-en --encoder-langtok src "
    "--decoder-langtok --lang-dict {data}/langs.txt",
    "a fixed dictionary": f"{BOTH} --fixed-dictionary {{data}}/dict.en.txt",
    "mBART-50, as published": "--task translation_multi_simple_epoch --lang-pairs en-de,de-en --encoder-langtok src "
    "--decoder-langtok --lang-tok-style mbart --lang-dict {data}/langs.txt --fixed-dictionary {data}/dict.en.txt",
    "multilingual_translation": "--task multilingual_translation --lang-pairs en-de,de-en --encoder-langtok tgt "
    "--decoder-langtok",
    "mBART": "--task translation_from_pretrained_bart --langs en,de",
    "mBART with a beginning symbol": "--task translation_from_pretrained_bart --langs en,de --prepend-bos",
}
SHARED = "--share-encoders --share-decoders --share-encoder-embeddings --share-decoder-embeddings"
BART = "--arch mbart_base --layernorm-embedding --share-all-embeddings"
ARCHITECTURES: Dict[str, str] = {
    "multilingual_translation": f"--arch multilingual_transformer {SHARED}",
    "mBART-50, as published": f"{BART} --max-update 100",  # an edit by rome fails after 60
    "mBART": BART,
    "mBART with a beginning symbol": BART,
}
# The others stand for what they share with one of these.
QUICK = ("M2M-100", "multilingual_translation", "mBART")
KEEPING_NOTHING = ("--edit-cache", "none")
SIZES = """
    --encoder-layers 2 --decoder-layers 2 --encoder-embed-dim 16 --encoder-ffn-embed-dim 32 --encoder-attention-heads 2
    --decoder-embed-dim 16 --decoder-ffn-embed-dim 32 --decoder-attention-heads 2
""".split()
TRAINING = """
    --criterion label_smoothed_cross_entropy --optimizer adam --lr 0.01 --max-tokens 512 --max-update 30 --seed 1
    --no-epoch-checkpoints --num-workers 0 --no-progress-bar --cpu --disable-validation
""".split()
SENTENCES = ["w1 w2 w3", "w7", "w4 w4 w5 w19 w0 w2", "w11 w3"]


@dataclass(frozen=True)
class Trained:
    data: Path
    checkpoint: Path
    options: List[str]

    @property
    def one_way(self) -> bool:
        """Whether the model knows one direction alone."""
        return "translation_from_pretrained_bart" in self.options

    @property
    def simple_epoch(self) -> bool:
        """Whether the end symbols of either side are the usual ones."""
        return "translation_multi_simple_epoch" in self.options

    @property
    def begins(self) -> bool:
        """Whether the decoder reads a language symbol first."""
        return self.one_way or "--decoder-langtok" in self.options

    def option(self, name: str) -> Optional[str]:
        """What follows an option; None where it is not given."""
        return self.options[self.options.index(name) + 1] if name in self.options else None

    def symbol(self, language: str) -> str:
        """The symbol of a language."""
        return f"[{language}]" if self.one_way or "mbart" in self.options else f"__{language}__"

    def as_converted(self, words: List[str]) -> List[str]:
        """A source as the converted model takes it, with the end symbols that it does not put there by itself."""
        if self.one_way:
            return [*words, "</s>", self.symbol("en")]
        symbol = self.symbol("en" if self.option("--encoder-langtok") == "src" else "de")
        return [symbol, *words] if self.simple_epoch else [*words, symbol]

    def opened(self, source: str = "en", target: str = "de", cache: Optional[str] = None) -> Workbench:
        given: Dict[str, Any] = {}
        words = iter(self.options)
        for word in words:
            name = word[2:].replace("-", "_")
            flag = name in ("decoder_langtok", "lang_tok_replacing_bos_eos", "prepend_bos")
            given[name] = True if flag else next(words)
        return fairseq_rome.open(
            str(self.checkpoint), data=str(self.data), source=source, target=target, beam=3, cache=cache, **given
        )


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    from fairseq import options
    from fairseq_cli import preprocess

    folder = tmp_path_factory.mktemp("directions")
    rng = random.Random(1)
    for split, lines in (("train", 60), ("valid", 4), ("test", 4)):
        write_parallel_text(folder, split, lines, rng)
    text = [f"--{split}pref={folder / split}" for split in ("train", "valid", "test")]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        command = ["-s", "en", "-t", "de", *text, "--destdir", str(folder / "data"), "--joined-dictionary"]
        preprocess.main(options.get_preprocessing_parser().parse_args(command))
    (folder / "data" / "langs.txt").write_text("en\nde\n", encoding="utf-8")
    return folder / "data"


@pytest.fixture(scope="module")
def models(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Trained]:
    """A tiny model of a kind, trained once."""
    return lru_cache(None)(lambda kind: train_kind(kind, data, tmp_path_factory.mktemp("kind")))


@pytest.fixture(
    scope="module",
    params=[pytest.param(kind, marks=() if kind in QUICK else pytest.mark.slow, id=kind) for kind in KINDS],
)
def trained(models: Callable[[str], Trained], request: Any) -> Trained:
    return models(request.param)


def train_kind(kind: str, data: Path, save_dir: Path) -> Trained:
    """A tiny model of a kind, trained by fairseq-train's own code for some updates."""
    from fairseq import options
    from fairseq.dataclass.utils import convert_namespace_to_omegaconf
    from fairseq_cli import train as fairseq_train

    share_user_dir()
    words = KINDS[kind].format(data=data).split()
    arch = ARCHITECTURES.get(kind, "--arch transformer --share-all-embeddings").split()
    made = Trained(data, save_dir / "checkpoint_last.pt", words)
    direction = ["-s", "en", "-t", "de"] if made.one_way else []
    command = [str(data), *SIZES, *TRAINING, *arch, *words, *direction, "--save-dir", str(save_dir)]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        parsed = options.parse_args_and_arch(options.get_training_parser(), command)
        fairseq_train.main(convert_namespace_to_omegaconf(parsed))
    return made


def stock(trained: Trained, sentences: List[str], folder: Path, source: str = "en", target: str = "de") -> List[str]:
    """What fairseq-interactive itself says."""
    from fairseq import options
    from fairseq.dataclass.utils import convert_namespace_to_omegaconf
    from fairseq_cli import interactive

    share_user_dir()
    path = folder / "input.txt"
    path.write_text("".join(f"{sentence}\n" for sentence in sentences), encoding="utf-8")
    command = [str(trained.data), "--path", str(trained.checkpoint), "-s", source, "-t", target, *trained.options]
    command += ["--beam", "3", "--input", str(path), "--buffer-size", "10", "--cpu", "--max-tokens", "1000"]
    out = StringIO()
    with redirect_stdout(out), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        parsed = options.parse_args_and_arch(options.get_interactive_generation_parser(), command)
        interactive.main(convert_namespace_to_omegaconf(parsed))
    return hypotheses(out.getvalue())


def test_decoding_is_stock_fairseqs(trained: Trained, tmp_path: Path) -> None:
    bench = trained.opened()
    assert bench.translate(SENTENCES) == stock(trained, SENTENCES, tmp_path)
    if trained.one_way:
        return
    back = trained.opened("de", "en")
    assert back.translate(SENTENCES) == stock(trained, SENTENCES, tmp_path, "de", "en")


def test_forced_decoding_agrees_with_beam_search(trained: Trained) -> None:
    """The score of a hypothesis is the mean of what teacher forcing gives its tokens."""
    from fairseq_rome.host.batches import Pair
    from fairseq_rome.host.readings import read_site

    translator = trained.opened().model.translator
    site = next(site for site in _sites(translator.model) if site.in_decoder)
    with prepared(translator.model):
        for text, said in zip(SENTENCES, translator.translate(SENTENCES)):
            [seen] = read_site(translator, [Pair(translator.codec.source(text), said.tokens)], site)
            offset = int(translator.adapter.target_prefix >= 0)
            # A prefix is given, so that an edit never has to push it, and fairseq's score counts it as certain.
            assert seen.log_probs[:offset].tolist() == [0.0] * offset
            assert seen.best[:offset].tolist() == said.tokens[:offset].tolist()
            score = float(seen.log_probs.sum()) / len(said.tokens)
            assert score == pytest.approx(said.score, abs=0.3 if offset else 1e-3)


def _sites(model: Any) -> List[Site]:
    from fairseq_rome.host.sites import find_sites

    return list(find_sites(model))


def edited_by(method: str, trained: Trained, folder: Path) -> Tuple[Any, Trained]:
    """The outcome for one sentence, and the model that is written with it."""
    bench = trained.opened()
    [before] = bench.translate(SENTENCES[:1])
    words = before.split() or ["w1"]
    target = " ".join([*words[:-1], "w9" if words[-1] != "w9" else "w8"])
    settings = EditSettings.of(
        method=method, edit_contexts=0, edit_stats_tokens=200, edit_sample=2, edit_dormant=0.5, edit_max_size=1e3,
        edit_tries=8,
    )  # fmt: skip
    outcome = bench.edit(EditFile((EditRequest(SENTENCES[0], target, id="1"),)), settings)
    assert outcome.results[0].status == "edited", outcome.results[0].reason
    bench.write(str(folder / "edited.pt"), outcome)
    return outcome.results[0], replace(trained, checkpoint=folder / "edited.pt")


# Each kind and each method once; the others stand for what they share with these.
QUICK_EDITS = {"M2M-100": "gated", "multilingual_translation": "rome", "mBART": "gated"}


@pytest.mark.parametrize(("trained", "method"), [
    pytest.param(kind, method, marks=[pytest.mark.slow] * (QUICK_EDITS.get(kind) != method))
    for kind in KINDS for method in ("gated", "rome")
], indirect=["trained"])  # fmt: skip
def test_one_sentence_is_edited_and_written(trained: Trained, tmp_path: Path, method: str) -> None:
    result, edited = edited_by(method, trained, tmp_path)
    said = edited.opened().translate(SENTENCES[:1])
    assert said == [result.after] == stock(edited, SENTENCES[:1], tmp_path)
    written = open_stock(tmp_path / "edited.pt")
    assert not any(torch.isnan(weight).any() for weight in written["model"].values())
    # The decoder and encoder of each pair keep the settings, which do not come back the same.
    assert is_portable(written) == ("multilingual_translation" not in trained.options)


def test_ctranslate2_takes_what_is_written(trained: Trained, tmp_path: Path) -> None:
    ctranslate2 = pytest.importorskip("ctranslate2")
    _, edited = edited_by("gated", trained, tmp_path)
    fixed = edited.option("--fixed-dictionary")
    convert = ctranslate2.converters.FairseqConverter(
        str(edited.checkpoint), str(edited.data), "en", "de", fixed_dictionary=fixed,
        no_default_special_tokens=not edited.simple_epoch,
    ).convert  # fmt: skip
    if "--lang-tok-replacing-bos-eos" in edited.options:
        with pytest.raises(ValueError, match="lang-tok-replacing-bos-eos is not supported"):
            convert(str(tmp_path / "converted"))
        return
    convert(str(tmp_path / "converted"))
    model = ctranslate2.Translator(str(tmp_path / "converted"), compute_type="float32", intra_threads=1)
    results = model.translate_batch(
        [edited.as_converted(sentence.split()) for sentence in SENTENCES], beam_size=3, max_decoding_length=200,
        target_prefix=[[edited.symbol("de")]] * len(SENTENCES) if edited.begins else None,
        **({"end_token": edited.symbol("de")} if edited.one_way else {}),
    )  # fmt: skip
    symbols = (edited.symbol("de"), "<s>", "</s>")
    said = [" ".join(word for word in result.hypotheses[0] if word not in symbols) for result in results]
    assert said == edited.opened().translate(SENTENCES)


@pytest.mark.slow
def test_the_commands_take_the_options_of_the_task(
    trained: Trained, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from fairseq_rome.cli.edit import main as edit
    from fairseq_rome.cli.eval import main as evaluate
    from fairseq_rome.cli.locate import main as locate
    from fairseq_rome.cli.patch import main as patch

    [before] = trained.opened().translate(SENTENCES[:1])
    words = before.split() or ["w1"]
    (tmp_path / "fix.en").write_text(f"{SENTENCES[0]}\n", encoding="utf-8")
    target = " ".join([*words[:-1], "w9" if words[-1] != "w9" else "w8"])
    (tmp_path / "fix.de").write_text(f"{target}\n", encoding="utf-8")
    model = [str(trained.data), "--path", str(trained.checkpoint), "-s", "en", "-t", "de", *trained.options]
    model += ["--beam", "3", "--cpu", "--no-progress-bar", "--edit-pref", str(tmp_path / "fix")]
    quick = "--edit-contexts 0 --edit-stats-tokens 200 --edit-sample 2 --edit-dormant 0.5 --edit-max-size 1000".split()
    out, fix = str(tmp_path / "edited.pt"), str(tmp_path / "fix.safetensors")
    assert edit([*model, *quick, *KEEPING_NOTHING, "--save-to", out, "--save-patch", fix]) == 0
    assert "1 request: 1 edited" in capsys.readouterr().out
    assert evaluate([*model, *KEEPING_NOTHING, "--edited", out, "--edit-sample", "4"]) == 0
    assert evaluate([*model, *KEEPING_NOTHING, "--edit-patches", fix, "--edit-sample", "4"]) == 0
    assert "request 1: holds" in capsys.readouterr().out
    assert locate([*model, "--save-dir", str(tmp_path / "traces"), "--locate-samples", "2"]) == 0
    back = str(tmp_path / "back.pt")
    assert patch(["revert", out, "--all", "--save-to", back]) == 0
    assert "bit for bit those of the unedited checkpoint" in capsys.readouterr().out


@pytest.fixture(scope="module")
def nllb(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Trained:
    """A model with three symbols behind those of its languages, as NLLB-200's own fairseq makes them."""
    folder = tmp_path_factory.mktemp("nllb")
    plain = train_kind("M2M-100", data, folder)
    state = open_stock(plain.checkpoint, safely=False)
    for name, weight in state["model"].items():
        if name.endswith(("embed_tokens.weight", "output_projection.weight")):
            state["model"][name] = torch.cat([weight, weight.new_full((3, weight.shape[1]), 0.01)])
    for part in ("model", "task"):
        state["cfg"][part].add_data_source_prefix_tags = True
    torch.save(state, folder / "nllb.pt")
    return replace(plain, checkpoint=folder / "nllb.pt")


def test_the_three_symbols_of_nllb_are_told(nllb: Trained) -> None:
    with pytest.raises(EditError) as caught:
        nllb.opened()
    message = str(caught.value)
    assert "has 29 symbols, the task's dictionary 26" in message
    assert "--add-data-source-prefix-tags" in message
    assert message.endswith("as in --langs ...,de,MINED_DATA,MMT_BT_DATA,SMT_BT_DATA")
    assert "\n" not in message


def test_three_names_behind_the_languages_open_nllb_here_and_in_stock_fairseq(nllb: Trained, tmp_path: Path) -> None:
    options = ["en,de,MINED_DATA,MMT_BT_DATA,SMT_BT_DATA" if word == "en,de" else word for word in nllb.options]
    opened = replace(nllb, options=options)
    assert opened.opened().translate(SENTENCES) == stock(opened, SENTENCES, tmp_path)
    test_one_sentence_is_edited_and_written(opened, tmp_path, "gated")


def test_other_languages_than_in_training_are_told(nllb: Trained) -> None:
    with pytest.raises(EditError, match="26 symbols, the task's dictionary 27; expected --langs or --lang-dict"):
        replace(nllb, checkpoint=nllb.checkpoint.parent / "checkpoint_last.pt", options=[
            "en,de,fr" if word == "en,de" else word for word in nllb.options
        ]).opened()  # fmt: skip
