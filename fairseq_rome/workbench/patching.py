"""Patches put into checkpoints, taken out, joined and found by comparing, file by file and without a model."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Collection, Mapping, Sequence, Set, Tuple

from fairseq_rome.errors import EditError, naming
from fairseq_rome.host.checkpoint import (
    PROVENANCE,
    State,
    check_output,
    fingerprint,
    is_portable,
    lost_parts,
    read_state,
    stage_state,
    stale_parts,
)
from fairseq_rome.patch import (
    Comparison,
    Patch,
    compare,
    load_patches,
    merged,
    patch_file,
    read_stack,
    save_patches,
    told,
    without_patches,
)
from fairseq_rome.workbench.patch_records import SHORT, request_ids, summary
from fairseq_rome.workbench.provenance import history, with_patch_files

_MOST_NAMED = 5


@dataclass(frozen=True)
class OutputSpec:
    """Where a command writes, and how it reads.

    Args:
        path: the file to write.
        force: whether a file that exists is replaced.
        trust: whether a checkpoint may run code when it is loaded.
    """

    path: str
    force: bool = False
    trust: bool = False


@dataclass(frozen=True)
class Rewritten:
    """A checkpoint that was made of another.

    Args:
        patches: that were put in or taken out, in their order.
        before: fingerprint of the weights of the checkpoint that was read.
        after: fingerprint of those that were written.
        rest: how many patches the new checkpoint has, where some were taken out.
        standing_on: how many low-rank patches stay that were computed with one in place that was taken out.
        notes: what else the user should know, a sentence each.
    """

    patches: Tuple[Patch, ...]
    before: str
    after: str
    rest: int
    standing_on: int
    notes: Tuple[str, ...]


def apply_files(base: str, patches: Sequence[str], output: OutputSpec) -> Rewritten:
    """Make the changes of patch files in a checkpoint, one after the other.

    Args:
        base: the checkpoint; it stays as it is.
        patches: the files, in their order.
        output: where the new checkpoint goes.

    Raises:
        EditError: if a file can't be read, does not fit, or the output can't be written.
    """
    inputs = [base, *patches]
    check_output(output.path, output.force, inputs)
    state = read_state(base, trust=output.trust)
    new, found = with_patch_files(base, state, patches)
    before = new["extra_state"][PROVENANCE][-1]["base"]
    after, notes = _write(state, new, output, inputs)
    return Rewritten(tuple(found), before, after, 0, 0, notes)


def revert_file(
    edited: str, patches: Sequence[str], ids: Sequence[str], everything: bool, output: OutputSpec
) -> Rewritten:
    """Take patches out of an edited checkpoint.

    Args:
        edited: the checkpoint; it stays as it is.
        patches: files of the patches to take out.
        ids: requests whose patches to take out, or beginnings of patches' hashes.
        everything: take out every patch.
        output: where the new checkpoint goes.

    Raises:
        EditError: if the checkpoint lacks a patch, was changed by something else since, or the output can't be written.
    """
    inputs = [edited, *patches]
    check_output(output.path, output.force, inputs)
    state = read_state(edited, trust=output.trust)
    with naming(edited):
        stack = read_stack(state)
    gone = _chosen(edited, stack.patches, patches, ids, everything)
    before = fingerprint(state)
    with naming(edited):
        new = without_patches(state, gone, {**history(()), "base": before, "taken_out": sorted(gone)})
    after, notes = _write(state, new, output, inputs)
    taken = tuple(patch for patch in stack.patches if patch.fingerprint in gone)
    rest = len(stack.patches) - len(taken)
    return Rewritten(taken, before, after, rest, _standing_on(stack.patches, gone), notes)


def merge_files(patches: Sequence[str], output: OutputSpec) -> Tuple[Patch, ...]:
    """Put the patches of several files into one, each as it is, in the order given.

    Args:
        patches: the files.
        output: where the new patch file goes.

    Raises:
        EditError: if the files do not fit one after the other, or the output can't be written.
    """
    check_output(output.path, output.force, patches)
    file = merged([(path, load_patches(path)) for path in patches])
    save_patches(output.path, file, output.force, patches)
    return file.patches


def diff_files(first: str, second: str, output: OutputSpec) -> Comparison:
    """Make a patch file of what one checkpoint has and another has not; nothing is written where no patch tells it.

    Args:
        first: the checkpoint before.
        second: the checkpoint after.
        output: where the patch file goes.

    Raises:
        EditError: if a checkpoint can't be read, or the output can't be written.
    """
    inputs = [first, second]
    check_output(output.path, output.force, inputs)
    states = {path: read_state(path, trust=output.trust) for path in inputs}
    for path, state in states.items():
        with naming(path):
            read_stack(state)
    found = compare(states[first], states[second])
    if found.patches:
        info = {**history(found.patches), "base": fingerprint(states[first]), "made": fingerprint(states[second])}
        save_patches(output.path, patch_file(found.patches, states[first], info), output.force, inputs)
    return found


def _write(
    old: Mapping[str, Any], new: State, output: OutputSpec, inputs: Sequence[str]
) -> Tuple[str, Tuple[str, ...]]:
    """Write a checkpoint once it reads back the same; the fingerprint of its weights, and notes on it."""
    wanted = fingerprint(new)
    with stage_state(new, output.path, output.force, inputs) as staged:
        if fingerprint(read_state(staged.temporary, trust=output.trust)) != wanted:
            raise EditError(f"{output.path}: does not read back as it was written; nothing was written")
        staged.commit()
    notes = [f"{part} stays as it is, with weights from before" for part in stale_parts(new)]
    if not is_portable(new):
        notes.append(
            f"{output.path} opens with --user-dir fairseq_rome where torch is 2.6 or newer, as what it was made of"
        )
    notes += [f"{part} is left out: it is of other shapes" for part in lost_parts(old, new)]
    return wanted, tuple(notes)


def _chosen(
    edited: str, there: Sequence[Patch], files: Sequence[str], ids: Sequence[str], everything: bool
) -> Collection[str]:
    """Fingerprints of the patches to take out.

    Raises:
        EditError: if the checkpoint lacks one that is asked for, or none is.
    """
    if not there:
        raise EditError(f"{edited}: holds no patches, expected an edited checkpoint")
    if everything and (files or ids):
        raise EditError("--all takes out every patch: expected no patch files and no --id with it")
    known = [patch.fingerprint for patch in there]
    chosen = set(known if everything else ())
    for path in files:
        for patch in load_patches(path).patches:
            if patch.fingerprint not in known:
                raise EditError(f"{path}: {edited} has no edit of {told(patch)} from it, expected one that has")
            chosen.add(patch.fingerprint)
    chosen.update(_named(edited, there, name) for name in ids)
    if not chosen:
        raise EditError("nothing to take out: expected patch files, --id or --all")
    return chosen


def _named(path: str, patches: Sequence[Patch], name: str) -> str:
    """The fingerprint of the patch of a checkpoint that a request, or the start of a hash, names.

    Raises:
        EditError: if it is none, or several.
    """
    found = [
        patch
        for patch in patches
        if name in request_ids(patch) or (len(name) >= SHORT and patch.fingerprint.startswith(name))
    ]
    if not found:
        raise EditError(
            f"--id {name}: {path} has no patch of that name, expected one of {_known(patches)}, or {SHORT} letters of "
            "a hash"
        )
    if len(found) > 1:
        alike = " or ".join(f"{patch.fingerprint[:SHORT]} ({summary(patch)})" for patch in found)
        raise EditError(f"--id {name}: {path} has {len(found)} patches of that name, expected {alike}")
    return str(found[0].fingerprint)


def _known(patches: Sequence[Patch]) -> str:
    """The first patches by the names that tell them apart."""
    names = [name for patch in patches for name in (request_ids(patch) or [patch.fingerprint[:SHORT]])]
    if len(set(names)) < len(names):
        names = [patch.fingerprint[:SHORT] for patch in patches]
    more = f" and {len(names) - _MOST_NAMED} more" if len(names) > _MOST_NAMED else ""
    return ", ".join(names[:_MOST_NAMED]) + more


def _standing_on(patches: Sequence[Patch], gone: Collection[str]) -> int:
    """How many patches stay whose order matters and that were computed on top of one that is taken out."""
    touched: Set[str] = set()
    count = 0
    for patch in patches:
        if patch.fingerprint in gone:
            touched.update(patch.names)
        elif touched.intersection(patch.added_to):
            count += 1
    return count
