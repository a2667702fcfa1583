"""Patches that are made as a model is loaded: weights and outputs of the baked checkpoint."""

from __future__ import annotations

import argparse
import re
from pathlib import Path
from typing import Any, Callable, Dict, List, Sequence, Tuple

import pytest
import torch
from conftest import Demo
from edit_runs import (
    DEMO,
    LANGUAGES,
    ROOT,
    SUBWORDS,
    Edited,
    hypotheses,
    lines,
    needs_halves,
)
from loading_samples import LOADINGS, State, assert_same, halved, weights_of, written
from stock_runs import Case, Stock

from fairseq_rome.errors import EditError
from fairseq_rome.host.checkpoint import load_model, portable_cfg, read_state, write_state
from fairseq_rome.host.sites import Site
from fairseq_rome.host.user_dir import share_user_dir
from fairseq_rome.patch import NeuronChange, Patch, load_patches, patch_file, read_stack, save_patches
from fairseq_rome.patch.loading import patch_on_load_, patched


def edit_task(paths: Sequence[Path] = (), data: Path = DEMO / "data-bin", hooks: bool = False) -> Any:
    from fairseq import tasks

    share_user_dir()
    from fairseq_rome.tasks.translation_edit import TranslationEditConfig

    settings = {**vars(TranslationEditConfig()), "data": str(data), "source_lang": "en", "target_lang": "de"}
    settings.update(task="translation_edit", edit_patches=":".join(map(str, paths)) or None, edit_hooks=hooks)
    return tasks.setup_task(argparse.Namespace(**settings))


def loaded(path: Path, task: Any) -> Any:
    from fairseq import checkpoint_utils

    return checkpoint_utils.load_model_ensemble([str(path)], task=task)[0][0].eval()


@pytest.fixture(scope="module")
def base(demo: Demo) -> State:
    return portable_cfg(read_state(DEMO / "model.pt"))


@pytest.fixture(scope="module")
def edits(edited: Edited) -> Sequence[Patch]:
    return read_stack(read_state(edited.path)).patches


@pytest.mark.parametrize("name", LOADINGS)
def test_the_weights_of_the_baked_checkpoint(
    name: str, base: State, edits: Sequence[Patch], tmp_path: Path
) -> None:
    path, files, baked = written(LOADINGS[name](base, edits), tmp_path)
    before, bytes_before = weights_of(loaded(path, edit_task())), path.read_bytes()
    wanted = weights_of(loaded(baked, edit_task()))
    assert any(
        weight.shape != before[name].shape or not torch.equal(weight, before[name])
        for name, weight in wanted.items()
    )
    # As the checkpoint is read.
    assert_same(weights_of(loaded(path, edit_task(files))), wanted)
    assert path.read_bytes() == bytes_before
    # On a loaded model, and off again.
    model = loaded(path, edit_task())
    with patched(model, *map(str, files)):
        assert_same(weights_of(model), wanted)
    assert_same(weights_of(model), before)


PLUGIN = ["--user-dir", ROOT / "fairseq_rome", "--task", "translation_edit"]
REQUESTS = ["--gen-subset", "edit", "--edit-pref", DEMO / "fixes"]
COMMANDS: Dict[str, Tuple[str, List[Any]]] = {
    "generate": ("generate", REQUESTS),
    "interactive": ("interactive", ["--buffer-size", "8"]),
    "generate in half precision": ("generate", ["--fp16", *REQUESTS]),
}


Printed = Callable[[str, str], str]


@pytest.fixture(scope="module")
def printed(base: State, edits: Sequence[Patch], stock: Stock, tmp_path_factory: pytest.TempPathFactory) -> Printed:
    """What one of the commands prints with one of the models."""
    folder = tmp_path_factory.mktemp("load_time")
    path, files, baked = written(LOADINGS["several files"](base, edits), folder)
    models = {"baked": [baked], "patched": [path, "--edit-patches", ":".join(map(str, files))]}
    common = [DEMO / "data-bin", *PLUGIN, *LANGUAGES, *SUBWORDS, "--beam", "2", "--cpu"]

    def run(command: str, model: str) -> str:
        tool, more = COMMANDS[command]
        words = [*common, *more, "--path", *models[model]]
        case = Case(f"{command}, {model}", tool, words, folder, str(DEMO / "fixes.en"), [str(ROOT)])
        return stock.run([case], folder)[case.name]

    return run


@pytest.mark.parametrize("name", [
    pytest.param("generate", marks=pytest.mark.slow),
    "interactive",
    pytest.param("generate in half precision", marks=needs_halves),
])  # fmt: skip
def test_the_output_of_the_baked_checkpoint(printed: Printed, name: str) -> None:
    found, wanted = (
        # How long a sentence took is another matter.
        [line for line in printed(name, kind).splitlines() if not line.startswith("W-")]
        for kind in ("patched", "baked")
    )
    assert found == wanted
    assert hypotheses("\n".join(found)) == lines("fixes.de")


REFUSALS: Dict[str, Tuple[Callable[[State], State], Sequence[int], str]] = {
    "another checkpoint": (
        lambda base: {**base, "model": {name: weight + 1 for name, weight in base["model"].items()}},
        [0],
        r"0\.safetensors: decoder.* it was made for another checkpoint",
    ),
    "half": (
        halved,
        [0],
        r"0\.safetensors: .* (is float16, expected float32|was made for another checkpoint)",
    ),
    "twice": (lambda base: base, [0, 0], r"0\.safetensors: .* is there already"),
    "missing": (lambda base: base, [0, 1], r"1\.safetensors: no such file"),
}


@pytest.mark.parametrize("name", REFUSALS)
def test_what_does_not_fit_is_refused(name: str, base: State, edits: Sequence[Patch], tmp_path: Path) -> None:
    changed, order, reason = REFUSALS[name]
    save_patches(str(tmp_path / "0.safetensors"), patch_file(edits, base, {}))
    write_state(changed(base), str(tmp_path / "base.pt"))
    paths = [tmp_path / f"{number}.safetensors" for number in order]
    with pytest.raises(EditError, match=reason) as refused:
        loaded(tmp_path / "base.pt", edit_task(paths))
    assert "\n" not in str(refused.value)
    model = loaded(tmp_path / "base.pt", edit_task())
    before = weights_of(model)
    with pytest.raises(EditError, match=reason), patched(model, *map(str, paths)):
        pass
    assert_same(weights_of(model), before)


def test_the_last_line_says_what_does_not_fit(
    base: State, edits: Sequence[Patch], stock: Stock, tmp_path: Path
) -> None:
    misfit = tmp_path / "misfit.safetensors"
    save_patches(str(misfit), patch_file(edits, halved(base), {}))
    words = [DEMO / "data-bin", *PLUGIN, *LANGUAGES, "--path", DEMO / "model.pt", "--edit-patches", misfit, "--cpu"]
    case = Case("misfit", "generate", words, tmp_path, python_path=[str(ROOT)], fails=True)
    last = stock.run([case], tmp_path)["misfit"].splitlines()[-1]
    assert re.match(r"fairseq_rome\.errors\.EditError: /.*/misfit\.safetensors: decoder\.layers", last)
    assert "is float32, expected float16" in last


def test_patches_are_never_left_out_in_silence(
    demo: Demo, base: State, edits: Sequence[Patch], tmp_path: Path
) -> None:
    save_patches(str(tmp_path / "0.safetensors"), patch_file(edits, base, {}))
    task = edit_task([tmp_path / "0.safetensors"])
    with pytest.raises(EditError, match="for decoding"):
        task.build_model(base["cfg"]["model"])
    with pytest.raises(EditError, match="a model lacks them"):
        task.inference_step(demo.translator.generator, [demo.model], {})


def with_copies(model: Any) -> Any:
    """A model whose encoder layers keep second copies of their weights, as fairseq 0.12.2's do."""
    for layer in model.encoder.layers:
        for part in ("fc1", "fc2"):
            for kind in ("weight", "bias"):
                value = getattr(getattr(layer, part), kind).detach().clone()
                layer.register_parameter(f"{part}_{kind}", torch.nn.Parameter(value))
    return model


@pytest.mark.parametrize("in_file", [True, False], ids=["in the file", "made on loading"])
def test_copies_for_the_fast_path_keep_step(base: State, demo: Demo, tmp_path: Path, in_file: bool) -> None:
    name = "encoder.layers.0.fc1.weight"
    width, size = base["model"][name].shape
    changes = [
        NeuronChange(name, 0, width, torch.ones(size)),
        NeuronChange(
            "encoder.layers.0.fc1.bias",
            0,
            3,
            torch.tensor(2.0),
            base["model"]["encoder.layers.0.fc1.bias"][3],
        ),
    ]
    patch = Patch("gated", Site("encoder", 0), tuple(changes))
    save_patches(str(tmp_path / "0.safetensors"), patch_file([patch], base, {}))
    path = str(tmp_path / "0.safetensors")
    model = with_copies(load_model(DEMO / "model.pt", base, demo.task))
    copies = model.state_dict()
    with patched(model, path):
        wanted = weights_of(model)
    patch_on_load_(model, [(path, load_patches(path))])
    given = copies if in_file else {name: copies[name] for name in base["model"]}
    torch.nn.Module.load_state_dict(model, given, strict=in_file)
    found = weights_of(model)
    for parts in (wanted, found):
        for layer in range(len(model.encoder.layers)):
            prefix = f"encoder.layers.{layer}"
            assert parts[f"{prefix}.fc1.weight"].shape[0] == width + 8
            assert parts[f"{prefix}.fc1_weight"].shape == parts[f"{prefix}.fc1.weight"].shape
            assert parts[f"{prefix}.fc2_weight"].shape == parts[f"{prefix}.fc2.weight"].shape
    assert torch.equal(wanted["encoder.layers.0.fc1_weight"], wanted[name])
    if in_file:
        assert_same(found, wanted)
