from __future__ import annotations

import argparse
import copy
import io
from collections import OrderedDict
from pathlib import Path
from typing import Any, Dict

import numpy as np
import pytest
import torch
from conftest import MULTI30K, Tiny, train, translation_task

from fairseq_rome.errors import EditError
from fairseq_rome.host import checkpoint
from fairseq_rome.host.checkpoint.safe import load_safely

FC2 = "decoder.layers.1.fc2.weight"


@pytest.fixture
def state(tiny: Tiny) -> Dict[str, Any]:
    return checkpoint.read_state(tiny.checkpoint)


def old_form(state: Dict[str, Any]) -> Dict[str, Any]:
    """As fairseq wrote it before 0.10: flat arguments, and no cfg."""
    new = {key: value for key, value in state.items() if key != "cfg"}
    new["args"] = argparse.Namespace(**vars(state["cfg"]["model"]))
    return new


def described(value: Any) -> Any:
    """A state as something that can be compared: tensors by their fingerprints, the rest by its text."""
    if isinstance(value, torch.Tensor):
        return checkpoint.tensor_fingerprint(value)
    if isinstance(value, dict):
        return type(value), [(key, described(item)) for key, item in value.items()]
    if isinstance(value, (list, tuple)):
        return [described(item) for item in value]
    return repr(value)


def test_state_is_the_raw_one(tiny: Tiny, state: Dict[str, Any]) -> None:
    with open(tiny.checkpoint, "rb") as file:
        raw = checkpoint.safe.load_trusted(file)
    assert described(state) == described(raw)
    assert isinstance(state["cfg"]["model"], argparse.Namespace)
    assert checkpoint.saved_task(state) == "translation"
    assert checkpoint.saved_model_cfg(state)["decoder_ffn_embed_dim"] == 32


def test_model_is_built_without_touching_the_state(tiny: Tiny, state: Dict[str, Any]) -> None:
    before = described(state)
    model = checkpoint.load_model(tiny.checkpoint, state, tiny.task(), {"dropout": 0.75})
    assert not model.training
    assert model.decoder.dropout_module.p == 0.75
    assert torch.equal(model.decoder.layers[1].fc2.weight, state["model"][FC2])
    model.decoder.layers[1].fc2.weight.data.zero_()
    assert described(state) == before


def test_older_flat_arguments(tiny: Tiny, state: Dict[str, Any]) -> None:
    old = old_form(state)
    before = described(old)
    assert checkpoint.saved_task(old) == "translation"
    assert checkpoint.saved_model_cfg(old)["decoder_ffn_embed_dim"] == 32
    model = checkpoint.load_model(tiny.checkpoint, old, tiny.task(), {"dropout": 0.75})
    assert model.decoder.dropout_module.p == 0.75
    model = checkpoint.load_model(tiny.checkpoint, old, tiny.task())
    portable = checkpoint.portable_state(model, old, tiny.checkpoint, tiny.task())
    assert portable is not None
    assert portable["args"] is None
    assert isinstance(portable["cfg"]["model"], OrderedDict)
    assert described(old) == before


def test_wrong_dictionary_is_told(tiny: Tiny, state: Dict[str, Any], tmp_path: Path) -> None:
    for name in ("dict.en.txt", "dict.de.txt"):
        (tmp_path / name).write_text("w1 1\n", encoding="utf-8")
    with pytest.raises(EditError, match=r"checkpoint_last\.pt: does not fit .*symbols") as caught:
        checkpoint.load_model(tiny.checkpoint, state, translation_task(tmp_path))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16, torch.int64, torch.bool])
def test_fingerprint_sees_values_shape_and_dtype(dtype: torch.dtype) -> None:
    tensor = torch.tensor([[1, 0, 1], [0, 1, 1]]).to(dtype)
    same = tensor.t().contiguous().t()  # another layout in memory
    others = [tensor.flip(0), tensor.reshape(3, 2), tensor.to(torch.float64), tensor[:0], tensor.sum()]
    prints = [checkpoint.tensor_fingerprint(each) for each in [tensor, *others]]
    assert checkpoint.tensor_fingerprint(same) == prints[0]
    assert len(set(prints)) == len(prints)


def test_fingerprint_of_weights(state: Dict[str, Any]) -> None:
    whole = checkpoint.fingerprint(state)
    weights = state["model"]
    assert checkpoint.fingerprint(OrderedDict(reversed(list(weights.items())))) == whole
    assert checkpoint.fingerprint({**weights, "encoder.embed._float_tensor": torch.empty(1)}) == whole
    assert checkpoint.fingerprint({**weights, FC2: weights[FC2] + 1}) != whole
    assert checkpoint.fingerprint({f"{name}x": value for name, value in weights.items()}) != whole


def test_aliases_are_shared_memory_and_not_equal_values() -> None:
    big = torch.zeros(6)
    found = checkpoint.aliases({"a": big[:3], "b": big[3:], "c": big[:3], "d": torch.zeros(3), "e": big[:0]})
    assert found == {"a": ("a", "c"), "c": ("a", "c"), "b": ("b",), "d": ("d",), "e": ("e",)}


def test_edit_changes_one_tensor_and_nothing_else(state: Dict[str, Any]) -> None:
    before = described(state)
    wide = torch.ones(16, 64, dtype=torch.float64)
    edited = checkpoint.edited_state(state, {FC2: wide[:, ::2]}, {"method": "rome", "norms": [0.5]})
    assert described(state) == before
    new = edited["model"][FC2]
    assert (new.dtype, new.shape) == (torch.float32, (16, 32))
    assert bool((new == 1).all())
    wide.zero_()
    assert bool((new == 1).all())
    buffer = io.BytesIO()
    torch.save(new, buffer)
    assert len(buffer.getvalue()) < wide.numel() * 8  # not a window on a larger storage
    assert list(edited["model"]) == list(state["model"])
    assert edited["model"]._metadata == state["model"]._metadata
    assert edited["extra_state"].pop("fairseq_rome") == [{"method": "rome", "norms": [0.5]}]
    edited["model"][FC2] = state["model"][FC2]
    assert described(edited) == before


def test_edits_are_listed_in_order(state: Dict[str, Any]) -> None:
    once = checkpoint.edited_state(state, {}, {"edit": 1})
    twice = checkpoint.edited_state(once, {}, {"edit": 2})
    assert once["extra_state"][checkpoint.PROVENANCE] == [{"edit": 1}]
    assert twice["extra_state"][checkpoint.PROVENANCE] == [{"edit": 1}, {"edit": 2}]


def test_names_of_one_tensor_stay_in_step(state: Dict[str, Any]) -> None:
    weights = state["model"]
    weights["twin.fc2.weight"] = weights[FC2]
    weights["stored.apart.fc2.weight"] = weights[FC2].clone()
    weights["unrelated.fc2.weight"] = weights[FC2].clone()
    weights["decoder.layers.1.fc2_weight"] = weights[FC2].clone()  # a copy of fairseq 0.12.2's
    one = torch.zeros(16, 32)
    built = {FC2: one, "stored.apart.fc2.weight": one, "only.in.the.model": one}
    new = checkpoint.edited_state(state, {FC2: torch.ones(16, 32)}, {}, built=built)["model"]
    changed = {name for name in new if not torch.equal(new[name], weights[name])}
    assert changed == {FC2, "twin.fc2.weight", "stored.apart.fc2.weight", "decoder.layers.1.fc2_weight"}
    assert new["twin.fc2.weight"] is new[FC2]
    changes = {FC2: torch.ones(16, 32), "twin.fc2.weight": torch.zeros(16, 32)}
    with pytest.raises(ValueError, match="are one tensor but were given different values"):
        checkpoint.edited_state(state, changes, {})


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"decoder.layers.9.fc2.weight": torch.ones(16, 32)}, "no weight named decoder.layers.9.fc2.weight"),
        ({FC2: torch.ones(16, 33)}, r"the new shape \(16, 33\) is not the old \(16, 32\)"),
        ({FC2: torch.full((16, 32), float("nan"))}, "holds NaN"),
        ({FC2: torch.full((16, 32), 1e39, dtype=torch.float64)}, "what torch.float32 cannot hold"),
    ],
)
def test_changes_that_do_not_fit(
    state: Dict[str, Any], changes: Dict[str, torch.Tensor], message: str
) -> None:
    with pytest.raises(EditError, match=message):
        checkpoint.edited_state(state, changes, {})


def test_provenance_is_plain(state: Dict[str, Any]) -> None:
    with pytest.raises(TypeError, match=r"provenance\.paths\[0\]: .* is a PosixPath"):
        checkpoint.edited_state(state, {}, {"paths": [Path("fixes.en")]})


@pytest.mark.parametrize("form", ["namespace", "portable", "args"])
def test_widened_layer_loads(tiny: Tiny, state: Dict[str, Any], form: str) -> None:
    state = {"namespace": state, "portable": checkpoint.portable_cfg(state), "args": old_form(state)}[form]
    changes = {}
    for layer in ("decoder.layers.0", "decoder.layers.1"):
        for name, size in (("fc1.weight", (40, 16)), ("fc1.bias", (40,)), ("fc2.weight", (16, 40))):
            old = state["model"][f"{layer}.{name}"]
            changes[f"{layer}.{name}"] = torch.zeros(size)
            changes[f"{layer}.{name}"][tuple(slice(length) for length in old.shape)] = old
    wide = checkpoint.edited_state(state, changes, {}, resize=True, model_cfg={"decoder_ffn_embed_dim": 40})
    assert "last_optimizer_state" not in wide
    assert checkpoint.saved_model_cfg(state)["decoder_ffn_embed_dim"] == 32
    model = checkpoint.load_model(tiny.checkpoint, wide, tiny.task())
    assert model.decoder.layers[1].fc1.weight.shape == (40, 16)


def test_optimizer_state_is_kept_or_dropped(state: Dict[str, Any]) -> None:
    assert state["last_optimizer_state"]["state"]
    kept = checkpoint.edited_state(state, {}, {})
    assert described(kept["last_optimizer_state"]) == described(state["last_optimizer_state"])
    assert "last_optimizer_state" not in checkpoint.edited_state(state, {}, {}, optimizer=False)


def test_stale_moving_average_is_told(state: Dict[str, Any]) -> None:
    assert checkpoint.stale_parts(state) == ()
    state["extra_state"]["ema"] = dict(state["model"])
    assert checkpoint.stale_parts(checkpoint.edited_state(state, {}, {})) == ("extra_state.ema",)


def test_new_values_are_copied(state: Dict[str, Any]) -> None:
    ones = torch.ones(16, 32)
    edited = checkpoint.edited_state(state, {FC2: ones}, {})
    ones.zero_()
    assert bool((edited["model"][FC2] == 1).all())


def test_numpy_becomes_plain(state: Dict[str, Any]) -> None:
    state = checkpoint.portable_cfg(state)
    state["cfg"]["model"].clip_norm = np.float64(0.5)
    assert type(checkpoint.edited_state(state, {}, {})["cfg"]["model"].clip_norm) is float
    found = {"val": np.float64(0.5), "sum": np.array([3, 4]), "pair": (np.int64(1), "x")}
    state["extra_state"]["metrics"]["valid"] = found
    edited = checkpoint.edited_state(state, {}, {})
    assert edited["extra_state"]["metrics"]["valid"] == {"val": 0.5, "sum": [3, 4], "pair": (1, "x")}
    assert type(edited["extra_state"]["metrics"]["valid"]["val"]) is float


def reopened_by_fairseq(path: Path, tiny: Tiny) -> Any:
    """What a consumer without the plugin does: fairseq's own loading, torch's own list of safe globals."""
    from fairseq import checkpoint_utils

    if not hasattr(torch.serialization, "safe_globals"):
        return checkpoint_utils.load_model_ensemble_and_task([str(path)], {"data": str(tiny.data)})[0][0]
    with checkpoint.safe._only({}):
        return checkpoint_utils.load_model_ensemble_and_task([str(path)], {"data": str(tiny.data)})[0][0]


def test_written_file_opens_for_every_consumer(tiny: Tiny, state: Dict[str, Any], tmp_path: Path) -> None:
    state["extra_state"]["val_loss"] = np.float64(1.5)
    model = checkpoint.load_model(tiny.checkpoint, state, tiny.task())
    portable = checkpoint.portable_state(model, state, tiny.checkpoint, tiny.task())
    assert portable is not None
    assert isinstance(state["cfg"]["model"], argparse.Namespace)
    path = tmp_path / "edited.pt"
    new = torch.ones(16, 32)
    checkpoint.write_state(checkpoint.edited_state(portable, {FC2: new}, {"edit": 1}), path)
    with open(path, "rb") as file:
        raw = load_safely(file, allowed={})
    settings = raw["args"] or raw["cfg"]["model"]  # as CTranslate2's converter reads them
    assert settings.decoder_ffn_embed_dim == settings["decoder_ffn_embed_dim"] == 32
    settings.data = "elsewhere"
    assert torch.equal(reopened_by_fairseq(path, tiny).decoder.layers[1].fc2.weight, new)
    again = checkpoint.read_state(path)
    assert checkpoint.fingerprint(again) == checkpoint.fingerprint({**state["model"], FC2: new})
    assert list(again["model"]) == list(state["model"])


def test_form_is_kept_where_it_does_not_reload_alike(tiny: Tiny, state: Dict[str, Any]) -> None:
    task = tiny.task()
    model = checkpoint.load_model(tiny.checkpoint, state, task)
    assert not checkpoint.reloads_alike(model, state, tiny.checkpoint, task)  # Namespace: no safe load
    portable = checkpoint.portable_cfg(state)
    assert checkpoint.reloads_alike(model, portable, tiny.checkpoint, task)
    for override in ({"activation_fn": "gelu"}, {"dropout": 0.9}, {"no_scale_embedding": True}):
        other = checkpoint.load_model(tiny.checkpoint, state, task, override)
        assert not checkpoint.reloads_alike(other, portable, tiny.checkpoint, task), override
    model.encoder.layers[0].fc1.bias.data[0] += 1
    assert not checkpoint.reloads_alike(model, portable, tiny.checkpoint, task)
    state["cfg"]["model"].hook = copy.copy  # a setting that no safe load gives back
    assert checkpoint.portable_state(model, state, tiny.checkpoint, task) is None


def test_settings_named_like_a_method_do_not_hide_it(state: Dict[str, Any]) -> None:
    state["cfg"]["model"].items = "hidden"
    settings = checkpoint.portable_cfg(state)["cfg"]["model"]
    assert dict(settings.items())["items"] == "hidden"


def test_eval_bleu_checkpoint_opens_and_trains_on(tiny: Tiny, tmp_path: Path) -> None:
    bleu = ["--eval-bleu", "--eval-bleu-args", '{"beam": 1, "max_len_b": 5}']
    trained = train(tiny.data, tmp_path / "first", bleu)
    state = checkpoint.read_state(trained)
    metrics = {name: values for _, name, _, values in state["extra_state"]["metrics"]["valid"]}
    assert isinstance(metrics["_bleu_counts"]["sum"], np.ndarray)
    buffer = io.BytesIO()
    torch.save(state["extra_state"]["metrics"], buffer)
    assert b"fairseq_rome" not in buffer.getvalue()  # a stand-in goes back as what it stood for
    model = checkpoint.load_model(trained, state, tiny.task())
    portable = checkpoint.portable_state(model, state, trained, tiny.task())
    assert portable is not None
    edited = checkpoint.edited_state(portable, {}, {"edit": 1})
    checkpoint.write_state(edited, tmp_path / "edited.pt")
    more = [*bleu, "--restore-file", str(tmp_path / "edited.pt"), "--max-epoch", "2"]
    again = checkpoint.read_state(train(tiny.data, tmp_path / "second", more))
    assert again["optimizer_history"][-1]["num_updates"] > state["optimizer_history"][-1]["num_updates"]


@pytest.mark.skipif(not MULTI30K.exists(), reason=f"{MULTI30K} is not here")
def test_real_model(tmp_path: Path) -> None:
    path = MULTI30K / "model.pt"
    state = checkpoint.read_state(path)
    model = checkpoint.load_model(path, state, translation_task(MULTI30K))
    portable = checkpoint.portable_state(model, state, path, translation_task(MULTI30K))
    assert portable is not None
    checkpoint.write_state(
        checkpoint.edited_state(portable, {}, {"edit": 0}), tmp_path / "again.pt", inputs=[path]
    )
    with open(tmp_path / "again.pt", "rb") as file:
        assert checkpoint.fingerprint(load_safely(file, allowed={})) == checkpoint.fingerprint(state)
