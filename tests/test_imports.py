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
    workbench tasks server cli __init__
""".split()


# What an extra brings is for these modules alone.
EXTRAS = (("fairseq_rome.server.", "SERVE"), ("fairseq_rome.algebra.neighbours", "FAISS"))


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
    known = declared("REQUIREMENTS") | {"fairseq", "fairseq_cli", "fairseq_rome"} | sys.stdlib_module_names
    undeclared = []
    for module, tree in TREES.items():
        allowed = known.union(*(declared(extra) for place, extra in EXTRAS if module.startswith(place)))
        undeclared += [f"{module} imports {name}" for name in imported_names(tree) if name.split(".")[0] not in allowed]
    assert not undeclared


def declared(group: str) -> Set[str]:
    """The modules of a list of packages in `setup.py`."""
    found = re.search(rf"^{group} = (\[.*?^\])", (ROOT / "setup.py").read_text(), re.M | re.S)
    assert found
    modules = {"PyYAML": "yaml", "Pillow": "PIL", "faiss-cpu": "faiss"}
    return {modules.get(name, name) for name in ast.literal_eval(found.group(1))}


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


# Where the words of a command line become values; `tasks` is what fairseq's own commands parse; old checkpoints hold
# their settings in a Namespace.
PARSE = {
    "fairseq_rome.cli.parsing",
    "fairseq_rome.cli.edit_options",
    "fairseq_rome.cli.cache",
    "fairseq_rome.cli.eval",
    "fairseq_rome.cli.locate",
    "fairseq_rome.cli.patch_options",
    "fairseq_rome.cli.requests_options",
    "fairseq_rome.cli.serve_options",
    "fairseq_rome.cli.train_editor",
}
READ_OLD_CHECKPOINTS = "fairseq_rome.host.checkpoint."


def test_a_namespace_goes_no_further_than_the_parser() -> None:
    free = {module for module in TREES if module in PARSE or module.startswith("fairseq_rome.tasks")}
    others = {module for module in TREES if not module.startswith(READ_OLD_CHECKPOINTS)} - free
    found = [
        f"{module} imports argparse"
        for module in sorted(others)
        if any(name.split(".")[0] == "argparse" for name in imported_names(TREES[module]))
    ]
    assert not found
    takers = [f"{module}.{name}" for module in TREES for name in takes_namespace(TREES[module])]
    assert len(takers) <= 8
    assert {taker.rpartition(".")[0] for taker in takers} <= PARSE


def takes_namespace(tree: ast.AST) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef):
            own = node.args
            parts = [*own.posonlyargs, *own.args, *own.kwonlyargs, own.vararg, own.kwarg]
            names = {
                inner.attr if isinstance(inner, ast.Attribute) else inner.id
                for part in parts
                if part is not None and part.annotation is not None
                for inner in ast.walk(part.annotation)
                if isinstance(inner, (ast.Attribute, ast.Name))
            }
            if "Namespace" in names:
                yield node.name


def test_each_file_has_a_name_of_its_own() -> None:
    names: Dict[str, Set[str]] = {}
    for module in TREES:
        names.setdefault(module.rpartition(".")[2], set()).add(module)
    # A folder's own file has the folder's name; `base` is what the files of a folder share.
    assert not [
        sorted(modules)
        for name, modules in names.items()
        if len(modules) > 1 and name != "base" and not any((ROOT / m.replace(".", "/")).is_dir() for m in modules)
    ]
