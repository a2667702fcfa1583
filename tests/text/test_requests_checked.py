from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Dict, List

import pytest

from fairseq_rome.errors import EditError
from fairseq_rome.text.requests import read_edit_file
from fairseq_rome.text.requests.checking import ERROR, WARNING, Finding, check_edit_file

MULTI30K = Path(__file__).resolve().parents[3] / "shared" / "multi30k" / "requests"
GOOD: Dict[str, Any] = {"source": "a bank", "target": "ein Ufer", "unwanted": "Bank", "wanted": "Ufer"}


def found_in(folder: Path, files: Dict[str, Any], name: str, languages: str = "en-de") -> List[str]:
    """What is found, as text with P for the prefix of the files."""
    for file_name, content in files.items():
        (folder / file_name).write_bytes(content if isinstance(content, bytes) else content.encode("utf-8"))
    findings = check_edit_file(str(folder / name), *languages.split("-"))
    return [str(finding).replace(str(folder / "p"), "P") for finding in findings]


def jsonl(*records: Dict[str, Any]) -> str:
    return "".join(json.dumps(record) + "\n" for record in records)


def test_a_good_file_has_no_findings(tmp_path: Path) -> None:
    record = {
        **GOOD, "trigger": "banks", "source": "The Banks!", "negative": "die Banken", "contexts": ["c"],
        "probes": [{"source": "p", "target": "P"}], "near": ["n"], "keep": ["k"],
    }  # fmt: skip
    assert found_in(tmp_path, {"p.jsonl": jsonl(record, {"source": "b", "target": "B"})}, "p.jsonl") == []
    files = {"p.en": "a\nb", "p.de": "A\nB", "p.ctx.en": "c", "p.keep.en": "k", "p.probe.en": "p"}
    assert found_in(tmp_path, files, "p") == []


# Each table: a name, the files, the file to read, and all that is found.
EVERY_FAULT = {
    "parallel text": (
        {
            "p.en": b"a\n \nM\xfcller\nd\ne\n",
            "p.de": "A\nB\nC\n\0\n",
            "p.neg.de": "",
            "p.ctx.en": "x\x01\ny\n",
        },
        "p",
        [
            "P.ctx.en:1: error: character 2 is U+0001; expected plain text without control characters",
            "P.de:4: error: character 1 is U+0000; expected plain text without control characters",
            "P.de:5: error: line missing: P.en has 5 lines, P.de has 4; expected as many in both, "
            "a line for each request",
            "P.en:2: error: empty; expected text",
            "P.en:3: error: byte 2 is 0xfc; expected UTF-8 text",
            "P.neg.de:1: error: the file is empty; expected at least one line",
        ],
    ),
    "no file": (
        {"p.en": "a"},
        "p",
        [
            "P.de: error: no such file; expected, for en-de, parallel text P.en and P.de, or the full name of a "
            "file in .tsv, .jsonl, .yaml, .yml; there: p.en"
        ],
    ),
    "a table": (
        {"p.tsv": "source\ttarget\tid\na\tA\n\nb\t\t7\nc\tC\t\nd\tD\t4\nc\tE\t\n"},
        "p.tsv",
        [
            "P.tsv:2: error: 2 cells; expected 3, as in the header line",
            "P.tsv:3: error: empty; expected text",
            "P.tsv:4: error: no field 'target'; expected at least source and target",
            "P.tsv:6: error: id '4' is that of P.tsv:5; expected an id of its own",
            "P.tsv:7: error: request 6 asks for 'E', and request 4 (P.tsv:5) for 'C' of the same source; expected one "
            "target, or different 'unwanted' segments",
        ],
    ),
    "a table without its names": (
        {"p.tsv": "sauce\ttarget\tinstead\na\tA\n"},
        "p.tsv",
        [
            "P.tsv:1: error: unknown field 'sauce'; known fields: source, target, negative, trigger, wanted, "
            "unwanted, task, id, before",
            "P.tsv:1: error: unknown field 'instead'; known fields: source, target, negative, trigger, wanted, "
            "unwanted, task, id, before",
            "P.tsv:1: error: no field 'source'; expected at least source and target",
        ],
    ),
    "records": (
        {
            "p.jsonl": jsonl({"source": 1, "target": " ", "contexts": ["c", 2, 3], "id": True})
            + '{"source": "a", "target": "A"\n'
            + jsonl({"source": "a", "target": "A", "probes": ["p", {"near": 1}], "settings": {" ": 1}})
            + "7\n"
        },
        "p.jsonl",
        [
            "P.jsonl:1: error: field 'source' is a number; expected text (put it in quotes in YAML)",
            "P.jsonl:1: error: field 'target': empty; expected text",
            "P.jsonl:1: error: field 'id' is true or false; expected text (put it in quotes in YAML)",
            "P.jsonl:1: error: field 'contexts[1]' is a number; expected text (put it in quotes in YAML)",
            "P.jsonl:1: error: field 'contexts[2]' is a number; expected text (put it in quotes in YAML)",
            "P.jsonl:2: error: column 30: Expecting ',' delimiter; expected one JSON object a line",
            "P.jsonl:3: error: field 'probes[1]' has the unknown name 'near'; expected source, target, before",
            "P.jsonl:3: error: field 'settings' has the name ' '; expected names that are text",
            "P.jsonl:4: error: a number; expected a mapping of field names to values",
        ],
    ),
    "YAML": (
        {"p.yaml": "keep:\n- k\n- 3\nrequests:\n- source: a\n- {source: b, target: No}\nmore: x\n"},
        "p.yaml",
        [
            "P.yaml:1: error: unknown name 'more'; expected a list of requests, or a mapping with 'requests' and, "
            "if wanted, 'keep'",
            "P.yaml:3: error: field 'keep' is a number; expected text (put it in quotes in YAML)",
            "P.yaml:5: error: no field 'target'; expected at least source and target",
            "P.yaml:6: error: field 'target' is true or false; expected text (put it in quotes in YAML)",
        ],
    ),
    "YAML that is not UTF-8": (
        {"p.yaml": b"- source: \xff\n  target: A\n- 5\n"},
        "p.yaml",
        ["P.yaml:1: error: byte 11 is 0xff; expected UTF-8 text"],
    ),
}


@pytest.mark.parametrize("case", EVERY_FAULT)
def test_every_fault_is_found(tmp_path: Path, case: str) -> None:
    files, name, expected = EVERY_FAULT[case]
    found = found_in(tmp_path, files, name)
    assert found == expected
    with pytest.raises(EditError):
        read_edit_file(str(tmp_path / name), "en", "de")


# What is added to or changed in a good request, and the warning.
DOUBTFUL = {
    "copied": (
        {"target": "a  bank", "wanted": None},
        "the target is the source itself; expected its translation",
    ),
    "nothing to change": (
        {"negative": "ein  Ufer", "unwanted": None},
        "the target is the unwanted output itself, so that nothing changes; expected another text",
    ),
    "trigger": ({"trigger": "ban"}, "trigger 'ban' is not in the source; expected whole words of the source"),
    "wanted": (
        {"wanted": "Strand"},
        "wanted 'Strand' is not in the target; expected whole words of the target",
    ),
    "unwanted": (
        {"target": "ein Ufer mit Bank"},
        "unwanted 'Bank' is in the target too, so that the output may keep it",
    ),
    "both": (
        {"unwanted": "Ufer"},
        "wanted and unwanted are both 'Ufer'; expected two different segments",
    ),
    "not said": (
        {"negative": "ein Geldhaus"},
        "unwanted 'Bank' is not in the unwanted output; expected whole words of it",
    ),
    "subwords": (
        {"target": "ein\u2581Ufer", "wanted": None},
        "the target holds '\u2581', a mark between subwords, and the source holds none; expected plain text",
    ),
    "fastBPE": (
        {"target": "ein Uf@@ er", "wanted": None},
        "the target holds '@@', a mark between subwords, and the source holds none; expected plain text",
    ),
    "unknown": (
        {"target": "ein <unk> Ufer"},
        "the target holds '<unk>', a symbol of a dictionary, and the source holds none; expected plain text",
    ),
    "language": (
        {"target": "__de__ ein Ufer"},
        "the target holds '__de__', a symbol of a dictionary, and the source holds none; expected plain text",
    ),
    "tag": (
        {"target": "ein <b>Ufer</b>"},
        "the target holds '<b>', markup, and the source holds none; expected plain text",
    ),
    "entity": (
        {"target": "&quot; ein Ufer"},
        "the target holds '&quot;', an escaped character, and the source holds none; expected plain text",
    ),
    "lost": (
        {"source": "a b\ufffdnk", "target": "ein Ufer \ufffd"},
        "the source holds '\ufffd', the sign for a character that could not be read; expected plain text",
    ),
    "near miss": (
        {"near": ["a bank"]},
        "near miss 'a bank' is the source of the request of P.jsonl:1, so that it can't judge",
    ),
    "probe": (
        {"probes": ["a bank"]},
        "probe 'a bank' is the source of the request of P.jsonl:1, so that it can't judge",
    ),
    "leak": (
        {"contexts": ["c", "p"], "probes": [{"source": "p"}]},
        "probe 'p' is a context too (P.jsonl:1); it judges and no edit learns from it",
    ),
    "probe and near miss": (
        {"probes": ["p"], "near": ["p"]},
        "'p' is a probe and a near miss; expected one: a probe changes, a near miss stays",
    ),
    "keep": (
        {"keep": ["a bank"]},
        "keep 'a bank' is the source of the request of P.jsonl:1, which changes it",
    ),
    "kept probe": (
        {"keep": ["p"], "probes": ["p"]},
        "keep 'p' is a probe too (P.jsonl:1); expected one: a probe changes",
    ),
}


@pytest.mark.parametrize("case", DOUBTFUL)
def test_what_can_not_be_meant_is_a_warning(tmp_path: Path, case: str) -> None:
    changes, message = DOUBTFUL[case]
    found = found_in(tmp_path, {"p.jsonl": jsonl({**GOOD, **changes})}, "p.jsonl")
    assert found == [f"P.jsonl:1: warning: {message}"]
    assert read_edit_file(str(tmp_path / "p.jsonl"), "en", "de").requests


@pytest.mark.parametrize(
    ("languages", "changes"),
    [
        ("en-de", {"target": "zwei Ufern", "negative": "zwei Banken", "trigger": "BANK"}),
        ("en-de", {"target": "ein Ufer, eine Sitzbank"}),
        ("en-de", {"target": "eine rote Bank", "wanted": "rote Bank"}),
        ("en-de", {"source": "the <b>bank</b> & &amp;", "target": "das <i>Ufer</i> &quot;"}),
        ("en-de", {"target": "Ufer &c; R&D; 3 < 4 > 2 <3"}),
        ("en-de", {"source": "a ban@@ k", "target": "ein U@@ fer", "wanted": None}),
        ("en-zh", {"target": "我喜歡茶", "wanted": "茶", "unwanted": "水", "negative": "我喜歡水"}),
        ("zh-de", {"source": "我喜歡茶", "trigger": "茶"}),
    ],
)
def test_what_may_be_meant_is_no_warning(tmp_path: Path, languages: str, changes: Dict[str, Any]) -> None:
    assert found_in(tmp_path, {"p.jsonl": jsonl({**GOOD, **changes})}, "p.jsonl", languages) == []


def test_a_request_that_comes_again(tmp_path: Path) -> None:
    records = [
        GOOD,
        {"source": "b", "target": "B"},
        {**GOOD, "id": "again"},
        {**GOOD, "unwanted": "Geldhaus"},
    ]
    assert found_in(tmp_path, {"p.jsonl": jsonl(*records)}, "p.jsonl") == [
        "P.jsonl:3: warning: says the same as the request of P.jsonl:1; expected each request once"
    ]


def test_companions_are_held_against_one_another(tmp_path: Path) -> None:
    files = {
        "p.en": "a\nb\n",
        "p.de": "A\nB\n",
        "p.ctx.en": "c\nd\nc\n",
        "p.probe.en": "p\nb\nc\n",
        "p.keep.en": "p\na\nk\n",
    }
    assert found_in(tmp_path, files, "p") == [
        "P.keep.en:1: warning: keep 'p' is a probe too (P.probe.en:1); expected one: a probe changes",
        "P.keep.en:2: warning: keep 'a' is the source of the request of P.en:1, which changes it",
        "P.probe.en:2: warning: probe 'b' is the source of the request of P.en:2, so that it can't judge",
        "P.probe.en:3: warning: probe 'c' is a context too (P.ctx.en:1); it judges and no edit learns from it",
    ]


def test_a_finding_tells_its_parts(tmp_path: Path) -> None:
    (tmp_path / "p.jsonl").write_text(jsonl({**GOOD, "trigger": "x"}, {"source": "b"}))
    warning, error = check_edit_file(str(tmp_path / "p.jsonl"), "en", "de")
    assert (warning.line, warning.severity) == (1, WARNING)
    problem = "no field 'target'; expected at least source and target"
    assert error == Finding(str(tmp_path / "p.jsonl"), 2, problem, ERROR)


@pytest.mark.skipif(not MULTI30K.is_dir(), reason="no Multi30k requests beside the repository")
def test_multi30k() -> None:
    found = check_edit_file(str(MULTI30K / "requests.jsonl"), "en", "de")
    leaks = [finding for finding in found if finding.message.endswith("so that it can't judge")]
    assert {finding.severity for finding in found} == {WARNING}
    assert (len(leaks), len(found)) == (55, 56)
