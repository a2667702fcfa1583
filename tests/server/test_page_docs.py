"""The page of the documentation for those who correct tells what the page of the server does."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import List, Tuple

from contract_server import PAGE

from fairseq_rome.server.fix import STATES

DOCS = (Path(__file__).resolve().parents[2] / "docs" / "correcting.md").read_text(encoding="utf-8")
ENGLISH = json.loads((PAGE / "languages" / "en.json").read_text(encoding="utf-8"))


def rows_under(head: str) -> List[Tuple[str, str]]:
    table = DOCS.split(head)[1].split("\n\n")[0]
    return re.findall(r"^\| (.+?) \| (.+?) \|$", table, re.M)


def test_it_lists_the_states_in_their_order() -> None:
    assert tuple(state for state, _ in rows_under("| state | means |")) == STATES
    assert all(ENGLISH[f"state.{state}"].lower() == state for state in STATES)


def test_it_lists_the_keys_that_the_page_lists() -> None:
    shown = re.findall(r'\["([^"]+)", "(keys\.\w+)"\]', (PAGE / "shortcuts.js").read_text(encoding="utf-8"))
    assert rows_under("| keys | do |") == [(keys, ENGLISH[text]) for keys, text in shown]


def test_it_names_the_languages_of_the_interface() -> None:
    names = {"en": "English", "de": "German", "es": "Spanish", "zh": "Chinese"}
    there = [one["code"] for one in json.loads((PAGE / "languages" / "index.json").read_text(encoding="utf-8"))]
    told = ", ".join(names[code] for code in there[:-1]) + f" and\n{names[there[-1]]}"
    assert told.replace("\n", " ") in DOCS.replace("\n", " ")
