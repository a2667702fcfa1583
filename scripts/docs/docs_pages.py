"""A Sphinx extension: a page of the API for each room of the package, made of its docstrings.

The rooms are read off the tree of fairseq_rome/, so that a new room or module has its page without further words. The
first sentence of a room's docstring says on the page what the room is for. The pages are written into docs/api, which
git ignores.
"""

from __future__ import annotations

import ast
import re
from pathlib import Path
from typing import Any, Dict, List, Optional, Tuple

import fairseq_rome

PACKAGE = Path(fairseq_rome.__file__).resolve().parent
FOLDER = "api"


def setup(app: Any) -> Dict[str, bool]:
    """What Sphinx calls when it loads the extension."""
    app.connect("builder-inited", _write_pages)
    app.connect("autodoc-process-docstring", _as_meant, priority=400)  # before napoleon, whose is 500
    app.connect("autodoc-process-signature", _parsable)
    return {"parallel_read_safe": True}


def rooms() -> List[Tuple[str, List[str]]]:
    """Each room, or module outside the rooms, by name, with the dotted names of its modules in order."""
    folders = [path for path in PACKAGE.iterdir() if (path / "__init__.py").exists()]
    alone = [path for path in PACKAGE.glob("*.py") if path.stem not in ("__init__", "version")]
    found = [(path.name, _modules(path)) for path in folders]
    found += [(path.stem, [f"fairseq_rome.{path.stem}"]) for path in alone]
    return sorted(found)


def pages() -> Dict[str, str]:
    """The text of each page in reStructuredText, by file name."""
    found = {f"{name}.rst": _page(name, modules) for name, modules in rooms()}
    return {"index.rst": _index(), **found}


def _as_meant(app: Any, what: str, name: str, thing: Any, options: Any, lines: List[str]) -> None:
    """Put a docstring, in place, as Sphinx has to read it to show what is meant."""
    lines[:] = _literals("\n".join(lines)).split("\n")
    if what in ("attribute", "data", "property"):
        # Napoleon takes what stands before a colon in the first line for a type, so an empty comment goes first.
        lines[:0] = ["..", ""]


def _parsable(
    app: Any, what: str, name: str, thing: Any, options: Any, arguments: Optional[str], returned: Optional[str]
) -> Tuple[Optional[str], Optional[str]]:
    """A signature without defaults that are no Python, such as <factory>: Sphinx shows such a one as raw text."""
    return arguments and re.sub(r"<[^<>]+>", "...", arguments), returned


def _literals(text: str) -> str:
    """Code between single backquotes, as in Markdown, gets two of them; a reference such as :py:obj:`x` stays."""
    return re.sub(r"(?<![`:\w])`([^`]+)`(?![`_])", r"``\1``", text)


def _write_pages(app: Any) -> None:
    folder = Path(app.srcdir) / FOLDER
    folder.mkdir(exist_ok=True)
    wanted = pages()
    for path in folder.glob("*.rst"):
        if path.name not in wanted:
            path.unlink()
    for name, text in wanted.items():
        path = folder / name
        # A page that is the same keeps its time, so that Sphinx does not read it again.
        if not path.exists() or path.read_text(encoding="utf-8") != text:
            path.write_text(text, encoding="utf-8")


def _modules(folder: Path) -> List[str]:
    files = sorted(path for path in folder.rglob("*.py") if path.name != "__init__.py" or path.parent == folder)
    return [".".join(path.relative_to(PACKAGE.parent).with_suffix("").parts) for path in files]


def _index() -> str:
    found = rooms()
    return "\n".join([
        _title("API"),
        ":doc:`Python <../python>` explains the interface by examples.",
        "",
        _title("Names of the package itself", "-"),
        *_table(("name", "what it is"), _public()),
        _title("Rooms", "-"),
        *_table(("room", "its job"), [(f":doc:`{name}`", _told(modules[0])) for name, modules in found]),
        ".. toctree::",
        "   :hidden:",
        "",
        *(f"   {name}" for name, _ in found),
        "",
    ])  # fmt: skip


def _public() -> List[Tuple[str, str]]:
    """What `import fairseq_rome` offers: a reference to each name, and the first sentence of its docstring."""
    found = []
    for name in fairseq_rome.__all__:
        thing = getattr(fairseq_rome, name)
        if not isinstance(thing, str):
            place = f"{thing.__module__}.{thing.__qualname__}"
            found.append((f":py:obj:`fairseq_rome.{name} <{place}>`", _first(thing.__doc__)))
    return found


def _table(heads: Tuple[str, str], rows: List[Tuple[str, str]]) -> List[str]:
    lines = [line for left, right in (heads, *rows) for line in (f"   * - {left}", f"     - {right}")]
    return [".. list-table::", "   :header-rows: 1", "   :widths: auto", "", *lines, ""]


def _page(name: str, modules: List[str]) -> str:
    parts = [_title(name)]
    for module in modules:
        if module.endswith(".__init__"):
            parts.append(_told(module) + "\n")
            continue
        inside = module.split(".")[2:]
        heading = [_title(".".join(inside), "-")] if inside else []
        parts += [*heading, f".. automodule:: {module}\n   :members:\n"]
    return "\n".join(parts)


def _title(text: str, line: str = "=") -> str:
    return f"{text}\n{line * len(text)}\n"


def _told(module: str) -> str:
    """The first paragraph of a module's docstring."""
    path = PACKAGE.parent.joinpath(*module.split(".")).with_suffix(".py")
    return _first(ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))))


def _first(docstring: Optional[str]) -> str:
    """The first paragraph of a docstring, in one line."""
    return _literals(" ".join((docstring or "").split("\n\n")[0].split()))
