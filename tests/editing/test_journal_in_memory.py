"""Runs that grow by a request each: what they recall is what a run of all requests at once comes to, bit for bit."""

from __future__ import annotations

from typing import List

from conftest import Demo
from demo_edits import RECORDS, assert_same_bits, of_demo, run

from fairseq_rome.editing.journal_in_memory import MemoryJournal
from fairseq_rome.editing.model_under_edit import ModelUnderEdit
from fairseq_rome.editing.outcome import NOTHING, Result
from fairseq_rome.text.requests import EditRequest


def test_a_run_that_grows_is_the_run_of_all_and_works_on_what_is_new(demo: Demo, monkeypatch: object) -> None:
    requests = [of_demo(number) for number in range(3)]
    journal, worked = MemoryJournal({}), Worked(monkeypatch)
    for length in (1, 2, 3):
        grown = run(demo, requests[:length], {}, journal=journal)
    assert worked.ids == [one.id for one in requests]
    at_once = run(demo, requests, {})
    assert_same_bits(grown.patches, at_once.patches)
    assert [one.after for one in grown.results] == [one.after for one in at_once.results]


def test_without_an_earlier_request_the_later_ones_are_worked_on_again(demo: Demo, monkeypatch: object) -> None:
    requests = [of_demo(number) for number in range(3)]
    journal = MemoryJournal({})
    run(demo, requests, {}, journal=journal)
    worked = Worked(monkeypatch)
    without = run(demo, [requests[0], requests[2]], {}, journal=journal)
    assert worked.ids == [requests[2].id]
    assert_same_bits(without.patches, run(demo, [requests[0], requests[2]], {}).patches)


def test_a_request_that_wants_what_an_earlier_one_wants_has_both_worked_on_together(
    demo: Demo, monkeypatch: object
) -> None:
    record, settings = RECORDS[0], {"edit_contexts": 4, "edit_references": 0}
    said = [(source, demo.translator.translate([source])[0].text) for source in record["contexts"][:6]]
    source, before = next(one for one in said if record["unwanted"] in one[1])
    requests = [
        EditRequest(record["source"], record["target"], id="one"),
        EditRequest(source, before.replace(record["unwanted"], record["wanted"]), id="two"),
    ]
    journal, worked = MemoryJournal({}), Worked(monkeypatch)
    run(demo, requests[:1], settings, journal=journal)
    grown = run(demo, requests, settings, journal=journal)
    assert worked.ids == ["one", "one", "two"]
    at_once = run(demo, requests, settings)
    assert_same_bits(grown.patches, at_once.patches)


def test_a_result_depends_on_the_settings_of_the_run_and_on_requests_that_want_the_same() -> None:
    request, result = EditRequest("a dog", "ein Hund", id="1"), Result(EditRequest("a", "b"), NOTHING, "a", "a")
    journal = MemoryJournal({"seed": 1})
    assert journal.recall(0, request, ("a dog",)) is None
    journal.keep(0, result)
    assert journal.recall(0, request, ("a dog",)) == result
    assert journal.recall(0, request, ("a dog", "two dogs")) is None
    assert MemoryJournal({"seed": 2}, dict(journal.results)).recall(0, request, ("a dog",)) is None
    assert MemoryJournal({"seed": 1}, dict(journal.results)).recall(0, request, ("a dog",)) == result


class Worked:
    """Notes the requests that are worked on rather than recalled."""

    def __init__(self, monkeypatch: object) -> None:
        self.ids: List[str] = []
        work_on = ModelUnderEdit.work_on

        def noting(edited: ModelUnderEdit, request: EditRequest, settings: object) -> Result:
            self.ids.append(request.id)
            return work_on(edited, request, settings)

        monkeypatch.setattr(ModelUnderEdit, "work_on", noting)
