"""Results of edits between the processes of a server and in its queue: texts and bytes of safetensors."""

from __future__ import annotations

from typing import Dict, Optional, Sequence, Tuple

import torch
from safetensors import SafetensorError
from safetensors.torch import load, save

from fairseq_rome.editing.journal import packed_result, unpacked_result
from fairseq_rome.editing.outcome import Result
from fairseq_rome.errors import EditError
from fairseq_rome.patch import Patch
from fairseq_rome.server.fix import FAILED, LIVE
from fairseq_rome.server.queue_file import PROOF, QUICK, FixQueue, KeptEdit, Part
from fairseq_rome.server.server_spec import KEEP
from fairseq_rome.text.requests import EditRequest

Patches = Dict[Part, Patch]
"""By fix and request, in the order in which they are made."""


def kept(part: Part, key: str, result: Result) -> KeptEdit:
    """The result of a request of a fix as the queue keeps it; the key as for `KeptEdit`."""
    texts, tensors = packed_result(result)
    return KeptEdit(*part, key, texts, save(tensors or {"none": torch.zeros(0)}))


def result_in(edit: KeptEdit, request: EditRequest) -> Result:
    """The result that an edit keeps.

    Raises:
        EditError: if it is damaged.
    """
    try:
        return unpacked_result(edit.texts, load(edit.tensors), request)
    except (AttributeError, SafetensorError, KeyError, TypeError, ValueError) as error:
        raise EditError(f"fix {edit.fix}: its edit in the queue is damaged ({error})") from error


def patch_in(edit: KeptEdit) -> Optional[Patch]:
    """The patch that an edit keeps; None where it needed none.

    Raises:
        EditError: if it is damaged.
    """
    return result_in(edit, EditRequest("-", "-")).patch


class KnownPatches:
    """The patches of fixes, each read from the queue once.

    Args:
        queue: the queue.
    """

    def __init__(self, queue: FixQueue) -> None:
        self._queue = queue
        self._known: Dict[Tuple[Part, str, str], Optional[Patch]] = {}

    def of(self, kind: str, numbers: Sequence[int]) -> Patches:
        """The patches of one kind of some fixes, in their order; a request without a patch is left out."""
        names = {part: (part, kind, key) for part, key in self._queue.edit_keys(kind, numbers).items()}
        missing = [part for part, name in names.items() if name not in self._known]
        for part, edit in self._queue.edits(kind, missing).items():
            self._known[names[part]] = patch_in(edit)
        found = {part: self._known.get(name) for part, name in names.items()}
        return {part: patch for part, patch in found.items() if patch is not None}


def proven_of(known: KnownPatches, queue: FixQueue) -> Patches:
    """The patches that are in the weights, in their order."""
    return known.of(PROOF, [one.id for one in queue.in_weights()])


def beside_of(known: KnownPatches, queue: FixQueue, failed: str, also: Sequence[int] = ()) -> Patches:
    """The patches that hooks hold beside the model.

    A fix that waits for a new proof keeps what the last one gave it, where hooks can hold that.

    Args:
        known: reads them.
        queue: the queue.
        failed: what becomes of fixes that failed: `keep` or `drop`.
        also: fixes whose state does not say yet that they are live.
    """
    live = [one.id for one in queue.in_state(LIVE)]
    kept_on = [one.id for one in queue.in_state(FAILED)] if failed == KEEP else []
    quick = known.of(QUICK, sorted({*live, *kept_on, *also}))
    again = {
        part: patch
        for part, patch in known.of(PROOF, live).items()
        if all(change.gate_part is not None for change in patch.changes)
    }
    replaced = {fix for fix, _ in again}
    alone = {part: patch for part, patch in quick.items() if part[0] not in replaced}
    return dict(sorted({**alone, **again}.items()))
