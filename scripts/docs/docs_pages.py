"""A hook of mkdocs: a page of the API for each room of the package, made of its docstrings.

The rooms are read off the tree of fairseq_rome/, so that a new room or module has its page without further words. The
first sentence of a room's docstring says on the page what the room is for.
"""

from __future__ import annotations

import ast
from pathlib import Path
from typing import Any, List, Tuple

from mkdocs.structure.files import File, Files

PACKAGE = Path(__file__).resolve().parents[2] / "fairseq_rome"
FOLDER = "api"
_TITLE = "API"


def on_config(config: Any) -> Any:
    """Put the pages at the end of the navigation."""
    names = [{"fairseq_rome": f"{FOLDER}/index.md"}]
    names += [{name: f"{FOLDER}/{name}.md"} for name, _ in rooms()]
    config.nav.append({_TITLE: names})
    return config


def on_files(files: Files, config: Any) -> Files:
    """Add the pages to those of docs/."""
    files.append(File.generated(config, f"{FOLDER}/index.md", content=_index()))
    for name, modules in rooms():
        files.append(File.generated(config, f"{FOLDER}/{name}.md", content=_page(name, modules)))
    return files


def rooms() -> List[Tuple[str, List[str]]]:
    """Each room, or module outside the rooms, by name, with the dotted names of its modules in order."""
    folders = [path for path in PACKAGE.iterdir() if (path / "__init__.py").exists()]
    alone = [path for path in PACKAGE.glob("*.py") if path.stem not in ("__init__", "version")]
    found = [(path.name, _modules(path)) for path in folders]
    found += [(path.stem, [f"fairseq_rome.{path.stem}"]) for path in alone]
    return sorted(found)


def _modules(folder: Path) -> List[str]:
    files = sorted(path for path in folder.rglob("*.py") if path.name != "__init__.py" or path.parent == folder)
    return [".".join(path.relative_to(PACKAGE.parent).with_suffix("").parts) for path in files]


def _index() -> str:
    rows = [f"| [{name}]({name}.md) | {_told(modules[0])} |" for name, modules in rooms()]
    return "\n".join([
        "# API",
        "",
        "What each room of the package is for. [Python](../python.md) explains the interface by examples.",
        "",
        "| room | job |",
        "| --- | --- |",
        *rows,
        "",
        "::: fairseq_rome",
        "",
    ])


def _page(name: str, modules: List[str]) -> str:
    parts = [f"# {name}"]
    for module in modules:
        own = module.removesuffix(".__init__")
        if own.count(".") > 1 or own == module:
            parts.append(f"::: {own}")
        elif _told(module):
            parts.append(_told(module))
    return "\n\n".join(parts) + "\n"


def _told(module: str) -> str:
    """The first sentence of a module's docstring."""
    path = PACKAGE.parent.joinpath(*module.split(".")).with_suffix(".py")
    text = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or ""
    return " ".join(text.split("\n\n")[0].split())
