from __future__ import annotations

import ast
import re
import sys
from pathlib import Path
from typing import Dict, Iterator, Set

import pytest

ROOT = Path(__file__).resolve().parents[1]
# A module may import what stands before it. `__init__` is the package's own.
ORDER = """
    version errors files settings algebra text host statistics tracing patch cases methods editing evaluation report
    tasks cli __init__
""".split()


def module_name(path: Path) -> str:
    return ".".join(path.relative_to(ROOT).with_suffix("").parts).replace(".__init__", "")


TREES = {
    module_name(path): ast.parse(path.read_text(encoding="utf-8"))
    for path in sorted((ROOT / "fairseq_rome").rglob("*.py"))
}


def imported_names(tree: ast.AST) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert not node.level, f"line {node.lineno}: a relative import; write it out"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def own_imports(module: str) -> Set[str]:
    """The modules of this package that `module` imports; a name in a module stands for the module."""
    found = set()
    for name in imported_names(TREES[module]):
        while name and name not in TREES:
            name = name.rpartition(".")[0]
        found.add(name)
    return found - {""}


def place(module: str) -> int:
    part = module.split(".")[1] if "." in module else "__init__"
    assert part in ORDER, f"{module}: not in the order of modules; give it a place there"
    return ORDER.index(part)


def test_imports_point_up_the_order() -> None:
    down = [
        f"{module} imports {other}"
        for module in TREES
        for other in sorted(own_imports(module))
        if place(other) > place(module)
    ]
    assert not down


def test_no_module_imports_itself_in_a_circle() -> None:
    graphlib = pytest.importorskip("graphlib", reason="Python 3.8 has no graphlib")
    graph: Dict[str, Set[str]] = {module: own_imports(module) for module in TREES}
    graphlib.TopologicalSorter(graph).prepare()


@pytest.mark.skipif(sys.version_info < (3, 10), reason="Python names its standard library from 3.10 on")
def test_what_is_imported_is_declared() -> None:
    requirements = re.search(r"^REQUIREMENTS = (\[.*?^\])", (ROOT / "setup.py").read_text(), re.M | re.S)
    assert requirements
    declared = {
        {"PyYAML": "yaml", "Pillow": "PIL"}.get(name, name)
        for name in ast.literal_eval(requirements.group(1))
    }
    known = declared | {"fairseq", "fairseq_cli", "fairseq_rome"} | sys.stdlib_module_names
    undeclared = [
        f"{module} imports {name}"
        for module, tree in TREES.items()
        for name in imported_names(tree)
        if name.split(".")[0] not in known
    ]
    assert not undeclared


def test_only_the_command_line_prints_and_exits() -> None:
    found = [
        f"{module}, line {node.lineno}"
        for module, tree in TREES.items()
        if not module.startswith("fairseq_rome.cli")
        for node in ast.walk(tree)
        if (isinstance(node, ast.Name) and node.id in ("print", "exit", "quit", "SystemExit"))
        or (isinstance(node, ast.Attribute) and node.attr in ("exit", "_exit"))
    ]
    assert not found
