from __future__ import annotations

from pathlib import Path
from typing import Any, Dict

import pytest

from fairseq_rome.errors import EditError
from fairseq_rome.text.requests import read_edit_file

# Each table: a name, what the files hold, and how the message begins; PREF stands for the prefix in use.
FORMS = "parallel text PREF.en and PREF.de, or the full name of a file in .tsv, .jsonl, .yaml, .yml"
PARALLEL_REFUSED = {
    "nothing": ({}, f"PREF.en: no such file; expected, for en-de, {FORMS}; there: nothing named PREF.*"),
    "other pair": (
        {"en": "a", "fr": "A"},
        f"PREF.de: no such file; expected, for en-de, {FORMS}; there: p.en, p.fr",
    ),
    "other form": ({"yaml": "a"}, f"PREF.en: no such file; expected, for en-de, {FORMS}; there: p.yaml"),
    "more sources": (
        {"en": "a\nb\nc\n", "de": "A\nB\n"},
        "PREF.de:3: line missing: PREF.en has 3 lines, PREF.de has 2; expected",
    ),
    "more targets": (
        {"en": "a\n", "de": "A\nB\n"},
        "PREF.en:2: line missing: PREF.en has 1 lines, PREF.de has 2; expected",
    ),
    "fewer negatives": (
        {"en": "a\nb\n", "de": "A\nB\n", "neg.de": "x\n"},
        "PREF.neg.de:2: line missing: PREF.en has 2 lines, PREF.neg.de has 1; expected",
    ),
    "blank line": ({"en": "a\n \t\nc\n", "de": "A\nB\nC\n"}, "PREF.en:2: empty; expected text"),
    "blank line at the end": ({"en": "a\n", "de": "A\n\n"}, "PREF.de:2: empty; expected text"),
    "empty file": ({"en": "", "de": ""}, "PREF.en:1: the file is empty; expected"),
    "byte-order mark alone": ({"en": "\ufeff", "de": "A"}, "PREF.en:1: the file is empty; expected"),
    "empty contexts": ({"en": "a", "de": "A", "ctx.en": ""}, "PREF.ctx.en:1: the file is empty; expected"),
    "blank keep": ({"en": "a", "de": "A", "keep.en": "\n"}, "PREF.keep.en:1: empty; expected text"),
    "Latin-1": ({"en": "a\nb", "de": b"A\nM\xfcller\n"}, "PREF.de:2: byte 2 is 0xfc; expected UTF-8"),
    "UTF-16": ({"en": "a".encode("utf-16"), "de": "A"}, "PREF.en:1: byte 1 is 0xff; expected UTF-8"),
    "null": ({"en": "a\0", "de": "A"}, "PREF.en:1: character 2 is U+0000; expected plain text"),
    "carriage return alone": (
        {"en": "a\rb", "de": "A"},
        "PREF.en:1: character 2 is U+000D; expected plain text",
    ),
    "next line (C1)": ({"en": "a\x85b", "de": "A"}, "PREF.en:1: character 2 is U+0085; expected plain text"),
    "two targets": (
        {"en": "a\nb\na\n", "de": "A\nB\nC\n"},
        "PREF.en:3: request 3 asks for 'C', and request 1 (PREF.en:1) for 'A' of the same source; expected one",
    ),
}
TSV_REFUSED = {
    "header alone": ("source\ttarget\n", "1: holds no request; expected"),
    "no header": ("a b\tA B\n", "1: unknown field 'a b'; known fields: source, target, negative"),
    "list": ("source\ttarget\tkeep\n", "1: unknown field 'keep'; known fields: source"),
    "no target": ("source\nA\n", "1: no field 'target'; expected at least source and target"),
    "column twice": ("source\ttarget\tsource\n", "1: a field is given twice; expected"),
    "too many cells": ("source\ttarget\na\tA\tx\n", "2: 3 cells; expected 2"),
    "empty cell": ("source\ttarget\na\t\n", "2: no field 'target'; expected at least source and target"),
    "empty row": ("source\ttarget\na\tA\n\t\n", "3: empty; expected text"),
    "two targets": (
        "source\ttarget\tunwanted\na\tA\tx\na\tB\tx\n",
        "3: request 2 asks for 'B', and request 1 (PREF.tsv:2) for 'A' of the same source; expected one target, or",
    ),
}
REQUEST = '{"source": "a", "target": "A"'
JSONL_REFUSED = {
    "no JSON": (REQUEST, "1:30: Expecting ',' delimiter; expected one JSON object a line"),
    "no object": ("[]", "1: a list; expected a mapping"),
    "blank line": (REQUEST + "}\n\n", "2: empty; expected text"),
    "field twice": (REQUEST + ', "source": "b"}', "1: field 'source' is given twice; expected"),
    "two names": (
        REQUEST + ', "before": "x", "negative": "y"}',
        "1: field 'negative' is given twice, once as",
    ),
    "slip of the pen": (
        REQUEST + ', "trigge": "x"}',
        "1: unknown field 'trigge'; known fields: source, target, negative, trigger, wanted, unwanted, task, "
        "id, contexts, keep, probes, near, hunks, settings, before",
    ),
    "hunks as a number": (REQUEST + ', "hunks": 3}', "1: field 'hunks' is a number; expected a list of mappings"),
    "a hunk as text": (REQUEST + ', "hunks": ["A"]}', "1: field 'hunks[0]' is text; expected a mapping with some of"),
    "a hunk with a slip": (
        REQUEST + ', "hunks": [{"wanted": "A", "cary": true}]}',
        "1: field 'hunks[0]' has the unknown name 'cary'; expected trigger, wanted, unwanted, carry",
    ),
    "a hunk without words": (
        REQUEST + ', "hunks": [{"trigger": "a"}]}',
        "1: field 'hunks[0]': any words -> any words: has no words; expected 'unwanted', 'wanted' or both",
    ),
    "a blank in a hunk": (
        REQUEST + ', "hunks": [{"wanted": "A"}, {"wanted": " "}]}',
        "1: field 'hunks[1].wanted': empty; expected text",
    ),
    "carry as text": (
        REQUEST + ', "hunks": [{"wanted": "A", "carry": "no"}]}',
        "1: field 'hunks[0].carry' is text; expected true or false",
    ),
    "two hunks to carry": (
        REQUEST + ', "hunks": [{"wanted": "A"}, {"wanted": "B", "carry": false}, {"unwanted": "C"}]}',
        "1: field 'hunks[2]': 'C' -> any words is to be carried, and so is any words -> 'A'; expected one at most",
    ),
    "a hunk and another trigger": (
        REQUEST + ', "trigger": "b", "hunks": [{"wanted": "A", "trigger": "a"}]}',
        "1: 'trigger' is 'b', and 'a' in 'hunks'; expected one of them",
    ),
    "a hunk that is named and is not": (
        REQUEST + ', "wanted": "A", "hunks": [{"wanted": "A", "carry": false}]}',
        "1: field 'hunks[0]': any words -> 'A' is not to be carried, but the request names it; expected one of them",
    ),
    "a hunk that is none": (
        '{"source": "a b", "target": "A C", "before": "A B", "hunks": [{"wanted": "A", "carry": false}]}',
        "1: field 'hunks[0]': any words -> 'A' is no part of what changes; expected whole words of one of the places "
        "where the target differs from the output 'A B': B -> C",
    ),
    "probes no list": (REQUEST + ', "probes": "x"}', "1: field 'probes' is text; expected a list of sources"),
    "probe without a source": (
        REQUEST + ', "probes": ["x", {"target": "y"}]}',
        "1: field 'probes[1]' has no 'source'; expected source, target, before",
    ),
    "probe with a slip": (
        REQUEST + ', "near": [{"source": "x", "tagret": "y"}]}',
        "1: field 'near[0]' has the unknown name 'tagret'; expected source, target, before",
    ),
    "probe of no text": (
        REQUEST + ', "probes": [{"source": 1}]}',
        "1: field 'probes[0].source' is a number; expected text",
    ),
    "number": ('{"source": 1, "target": "A"}', "1: field 'source' is a number; expected text"),
    "null": ('{"source": null, "target": "A"}', "1: no field 'source'; expected"),
    "true for an id": (REQUEST + ', "id": true}', "1: field 'id' is true or false; expected text"),
    "text for a list": (REQUEST + ', "contexts": "c"}', "1: field 'contexts' is text; expected a list"),
    "number in a list": (REQUEST + ', "keep": ["k", 2]}', "1: field 'keep[1]' is a number; expected text"),
    "blank": (REQUEST + ', "wanted": " "}', "1: field 'wanted': empty; expected text"),
    "escaped line feed": (
        '{"source": "a\\nb", "target": "A"}',
        "1: field 'source': character 2 is U+000A; exp",
    ),
    "half a surrogate pair": (
        '{"source": "\\ud83d", "target": "A"}',
        "1: field 'source': character 1 is U+D83D",
    ),
    "settings": (REQUEST + ', "settings": ["rome"]}', "1: field 'settings' is a list; expected a mapping"),
    "id twice": (
        REQUEST + ', "id": "2"}\n' + REQUEST + "}\n",
        "2: id '2' is that of PREF.jsonl:1; expected an id of its own",
    ),
}
YAML_REFUSED = {
    "broken": (
        "- source: a\n  target: [",
        "2: expected the node content, but found '<stream end>'; expected YAML",
    ),
    "nothing": ("# later\n", "1: no list; expected a list of requests, or a mapping with 'requests'"),
    "text": ("source", "1: no list; expected a list of requests, or a mapping with 'requests'"),
    "no requests": ("keep: [a]", "1: no 'requests'; expected a list of requests, or"),
    "empty requests": ("requests: []", "1: holds no request; expected"),
    "requests of text": ("requests: a", "1: 'requests' is no list; expected a list"),
    "another name": ("requests: []\nkeeps: []", "1: unknown name 'keeps'; expected a list of requests, or"),
    "keep of text": ("requests: []\nkeep: a", "2: 'keep' is no list; expected a list"),
    "keep of a number": ("requests: []\nkeep:\n- a\n- 2", "4: field 'keep' is a number; expected text"),
    "YAML's idea of no": (
        "# one\n- source: No\n  target: Nein",
        "2: field 'source' is true or false; expected text (put it in quotes in YAML)",
    ),
    "object": ("\n- !!python/object:os.system {}", "2: could not determine a constructor"),
    "control character": ("-\n  a: \x01\n", "2: special characters are not allowed; expected YAML"),
    "OmegaConf's veto": (
        "- source: !!set {a}\n",
        "1: [0].source: Value 'set' is not a supported primitive type",
    ),
    "settings without a name": (
        "- {source: a, target: A, settings: {steps: 3, '': 4}}",
        "1: field 'settings' has the name ''; expected names that are text",
    ),
}


def refused(folder: Path, files: Dict[str, Any], name: str, beginning: str) -> None:
    for file_name, content in files.items():
        (folder / file_name).write_bytes(content if isinstance(content, bytes) else content.encode("utf-8"))
    with pytest.raises(EditError) as caught:
        read_edit_file(str(folder / name), "en", "de")
    message = str(caught.value)
    assert "\n" not in message
    assert message.startswith(beginning.replace("PREF", str(folder / "p"))), message


@pytest.mark.parametrize("case", PARALLEL_REFUSED)
def test_refused_parallel_text(tmp_path: Path, case: str) -> None:
    files, beginning = PARALLEL_REFUSED[case]
    refused(tmp_path, {f"p.{ending}": content for ending, content in files.items()}, "p", beginning)


@pytest.mark.parametrize(
    ("form", "case"),
    [
        *(("tsv", case) for case in TSV_REFUSED),
        *(("jsonl", case) for case in JSONL_REFUSED),
        *(("yaml", case) for case in YAML_REFUSED),
    ],
)
def test_refused_records(tmp_path: Path, form: str, case: str) -> None:
    content, beginning = {"tsv": TSV_REFUSED, "jsonl": JSONL_REFUSED, "yaml": YAML_REFUSED}[form][case]
    refused(tmp_path, {f"p.{form}": content}, f"p.{form}", f"PREF.{form}:{beginning}")


def test_a_missing_file_of_records_names_what_is_there(tmp_path: Path) -> None:
    beginning = f"PREF.jsonl: no such file; expected, for en-de, {FORMS}; there: p.en"
    refused(tmp_path, {"p.en": "a", "pq.de": "A"}, "p.jsonl", beginning)
    beginning = "PREF/none.en: no such file;"
    refused(tmp_path, {}, "p/none", beginning)


def test_an_unreadable_file_is_named(tmp_path: Path) -> None:
    (tmp_path / "p.en").mkdir()
    refused(tmp_path, {"p.de": "A"}, "p", "PREF.en: cannot be read (Is a directory); expected a text file")


@pytest.mark.parametrize("side", ["en", "de"])
def test_one_side_of_parallel_text(tmp_path: Path, side: str) -> None:
    (tmp_path / f"p.{side}").write_text("a\n")
    with pytest.raises(EditError, match=f"p.{side}: is one side of parallel text, expected the name without"):
        read_edit_file(str(tmp_path / f"p.{side}"), "en", "de")
