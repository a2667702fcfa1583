"""The code on the page about Python runs, in its order, and what it shows is what comes."""

from __future__ import annotations

import ast
import re
from functools import partial
from pathlib import Path
from typing import Any, Dict, Iterator, Tuple

import pytest
from edit_runs import DEMO, ROOT

from fairseq_rome import EditSettings
from fairseq_rome.workbench import workbench

PAGE = ROOT / "docs" / "python.md"
SMALL = {"edit_stats_tokens": 6000, "edit_contexts": 8, "edit_references": 12, "edit_sample": 8}


def statements(text: str) -> Iterator[Tuple[str, str]]:
    """Each statement of a block, and what a comment right after it says that its value is."""
    lines = text.splitlines()
    for statement in ast.parse(text).body:
        after = lines[statement.end_lineno :]
        is_value = isinstance(statement, ast.Expr) and after and after[0].startswith("# ")
        yield ast.get_source_segment(text, statement) or "", after[0][2:] if is_value else ""


@pytest.mark.slow
def test_every_block_runs_and_shows_what_it_says(
    edit_data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    page = PAGE.read_text(encoding="utf-8").replace('"scripts/demo/data-bin"', repr(str(edit_data)))
    page = page.replace('"scripts/demo/', f'"{DEMO}/')
    # The defaults, and what the page sets, are for a better edit than a test has time for.
    monkeypatch.setattr(workbench, "EditSettings", partial(EditSettings.of, **SMALL))
    page = page.replace("edit_contexts=32, edit_sample=50", ", ".join(f"{name}={n}" for name, n in SMALL.items()))
    page = page.replace("sample=50", "sample=8")
    monkeypatch.chdir(tmp_path)
    for language in ("en", "de"):
        lines = (DEMO / f"all.{language}").read_text(encoding="utf-8").splitlines(keepends=True)
        Path(f"test.{language}").write_text("".join(lines[:8]), encoding="utf-8")
    names: Dict[str, Any] = {}
    shown = 0
    for block in re.findall(r"^```python\n(.*?)^```", page, re.M | re.S):
        for statement, value in statements(block):
            if value:
                assert repr(eval(statement, names)) == value, statement
                shown += 1
            else:
                exec(statement, names)
    assert shown >= 5
    assert names["report"].passed
    written = {path.name for path in tmp_path.iterdir()} - {"test.en", "test.de"}
    assert written == {"edited.pt", "proven.pt", "fix.safetensors", "report"}
