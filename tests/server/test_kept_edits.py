"""The edits that the queue keeps: as they were, each read once, and which of them the model has."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Iterator

import pytest
from patch_samples import KINDS

from fairseq_rome.editing.outcome import EDITED, NOTHING, Result
from fairseq_rome.errors import EditError
from fairseq_rome.patch import Patch
from fairseq_rome.server.fix import FAILED, LIVE, PROVEN, UNDONE
from fairseq_rome.server.kept_edits import KnownPatches, beside_of, kept, patch_in, proven_of
from fairseq_rome.server.queue_file import PROOF, QUICK, FixQueue
from fairseq_rome.server.server_spec import DROP, KEEP
from fairseq_rome.text.requests import EditRequest

REQUEST = EditRequest("a dog", "ein Vierbeiner")
GATE = next(one for one in KINDS.values() if all(change.gate_part is not None for change in one.changes))
DENSE = next(one for one in KINDS.values() if any(change.gate_part is None for change in one.changes))


def result(patch: Patch) -> Result:
    return Result(REQUEST, EDITED, "ein Hund", "ein Vierbeiner", patch=patch)


@pytest.fixture
def queue(tmp_path: Path) -> Iterator[FixQueue]:
    """Fix 1 is proven after fix 2, fix 3 is live, fix 4 has failed, fix 5 waits for a new proof, fix 6 is undone."""
    one = FixQueue(str(tmp_path / "fixes.db"))
    for state, place in ((PROVEN, 2), (PROVEN, 1), (LIVE, None), (FAILED, None), (LIVE, None), (UNDONE, None)):
        fix = one.add("a dog", "ein Hund", "ein Vierbeiner")
        one.change_all({fix.id: {"state": state, "place": place}}, QUICK, [kept((fix.id, 0), "", result(GATE))])
    for number, patch in ((1, DENSE), (2, GATE), (5, GATE)):
        one.change_all({}, PROOF, [kept((number, part), f"{number}.{part}", result(patch)) for part in (0, 1)])
    yield one
    one.close()


@pytest.mark.parametrize("kind", KINDS)
def test_a_patch_comes_back_as_it_was(kind: str) -> None:
    found = patch_in(kept((1, 0), "", result(KINDS[kind])))
    assert found is not None and found.fingerprint == KINDS[kind].fingerprint
    assert patch_in(kept((1, 0), "", Result(REQUEST, NOTHING, "a", "a"))) is None


def test_a_damaged_edit_is_told_with_its_fix() -> None:
    whole = kept((7, 0), "", result(GATE))
    for edit in (replace(whole, tensors=whole.tensors[:-8]), replace(whole, texts={"result": "{}"})):
        with pytest.raises(EditError, match="fix 7: its edit in the queue is damaged"):
            patch_in(edit)


def test_proven_ones_are_in_the_order_of_their_proofs_and_the_others_beside(queue: FixQueue) -> None:
    known = KnownPatches(queue)
    assert list(proven_of(known, queue)) == [(2, 0), (2, 1), (1, 0), (1, 1)]
    assert list(beside_of(known, queue, KEEP)) == [(3, 0), (4, 0), (5, 0), (5, 1)]
    assert list(beside_of(known, queue, DROP)) == [(3, 0), (5, 0), (5, 1)]
    assert list(beside_of(known, queue, DROP, [6])) == [(3, 0), (5, 0), (5, 1), (6, 0)]


def test_what_hooks_can_not_hold_is_held_for_its_sentence_alone(queue: FixQueue) -> None:
    queue.change(1, state=LIVE, place=None)
    beside = beside_of(KnownPatches(queue), queue, DROP)
    assert [part for part in beside if part[0] == 1] == [(1, 0)]
    assert beside[1, 0].fingerprint == GATE.fingerprint


def test_an_edit_is_read_again_only_where_it_is_another(queue: FixQueue) -> None:
    known = KnownPatches(queue)
    before = known.of(PROOF, [2])
    assert known.of(PROOF, [2])[2, 0] is before[2, 0]
    queue.change_all({}, PROOF, [kept((2, 0), "another", result(DENSE))])
    assert [patch.fingerprint for patch in known.of(PROOF, [2]).values()] == [DENSE.fingerprint]
