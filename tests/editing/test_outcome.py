"""How an outcome is told: in one line, and in a notebook."""

from __future__ import annotations

from dataclasses import replace
from typing import List

import pytest
from patch_samples import gate

from fairseq_rome.editing import notebook
from fairseq_rome.editing.outcome import EDITED, FAILED, NOTHING, Check, Outcome, Result, Unchanged
from fairseq_rome.text.requests import EditRequest
from fairseq_rome.text.segments import Difference

DOG = Result(
    EditRequest("A dog <barks>.", "Ein Vierbeiner <bellt>.", id="dog"), EDITED, "Ein Hund <bellt>.",
    "Ein Vierbeiner <bellt>.", Difference("Hund", "Vierbeiner"), "dog", 3, 2, 1.0, gate(1),
)  # fmt: skip
CAT = Result(EditRequest("A cat.", "Eine Mieze.", id="cat"), FAILED, "Eine Katze.", "Eine Katze.", reason="too far")
OTHERS = Unchanged(
    ("A dog runs.", "A hat & a coat.", "A tree.", "Dogs."),
    ("Ein Hund läuft.", "Ein Hut & ein Mantel.", "Ein Baum.", "Hunde."),
    ("Ein Vierbeiner läuft.", "Ein Hut & ein Mandel.", "Ein Baum.", "Hunde."),
    (0,),
)
NONE = Unchanged((), (), ())


def test_what_changed_as_wanted_is_no_damage() -> None:
    assert OTHERS.changed == [0, 1]
    assert OTHERS.damaged == [1]
    assert replace(OTHERS, wanted=()).damaged == [0, 1]


def test_a_result_in_one_line() -> None:
    assert repr(DOG) == "<request dog: edited, 'Hund' -> 'Vierbeiner' by gated at decoder.1>"
    assert repr(CAT) == "<request cat: failed (too far)>"


def test_an_outcome_in_some_lines() -> None:
    checks = (Check(1, 2.0, 0.0, 1.0, 1), Check(2, 3.0, 1.0, 1.0, 1, "the loss rose"))
    assert repr(Outcome((DOG, CAT), OTHERS, OTHERS, checks)).splitlines() == [
        "2 requests: 1 edited, 1 failed",
        f"  {DOG.headline}",
        f"  {CAT.headline}",
        "  other sentences: 2 of 4 sentences changed, 1 of them as wanted",
        "  sentences to keep: 2 of 4 sentences changed, 1 of them as wanted",
        "  stopped: the loss rose",
    ]
    nothing = Outcome((replace(DOG, status=NOTHING),), NONE, NONE)
    assert repr(nothing).startswith("1 request: 1 nothing to do\n")
    assert repr(nothing).endswith("0 of 0 sentences changed")


def test_a_notebook_shows_the_changed_words_marked() -> None:
    told = DOG._repr_html_()
    assert "Ein <mark>Hund</mark> &lt;bellt&gt;." in told
    assert "Ein <mark>Vierbeiner</mark> &lt;bellt&gt;." in told
    assert "A dog &lt;barks&gt;." in told
    assert "<barks>" not in told and "wanted" not in told
    assert "Eine <mark>Mieze</mark>." in CAT._repr_html_()


def test_a_notebook_shows_damage_first() -> None:
    told = OTHERS._repr_html_()
    assert told.index("<mark>Mandel</mark>") < told.index("<mark>Vierbeiner</mark>")
    assert "A hat &amp; a coat." in told
    assert "Baum" not in told


def test_a_notebook_shows_all_of_an_outcome() -> None:
    told = Outcome((DOG, CAT), OTHERS, NONE)._repr_html_()
    assert DOG._repr_html_() in told and CAT._repr_html_() in told and OTHERS._repr_html_() in told
    assert "sentences to keep" not in told
    assert told.count("<div>") == told.count("</div>")


@pytest.mark.parametrize(("count", "more"), [(10, ""), (12, "... and 2 more")])
def test_a_long_table_is_cut(count: int, more: str) -> None:
    rows: List[str] = [told for _, told in notebook.sentence_rows([("a", "b", "c")] * count)]
    assert len(rows) == 30 + bool(more)
    assert more in rows[-1]
