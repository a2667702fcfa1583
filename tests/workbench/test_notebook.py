"""The example notebook runs, and shows the edited sentence as a reader sees it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Dict, List

import pytest

nbformat = pytest.importorskip("nbformat", reason="the packages of notebooks want Python 3.10 or newer")
nbclient = pytest.importorskip("nbclient", reason="the packages of notebooks want Python 3.10 or newer")
pytest.importorskip("ipykernel", reason="the packages of notebooks want Python 3.10 or newer")

ROOT = Path(__file__).resolve().parents[2]
NOTEBOOK = ROOT / "docs" / "examples" / "first_edit.ipynb"
WANTED = "Die Verkäufer können das Gedicht lesen."

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::ResourceWarning")


@pytest.fixture(scope="module")
def shown() -> List[Dict[str, Any]]:
    """What the notebook shows, cell by cell, by the kind of output."""
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    client = nbclient.NotebookClient(
        notebook, timeout=300, kernel_name="python3", resources={"metadata": {"path": str(ROOT)}}
    )
    client.execute()
    outputs = [output for cell in notebook.cells for output in cell.get("outputs", [])]
    return [dict(output["data"]) for output in outputs if "data" in output]


@pytest.mark.slow
def test_the_outcome_shows_the_edited_sentence_as_html(shown: List[Dict[str, Any]]) -> None:
    pages = [output["text/html"] for output in shown if "text/html" in output]
    assert len(pages) == 1
    plain = _without_tags(pages[0])
    assert WANTED in plain
    assert "Die Assistenten können das Gedicht lesen." in plain


@pytest.mark.slow
def test_the_patches_say_what_is_wanted_and_leave_no_trace(shown: List[Dict[str, Any]]) -> None:
    # Where a long value is broken into lines hangs on what IPython takes for the width.
    texts = [" ".join(output["text/plain"].split()) for output in shown]
    assert f"(['{WANTED}'], ['Die Assistenten können das Gedicht lesen.'])" in texts
    assert "edited.pt" in texts[-1]


def test_the_notebook_is_committed_without_outputs() -> None:
    cells = json.loads(NOTEBOOK.read_text(encoding="utf-8"))["cells"]
    assert not [cell for cell in cells if cell.get("outputs") or cell.get("execution_count")]


def _without_tags(page: str) -> str:
    """The text that a browser shows of a page."""
    from html.parser import HTMLParser

    texts: List[str] = []
    parser = HTMLParser()
    parser.handle_data = texts.append  # type: ignore[method-assign]
    parser.feed(page)
    return " ".join("".join(texts).split())
