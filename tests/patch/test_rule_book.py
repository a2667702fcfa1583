"""Rules as a part of patches: in tables and in patch files, tried without a model."""

from __future__ import annotations

import json
import re
from contextlib import redirect_stdout
from io import StringIO
from pathlib import Path
from typing import List

import pytest
from conftest import Demo

from fairseq_rome.cli.patch import main
from fairseq_rome.errors import EditError
from fairseq_rome.host.checkpoint import portable_cfg
from fairseq_rome.host.sites import OUTPUTS
from fairseq_rome.patch import Patch, RuleBook, load_patches, patch_file, save_patches
from fairseq_rome.text.output_rules import Rule

RULES = (Rule("Hund", "Vierbeiner", "(?i)dog", "1"), Rule("Katze", "Mieze"))
TABLE = "find\treplace\tsource\tid\nHund\tVierbeiner\t(?i)dog\t1\nKatze\tMieze\t\t\n"


def tried(*words: str) -> List[str]:
    out = StringIO()
    with redirect_stdout(out):
        assert main(["try", *words]) == 0
    return out.getvalue().splitlines()


def test_a_table_and_a_patch_file_hold_the_same_rules(demo: Demo, tmp_path: Path) -> None:
    patches = [Patch("rules", OUTPUTS, (), beside=(RuleBook((rule,)),)) for rule in RULES]
    made = patch_file(patches, portable_cfg(demo.state), {})
    for name in ("one.tsv", "one.yaml", "one.safetensors"):
        save_patches(str(tmp_path / name), made)
        books = [piece for patch in load_patches(str(tmp_path / name)).patches for piece in patch.beside]
        assert tuple(rule for book in books if isinstance(book, RuleBook) for rule in book.rules) == RULES
    assert (tmp_path / "one.tsv").read_text() == TABLE


def test_a_table_holds_nothing_else(demo: Demo, tmp_path: Path) -> None:
    from test_beside import datastore, patch_of

    made = patch_file([patch_of(datastore(demo))], portable_cfg(demo.state), {})
    with pytest.raises(EditError, match=r"one\.tsv: a table holds rules alone, not \d+ key-token pairs"):
        save_patches(str(tmp_path / "one.tsv"), made)


def test_a_dry_run_shows_what_would_change(tmp_path: Path) -> None:
    texts = {"one.tsv": TABLE, "c.en": "A dog.\nA hound.\nA cat.\n", "c.de": "Ein Hund.\nEin Hund.\nEine Katze.\n"}
    for name, text in texts.items():
        (tmp_path / name).write_text(text, encoding="utf-8")
    words = [str(tmp_path / "one.tsv"), "--source", str(tmp_path / "c.en"), "--output", str(tmp_path / "c.de")]
    assert tried(*words) == [
        "line 1, rule 1", "  source  A dog.", "  before  Ein Hund.", "  after   Ein Vierbeiner.",
        "line 3, rule 2", "  source  A cat.", "  before  Eine Katze.", "  after   Eine Mieze.",
        "rule 1 (1): Hund -> Vierbeiner: 1 of 3 change",
        "rule 2: Katze -> Mieze: 1 of 3 change",
    ]  # fmt: skip
    told = [json.loads(line) for line in tried(*words, "--json")]
    assert [one.get("line") for one in told] == [1, 3, None, None] and told[2]["changes"] == 1


@pytest.mark.parametrize(("table", "output", "reason"), [
    (TABLE, "Ein Hund.\n", r"c\.de: 1 lines, expected 2"),
    ("find\treplace\n", "a\nb\n", "holds no rules"),
])  # fmt: skip
def test_what_can_not_be_tried(
    table: str, output: str, reason: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name, text in (("one.tsv", table), ("c.en", "a\nb\n"), ("c.de", output)):
        (tmp_path / name).write_text(text, encoding="utf-8")
    words = [str(tmp_path / "one.tsv"), "--source", str(tmp_path / "c.en"), "--output", str(tmp_path / "c.de")]
    assert main(["try", *words]) == 2
    assert re.search(reason, capsys.readouterr().err)
