"""fairseq's own commands, and CTranslate2, on an edited checkpoint: none of them needs to know of this package."""

from __future__ import annotations

import json
import os
import warnings
from pathlib import Path
from typing import Any, Callable, Dict, Tuple

import pytest
import torch
from conftest import Demo
from edit_runs import DEMO, LANGUAGES, ROOT, SUBWORDS, Edited, hypotheses, lines, open_stock, run_edit
from stock_runs import Case, Stock


def binarised(folder: Path, demo: Demo) -> Path:
    """A data directory with the requests as the split `test`."""
    from fairseq.data import indexed_dataset

    for language in ("en", "de"):
        (folder / f"dict.{language}.txt").write_bytes(
            (DEMO / "data-bin" / f"dict.{language}.txt").read_bytes()
        )
        encode = demo.codec.source if language == "en" else demo.codec.target
        prefix = folder / f"test.en-de.{language}"
        builder = indexed_dataset.make_builder(f"{prefix}.bin", "mmap", len(demo.task.source_dictionary))
        for line in lines(f"fixes.{language}"):
            builder.add_item(encode(line).int())
        builder.finalize(f"{prefix}.idx")
    return folder


UNRELATED = {one["source"]: one["before"] for one in map(json.loads, lines("unrelated.jsonl")[:40])}


@pytest.fixture(scope="module")
def printed(
    edited: Edited, widened: Edited, demo: Demo, stock: Stock, tmp_path_factory: pytest.TempPathFactory
) -> Dict[str, str]:
    folder = tmp_path_factory.mktemp("consumers")
    options = [*LANGUAGES, *SUBWORDS, "--cpu"]
    common = ["--path", edited.path, *options, "--beam", "2"]
    wide = ["--path", widened.path, *options, "--beam", "5", "--buffer-size", "100", "--max-tokens", "4000"]
    sources = folder / "sources.en"
    sources.write_text("\n".join(lines("fixes.en") + list(UNRELATED)) + "\n", encoding="utf-8")
    data = binarised(tmp_path_factory.mktemp("requests"), demo)
    cases = [
        Case("generate", "generate", [data, *common, "--required-batch-size-multiple", "1"], folder),
        Case("interactive", "interactive", [edited.data, *common], folder, str(DEMO / "fixes.en")),
        Case("widened", "interactive", [edited.data, *wide], folder, str(sources)),
    ]
    return stock.run(cases, folder)


@pytest.mark.parametrize("command", ["generate", "interactive"])
def test_fairseq_without_the_plugin(printed: Dict[str, str], command: str) -> None:
    assert hypotheses(printed[command]) == lines("fixes.de")


def test_a_widened_checkpoint_needs_no_plugin_and_leaves_other_sentences(printed: Dict[str, str]) -> None:
    assert hypotheses(printed["widened"]) == lines("fixes.de") + list(UNRELATED.values())


# The slow ones are named so in `test_user_dir` too, which shows that the task is there.
USER_DIRS: Dict[str, Callable[[Path], Tuple[Any, Path]]] = {
    "by name": lambda folder: ("fairseq_rome", ROOT),
    "by path": lambda folder: (ROOT / "fairseq_rome", folder),
    "through a link": lambda folder: (folder / "fairseq_rome", folder / "elsewhere"),
    "from elsewhere": lambda folder: (
        os.path.relpath(ROOT / "fairseq_rome", folder / "elsewhere"), folder / "elsewhere"
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", [
    "by name", "through a link", *(pytest.param(name, marks=pytest.mark.slow) for name in ("by path", "from elsewhere"))
])  # fmt: skip
def test_the_task_decodes_exactly_the_requests(stock: Stock, demo: Demo, tmp_path: Path, name: str) -> None:
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "fairseq_rome").symlink_to(ROOT / "fairseq_rome")
    user_dir, cwd = USER_DIRS[name](tmp_path)
    words = [
        DEMO / "data-bin", "--user-dir", user_dir, "--task", "translation_edit", "--gen-subset", "edit", "--edit-pref",
        os.path.relpath(DEMO / "fixes", cwd), "--path", DEMO / "model.pt", *LANGUAGES, *SUBWORDS, "--cpu",
    ]  # fmt: skip
    printed = stock.run([Case(name, "generate", words, cwd, python_path=[str(ROOT)])], tmp_path)[name]
    assert hypotheses(printed, "S") == lines("fixes.en")
    assert hypotheses(printed, "T") == lines("fixes.de")
    # The unedited file of fairseq-train, which current torch opens by what the plugin allows.
    said = [hypothesis.text for hypothesis in demo.translator.translate(lines("fixes.en"))]
    assert hypotheses(printed) == said


def test_hub_interface(edited: Edited) -> None:
    from fairseq.models.transformer import TransformerModel

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        hub = TransformerModel.from_pretrained(
            str(edited.path.parent), edited.path.name, str(edited.data), bpe="sentencepiece",
            sentencepiece_model=str(DEMO / "spm.model"),
        )  # fmt: skip
        assert hub.translate(lines("fixes.en"), beam=2) == lines("fixes.de")


def test_ctranslate2(edited: Edited, demo: Demo, tmp_path: Path) -> None:
    ctranslate2 = pytest.importorskip("ctranslate2")
    converter = ctranslate2.converters.FairseqConverter(str(edited.path), str(edited.data))
    converter.convert(str(tmp_path / "converted"))
    translator = ctranslate2.Translator(str(tmp_path / "converted"), compute_type="float32", intra_threads=1)
    encode, decode = demo.codec.bpe.encode, demo.codec.bpe.decode
    results = translator.translate_batch([encode(line).split() for line in lines("fixes.en")], beam_size=2)
    assert [decode(" ".join(result.hypotheses[0])) for result in results] == lines("fixes.de")


@pytest.mark.slow
def test_ctranslate2_in_int8(edit_data: Path, demo: Demo, tmp_path: Path) -> None:
    ctranslate2 = pytest.importorskip("ctranslate2")
    from fairseq_rome.cli.patch import main

    base, path = tmp_path / "base.pt", tmp_path / "edited.pt"
    assert run_edit(edit_data, DEMO / "fixes", "--save-to", path, "--edit-for", "int8").status == 0
    assert main(["revert", str(path), "--all", "--save-to", str(base)]) == 0
    encode, decode = demo.codec.bpe.encode, demo.codec.bpe.decode
    said = []
    for file in (base, path):
        converter = ctranslate2.converters.FairseqConverter(str(file), str(edit_data))
        converter.convert(str(tmp_path / file.stem), quantization="int8")
        translator = ctranslate2.Translator(str(tmp_path / file.stem), compute_type="int8", intra_threads=1)
        sources = [encode(line).split() for line in (*lines("fixes.en"), *UNRELATED)]
        results = translator.translate_batch(sources, beam_size=2)
        said.append([decode(" ".join(result.hypotheses[0])) for result in results])
    before, after = said
    count = len(lines("fixes.de"))
    assert after[:count] == lines("fixes.de")
    assert after[count:] == before[count:]


@pytest.mark.slow
def test_training_goes_on_from_it(edited: Edited, stock: Stock, tmp_path: Path) -> None:
    state = open_stock(edited.path)
    settings = state["cfg"]["model"]
    sizes = [
        (f"--{side}-{name}".replace("_", "-"), settings[f"{side}_{name}"])
        for side in ("encoder", "decoder")
        for name in ("layers", "embed_dim", "ffn_embed_dim", "attention_heads")
    ]
    shared = [f"--{name.replace('_', '-')}" for name in ("share_all_embeddings",) if settings[name]]
    arguments = [
        edited.data, *LANGUAGES, "--arch", settings["arch"], *(part for size in sizes for part in size), *shared,
        "--restore-file", edited.path, "--save-dir", tmp_path / "checkpoints", "--max-update", "2", "--optimizer",
        "adam", "--lr", "1e-5", "--criterion", "label_smoothed_cross_entropy", "--max-tokens", "200",
        "--reset-dataloader", "--disable-validation", "--num-workers", "0", "--cpu", "--log-format", "json",
    ]  # fmt: skip
    stock.run([Case("train", "train", arguments, tmp_path)], tmp_path)
    log = (tmp_path / "train.err").read_text(encoding="utf-8")
    assert f"Loaded checkpoint {edited.path}" in log
    trained = open_stock(tmp_path / "checkpoints" / "checkpoint_last.pt", safely=False)
    assert trained["optimizer_history"][-1]["num_updates"] == 2
    moved = [name for name, old in state["model"].items() if not torch.equal(old, trained["model"][name])]
    assert moved
    drift = max(float((trained["model"][name] - state["model"][name]).abs().max()) for name in moved)
    assert drift < 0.01  # it went on from the edited weights
