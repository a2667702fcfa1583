"""The pages of docs/ tell what the code says: messages as they are worded, conditions and commands by their names."""

from __future__ import annotations

import ast
import re
import sys
from pathlib import Path
from typing import Iterator, List

import pytest

from fairseq_rome.evaluation.conditions import METRICS

ROOT = Path(__file__).resolve().parents[2]
DOCS = ROOT / "docs"
sys.path.insert(0, str(ROOT / "scripts" / "docs"))

from docs_offline import needs  # noqa: E402
from docs_pages import pages  # noqa: E402

PAGE = (DOCS / "troubleshooting.md").read_text(encoding="utf-8").split("\n## It runs")[0]
MESSAGES = re.findall(r"^\| `([^`]+)` \|", PAGE, re.M)


def texts_of(tree: ast.AST) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.JoinedStr):
            # What differs from case to case ends a fragment.
            yield "".join(
                str(part.value) if isinstance(part, ast.Constant) else "\0" for part in node.values
            )
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node.value


@pytest.fixture(scope="module")
def said() -> str:
    """All texts in the code."""
    files = sorted((ROOT / "fairseq_rome").rglob("*.py"))
    return "\n".join(
        text for path in files for text in texts_of(ast.parse(path.read_text(encoding="utf-8")))
    )


def fragments(message: str) -> List[str]:
    return [part.strip(" :;,()") for part in message.split("…") if len(part.strip(" :;,()")) > 3]


def test_the_page_lists_enough() -> None:
    assert len(MESSAGES) >= 40
    assert len(MESSAGES) == len(set(MESSAGES))


@pytest.mark.parametrize("message", MESSAGES)
def test_a_listed_message_is_one_of_the_code(message: str, said: str) -> None:
    # The names of required fields are put in; the page spells them out.
    missing = [part for part in fragments(message.replace("source and target", "…")) if part not in said]
    assert not missing


def test_every_figure_of_a_condition_is_explained() -> None:
    listed = re.findall(r"^\| `(\w+)` \|", (DOCS / "proving.md").read_text(encoding="utf-8"), re.M)
    assert [name for name in listed if name in METRICS] == list(METRICS)


def test_the_readme_is_one_page() -> None:
    assert len((ROOT / "README.md").read_text(encoding="utf-8").split()) <= 1500


@pytest.mark.parametrize("page", ["README.md", "CONTRIBUTING.md"])
def test_links_of_pages_outside_docs_lead_somewhere(page: str) -> None:
    text = (ROOT / page).read_text(encoding="utf-8")
    targets = [target.split("#")[0] for target in re.findall(r"\]\(([^)]+)\)", text)]
    assert not [target for target in targets if "://" not in target and not (ROOT / target).exists()]


def test_every_page_is_in_the_navigation() -> None:
    index = (DOCS / "index.md").read_text(encoding="utf-8")
    listed = "\n".join(re.findall(r"^```\{toctree\}\n.*?\n\n(.*?)^```", index, re.M | re.S)).split()
    assert sorted(listed) == sorted(["api/index", *(path.stem for path in DOCS.glob("*.md") if path.stem != "index")])


def test_every_module_has_its_place_on_the_pages_of_the_api() -> None:
    modules = {
        ".".join(path.relative_to(ROOT).with_suffix("").parts)
        for path in (ROOT / "fairseq_rome").rglob("*.py")
        if path.name not in ("__init__.py", "version.py")
    }
    assert modules == set(re.findall(r"automodule:: (\S+)", "".join(pages().values())))


def test_a_page_that_loads_an_outside_address_is_refused(tmp_path: Path) -> None:
    page = tmp_path / "page.html"
    page.write_text(
        '<link rel="canonical" href="https://a.example/"><script src="//b.example/x.js"></script>'
        '<a href="https://c.example/">read on</a><img src="local.png"><img src="https://d.example/x.png">',
        encoding="utf-8",
    )
    assert needs(page) == ["//b.example/x.js", "https://d.example/x.png"]
