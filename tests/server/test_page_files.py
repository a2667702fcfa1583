"""What the files of the page hold: one page that asks nobody but its own server."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any, Dict, Set

import pytest
from contract_server import PAGE

FILES = sorted(path for path in PAGE.rglob("*") if path.is_file())
SCRIPTS = [path for path in FILES if path.suffix == ".js"]
LANGUAGES = json.loads((PAGE / "languages" / "index.json").read_text(encoding="utf-8"))
# Ways in which a text becomes markup or a program.
UNSAFE = re.compile(r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\(|new Function|srcdoc|DOMParser")


def texts_of(code: str) -> Dict[str, Any]:
    return json.loads((PAGE / "languages" / f"{code}.json").read_text(encoding="utf-8"))


def read(path: Path) -> str:
    return path.read_text(encoding="utf-8")


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_no_file_names_an_outside_address(path: Path) -> None:
    assert not re.findall(r"(?:https?:|wss?:)?//[\w-]+\.\w+", read(path))
    assert not re.findall(r"@import|url\(", read(path))


def test_the_page_holds_no_script_and_no_style() -> None:
    page = read(PAGE / "index.html")
    assert not re.findall(r"<style|\sstyle=|\son\w+=", page)
    assert re.findall(r"<script[^>]*>(.*?)</script>", page, re.S) == [""]


@pytest.mark.parametrize("path", SCRIPTS, ids=lambda path: path.name)
def test_texts_never_become_markup(path: Path) -> None:
    assert not UNSAFE.findall(read(path))


@pytest.mark.parametrize("path", SCRIPTS, ids=lambda path: path.name)
def test_each_imported_module_is_there_and_imports_the_names_it_exports(path: Path) -> None:
    for names, module in re.findall(r"import (?:\{([^}]*)\}|\* as \w+) from \"\./([^\"]+)\"", read(path)):
        exported = re.findall(r"export (?:async )?(?:function|const|class) (\w+)", read(PAGE / module))
        assert {name.strip() for name in names.split(",") if name.strip()} <= set(exported)


def test_the_index_lists_the_languages_that_there_are() -> None:
    there = {path.stem for path in (PAGE / "languages").glob("*.json")} - {"index"}
    assert {one["code"] for one in LANGUAGES} == there
    assert len(there) >= 4


def forms(text: Any) -> Dict[str, str]:
    return text if isinstance(text, dict) else {"other": text}


def placeholders(text: Any) -> Set[str]:
    return {name for one in forms(text).values() for name in re.findall(r"\{(\w+)\}", one)}


@pytest.mark.parametrize("code", [one["code"] for one in LANGUAGES])
def test_a_language_has_every_text_with_the_same_values_in_it(code: str) -> None:
    english, texts = texts_of("en"), texts_of(code)
    assert list(texts) == list(english)
    for key, text in texts.items():
        assert all(forms(text).values()) and "other" in forms(text), key
        assert isinstance(text, dict) == isinstance(english[key], dict), key
        assert placeholders(text) == placeholders(english[key]), key


def test_every_text_that_is_asked_for_is_there_and_none_is_left_over() -> None:
    code = "\n".join(read(path) for path in (*SCRIPTS, PAGE / "index.html"))
    asked = set(re.findall(r"data-say(?:-\w+)?=\"([^\"]+)\"", code)) | set(re.findall(r"\bsay\(\"([^\"]+)\"", code))
    texts = texts_of("en")
    assert asked <= set(texts)
    # Keys that are put together begin with one of these: a state, a step, a status.
    made = re.findall(r"`(\w+\.(?:\w+\.)?)\$\{", code)
    quoted = set(re.findall(r"\"([\w.]+)\"", code))
    left = [key for key in texts if key not in asked | quoted and not key.startswith(tuple(made))]
    assert left == []
