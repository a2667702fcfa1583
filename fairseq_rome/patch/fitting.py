"""Whether patch files apply: the base is right, no patch comes twice, no two take one neuron, the order is kept."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Dict, List, Mapping, Optional, Sequence, Set, Tuple

from torch import Tensor

from fairseq_rome.errors import EditError
from fairseq_rome.patch.changes import Patch
from fairseq_rome.patch.composing import composed
from fairseq_rome.patch.marks import Lineage, Mark, lineages
from fairseq_rome.patch.patch_files import PatchFile
from fairseq_rome.patch.stack import Stack

NamedFile = Tuple[str, PatchFile]


def fitting(
    files: Sequence[NamedFile], weights: Mapping[str, Tensor], stack: Stack, *, beside: bool = False
) -> List[Patch]:
    """The patches of some files in their order, once all are known to apply one after the other.

    Args:
        files: path and contents of each.
        weights: by name, as they are before the first of the files.
        stack: the patches that are in these weights already.
        beside: hooks are to hold the patches beside the model, where two may have been given one neuron.

    Raises:
        EditError: naming the file and what does not fit.
    """
    earlier = _Earlier.of(stack.patches, stack.marks, beside)
    patches: List[Patch] = []
    for path, file in files:
        earlier.take(path, file.patches)
        for name in file.base:
            if name not in weights:
                raise EditError(
                    f"{path}: the model has no weight {name}; expected the checkpoint it was made for"
                )
            if name not in earlier.marks:
                earlier.marks[name] = Mark.of(weights[name])
        reasons = earlier.reasons_against(file)
        if reasons:
            # A checkpoint may have lost the list of its patches, but not what they made of its weights.
            now = {**weights, **composed(weights, patches)}
            for name, reason in reasons.items():
                if Mark.of(now[name]) != _as_it_was(file, name):
                    raise EditError(f"{path}: {reason}")
                earlier.adopt(file, name)
        _check_shapes(path, file.patches, weights)
        earlier.lineages = lineages(file.patches, earlier.lineages)
        patches.extend(file.patches)
    return patches


def _as_it_was(file: PatchFile, name: str) -> Optional[Mark]:
    """The mark of a weight when a file was made; None where other patches came first and the file lacks it."""
    return file.before.get(name, None if name in file.after else file.base[name])


def _check_shapes(path: str, patches: Sequence[Patch], weights: Mapping[str, Tensor]) -> None:
    for change in [change for patch in patches for change in patch.changes]:
        fault = change.fault(weights[change.name])
        if fault:
            raise EditError(f"{path}: the change of {change.name} {fault}")


def merged(files: Sequence[NamedFile]) -> PatchFile:
    """One file of the patches of several, each kept as it is, once all are known to apply one after the other.

    Args:
        files: path and contents of each, in the order in which they are made.

    Raises:
        EditError: naming the file and what does not fit the files before it.
    """
    earlier, before, after = _Earlier(), {}, {}
    for path, file in files:
        new = [name for name in file.names if name not in earlier.marks]
        before.update({name: file.before[name] for name in new if name in file.before})
        after.update({name: file.after[name] for name in new if name in file.after})
        earlier.take(path, file.patches)
        earlier.marks.update({name: file.base[name] for name in new})
        earlier.lineages.update({name: file.after[name] for name in new if name in file.after})
        for reason in earlier.reasons_against(file).values():
            raise EditError(f"{path}: {reason}")
        earlier.lineages = lineages(file.patches, earlier.lineages)
    patches = tuple(patch for _, file in files for patch in file.patches)
    return PatchFile(patches, earlier.marks, before, after, _common_info([file.info for _, file in files]))


def told(patch: Patch) -> str:
    """The request that a patch is for, in a few words."""
    return f"request {patch.about['id']}" if "id" in patch.about else f"{patch.site} by {patch.method}"


@dataclass
class _Earlier:
    """What is known of the patches that come first.

    Args:
        marks: of weights as they were before all patches.
        lineages: by weight, the patches that have changed it.
        known: fingerprints.
        owners: the patch that has taken a neuron, by parameter and neuron.
        beside: hooks hold the patches, so that none takes a neuron from the model.
    """

    marks: Dict[str, Mark] = field(default_factory=dict)
    lineages: Dict[str, Lineage] = field(default_factory=dict)
    known: Set[str] = field(default_factory=set)
    owners: Dict[Tuple[str, int], Patch] = field(default_factory=dict)
    beside: bool = False

    @classmethod
    def of(cls, patches: Sequence[Patch], marks: Mapping[str, Mark], beside: bool) -> _Earlier:
        found = cls(dict(marks), lineages(patches), beside=beside)
        found.take("the checkpoint's list of patches", patches)
        return found

    def adopt(self, file: PatchFile, name: str) -> None:
        """Take the word of a file for what came before it, where a weight is bit for bit as it was."""
        self.marks[name] = file.base[name]
        self.lineages[name] = file.after.get(name, Lineage())

    def take(self, path: str, patches: Sequence[Patch]) -> None:
        """Give patches their neurons: each patch is there once, and no neuron is taken twice."""
        for patch in patches:
            if patch.fingerprint in self.known:
                raise EditError(
                    f"{path}: its edit of {told(patch)} is there already, expected each patch once"
                )
            self.known.add(patch.fingerprint)
            for name, index in () if self.beside else neuron_places(patch):
                if (name, index) in self.owners:
                    raise EditError(
                        f"{path}: neuron {index} of {patch.site} is taken by the edit of "
                        f"{told(self.owners[name, index])}; make this one again on top of that one, for example by "
                        "fairseq-edit --edit-patches"
                    )
                self.owners[name, index] = patch

    def reasons_against(self, file: PatchFile) -> Dict[str, str]:
        """Why a file does not fit behind these patches, by weight; the weight's base counts before their order."""
        added_to = {name: kind for patch in file.patches for name, kind in patch.added_to.items()}
        reasons: Dict[str, str] = {}
        for name, base in file.base.items():
            found, wanted = self.lineages.get(name, Lineage()), file.after.get(name, Lineage())
            if self.marks[name] != base:
                reasons[name] = (
                    f"{name} {self.marks[name].told_against(base)}: it was made for another checkpoint, "
                    "or for one with other patches before it"
                )
            elif name in added_to and found != wanted:
                reasons[name] = (
                    f"out of order: its {added_to[name]} change of {name} was computed on top of {wanted.count} other "
                    f"patches of it, found {found.count} before it; expected just those, in their order"
                )
        return reasons


def neuron_places(patch: Patch) -> List[Tuple[str, int]]:
    """The neurons that a patch takes over, each with the parameter that it is changed in."""
    return [(change.name, change.neuron) for change in patch.changes if change.neuron is not None]


def _common_info(infos: Sequence[Mapping[str, Any]]) -> Dict[str, Any]:
    """What all files tell alike, and the edits of all."""
    common = {
        name: value
        for name, value in infos[0].items()
        if all(name in info and info[name] == value for info in infos)
    }
    return {**common, "edits": [edit for info in infos for edit in info.get("edits", [])]}
