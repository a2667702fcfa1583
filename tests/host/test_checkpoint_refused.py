"""Checkpoints that must be refused: one clear line, and no code of theirs is run."""

from __future__ import annotations

import argparse
import errno
import os
import pickle
import random
import subprocess
from pathlib import Path
from typing import Any, Callable, Dict

import numpy as np
import pytest
import torch
from conftest import Tiny
from omegaconf import OmegaConf

from fairseq_rome.errors import EditError
from fairseq_rome.host.checkpoint import read_state, reading, saved_model_cfg

try:
    from numpy._core.multiarray import _reconstruct, scalar
except ImportError:  # before numpy 2
    from numpy.core.multiarray import _reconstruct, scalar

State = Dict[str, Any]


class Call:
    """Pickles as a call of a function, with a state for what it gives."""

    def __init__(self, function: Callable[..., Any], *arguments: Any, state: Any = None) -> None:
        self.reduced = (function, arguments) if state is None else (function, arguments, state)

    def __reduce__(self) -> Any:
        return self.reduced


def refusal(path: Path, trust: bool = False) -> str:
    with pytest.raises(EditError) as caught:
        read_state(path, trust=trust)
    message = str(caught.value)
    assert message.startswith(f"{path}: ")
    assert "\n" not in message
    return message


@pytest.fixture
def state(tiny: Tiny) -> State:
    return read_state(tiny.checkpoint)


def drop(*prefixes: str) -> Callable[[State], Any]:
    def change(state: State) -> None:
        for name in [name for name in state["model"] if name.startswith(prefixes)]:
            del state["model"][name]

    return change


def put(name: str, value: float = 1.0) -> Callable[[State], Any]:
    return lambda state: state["model"].update({name: torch.tensor([value])})


def setting(name: str, value: Any) -> Callable[[State], Any]:
    return lambda state: setattr(state["cfg"]["model"], name, value)


def old_setting(name: str, value: Any) -> Callable[[State], Any]:
    return lambda state: state.update(args=argparse.Namespace(**{**saved_model_cfg(state), name: value}))


def common(name: str, value: Any) -> Callable[[State], Any]:
    return lambda state: state["cfg"]["common"].update({name: value})


KINDS = {
    "language model": (drop("encoder."), "no encoder"),
    "encoder only": (drop("decoder."), "no decoder"),
    "fsdp": (lambda state: state.update(fsdp_metadata={}), "sharded"),
    "shards": (lambda state: state.update(shard_metadata=[]), "sharded"),
    "model parallel": (common("model_parallel_size", 2), "model-parallel"),
    "model parallel, args": (old_setting("model_parallel_size", 2), "model-parallel"),
    "quantised": (put("decoder.layers.0.fc1.centroids"), "product-quantised"),
    "quantised embedding": (put("encoder.embed_tokens.assignments"), "product-quantised"),
    "experts": (put("decoder.layers.1.moe_layer.experts.0.fc1.weight"), "mixture of experts"),
    "gating": (put("gating_network.fc2.weight"), "mixture of experts"),
    "kept layers": (setting("encoder_layers_to_keep", "0"), "layers_to_keep"),
    "kept layers, args": (old_setting("decoder_layers_to_keep", "0,1"), "layers_to_keep"),
    "nan": (put("decoder.layers.0.fc1.bias", float("nan")), "fc1.bias holds NaN"),
    "infinity": (
        put("encoder.layers.0.fc1.bias", float("-inf")),
        "encoder.layers.0.fc1.bias holds NaN",
    ),
    "odd args": (lambda state: state.update(args={"arch": "transformer"}), "neither 'cfg' nor 'args'"),
    "odd settings": (lambda state: state["cfg"].update(model="transformer"), "no model settings"),
    "no settings": (lambda state: state.pop("cfg"), "neither 'cfg' nor 'args'"),
    "empty settings": (lambda state: state["cfg"].update(model=None), "no model settings"),
    "no history": (lambda state: state.pop("optimizer_history"), "lacks 'optimizer_history'"),
    "no extra state": (lambda state: state.pop("extra_state"), "lacks 'optimizer_history' or 'extra_state'"),
    "no model": (lambda state: state.pop("model"), "without a dictionary of tensors under 'model'"),
    "other model": (lambda state: state.update(model=["weights"]), "without a dictionary of tensors"),
    "numbers": (
        lambda state: state["model"].update({"encoder.version": 3}),
        "without a dictionary of tensors",
    ),
}


@pytest.mark.parametrize("kind", KINDS)
def test_kinds_that_are_not_edited(state: State, tmp_path: Path, kind: str) -> None:
    change, expected = KINDS[kind]
    change(state)
    torch.save(state, tmp_path / "model.pt")
    assert expected in refusal(tmp_path / "model.pt")


def test_unset_marker_may_hold_anything(state: State, tmp_path: Path) -> None:
    put("encoder.embed_positions._float_tensor", float("nan"))(state)
    torch.save(state, tmp_path / "model.pt")
    assert read_state(tmp_path / "model.pt")


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_infinity_is_found_in_every_float(state: State, tmp_path: Path, dtype: torch.dtype) -> None:
    state["model"]["decoder.layers.0.fc1.bias"] = torch.tensor([1.0, float("inf")]).to(dtype)
    torch.save(state, tmp_path / "model.pt")
    assert "holds NaN or infinity" in refusal(tmp_path / "model.pt")


def test_paths(tiny: Tiny, tmp_path: Path) -> None:
    assert "no such file" in refusal(tmp_path / "model.pt")
    assert "is a directory" in refusal(tmp_path)
    assert "several checkpoints" in refusal(Path(f"{tiny.checkpoint}:{tiny.checkpoint}"))
    for name in ("model-shard0.pt", "model-model_part-1.pt"):
        (tmp_path / name).write_bytes(tiny.checkpoint.read_bytes())
        assert "sharded" in refusal(tmp_path / name)
    assert "sharded" in refusal(tmp_path / "model.pt")  # only its parts are there
    (tmp_path / "loop.pt").symlink_to(tmp_path / "loop.pt")
    assert "no such file" in refusal(tmp_path / "loop.pt")


def test_unreadable_file(tiny: Tiny, monkeypatch: pytest.MonkeyPatch) -> None:
    def denied(*arguments: Any) -> None:
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(reading, "open", denied, raising=False)
    assert "cannot be read: Permission denied" in refusal(tiny.checkpoint)


def test_name_too_long(tmp_path: Path) -> None:
    assert "no such file" in refusal(tmp_path / f"{'x' * 300}.pt")


CONTENTS = {
    "empty": (b"", "not a checkpoint"),
    "text": (b"just some words\nin two lines\n", "not a checkpoint"),
    "random": (bytes(random.Random(1).randrange(256) for _ in range(4096)), "not a checkpoint"),
    "zip": (b"PK\x03\x04" + bytes(400), "truncated or damaged"),
}


@pytest.mark.parametrize("content", CONTENTS)
@pytest.mark.parametrize("trust", [False, True])
def test_other_contents(tmp_path: Path, content: str, trust: bool) -> None:
    raw, expected = CONTENTS[content]
    (tmp_path / "model.pt").write_bytes(raw)
    assert expected in refusal(tmp_path / "model.pt", trust)


@pytest.mark.parametrize("zipped", [True, False])
@pytest.mark.parametrize("share", [0.01, 0.3, 0.7, 0.999])
def test_truncated(state: State, tmp_path: Path, zipped: bool, share: float) -> None:
    path = tmp_path / "model.pt"
    torch.save(state, path, _use_new_zipfile_serialization=zipped)
    assert read_state(path)["model"]
    raw = path.read_bytes()
    path.write_bytes(raw[: int(len(raw) * share)])
    assert "truncated or damaged" in refusal(path)


@pytest.mark.parametrize("saved", [torch.ones(3), [1, 2], "text"])
def test_other_torch_files(tmp_path: Path, saved: Any) -> None:
    torch.save(saved, tmp_path / "model.pt")
    assert f"holds a {type(saved).__name__}, not a fairseq checkpoint" in refusal(tmp_path / "model.pt")


@pytest.mark.filterwarnings("ignore:.*torch.jit:DeprecationWarning", "ignore:.*TorchScript")
def test_torchscript_is_not_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    torch.jit.save(torch.jit.trace(torch.nn.Linear(2, 2), torch.ones(1, 2)), str(tmp_path / "model.pt"))
    run = []
    monkeypatch.setattr(torch.jit, "load", run.append)
    refusal(tmp_path / "model.pt")
    assert not run


FORMATS: Dict[str, Callable[[Any, Path], None]] = {
    "zip": lambda value, path: torch.save(value, path),
    "zip, protocol 4": lambda value, path: torch.save(value, path, pickle_protocol=4),
    "legacy": lambda value, path: torch.save(value, path, _use_new_zipfile_serialization=False),
    "bare pickle": lambda value, path: path.write_bytes(pickle.dumps(value, protocol=2)),
}


@pytest.mark.parametrize("form", FORMATS)
@pytest.mark.parametrize("function", [os.mkdir, eval, exec])
def test_code_is_not_run(state: State, tmp_path: Path, form: str, function: Callable[..., Any]) -> None:
    path, mark = tmp_path / "model.pt", tmp_path / "mark"
    code = str(mark) if function is os.mkdir else f"__import__('os').mkdir({str(mark)!r})"
    FORMATS[form]({**state, "extra_state": {**state["extra_state"], "best": Call(function, code)}}, path)
    message = refusal(path)
    assert not mark.exists()
    if form in ("zip", "legacy"):
        assert f"names {'posix.mkdir' if function is os.mkdir else ''}" in message
        assert function.__name__ in message
        assert "--trust-checkpoint" in message
    if form != "bare pickle":
        read_state(path, trust=True)  # the file does what it was made for, once it is trusted
        assert mark.exists()


def array(shape: Any, raw: bytes) -> Call:
    return Call(_reconstruct, np.ndarray, (0,), b"b", state=(1, shape, np.dtype("i1"), False, raw))


ATTACKS = {
    "bytes taken for an object": Call(
        scalar, Call(np.dtype, "O", False, True, state=(3, "|", None, None, None, -1, -1, 0)), b"A" * 8
    ),
    "numbers taken for objects": Call(
        scalar, Call(np.dtype, "i8", False, True, state=(3, "<", None, None, None, -1, -1, 63)), b"A" * 8
    ),
    "array of objects": np.array([print, 1], dtype=object),
    "structured array": np.zeros(2, dtype=[("a", "i4"), ("b", "f8")]),
    "too few bytes": Call(scalar, np.dtype("f8"), b"1234"),
    "too few numbers": array((9,), b"1234"),
    "a size that overflows": array((2**32 + 1, 2**32), b"\0" * 256),
    "a size below zero": array((-1,), b"1"),
    "state of a class": Call(type, argparse.Namespace(), state={"__eq__": 1}),
    "nested load": Call(torch.storage._load_from_bytes, b"whatever"),
}


@pytest.mark.parametrize("attack", ATTACKS)
def test_objects_that_only_look_harmless(state: State, tmp_path: Path, attack: str) -> None:
    path = tmp_path / "model.pt"
    torch.save({**state, "extra_state": {**state["extra_state"], "best": ATTACKS[attack]}}, path)
    if attack == "numbers taken for objects":  # the flags are not believed: it is a number
        assert read_state(path)["extra_state"]["best"] == int.from_bytes(b"A" * 8, "little")
    else:
        message = refusal(path)
        assert "--trust-checkpoint" in message or "bytes" in attack


def test_class_is_not_changed(tmp_path: Path) -> None:
    # GLOBAL argparse Namespace, then BUILD with (None, {"planted": True}): an attribute of the class itself
    state = pickle.dumps((None, {"planted": True}), protocol=2)[2:-1]
    (tmp_path / "model.pt").write_bytes(b"\x80\x02cargparse\nNamespace\n" + state + b"b.")
    refusal(tmp_path / "model.pt")
    assert not hasattr(argparse.Namespace, "planted")


NUMBERS = [np.float64(1.5), np.float32(0.25), np.int64(-3), np.bool_(True), np.array([[1, 2], [3, 4]]).T]
NUMBERS += [np.arange(3, dtype=">i4"), np.array(2.5)]


@pytest.mark.parametrize("number", NUMBERS, ids=repr)
def test_numpy_numbers_come_through(state: State, tmp_path: Path, number: Any) -> None:
    torch.save({**state, "extra_state": {**state["extra_state"], "best": number}}, tmp_path / "model.pt")
    found = read_state(tmp_path / "model.pt")["extra_state"]["best"]
    assert found.dtype == number.dtype.newbyteorder("=")
    assert found.shape == number.shape
    assert np.array_equal(found, number)


@pytest.mark.parametrize("module", [b"numpy.core.multiarray", b"numpy._core.multiarray"])
def test_numpy_names_of_either_version(state: State, tmp_path: Path, module: bytes) -> None:
    path = tmp_path / "model.pt"
    form = {"_use_new_zipfile_serialization": False}
    torch.save({**state, "extra_state": {**state["extra_state"], "best": np.float64(1.5)}}, path, **form)
    raw = path.read_bytes()
    written = scalar.__module__ or "numpy.core.multiarray"
    assert b"c" + written.encode() + b"\nscalar" in raw
    path.write_bytes(raw.replace(written.encode(), module))
    assert read_state(path)["extra_state"]["best"] == 1.5


def test_omegaconf_settings_want_trust(state: State, tmp_path: Path) -> None:
    path = tmp_path / "model.pt"
    settings = {**state["cfg"], "model": saved_model_cfg(state)}
    torch.save({**state, "cfg": OmegaConf.create(settings)}, path)
    assert "omegaconf" in refusal(path)
    assert saved_model_cfg(read_state(path, trust=True))["decoder_layers"] == 2


def test_meters_of_old_checkpoints(state: State, tmp_path: Path) -> None:
    from fairseq.logging.meters import AverageMeter

    meter = AverageMeter()
    meter.update(3.0)
    state["extra_state"]["train_meters"] = {"loss": meter}
    path = tmp_path / "model.pt"
    torch.save(state, path, _use_new_zipfile_serialization=False)
    written = path.read_bytes().replace(b"cfairseq.logging.meters\n", b"cfairseq.meters\n")
    path.write_bytes(written)
    assert read_state(path)["extra_state"]["train_meters"]["loss"].sum == 3.0


def test_the_command_for_an_ensemble_edits_each_member(tmp_path: Path) -> None:
    members = [str(tmp_path / name) for name in ("a.pt", "the second.pt")]
    told = refusal(Path(":".join(members)))
    command = told.split("the members are edited one by one: ")[1]
    assert len(told.splitlines()) == 1
    stub = tmp_path / "fairseq-edit"
    stub.write_text("#!/bin/sh\nprintf '%s|' \"$@\"; echo\n", encoding="utf-8")
    stub.chmod(0o755)
    path = f"{tmp_path}{os.pathsep}{os.environ['PATH']}"
    run = subprocess.run(["sh", "-c", command], capture_output=True, text=True, env={"PATH": path}, check=True)
    saved = [str(tmp_path / name) for name in ("a-edited.pt", "the second-edited.pt")]
    assert run.stdout.splitlines() == [
        f"DATA|--path|{member}|--save-to|{edited}|...|" for member, edited in zip(members, saved)
    ]
