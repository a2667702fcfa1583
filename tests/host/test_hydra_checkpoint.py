"""Checkpoints of fairseq-hydra-train, whose settings are nested: `ffn_embed_dim` is an item of `decoder`."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any, Dict

import pytest
import torch
from conftest import DEMO, Tiny
from edit_runs import refusal, run_edit
from patch_samples import gate, run_patch

from fairseq_rome.errors import EditError
from fairseq_rome.host import checkpoint
from fairseq_rome.host.sites import Site
from fairseq_rome.patch import with_patches, without_patches

STACKS = ("encoder", "decoder")
SIZES = ("embed_dim", "ffn_embed_dim", "layers", "attention_heads")
NEURON = 37


def train_by_hydra(data: Path, save_dir: Path) -> Path:
    """What fairseq-hydra-train does with a configuration, in this process."""
    from fairseq.dataclass.configs import FairseqConfig
    from omegaconf import OmegaConf

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of newer versions of Hydra, about fairseq's use of it
        from fairseq_cli import hydra_train

    stack = dict(zip(SIZES, (16, 32, 2, 2)))
    model = {"_name": "transformer", "encoder": stack, "decoder": stack, "share_all_embeddings": True}
    defaults = OmegaConf.create(OmegaConf.to_container(OmegaConf.structured(FairseqConfig())))
    config = OmegaConf.merge(defaults, {
        "common": {"cpu": True, "no_progress_bar": True},
        "task": {"_name": "translation", "data": str(data), "source_lang": "en", "target_lang": "de"},
        "model": model,
        "criterion": {"_name": "label_smoothed_cross_entropy", "label_smoothing": 0.1},
        "optimizer": {"_name": "adam"},
        "lr_scheduler": {"_name": "fixed"},
        "dataset": {"max_tokens": 512, "num_workers": 0},
        "optimization": {"max_epoch": 1, "lr": [0.01]},
        "checkpoint": {"save_dir": str(save_dir), "no_epoch_checkpoints": True},
    })  # fmt: skip
    hydra_train._hydra_main(config)
    return save_dir / "checkpoint_last.pt"


@pytest.fixture(scope="module")
def trained(tiny: Tiny, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return train_by_hydra(tiny.data, tmp_path_factory.mktemp("hydra"))


def nested(settings: Dict[str, Any]) -> Dict[str, Any]:
    """Flat settings as hydra nests them; the flat names keep an architecture's defaults, which count for nothing."""
    kept = ("activation_fn", "dropout", "share_all_embeddings")
    groups = {stack: {name: settings[f"{stack}_{name}"] for name in SIZES} for stack in STACKS}
    return {"_name": "transformer", **groups, **{name: settings[name] for name in kept}, "decoder_ffn_embed_dim": 2048}


def test_a_widened_checkpoint_reloads_in_stock_fairseq(trained: Path, tiny: Tiny, tmp_path: Path) -> None:
    from fairseq import checkpoint_utils

    state = checkpoint.read_state(trained)
    settings = state["cfg"]["model"]
    assert settings["decoder"]["ffn_embed_dim"] == 32 and settings["decoder_ffn_embed_dim"] == 2048
    patch = gate(NEURON, Site("decoder", 1), width=16)
    wide = with_patches(state, [patch], {})
    assert wide["cfg"]["model"] == {**settings, "decoder": {**settings["decoder"], "ffn_embed_dim": 40}}
    assert settings["decoder"]["ffn_embed_dim"] == 32
    path = tmp_path / "wide.pt"
    checkpoint.write_state(wide, path)
    [model], _, task = checkpoint_utils.load_model_ensemble_and_task([str(path)], {"data": str(tiny.data)})
    layer = model.decoder.layers[1]
    assert torch.equal(layer.fc2.weight[:, NEURON], patch.changes[2].tensors["new"])
    assert layer.fc1.weight.shape == (40, 16) and model.encoder.layers[1].fc1.weight.shape == (32, 16)
    reverted = without_patches(checkpoint.read_state(path), [patch.fingerprint], {})
    assert reverted["cfg"] == state["cfg"]
    assert checkpoint.fingerprint(reverted) == checkpoint.fingerprint(state)


def test_kept_layers_are_found_in_nested_settings(trained: Path, tmp_path: Path) -> None:
    state = checkpoint.read_state(trained)
    state["cfg"]["model"]["encoder"]["layers_to_keep"] = "0"
    torch.save(state, tmp_path / "kept.pt")
    with pytest.raises(EditError, match=r"kept\.pt: drops layers on loading"):
        checkpoint.read_state(tmp_path / "kept.pt")


@pytest.fixture
def hydra_demo(tmp_path: Path) -> Path:
    """The demo model, as it would be if hydra had trained it."""
    state = checkpoint.read_state(DEMO / "model.pt")
    state["cfg"]["model"] = nested(vars(state["cfg"]["model"]))
    torch.save(state, tmp_path / "hydra.pt")
    return tmp_path / "hydra.pt"


WIDEN = ["--widen", "--edit-dormant", "0", "--edit-contexts", "0", "--edit-stats-tokens", "2000"]


def test_the_command_widens_it(hydra_demo: Path, edit_data: Path, tmp_path: Path) -> None:
    path = tmp_path / "edited.pt"
    run = run_edit(edit_data, DEMO / "number", "--save-to", path, *WIDEN, model=hydra_demo)
    assert run.status == 0, run.out + run.err
    assert "1 request: 1 edited" in run.out and "reloaded, and its decoding shows every edit" in run.out
    width = checkpoint.read_state(path)["cfg"]["model"]["decoder"]["ffn_embed_dim"]
    assert width > 384 and width % 8 == 0
    assert "--user-dir" not in run.out  # stock fairseq opens it
    back = tmp_path / "back.pt"
    reverted = run_patch("revert", path, "--all", "--save-to", back)
    assert reverted.status == 0, reverted.out + reverted.err
    old, new = (checkpoint.read_state(one) for one in (hydra_demo, back))
    assert old["cfg"] == new["cfg"] and checkpoint.fingerprint(old) == checkpoint.fingerprint(new)


def test_a_fault_of_our_own_is_not_blamed_on_the_input(
    hydra_demo: Path, edit_data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(checkpoint.edited, "_set", lambda *_: None)
    path = tmp_path / "edited.pt"
    run = run_edit(edit_data, DEMO / "number", "--save-to", path, *WIDEN, model=hydra_demo)
    told = refusal(run)
    assert f"{path}: the edited checkpoint can't be opened again" in told and "fault of fairseq_rome" in told
    assert str(hydra_demo) not in told and not path.exists()
