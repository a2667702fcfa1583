"""The requests of a queue, as a run of the edit takes them and as an edit file has them."""

from __future__ import annotations

import json
from typing import Any, Dict, List

from fairseq_rome.editing.edit_settings import EditSettings
from fairseq_rome.errors import EditError
from fairseq_rome.server.fix import Fix
from fairseq_rome.server.queue_file import FixQueue
from fairseq_rome.settings import with_settings
from fairseq_rome.text.requests import EditRequest, NamedHunk


def request_of(fix: Fix) -> EditRequest:
    """The request of a fix."""
    fields: Dict[str, Any] = dict(fix.fields or {})
    hunks = tuple(
        NamedHunk(one.get("unwanted", ""), one.get("wanted", ""), one.get("trigger"), bool(one.get("carry", True)))
        for one in fields.get("hunks", ())
    )
    return EditRequest(fix.source, fix.target, id=str(fix.id), hunks=hunks)


def proven_requests(queue: FixQueue) -> List[EditRequest]:
    """The requests of the proven fixes, in the order of their proofs."""
    return [request_of(one) for one in queue.in_weights()]


def settings_of(queue: FixQueue) -> EditSettings:
    """The settings that the fixes of a queue were proven with.

    Raises:
        EditError: if they are those of another version.
    """
    told = queue.about.get("settings")
    if told is None:
        raise EditError(f"{queue.path}: tells no settings, expected a queue that a server has opened")
    return with_settings(EditSettings(), json.loads(told), queue.path)
