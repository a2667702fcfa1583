"""Marks in parallel text."""

from __future__ import annotations

from pathlib import Path
from typing import Dict, Optional, Tuple

import pytest

from fairseq_rome.errors import EditError
from fairseq_rome.text.requests import EditRequest, NamedHunk, read_edit_file
from fairseq_rome.text.requests.checking import check_edit_file
from fairseq_rome.text.requests.lines import Place
from fairseq_rome.text.requests.markup import NONE, unmarked

MARKED = {
    "plain": ("A man rides a bike.", "A man rides a bike.", None),
    "single brackets": ("a [b] c[0] d]", "a [b] c[0] d]", None),
    "tokenised": ("A man rides a [[bike]] .", "A man rides a bike .", "bike"),
    "beside a sign": ("Ein [[Velo]].", "Ein Velo.", "Velo"),
    "several words": ("the [[shop assistants]] sing", "the shop assistants sing", "shop assistants"),
    "all": ("[[bike]]", "bike", "bike"),
    "blanks within": ("a [[ bike ]] b", "a  bike  b", "bike"),
    "single brackets within": ("a [[b [c] d]] e", "a b [c] d e", "b [c] d"),
    "Chinese": ("他骑[[自行车]]。", "他骑自行车。", "自行车"),
    "Thai": ("เขาขี่[[จักรยาน]]", "เขาขี่จักรยาน", "จักรยาน"),
    "a script beside another": ("用[[iPhone]]打", "用iPhone打", "iPhone"),
    "a tag": ("<2de> A [[bike]]", "<2de> A bike", "bike"),
    "a part of a compound": ("ein blau-[[weißes]] Fass", "ein blau-weißes Fass", "weißes"),
}
REFUSED = {
    "no end": ("a [[b", "'[[' is no mark; expected one pair around words, as in [[words]]"),
    "no beginning": ("a[b[0]]", "']]' is no mark; expected one pair"),
    "the wrong way round": ("a ]]b[[", "']] [[' is no mark; expected one pair"),
    "two": ("[[a]] and [[b]]", "'[[ ]] [[ ]]' is no mark; expected one pair"),
    "one in another": ("[[a [[b]] c]]", "'[[ [[ ]] ]]' is no mark; expected one pair"),
    "three brackets": ("[[[a]]]", "'[[[ ]]]' is no mark; expected one pair"),
    "nothing": ("a [[]] b", "nothing is marked by '[[ ]]'; expected words between them"),
    "a blank": ("a [[ ]] b", "nothing is marked by '[[ ]]'; expected words between them"),
    "a part of a word": ("Fahr[[rad]]", "[[rad]] is a part of a word; expected whole words"),
    "a part of one, and the whole elsewhere": ("Rad am Fahr[[Rad]]", "[[Rad]] is a part of a word"),
}


@pytest.mark.parametrize("name", MARKED)
def test_a_mark_is_taken_off(name: str) -> None:
    line, text, marked = MARKED[name]
    assert unmarked(line, Place("p.en", 3)) == (text, marked)


@pytest.mark.parametrize("name", REFUSED)
def test_brackets_that_are_no_mark(name: str) -> None:
    line, beginning = REFUSED[name]
    with pytest.raises(EditError) as caught:
        unmarked(line, Place("p.en", 3))
    assert str(caught.value).startswith(f"p.en:3: {beginning}")
    assert str(caught.value).endswith(", or --edit-markup none, which takes brackets as text")


SIDES: Dict[str, Tuple[str, str, str, Tuple[Optional[str], ...]]] = {
    "both": ("a [[bike]]", "ein [[Velo]]", "ein Rad", ("bike", "Velo", None)),
    "the target": ("a bike", "ein [[Velo]]", "ein Rad", (None, "Velo", None)),
    "the source": ("a [[bike]]", "ein Velo", "ein Rad", ("bike", None, None)),
    "all three": ("a [[bike]]", "ein [[Velo]]", "ein [[Rad]]", ("bike", "Velo", "Rad")),
    "none": ("a bike", "ein Velo", "ein Rad", (None, None, None)),
}


@pytest.mark.parametrize("name", SIDES)
def test_what_the_sides_of_a_request_name(tmp_path: Path, name: str) -> None:
    *lines, named = SIDES[name]
    for ending, line in zip(("en", "de", "neg.de"), lines):
        (tmp_path / f"p.{ending}").write_text(f"{line}\n", encoding="utf-8")
    prefix = str(tmp_path / "p")
    told = read_edit_file(prefix, "en", "de")
    [request] = told.requests
    assert (request.source, request.target, request.negative) == ("a bike", "ein Velo", "ein Rad")
    assert (request.trigger, request.wanted, request.unwanted) == named
    assert request.hunks == ((NamedHunk(named[2] or "", named[1] or "", named[0]),) if named[1] else ())
    notes = [f"{prefix}: 1 request has words marked with [[ ]]"] * (name != "none")
    assert [note[: len(notes[0])] for note in told.notes] == notes
    assert [one.message[:10] for one in check_edit_file(prefix, "en", "de")] == ["1 request "] * len(notes)
    [plain] = read_edit_file(prefix, "en", "de", NONE).requests
    assert plain == EditRequest(*lines, id="1", origin=f"{prefix}.en:1")
    assert not check_edit_file(prefix, "en", "de", NONE)


def test_marked_words_that_do_not_change_are_refused(tmp_path: Path) -> None:
    """As in text about wikis, where both lines may have a link."""
    for ending, line in (("en", "See [[Rome]] now."), ("de", "Siehe [[Rom]] nun."), ("neg.de", "Sieh Rom jetzt.")):
        (tmp_path / f"p.{ending}").write_text(f"{line}\n", encoding="utf-8")
    with pytest.raises(EditError) as caught:
        read_edit_file(str(tmp_path / "p"), "en", "de")
    assert str(caught.value) == (
        f"{tmp_path / 'p.en'}:1: [[ ]] (which --edit-markup none takes as text): any words -> 'Rom' is no part of what "
        "changes; expected whole words of one of the places where the target differs from the output "
        "'Sieh Rom jetzt.': Sieh -> Siehe, jetzt -> nun"
    )


def test_other_sentences_hold_no_marks(tmp_path: Path) -> None:
    texts = {"en": "a [[bike]]", "de": "ein Velo", "ctx.en": "[[my]] bike", "keep.en": "[[a", "probe.en": "b]]"}
    for ending, line in texts.items():
        (tmp_path / f"p.{ending}").write_text(f"{line}\n", encoding="utf-8")
    told = read_edit_file(str(tmp_path / "p"), "en", "de")
    assert (told.requests[0].contexts, told.keep, told.probes) == (("[[my]] bike",), ("[[a",), ("b]]",))


def test_every_fault_of_marks_is_found(tmp_path: Path) -> None:
    (tmp_path / "p.en").write_text("a [[b\nc\nd\n", encoding="utf-8")
    (tmp_path / "p.de").write_text("A\n[[C]] [[D]]\nE\n", encoding="utf-8")
    found = check_edit_file(str(tmp_path / "p"), "en", "de")
    assert [(Path(one.path).name, one.line, one.severity) for one in found] == [
        ("p.de", 2, "error"), ("p.en", 1, "error"),
    ]  # fmt: skip
