"""The folder of scripts: what users run at its top, and the rest in rooms, on the workbench alone."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

SCRIPTS = Path(__file__).resolve().parents[2] / "scripts"
PYTHON = sorted(SCRIPTS.rglob("*.py"))


def test_the_top_holds_what_users_run() -> None:
    assert [path.name for path in SCRIPTS.iterdir() if path.is_file() and path.suffix != ".sh"] == []


@pytest.mark.parametrize("path", PYTHON, ids=lambda path: path.name)
def test_no_script_imports_the_commands(path: Path) -> None:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        modules = [node.module] if isinstance(node, ast.ImportFrom) else []
        modules += [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
        assert not [name for name in modules if (name or "").startswith("fairseq_rome.cli")]


@pytest.mark.parametrize("path", sorted(SCRIPTS.glob("*.sh")), ids=lambda path: path.name)
def test_what_a_shell_script_names_is_there(path: Path) -> None:
    named = re.findall(r"(?:\$ROOT/|\$DEMO/|\bpython )((?:scripts/)?[\w/]+\.py)", path.read_text(encoding="utf-8"))
    folders = (SCRIPTS / "demo", SCRIPTS.parent)
    assert [name for name in named if not any((folder / name).exists() for folder in folders)] == []
