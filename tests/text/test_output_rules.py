"""Rules on outputs, and the tables that hold them."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fairseq_rome.errors import EditError
from fairseq_rome.text.output_rules import Rule, apply_rules, rule_changes, rules_of, source_like, source_with
from fairseq_rome.text.rule_tables import read_rules, rule_table
from fairseq_rome.text.segments import Difference

BIKE = rules_of(Difference("Fahrrad", "Velo", forms=(("Fahrräder", "Velos"),)), source_with(("bike", "bikes")), "1")


@pytest.mark.parametrize(("source", "before", "after"), [
    ("a bike", "ein Fahrrad.", "ein Velo."),
    ("Bikes!", "Fahrräder und ein Fahrrad", "Velos und ein Velo"),
    ("a bike", "ein Fahrradhelm, ein Rikscha-Fahrrad", "ein Fahrradhelm, ein Rikscha-Velo"),
    ("a biker", "ein Fahrrad", "ein Fahrrad"),
    ("a bicycle", "ein Fahrrad", "ein Fahrrad"),
])  # fmt: skip
def test_whole_words_are_replaced_where_the_source_holds_the_trigger(source: str, before: str, after: str) -> None:
    assert apply_rules(BIKE, source, before) == after


@pytest.mark.parametrize(("old", "new", "before", "after"), [
    ("1,5", "2,5", "1,5 kg und 11,5 kg und 1,55 kg", "2,5 kg und 11,5 kg und 1,55 kg"),
    ("自転車", "バイク", "これは自転車です", "これはバイクです"),
    ("C++", r"C\1#", "in C++ und C", r"in C\1# und C"),
    ("sehr", "", "Das ist sehr gut, sehr", "Das ist gut,"),
    ("große Hund", "Vierbeiner", "der große  Hund", "der Vierbeiner"),
])  # fmt: skip
def test_segments_of_any_kind(old: str, new: str, before: str, after: str) -> None:
    assert apply_rules(rules_of(Difference(old, new), "", "1"), "x", before) == after


def test_what_only_adds_words_has_no_rule() -> None:
    with pytest.raises(EditError, match="only adds some"):
        rules_of(Difference("", "neu"), "", "1")


@given(source=st.text(min_size=1), other=st.text())
def test_one_source_alone_is_like_itself(source: str, other: str) -> None:
    found = re.compile(source_like(source))
    assert found.search(source)
    assert bool(found.search(other)) == (other in (source, source + "\n"))


TEXT = st.text(st.characters(blacklist_categories=("Cs", "Cc"), blacklist_characters="\u2028\u2029"), max_size=8)


@pytest.mark.parametrize("ending", [".tsv", ".yaml"])
@given(words=st.lists(st.tuples(TEXT.filter(str.strip), TEXT, TEXT, TEXT), min_size=1, max_size=4))
def test_a_table_reads_back(
    ending: str, words: Sequence[Sequence[str]], tmp_path_factory: pytest.TempPathFactory
) -> None:
    rules = tuple(
        Rule(re.escape(find), replace.replace("\\", "\\\\"), re.escape(source), name)
        for find, replace, source, name in words
        if not find.startswith("#") and find.strip() == find
    )
    path = tmp_path_factory.mktemp("rules") / f"one{ending}"
    path.write_text(rule_table(str(path), rules or BIKE), encoding="utf-8")
    assert read_rules(str(path)) == (rules or BIKE)


FAULTS = {
    "find\treplace\n[\tx\n": ":2: find '[': unterminated character set",
    "find\treplace\na\t\\2\n": ":2: replace '\\\\2': invalid group reference",
    "find\treplace\n\tx\n": ":2: find is empty",
    "find\treplace\tsource\na\tb\t(\n": ":2: source '(': missing )",
    "find\twith\n": ":1: header 'find\\twith', expected a table of rules",
    "find\treplace\n\n# a\tb\n": ": holds no rules",
    "find\treplace\na\tb\tc\n": ":2: 3 cells, expected at most 2",
    "find\treplace\na\n": ":2: no 'replace'",
}
YAML_FAULTS = {
    "find: a\n": ": is no list",
    "- find: a\n  replace: b\n- find: a\n": ":3: no 'replace'",
    "- find: a\n  replace: 1\n": ":1: is no mapping of texts",
    "- find: a\n  replace: b\n  when: c\n": ":1: unknown name 'when'",
    "- [\n": ": while parsing",
}


@pytest.mark.parametrize(("ending", "text", "reason"), [
    *((".tsv", text, reason) for text, reason in FAULTS.items()),
    *((".yaml", text, reason) for text, reason in YAML_FAULTS.items()),
])  # fmt: skip
def test_a_slip_in_a_table_is_told_by_its_line(ending: str, text: str, reason: str, tmp_path: Path) -> None:
    path = tmp_path / f"one{ending}"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(EditError) as refused:
        read_rules(str(path))
    assert f"{path}{reason}" in str(refused.value)


def test_a_tab_needs_yaml() -> None:
    with pytest.raises(EditError, match="which only a table in YAML can"):
        rule_table("one.tsv", [Rule("a\tb", "c")])


def test_only_what_changes_is_told() -> None:
    rules = (Rule("a", "b", "x"), Rule("b", "c"))
    found = rule_changes(rules, ["x", "y", "y", "x"], ["a", "a", "b", "-"])
    told = [(one.line, one.before, one.after, one.rules) for one in found]
    assert told == [(1, "a", "c", (1, 2)), (3, "b", "c", (2,))]
