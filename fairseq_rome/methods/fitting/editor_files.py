"""Trained editors as files: the tensors of the network, and the weights that it was trained for."""

from __future__ import annotations

import json
from typing import Any, Dict, Mapping, Tuple

from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from fairseq_rome.errors import EditError
from fairseq_rome.files import written_whole
from fairseq_rome.methods.fitting.editor_network import Editor

_ENTRY, _FORMAT = "fairseq_rome_editor", 1


def save_editor(path: str, editor: Editor, base: str, about: Mapping[str, Any]) -> None:
    """Write an editor.

    Args:
        path: the `.safetensors` file; what is there is replaced.
        editor: the editor.
        base: SHA-256, in hexadecimal, of the weights of the model that it was trained for.
        about: how it was trained, in plain values.

    Raises:
        EditError: if it can't be written.
    """
    shapes = [[name, *shape] for name, shape in editor.shapes.items()]
    told = {"format": _FORMAT, "base": base, "shapes": shapes, "rank": editor.rank, "about": dict(about)}
    # One entry: safetensors writes several in an order of its own, and equal editors are to be equal files.
    metadata = {_ENTRY: json.dumps(told, sort_keys=True)}
    tensors = {name: tensor.detach().cpu().contiguous() for name, tensor in editor.state_dict().items()}
    with written_whole(path) as temporary:
        save_file(tensors, temporary, metadata)


def load_editor(path: str, base: str) -> Editor:
    """Read the editor of a model.

    Args:
        path: the file.
        base: SHA-256, in hexadecimal, of the model's weights as it was opened.

    Raises:
        EditError: if it can't be read, is no editor, or was trained for other weights.
    """
    expected = "expected a file that fairseq-edit-train-editor wrote"
    if not path:
        raise EditError(f"--edit-editor is missing, {expected}")
    try:
        metadata, tensors = _read(path)
        told = json.loads(metadata.get(_ENTRY, "{}"))
        if told.get("format") != _FORMAT:
            raise EditError(f"{path}: is no editor of format {_FORMAT}, {expected}")
        if told["base"] != base:
            raise EditError(
                f"{path}: was trained for other weights than those of the checkpoint; train an editor for it with "
                "fairseq-edit-train-editor"
            )
        editor = Editor({name: (rows, columns) for name, rows, columns in told["shapes"]}, told["rank"])
        editor.load_state_dict(tensors)
    except (OSError, SafetensorError, KeyError, TypeError, ValueError, RuntimeError) as error:
        raise EditError(f"{path}: can't be read ({' '.join(str(error).split())}), {expected}") from error
    return editor.eval().requires_grad_(False)


def _read(path: str) -> Tuple[Dict[str, str], Dict[str, Tensor]]:
    with safe_open(path, framework="pt") as file:
        tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118, no mapping
        return file.metadata() or {}, tensors
