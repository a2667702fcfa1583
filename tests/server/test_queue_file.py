"""The file of the queue: what it holds, who may write it, and what is no queue."""

from __future__ import annotations

import sqlite3
from pathlib import Path
from typing import Iterator

import pytest

from fairseq_rome.errors import EditError
from fairseq_rome.server.fix import BAKED, FAILED, LIVE, PROVEN, SUBMITTED, UNDONE, NoFix
from fairseq_rome.server.queue_file import PROOF, QUICK, FixQueue, KeptEdit


@pytest.fixture
def queue(tmp_path: Path) -> Iterator[FixQueue]:
    one = FixQueue(str(tmp_path / "fixes.db"))
    yield one
    one.close()


def test_a_fix_is_what_came_in(queue: FixQueue) -> None:
    fix = queue.add("a dog", "ein Hund", "ein Vierbeiner", "Ada", ((0, True), (1, False)))
    assert (fix.id, fix.state, fix.source, fix.target, fix.who) == (1, SUBMITTED, "a dog", "ein Vierbeiner", "Ada")
    assert fix.choices == ((0, True), (1, False)) and fix.created.endswith("+00:00")
    assert queue.fix(1) == fix
    with pytest.raises(NoFix, match="no fix 2"):
        queue.fix(2)


def test_a_change_is_whole_or_none(queue: FixQueue) -> None:
    for number in range(3):
        queue.add(f"a {number}", "b", "c", "", ())
    edit = KeptEdit(1, 0, "key", {"result": "{}"}, b"abc")
    queue.change_all({1: {"state": LIVE, "hunks": [{"number": 0}]}, 2: {"state": PROVEN, "place": 1}}, PROOF, [edit])
    assert [one.state for one in queue.in_state(SUBMITTED, LIVE, PROVEN)] == [LIVE, PROVEN, SUBMITTED]
    assert queue.fix(1).hunks == ({"number": 0},)
    assert queue.edits(PROOF, [(1, 0), (1, 1)]) == {(1, 0): edit}
    with pytest.raises(sqlite3.Error):
        queue.change_all({3: {"state": UNDONE}}, PROOF, [KeptEdit(3, 0, "k", {}, b""), KeptEdit(3, 0, "k", {}, b"")])
    assert queue.fix(3).state == SUBMITTED
    with pytest.raises(TypeError, match="source"):
        queue.change(3, source="another")


def test_new_edits_of_a_kind_take_the_place_of_all_that_a_fix_has(queue: FixQueue) -> None:
    queue.add("a", "b", "c", "", ())
    queue.change_all({}, PROOF, [KeptEdit(1, part, f"old {part}", {}, b"") for part in (0, 1)])
    queue.change_all({}, QUICK, [KeptEdit(1, 0, "", {}, b"")])
    queue.change_all({}, PROOF, [KeptEdit(1, 0, "new", {}, b"")])
    assert queue.edit_keys(PROOF, [1]) == {(1, 0): "new"} and queue.edit_keys(QUICK, [1]) == {(1, 0): ""}


def test_proven_fixes_are_in_the_order_of_their_proofs(queue: FixQueue) -> None:
    for place, state in ((3, PROVEN), (1, BAKED), (2, PROVEN), (None, FAILED)):
        fix = queue.add("a", "b", "c", "", ())
        queue.change(fix.id, state=state, place=place)
    assert [one.id for one in queue.in_weights()] == [2, 3, 1]
    assert queue.counts() == {SUBMITTED: 0, LIVE: 0, PROVEN: 2, FAILED: 1, BAKED: 1, UNDONE: 0}


def test_fixes_are_found_by_state_name_and_words_with_the_newest_first(queue: FixQueue) -> None:
    for who, source in (("Ada", "A Dog"), ("Bob", "a cat"), ("Ada", "100% of a_dog")):
        queue.add(source, "b", "c", who, ())
    assert [one.id for one in queue.found("", "", "", 10, None)] == [3, 2, 1]
    assert [one.id for one in queue.found("", "", "", 1, 3)] == [2]
    assert [one.id for one in queue.found("", "Ada", "", 10, None)] == [3, 1]
    assert [one.id for one in queue.found(SUBMITTED, "", "dog", 10, None)] == [3, 1]
    assert [one.id for one in queue.found("", "", "%", 10, None)] == [3]
    assert queue.found("", "", "' OR 1 --", 10, None) == []


def test_one_process_writes_and_others_read(queue: FixQueue) -> None:
    queue.add("a", "b", "c", "", ())
    with pytest.raises(EditError, match="another server has this queue open"):
        FixQueue(queue.path)
    reader = FixQueue(queue.path, write=False)
    assert reader.fix(1) == queue.fix(1)
    queue.change(1, state=LIVE)
    assert reader.fix(1).state == LIVE
    with pytest.raises(sqlite3.OperationalError, match="readonly"):
        reader.change(1, state=UNDONE)
    reader.close()


def test_it_can_be_read_and_written_after_its_writer(queue: FixQueue) -> None:
    queue.add("a", "b", "c", "", ())
    queue.close()
    reader = FixQueue(queue.path, write=False)
    assert reader.fix(1).source == "a"
    reader.close()
    again = FixQueue(queue.path)
    assert again.add("d", "e", "f", "", ()).id == 2
    again.close()


@pytest.mark.parametrize(("content", "part"), [(b"no database" * 200, "cannot be used"), (None, "no such file")])
def test_what_is_no_queue_is_refused(tmp_path: Path, content: bytes, part: str) -> None:
    path = tmp_path / "fixes.db"
    if content is not None:
        path.write_bytes(content)
        with pytest.raises(EditError, match=part):
            FixQueue(str(path))
        assert path.read_bytes() == content
    with pytest.raises(EditError, match=part):
        FixQueue(str(path), write=False)


def test_the_file_of_another_program_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "fixes.db"
    with sqlite3.connect(path) as base:
        base.execute("CREATE TABLE songs (name TEXT)")
    base.close()
    before = path.read_bytes()
    with pytest.raises(EditError, match="another program"):
        FixQueue(str(path))
    assert path.read_bytes() == before
