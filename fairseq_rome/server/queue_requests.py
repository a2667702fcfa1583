"""The requests of a queue, as a run of the edit takes them and as an edit file has them."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any, Dict, List, Mapping, Sequence, Tuple

from fairseq_rome.editing.edit_settings import EditSettings
from fairseq_rome.errors import EditError
from fairseq_rome.server.fix import BAKED, PROVEN, Fix
from fairseq_rome.server.queue_file import FixQueue
from fairseq_rome.settings import with_settings
from fairseq_rome.text.requests import EditFile, EditRequest, NamedHunk
from fairseq_rome.text.requests.records import to_fields
from fairseq_rome.workbench.edit_job import GivenRequests


def requests_of(fix: Fix) -> List[EditRequest]:
    """The requests of a fix, as a run of the edit takes them."""
    return [_request(fields) for fields in fix.requests]


def rest_of(fix: Fix) -> Dict[str, Any]:
    """The request for what the first one of a fix leaves of its sentence, for that sentence alone."""
    return to_fields(EditRequest(fix.source, fix.target, id=f"{fix.id}.rest", settings={"edit_contexts": 0}))


def _request(fields: Mapping[str, Any]) -> EditRequest:
    hunks = tuple(
        NamedHunk(one.get("unwanted", ""), one.get("wanted", ""), one.get("trigger"), bool(one["carry"]))
        for one in fields.get("hunks", ())
    )
    settings = fields.get("settings", {})
    return EditRequest(fields["source"], fields["target"], id=fields["id"], hunks=hunks, settings=settings)


@dataclass(frozen=True)
class ProvenFixes:
    """What a queue has that can be baked.

    Args:
        path: the queue.
        fixes: numbers of the fixes, in the order of their proofs.
        given: their requests, in the same order.
        settings: with which they were proven.
    """

    path: str
    fixes: Tuple[int, ...]
    given: GivenRequests
    settings: EditSettings


def proven_fixes(path: str) -> ProvenFixes:
    """What is proven in the queue of a file, which a server may have open.

    Raises:
        EditError: if it can't be read, or nothing is proven.
    """
    queue = FixQueue(path, write=False)
    try:
        fixes, about = queue.in_weights(), queue.about
    finally:
        queue.close()
    if "settings" not in about or not fixes:
        raise EditError(f"{path}: no fix is proven, expected a queue with one at least")
    settings = with_settings(EditSettings(), json.loads(about["settings"]), path)
    requests = tuple(request for fix in fixes for request in requests_of(fix))
    source, target = json.loads(about["languages"])
    given = GivenRequests(path, EditFile(requests), about["base"], (source, target))
    return ProvenFixes(path, tuple(one.id for one in fixes), given, settings)


def mark_baked(path: str, fixes: Sequence[int]) -> bool:
    """Say in a queue which fixes a checkpoint has; False where a server has it open, which says nothing of the file."""
    try:
        queue = FixQueue(path)
    except EditError:
        return False
    try:
        proven = [one for one in fixes if queue.fix(one).state == PROVEN]
        queue.change_all({number: {"state": BAKED} for number in proven})
    finally:
        queue.close()
    return True
