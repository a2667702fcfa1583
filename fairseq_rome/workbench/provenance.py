"""What a checkpoint, a patch file or a report tells of where it comes from."""

from __future__ import annotations

import sys
from dataclasses import replace
from typing import Any, Dict, List, Mapping, Optional, Sequence, Tuple

import torch
from torch import Tensor

from fairseq_rome.cases.contradictions import Claim
from fairseq_rome.editing.outcome import EDITED, Outcome, Result
from fairseq_rome.errors import naming
from fairseq_rome.host.checkpoint import PROVENANCE, State, fingerprint
from fairseq_rome.patch import Patch, fitting, load_patches, read_stack, with_patches
from fairseq_rome.report import EditDetails
from fairseq_rome.text.replacements import Replacement
from fairseq_rome.text.requests import EditFile
from fairseq_rome.text.segments import Difference
from fairseq_rome.version import __version__
from fairseq_rome.workbench.patch_records import SHORT, requests_of


def history(patches: Sequence[Patch]) -> Dict[str, Any]:
    """What the history of a checkpoint tells of edits that were made at one time."""
    made_by = {"fairseq_rome": __version__, "torch": str(torch.__version__)}
    return {**made_by, "edits": [_edit_record(patch) for patch in patches]}


def with_patch_files(
    path: str, state: State, patches: Sequence[str], built: Optional[Mapping[str, Tensor]] = None
) -> Tuple[State, List[Patch]]:
    """A checkpoint's state with the patches of some files, in their order; and these patches.

    Args:
        path: where the state was read, for messages.
        state: from `read_state`.
        patches: the files.
        built: the model's ``state_dict()``, as for `with_patches`.

    Raises:
        EditError: if a file can't be read or does not fit.
    """
    files = [(one, load_patches(one)) for one in patches]
    with naming(path):
        stack = read_stack(state)
    found = fitting(files, state["model"], stack)
    known = fingerprint(state)
    told = {**history(found), "base": known}
    with naming(path):
        return with_patches(state, found, told, built=built, known=known), found


def told_patches(outcome: Outcome, languages: Tuple[str, str], text: bool = True) -> List[Patch]:
    """The edits of an outcome in their order, each with what is told about its request, or its requests.

    Args:
        outcome: what the edit did.
        languages: codes of source and target: the direction that was edited.
        text: tell the sentences of the requests as well.
    """
    served: Dict[int, List[Result]] = {}
    for result in outcome.results:
        if result.patch is not None:
            served.setdefault(id(result.patch), []).append(result)
    return [replace(patch, about=_about(served[id(patch)], languages, text)) for patch in outcome.patches]


def edits_in(state: Mapping[str, Any]) -> List[Mapping[str, Any]]:
    """What a checkpoint tells of its edits, the oldest first, a record for each request."""
    runs = (state.get("extra_state") or {}).get(PROVENANCE, [])
    return [record for run in runs for record in edits_of(run)]


def edits_of(run: Mapping[str, Any]) -> List[Mapping[str, Any]]:
    """What one run of a `history` tells of its edits, a record for each request."""
    records = run["edits"]
    return [{**record, **one} for record in records for one in record.get("requests", [{}])]


def known_triggers(edit_file: EditFile, edits: Sequence[Mapping[str, Any]]) -> Dict[str, str]:
    """The triggers, by id, that requests name, or that the records of edits tell where these were to hold elsewhere."""
    told = {
        record["source"]: record["trigger"]
        for record in edits
        if record.get("contexts") and "source" in record
    }
    found = {request.id: request.trigger or told.get(request.source, "") for request in edit_file.requests}
    return {name: trigger for name, trigger in found.items() if trigger}


def known_carried(edit_file: EditFile, edits: Sequence[Mapping[str, Any]]) -> Dict[str, Replacement]:
    """What edits carry to other sentences, by id of the request, as their records tell it."""
    told = {record["source"]: record["carried"] for record in edits if "source" in record and "carried" in record}
    return {
        request.id: _replacement(**told[request.source]) for request in edit_file.requests if request.source in told
    }


def carried_by(result: Result) -> Optional[Replacement]:
    """What the edit of a request carries to other sentences; None where it is for the request's own alone."""
    if result.difference is None or not (result.trigger and result.contexts + result.held_out):
        return None
    return Replacement(result.triggers or (result.trigger,), result.difference)


def _replacement(triggers: Sequence[str], forms: Sequence[Sequence[str]]) -> Replacement:
    (unwanted, wanted), *others = forms
    return Replacement(tuple(triggers), Difference(unwanted, wanted, forms=tuple((old, new) for old, new in others)))


def claims_of(patches: Sequence[Patch], languages: Tuple[str, str]) -> Tuple[Claim, ...]:
    """What edits ask for, as far as they tell it: nothing where the sentences of their requests were not kept.

    Args:
        patches: the edits that a model has.
        languages: codes of source and target; an edit of another direction says nothing about this one.
    """
    found = []
    for patch in patches:
        for record in requests_of(patch):
            if "source" in record and record.get("languages", list(languages)) == list(languages):
                carried = _replacement(**record["carried"]) if "carried" in record else None
                name = f"the earlier edit {patch.fingerprint[:SHORT]} of request {record['id']}"
                found.append(Claim(name, record["source"], record["target"], carried))
    return tuple(found)


def told_edits(edit_file: EditFile, edits: Sequence[Mapping[str, Any]]) -> Dict[str, EditDetails]:
    """How requests were edited, by id, as the records of edits tell it: the latest edit of a source."""
    told = {record["source"]: record for record in edits if "source" in record}
    return {
        request.id: EditDetails(
            EDITED, record["method"], record["site"], record["size"],
            gates=len(record["neurons"]) or None, contexts=record.get("contexts"),
        )
        for request in edit_file.requests
        for record in [told.get(request.source)]
        if record is not None
    }  # fmt: skip


def details_of(result: Result) -> EditDetails:
    """How a request was edited."""
    patch = result.patch
    if patch is None:
        return EditDetails(
            result.status, tries=result.tries, seconds=result.seconds, reason=result.reason,
            contexts=result.contexts, held_out=result.held_out, notes=result.notes,
        )  # fmt: skip
    return EditDetails(
        result.status, patch.method, str(patch.site), result.size,
        gates=int(patch.notes["gates"]) if "gates" in patch.notes else None,
        margin=patch.notes.get("margin"),
        contexts=result.contexts, held_out=result.held_out, general=result.general,
        tries=result.tries, seconds=result.seconds, patch_bytes=patch.size_bytes, reason=result.reason,
        notes=result.notes,
    )  # fmt: skip


def versions() -> Dict[str, str]:
    """Versions of what an edit and its judgement depend on."""
    import fairseq
    import sacrebleu

    return {
        "fairseq_rome": __version__,
        "fairseq": str(fairseq.__version__),
        "torch": str(torch.__version__),
        "sacrebleu": str(sacrebleu.__version__),
        "python": sys.version.split()[0],
    }


def _edit_record(patch: Patch) -> Dict[str, Any]:
    return {
        "patch": patch.fingerprint,
        "method": patch.method,
        "site": str(patch.site),
        "neurons": patch.neurons,
        "parameters": patch.names,
        **patch.about,
    }


def _about(results: Sequence[Result], languages: Tuple[str, str], text: bool) -> Dict[str, Any]:
    told = [{**_about_one(result, text), "languages": list(languages)} for result in results]
    if len(told) == 1:
        return told[0]
    return {"id": f"{told[0]['id']} and {len(told) - 1} more", "size": told[0]["size"], "requests": told}


def _about_one(result: Result, text: bool) -> Dict[str, Any]:
    about = {"id": result.request.id, "contexts": result.contexts + result.held_out, "size": result.size}
    if text:
        about.update(source=result.request.source, target=result.request.target, trigger=result.trigger)
        carried = carried_by(result)
        if carried is not None:
            difference = carried.difference
            forms = [[difference.unwanted, difference.wanted], *map(list, difference.forms)]
            about["carried"] = {"triggers": list(carried.trigger), "forms": forms}
    return about
