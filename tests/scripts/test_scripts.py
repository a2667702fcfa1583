"""The folder of scripts: what users run at its top, and the rest in rooms, on the workbench alone."""

from __future__ import annotations

import ast
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import torch

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


@pytest.mark.skipif(torch.cuda.is_available(), reason="the script would use the accelerator for minutes")
def test_without_an_accelerator_its_script_says_that_it_is_skipped() -> None:
    done = subprocess.run(
        ["bash", str(SCRIPTS / "device.sh")], env={**os.environ, "FAIRSEQ_ROME_PYTHON": sys.executable},
        capture_output=True, encoding="utf-8", timeout=120,
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("skipped: ") and len(done.stdout.splitlines()) == 1
