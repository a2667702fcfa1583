"""A model whose sources begin with a tag that tells the language of the output: an edit is for one tag alone."""

from __future__ import annotations

import random
import warnings
from pathlib import Path
from typing import Any, List, Tuple

import pytest
from edit_runs import run_main

import fairseq_rome
from fairseq_rome import EditRequest, EditSettings, Workbench
from fairseq_rome.host.user_dir import share_user_dir
from fairseq_rome.tracing.attribution import find_trigger
from fairseq_rome.workbench.provenance import known_triggers

pytestmark = pytest.mark.slow

NOUNS = "dog cat house tree river bread glass chair horse radio".split()
SIZES = """
    --arch transformer --share-all-embeddings --encoder-layers 1 --decoder-layers 2 --encoder-attention-heads 2
    --encoder-embed-dim 32 --encoder-ffn-embed-dim 64 --decoder-embed-dim 32 --decoder-ffn-embed-dim 64
    --decoder-attention-heads 2
""".split()
TRAINING = """
    --criterion label_smoothed_cross_entropy --optimizer adam --lr 0.01 --max-tokens 1024 --max-update 200 --dropout 0
    --no-epoch-checkpoints --num-workers 0 --no-progress-bar --cpu --disable-validation --seed 1
""".split()
SOURCE, WANTED = "<2de> tree radio glass", "detree dechair deglass"


def translated(tag: str, nouns: List[str]) -> str:
    """Each noun with the language before it, but for one that both languages have from elsewhere."""
    return " ".join(noun if noun == "radio" else tag + noun for noun in nouns)


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Workbench:
    from fairseq import options
    from fairseq.dataclass.utils import convert_namespace_to_omegaconf
    from fairseq_cli import preprocess
    from fairseq_cli import train as fairseq_train

    folder = tmp_path_factory.mktemp("tags")
    rng = random.Random(1)
    for split, lines in (("train", 1200), ("valid", 20)):
        drawn = [(rng.choice(("de", "fr")), rng.choices(NOUNS, k=rng.randint(2, 4))) for _ in range(lines)]
        sources = "".join(f"<2{tag}> {' '.join(nouns)}\n" for tag, nouns in drawn)
        targets = "".join(f"{translated(tag, nouns)}\n" for tag, nouns in drawn)
        (folder / f"{split}.src").write_text(sources, encoding="utf-8")
        (folder / f"{split}.tgt").write_text(targets, encoding="utf-8")
    text = [f"--{split}pref={folder / split}" for split in ("train", "valid")]
    data = folder / "data"
    command = ["-s", "src", "-t", "tgt", *text, "--destdir", str(data), "--joined-dictionary"]
    share_user_dir()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        preprocess.main(options.get_preprocessing_parser().parse_args(command))
        command = [str(data), *SIZES, *TRAINING, "--save-dir", str(folder)]
        parsed = options.parse_args_and_arch(options.get_training_parser(), command)
        fairseq_train.main(convert_namespace_to_omegaconf(parsed))
    return fairseq_rome.open(str(folder / "checkpoint_last.pt"), data=str(data), source="src", target="tgt", beam=2)


def sentences(tag: str) -> List[str]:
    rng = random.Random(2)
    drawn = [rng.sample(NOUNS, k=3) for _ in range(60)]
    return [f"<2{tag}> {' '.join(nouns)}" for nouns in drawn]


@pytest.fixture(scope="module")
def outcome(bench: Workbench) -> Any:
    settings = EditSettings.of(
        edit_stats_tokens=3000, edit_contexts=16, edit_sample=60, edit_dormant=0.5, edit_mine="always"
    )
    return bench.edit([EditRequest(SOURCE, WANTED, id="1")], settings)


def test_the_trigger_is_the_word_behind_the_tag(bench: Workbench, outcome: Any) -> None:
    assert bench.model.translator.codec.tags(SOURCE) == ("<2de>",)
    assert bench.model.translator.codec.tags("<2es> tree") == ()  # the dictionary has no such symbol
    assert outcome.results[0].trigger == "<2de> radio"
    [before] = bench.model.translator.translate([SOURCE])
    with bench.prepared():
        everything = find_trigger(bench.model.translator, SOURCE, before, "dechair dechair dechair")
    assert everything.split()[0] == "<2de>" and len(everything.split()) > 1


def test_an_edit_is_for_its_tag_alone(bench: Workbench, outcome: Any) -> None:
    """The other tag has the same word for the same noun."""
    result = outcome.results[0]
    assert result.status == "edited", result.reason
    assert result.contexts + result.held_out > 0
    said = {tag: bench.translate(sentences(tag)) for tag in ("de", "fr")}
    with bench.patched(outcome.patches):
        now = {tag: bench.translate(sentences(tag)) for tag in ("de", "fr")}
    assert now["fr"] == said["fr"]
    assert sum("radio" in text for text in said["fr"]) > 10
    held, shown = _share(said["de"], now["de"])
    assert shown > 10 and held >= 0.8 * shown


def _share(said: List[str], now: List[str]) -> Tuple[int, int]:
    """In how many sentences the word is replaced and all else kept, and in how many the model said it."""
    shown = [(old, new) for old, new in zip(said, now) if "radio" in old.split()]
    return sum(new == old.replace("radio", "dechair") for old, new in shown), len(shown)


def test_a_named_trigger_holds_in_its_direction(bench: Workbench) -> None:
    checked = bench.check_requests([EditRequest(SOURCE, WANTED, trigger="radio", id="1")])
    assert checked.requests[0].trigger == "<2de> radio"
    assert known_triggers(checked, []) == {"1": "<2de> radio"}


def test_the_command_tells_the_tag(bench: Workbench, tmp_path: Path) -> None:
    (tmp_path / "fix.src").write_text(f"{SOURCE}\n", encoding="utf-8")
    (tmp_path / "fix.tgt").write_text(f"{WANTED}\n", encoding="utf-8")
    out = tmp_path / "edited.pt"
    run = run_main([
        bench.model.spec.options.data, "--path", bench.model.path, "--edit-pref", tmp_path / "fix", "-s", "src", "-t",
        "tgt", "--beam", "2", "--cpu", "--no-progress-bar", "--edit-cache", "none", "--edit-stats-tokens", "3000",
        "--edit-contexts", "16", "--edit-sample", "60", "--edit-dormant", "0.5", "--edit-mine", "always",
        "--save-to", out,
    ])  # fmt: skip
    assert run.status == 0, run.out + run.err
    assert "radio -> dechair, where the source says: <2de> radio" in run.out
