"""Patch files: some edits in their order, with marks of the weights that they apply to."""

from __future__ import annotations

import hashlib
import json
import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Dict, Iterator, List, Mapping, Optional, Sequence, Tuple

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from fairseq_rome.errors import EditError
from fairseq_rome.files import written_whole
from fairseq_rome.host.checkpoint import check_output, is_checkpoint
from fairseq_rome.host.sites import OUTPUTS
from fairseq_rome.patch.changes import Patch
from fairseq_rome.patch.composing import composed
from fairseq_rome.patch.marks import Lineage, Mark, Marks, lineages
from fairseq_rome.patch.packing import packed, unpacked
from fairseq_rome.patch.rule_book import RuleBook
from fairseq_rome.patch.stack import read_stack
from fairseq_rome.text.output_rules import Rule
from fairseq_rome.text.rule_tables import is_rule_table, read_rules, rule_table

FORMAT, FORMAT_BESIDE = "4", "5"
"""Versions of the file's form: of weight changes alone, and with what acts beside the weights."""

_TEXT = "fairseq_rome"
# What a file of rules alone holds: safetensors of no tensors at all can't be read by all of its versions.
_NO_TENSORS = {"none": torch.zeros(0)}
_FORM = f"expected a patch file of fairseq-edit --save-patch, format {FORMAT} or {FORMAT_BESIDE}"


@dataclass(frozen=True)
class PatchFile:
    """What a patch file holds.

    Args:
        patches: the edits, in the order in which they are made.
        base: a mark of each weight that they change or were computed from, as it is before any patch.
        before: the same where other patches had changed the weight already, as it was then.
        after: by weight, those other patches.
        info: what else is told: versions, settings; plain values.
    """

    patches: Tuple[Patch, ...]
    base: Marks
    before: Marks = field(default_factory=dict)
    after: Mapping[str, Lineage] = field(default_factory=dict)
    info: Mapping[str, Any] = field(default_factory=dict)

    @property
    def names(self) -> Sequence[str]:
        """The parameters that its patches change or were computed from, each once."""
        return list(dict.fromkeys(name for patch in self.patches for name in patch.needs))


def patch_file(patches: Sequence[Patch], state: Mapping[str, Any], info: Mapping[str, Any]) -> PatchFile:
    """Patches with the marks of the checkpoint that they were made for.

    Args:
        patches: in the order in which they are made.
        state: of that checkpoint, which may have patches already.
        info: plain values to tell besides.
    """
    stack, weights = read_stack(state), state["model"]
    names = dict.fromkeys(name for patch in patches for name in patch.needs)
    now = {name: Mark.of(weights[name]) for name in names}
    base = {name: stack.marks.get(name, mark) for name, mark in now.items()}
    before = {name: mark for name, mark in now.items() if name in stack.marks}
    earlier = lineages(stack.patches)
    after = {name: earlier[name] for name in names if name in earlier}
    return PatchFile(tuple(patches), base, before, after, dict(info))


def patch_files(
    patches: Sequence[Patch], state: Mapping[str, Any], info: Mapping[str, Any]
) -> Iterator[PatchFile]:
    """One file for each patch, which knows those before it; otherwise as `patch_file`.

    Args:
        patches: in the order in which they are made.
        state: of the checkpoint that the first was made for.
        info: plain values to tell in each.
    """
    stack, weights = read_stack(state), dict(state["model"])
    base, after = dict(stack.marks), lineages(stack.patches)
    for patch in patches:
        before = {name: Mark.of(weights[name]) for name in patch.needs if name in base}
        changed = composed(weights, [patch])
        base.update({name: Mark.of(weights[name]) for name in (*changed, *patch.needs) if name not in base})
        earlier = {name: after[name] for name in patch.needs if name in after}
        yield PatchFile((patch,), {name: base[name] for name in patch.needs}, before, earlier, dict(info))
        weights.update(changed)
        after = lineages([patch], after)


def save_patches(path: str, file: PatchFile, force: bool = False, inputs: Sequence[str] = ()) -> None:
    """Write a patch file, whole or not at all; by a name of a table of rules the rules alone.

    Args:
        path: where.
        file: what.
        force: replace a file that exists.
        inputs: files that are never replaced.

    Raises:
        EditError: if the file must not or cannot be written, or is a table of rules and there is something else.
    """
    check_output(path, force, inputs)
    if is_rule_table(path):
        table = rule_table(path, _rules_in(path, file.patches))
        with written_whole(path, lambda: check_output(path, force, inputs)) as temporary:
            Path(temporary).write_text(table, encoding="utf-8")
        return
    records, tensors = packed(file.patches)
    told = {
        "patches": records,
        "base": {name: mark.as_plain() for name, mark in file.base.items()},
        "before": {name: mark.as_plain() for name, mark in file.before.items()},
        "after": {name: [one.count, one.sha256] for name, one in file.after.items()},
        "info": dict(file.info),
    }
    text = json.dumps(told, ensure_ascii=False)
    with written_whole(path, lambda: check_output(path, force, inputs)) as temporary:
        try:
            # In one text: safetensors writes several in any order, and equal patches are to be equal files.
            save_file(tensors or _NO_TENSORS, temporary, {_TEXT: f"{_form_of(file)} {_digest(text)} {text}"})
        except SafetensorError as error:
            raise EditError(f"{path}: cannot be written: {error}") from error


def load_patches(path: str) -> PatchFile:
    """Read a patch file, or a table of rules, which is a patch for whatever model.

    Raises:
        EditError: if it is missing, damaged, or of another format.
    """
    if is_rule_table(path):
        return PatchFile((Patch("rules", OUTPUTS, (), beside=(RuleBook(read_rules(path)),)),), {})
    if not os.path.isfile(path):
        raise EditError(f"{path}: {'is no file' if os.path.exists(path) else 'no such file'}, {_FORM}")
    found_format, digest, text, tensors = _read(path)
    if found_format not in (FORMAT, FORMAT_BESIDE):
        raise EditError(f"{path}: format {found_format!r}, {_FORM}")
    try:
        if _digest(text) != digest:
            raise ValueError("not what was written")
        parts = json.loads(text)
        patches = unpacked(parts["patches"], tensors)
        after = {name: Lineage(int(count), str(sha256)) for name, (count, sha256) in parts["after"].items()}
        found = PatchFile(patches, _marks(parts["base"]), _marks(parts["before"]), after, dict(parts["info"]))
        for names, marks in (({*found.names, *found.before}, found.base), (found.after, found.before)):
            for name in names:
                if name not in marks:
                    raise ValueError(f"no mark of {name}")
        if not patches:
            raise ValueError("no patches")
    except (AttributeError, EditError, KeyError, TypeError, ValueError) as error:
        raise EditError(f"{path}: damaged ({type(error).__name__}: {error}), {_FORM}") from error
    return found


def _rules_in(path: str, patches: Sequence[Patch]) -> List[Rule]:
    """The rules of some patches.

    Raises:
        EditError: if a patch has something else.
    """
    books = [piece for patch in patches for piece in patch.pieces]
    for one in books:
        if not isinstance(one, RuleBook):
            raise EditError(f"{path}: a table holds rules alone, not {one.describe()}; expected a .safetensors file")
    return [rule for one in books if isinstance(one, RuleBook) for rule in one.rules]


def patch_paths(text: Optional[str]) -> List[str]:
    """The patch files that an option names, with colons (`os.pathsep`) between them; none where it is not given.

    Raises:
        EditError: if a name is empty.
    """
    paths = [] if text is None else text.split(os.pathsep)
    if not all(paths):
        raise EditError(
            f"--edit-patches {text!r}: a name is empty, expected patch files with {os.pathsep!r} between them"
        )
    return paths


def _read(path: str) -> Tuple[str, str, str, Dict[str, Tensor]]:
    """Format, hash, text and numbers of a file."""
    try:
        with safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118, no mapping
    except OSError as error:
        raise EditError(f"{path}: cannot be read: {error.strerror or error}") from error
    except SafetensorError as error:
        what = "is a checkpoint" if is_checkpoint(path) else "is damaged, or no patch file"
        raise EditError(f"{path}: {what} ({error}), {_FORM}") from error
    parts = metadata.get(_TEXT, metadata.get("format", "")).split(" ", 2)
    found, digest, text = (*parts, "", "")[:3]
    return found, digest, text, tensors


def _form_of(file: PatchFile) -> str:
    return FORMAT_BESIDE if any(patch.beside for patch in file.patches) else FORMAT


def _digest(text: str) -> str:
    """SHA-256, in hexadecimal, of all that a file tells; there are hashes of the numbers of its patches in it."""
    return hashlib.sha256(text.encode()).hexdigest()


def _marks(values: Mapping[str, Any]) -> Dict[str, Mark]:
    return {name: Mark.from_plain(plain) for name, plain in values.items()}
