from __future__ import annotations

import contextlib
import copy
import csv
import io
import json
import pickle
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any, Dict, List

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from fairseq_rome.errors import EditError
from fairseq_rome.text.requests import EditFile, EditRequest, NamedHunk, Probe, read_edit_file

MULTI30K = Path(__file__).resolve().parents[3] / "shared" / "multi30k" / "requests"

# Anything but control characters, surrogates and blank text, as far as JSON, YAML and UTF-8 can all hold it;
# no "$" because OmegaConf refuses a half-written "${".
TEXTS = st.text(
    st.characters(blacklist_categories=("Cc", "Cs"), blacklist_characters="$\ufeff\ufffe\uffff"), min_size=1
).filter(lambda text: text.strip() and "[[" not in text and "]]" not in text)  # which would be marks


def write(folder: Path, files: Dict[str, Any]) -> None:
    for name, content in files.items():
        (folder / name).write_bytes(content if isinstance(content, bytes) else content.encode("utf-8"))


def read(folder: Path, name: str, source_lang: str = "en", target_lang: str = "de") -> EditFile:
    return read_edit_file(str(folder / name), source_lang, target_lang)


def texts(edit_file: EditFile) -> List[List[str]]:
    return [[request.source, request.target] for request in edit_file.requests]


def test_parallel_text_with_every_companion(tmp_path: Path) -> None:
    files = {
        "fixes.en": "a\nb\n", "fixes.de": "A\nB\n", "fixes.neg.de": "x\ny\n",
        "fixes.ctx.en": "c\nd\ne\n", "fixes.keep.en": "k\n",
    }  # fmt: skip
    write(tmp_path, files)
    edit_file = read(tmp_path, "fixes")
    place = str(tmp_path / "fixes.en")
    expected = [
        EditRequest("a", "A", negative="x", contexts=("c", "d", "e"), id="1", origin=f"{place}:1"),
        EditRequest("b", "B", negative="y", contexts=("c", "d", "e"), id="2", origin=f"{place}:2"),
    ]
    assert edit_file == EditFile(tuple(expected), keep=("k",))


def test_parallel_text_alone_leaves_the_rest_open(tmp_path: Path) -> None:
    write(tmp_path, {"fixes.en": "a", "fixes.de": "A"})
    request = read(tmp_path, "fixes").requests[0]
    assert request == EditRequest("a", "A", id="1", origin=f"{tmp_path / 'fixes.en'}:1")
    assert (request.negative, request.trigger, request.contexts, dict(request.settings)) == (
        None,
        None,
        (),
        {},
    )


TOLERATED = {
    "byte-order mark": ("\ufeffa\nb\n", ["a", "b"]),
    "carriage returns": ("a\r\nb\r\n", ["a", "b"]),
    "no last line feed": ("a\nb", ["a", "b"]),
    "tab": ("a\tb\nc\n", ["a\tb", "c"]),
    "spaces around": (" a\nb \n", [" a", "b "]),
    "line separators": ("a\u2028b\nc\u2029d\n", ["a\u2028b", "c\u2029d"]),
    "outside the basic plane": ("\U0001f600\nb\n", ["\U0001f600", "b"]),
    "byte-order mark inside": ("a\ufeff\nb\n", ["a\ufeff", "b"]),
}


@pytest.mark.parametrize("name", TOLERATED)
def test_tolerated_text(tmp_path: Path, name: str) -> None:
    text, expected = TOLERATED[name]
    write(tmp_path, {"fixes.en": text, "fixes.de": text})
    assert texts(read(tmp_path, "fixes")) == [[line, line] for line in expected]


FULL: Dict[str, Any] = {
    "id": "bike",
    "task": "term",
    "source": "a bike",
    "target": "die Velo",
    "negative": "ein Rad",
    "trigger": "bike",
    "wanted": "Velo",
    "unwanted": "Rad",
    "contexts": ["my bike", "the bike"],
    "keep": ["a car"],
    "settings": {"method": "rome", "steps": 3},
    "hunks": [{"unwanted": "ein", "wanted": "die", "carry": False}, {"unwanted": "Rad", "wanted": "Velo"}],
}


def full_request(place: str) -> EditRequest:
    fields = {name: value for name, value in FULL.items() if name != "keep"}
    hunks = tuple(NamedHunk(**one) for one in FULL["hunks"])
    return EditRequest(**{**fields, "contexts": tuple(FULL["contexts"]), "hunks": hunks, "origin": place})


def test_jsonl_carries_every_field(tmp_path: Path) -> None:
    write(tmp_path, {"fixes.jsonl": json.dumps(FULL) + "\n"})
    edit_file = read(tmp_path, "fixes.jsonl")
    assert edit_file == EditFile((full_request(f"{tmp_path / 'fixes.jsonl'}:1"),), keep=("a car",))


@pytest.mark.parametrize("name", ["fixes.yaml", "fixes.yml"])
def test_yaml_carries_every_field_and_the_line_of_each_request(tmp_path: Path, name: str) -> None:
    second = {"source": "b\u2028\u2028", "target": "B"}
    third = {"source": "c", "target": "C", "keep": ["a car", "y"]}
    content = {"keep": ["x", "a car"], "requests": [FULL, second, third]}
    text = yaml.safe_dump(content, allow_unicode=True, sort_keys=False)
    write(tmp_path, {name: text})
    edit_file = read(tmp_path, name)
    lines = text.split("\n")
    places = [f"{tmp_path / name}:{lines.index(line) + 1}" for line in ("- id: bike", "- source: c")]
    assert edit_file.requests[0] == full_request(places[0])
    assert edit_file.requests[2] == EditRequest("c", "C", id="3", origin=places[1])
    assert edit_file.keep == ("x", "a car", "y")


def test_yaml_may_be_a_plain_list_and_fills_in_nothing(tmp_path: Path) -> None:
    write(tmp_path, {"fixes.yaml": "# two prices\n- {source: '${price}', target: '???', id: 7}\n"})
    assert read(tmp_path, "fixes.yaml").requests == (
        EditRequest("${price}", "???", id="7", origin=f"{tmp_path / 'fixes.yaml'}:2"),
    )


def test_tsv_takes_quotes_as_they_stand_and_empty_cells_as_none(tmp_path: Path) -> None:
    write(tmp_path, {"fixes.tsv": 'target\tsource\tbefore\tid\n"A"\t"a\tx\tfirst\nB\tb\t\t\n'})
    place = str(tmp_path / "fixes.tsv")
    assert read(tmp_path, "fixes.tsv").requests == (
        EditRequest('"a', '"A"', negative="x", id="first", origin=f"{place}:2"),
        EditRequest("b", "B", id="2", origin=f"{place}:3"),
    )


def test_before_means_negative(tmp_path: Path) -> None:
    fields = {"source": "a", "target": "A", "before": "x", "trigger": None}
    write(tmp_path, {"fixes.jsonl": json.dumps(fields)})
    request = read(tmp_path, "fixes.jsonl").requests[0]
    assert (request.negative, request.trigger) == ("x", None)


def test_what_judges_is_held_out(tmp_path: Path) -> None:
    probes = ["p", {"source": "q", "target": "Q", "before": "x"}]
    fields = {"source": "a", "target": "A", "probes": probes, "near": [{"source": "n", "before": "N"}, "a"]}
    write(tmp_path, {"fixes.jsonl": json.dumps(fields)})
    found = read(tmp_path, "fixes.jsonl")
    assert found.requests[0].probes == (Probe("p"), Probe("q", "Q"))
    assert found.requests[0].near == ("n", "a")
    assert found.held_out == {"p", "q", "n"}


def test_what_judges_is_no_context(tmp_path: Path) -> None:
    first = {"source": "a", "target": "A", "contexts": ["p", "c", "q"], "probes": ["p"]}
    second = {"source": "b", "target": "B", "near": ["q"]}
    write(tmp_path, {"fixes.jsonl": json.dumps(first) + "\n" + json.dumps(second) + "\n"})
    found = read(tmp_path, "fixes.jsonl").without_leaks()
    assert [request.contexts for request in found.requests] == [("c",), ()]


def test_probes_of_parallel_text_are_for_all_requests(tmp_path: Path) -> None:
    write(tmp_path, {"fixes.en": "a\nb\n", "fixes.de": "A\nB\n", "fixes.probe.en": "c\nd\n"})
    found = read(tmp_path, "fixes")
    assert found.probes == ("c", "d") and found.held_out == {"c", "d"}
    assert [request.probes for request in found.requests] == [(), ()]


def test_one_source_may_come_again(tmp_path: Path) -> None:
    """With the same target, or with another where each request changes another segment."""
    write(tmp_path, {"fixes.tsv": "source\ttarget\tunwanted\na\tA B\tx\na\tA B\t\na\tA B\tx\n"})
    assert len(read(tmp_path, "fixes.tsv").requests) == 3
    write(tmp_path, {"fixes.tsv": "source\ttarget\tunwanted\na\tA B\tx\na\tC D\ty\n"})
    assert len(read(tmp_path, "fixes.tsv").requests) == 2


@given(st.lists(st.tuples(TEXTS, TEXTS), min_size=1, unique_by=lambda pair: pair[0]))
@settings(deadline=None, max_examples=60)
def test_what_is_written_in_any_form_is_what_is_read(pairs: List[Any]) -> None:
    records = [{"source": source, "target": target} for source, target in pairs]
    table = io.StringIO()
    csv.writer(table, dialect="excel-tab").writerows([["source", "target"], *pairs])
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        files = {
            "p.en": "\n".join(source for source, _ in pairs),
            "p.de": "\r\n".join(target for _, target in pairs) + "\r\n",
            "p.jsonl": "\n".join(json.dumps(record, ensure_ascii=False) for record in records),
            # In quotes: readers differ in what else is text, 0E0 for one.
            "p.yaml": yaml.safe_dump(records, allow_unicode=True, default_style='"'),
            "p.tsv": table.getvalue(),
        }
        write(folder, files)
        for form in ("p", "p.jsonl", "p.yaml", "p.tsv"):
            edit_file = read(folder, form)
            assert texts(edit_file) == [list(pair) for pair in pairs], form
            assert [request.id for request in edit_file.requests] == [str(i + 1) for i in range(len(pairs))]


@given(st.binary())
@settings(deadline=None)
def test_any_bytes_are_read_or_refused(data: bytes) -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for form in ("p.tsv", "p.jsonl", "p.yaml"):
            write(folder, {form: data})
            with contextlib.suppress(EditError):
                assert read(folder, form).requests


def test_a_request_is_frozen_and_can_be_hashed_copied_and_pickled() -> None:
    given_settings = {"method": "rome"}
    request = EditRequest("a", "A", settings=given_settings)
    given_settings["method"] = "gated"
    assert dict(request.settings) == {"method": "rome"}
    with pytest.raises(TypeError):
        request.settings["method"] = "gated"  # type: ignore[index]
    for twin in (copy.deepcopy(request), pickle.loads(pickle.dumps(request))):
        assert twin == request
        assert hash(twin) == hash(request)
        with pytest.raises(TypeError):
            twin.settings["method"] = "gated"


def test_neither_torch_nor_fairseq_is_imported() -> None:
    """Run where the package's own __init__, which registers the fairseq task, is out of the way."""
    root = Path(__file__).resolve().parents[2]
    program = f"""
import sys, types
package = types.ModuleType("fairseq_rome")
package.__path__ = [{str(root / "fairseq_rome")!r}]
sys.modules["fairseq_rome"] = package
import fairseq_rome.text.requests
assert not {{"torch", "fairseq", "omegaconf", "yaml"}} & set(sys.modules)
"""
    subprocess.run([sys.executable, "-c", program], check=True)


@pytest.mark.skipif(not MULTI30K.is_dir(), reason="no Multi30k requests beside the repository")
def test_multi30k() -> None:
    edit_file = read(MULTI30K, "requests.jsonl")
    terms = [request for request in edit_file.requests if request.task == "term"]
    assert (len(edit_file.requests), len(terms)) == (289, 19)
    assert all(request.negative and request.wanted and request.unwanted for request in edit_file.requests)
    assert all(term.trigger and term.contexts for term in terms)
    by_source = {
        request.source: request.target for request in edit_file.requests if request.task == "segment"
    }
    assert dict(texts(read(MULTI30K, "segment"))) == by_source
