"""Suggestions of LibreTranslate as edit files."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Dict

import pytest
import yaml

from fairseq_rome.errors import EditError
from fairseq_rome.text.requests import EditFile, read_edit_file
from fairseq_rome.text.requests.checking import check_edit_file

OURS = {"q": "A woman reads.", "s": "Eine Frau liest.", "source": "en", "target": "de"}
FRENCH = {"q": "A cat.", "s": "Un chat.", "source": "en", "target": "fr"}
BACK = {"q": "Ein Hund.", "s": "A dog.", "source": "de", "target": "en"}
RECORDS = [FRENCH, OURS, BACK, FRENCH]
FORMS = {
    "jsonl": "\n".join(map(json.dumps, RECORDS)),
    "yaml": yaml.safe_dump(RECORDS),
    "tsv": "\n".join("\t".join(row) for row in (OURS, *(record.values() for record in RECORDS))),
}


def read(path: Path, text: str, *languages: str) -> EditFile:
    path.write_text(text, encoding="utf-8")
    return read_edit_file(str(path), *(languages or ("en", "de")))


@pytest.mark.parametrize("form", FORMS)
def test_suggestions_for_other_languages_are_left_out_and_counted(tmp_path: Path, form: str) -> None:
    path = tmp_path / f"p.{form}"
    found = read(path, FORMS[form])
    assert [(one.source, one.target, one.id) for one in found.requests] == [(OURS["q"], OURS["s"], "2")]
    told = "3 of 4 suggestions are for other languages (de-en, en-fr) and were left out"
    assert found.notes == (f"{path}: {told}",)
    assert [str(one) for one in check_edit_file(str(path), "en", "de")] == [f"{path}: warning: {told}"]
    assert [one.source for one in read(path, FORMS[form], "de", "en").requests] == ["Ein Hund."]


@pytest.mark.parametrize("codes", [("en_XX", "de_DE"), ("__en__", "__de__"), ("en-GB", "de"), ("eng_Latn", "deu_Latn")])
def test_regions_and_scripts_do_not_count(tmp_path: Path, codes: Any) -> None:
    found = read(tmp_path / "p.jsonl", json.dumps(OURS), *codes)
    assert [one.target for one in found.requests] == [OURS["s"]] and not found.notes


def test_a_suggestion_may_say_more(tmp_path: Path) -> None:
    [request] = read(tmp_path / "p.jsonl", json.dumps({**OURS, "id": "w", "trigger": "reads"})).requests
    assert (request.source, request.trigger, request.id) == (OURS["q"], "reads", "w")


def without(name: str) -> Dict[str, str]:
    return {key: value for key, value in OURS.items() if key != name}


REFUSED = {
    "no language": (without("target"), "1: a suggestion lacks 'source' and 'target'; expected the codes of its"),
    "blank text": ({**OURS, "q": " "}, "1: field 'q': empty; expected text"),
    "no text": ({**OURS, "s": 3}, "1: field 's' is no text; expected a sentence"),
    "unknown field": ({**OURS, "user": "x"}, "1: unknown field 'user'; known fields: source"),
    "one text alone": (without("s"), "1: unknown field 'q'; known fields: source"),
    "all for others": (FRENCH, "1: holds no request; expected at least one (1 of 1 suggestions are for other"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_refused_suggestions(tmp_path: Path, name: str) -> None:
    record, expected = REFUSED[name]
    for form, text in (("jsonl", json.dumps(record)), ("yaml", yaml.safe_dump([record]))):
        with pytest.raises(EditError) as caught:
            read(tmp_path / f"p.{form}", text)
        assert str(caught.value).startswith(f"{tmp_path / f'p.{form}'}:{expected}")
