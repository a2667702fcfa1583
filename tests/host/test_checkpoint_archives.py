"""Zip archives that are no checkpoints, such as Marian models: each is told by what it holds."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path
from typing import Any, Dict

import numpy as np
import pytest
from conftest import Tiny

from fairseq_rome.errors import EditError
from fairseq_rome.host.checkpoint import read_state

WEIGHT = np.ones((2, 3), dtype=np.float32)
SETTINGS = np.frombuffer(b"version: v1.7.6\ntype: transformer\n\0", dtype=np.int8)
MARIAN = {"encoder_l1_self_Wq": WEIGHT, "decoder_ff_logit_out_b": WEIGHT, "Wemb": WEIGHT}


def npz(**arrays: Any) -> bytes:
    file = io.BytesIO()
    np.savez(file, **arrays)
    return file.getvalue()


def zipped(**members: bytes) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    return file.getvalue()


WHOLE = npz(**MARIAN, **{"special:model.yml": SETTINGS})
IS_MARIAN = "is a Marian model, which fairseq can't load; expected a fairseq checkpoint: the model trained in fairseq"
ARCHIVES: Dict[str, Any] = {
    "Marian": (WHOLE, IS_MARIAN),
    "Marian without settings": (npz(**MARIAN), IS_MARIAN),
    "recurrent Marian": (npz(encoder_Wemb=WEIGHT, decoder_Wemb=WEIGHT, ff_logit_l1_W0=WEIGHT), IS_MARIAN),
    "OPUS-MT's package": (
        zipped(**{"README.md": b"opus", "opus.spm32k.model1.npz.best-perplexity.npz": WHOLE, "source.spm": b"x"}),
        "is an archive with a Marian model in it, which fairseq can't load",
    ),
    "other arrays": (npz(x=WEIGHT, y=SETTINGS), "is an archive of NumPy arrays, not a checkpoint"),
    "another archive": (zipped(**{"model/checkpoint.txt": b"x"}), "is a zip archive without weights of torch"),
    "nothing": (zipped(), "is not a checkpoint"),
    "cut": (WHOLE[:-40], "is truncated or damaged"),
}


@pytest.mark.parametrize("trust", [False, True])
@pytest.mark.parametrize("kind", ARCHIVES)
def test_an_archive_is_told_by_what_it_holds(tmp_path: Path, kind: str, trust: bool) -> None:
    data, expected = ARCHIVES[kind]
    for name in ("model.npz", "model.pt"):
        (tmp_path / name).write_bytes(data)
        with pytest.raises(EditError) as caught:
            read_state(tmp_path / name, trust=trust)
        assert str(caught.value).startswith(f"{tmp_path / name}: {expected}")
        assert "\n" not in str(caught.value)


def test_a_checkpoint_of_any_name_is_one(tiny: Tiny, tmp_path: Path) -> None:
    (tmp_path / "model.npz").write_bytes(tiny.checkpoint.read_bytes())
    assert read_state(tmp_path / "model.npz")["model"]
