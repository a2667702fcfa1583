from __future__ import annotations

import ast
import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any, Dict

import pytest
from report_samples import EMPTY, FEW, SIGNATURE, TEST_SET, full, report, request

from fairseq_rome.errors import EditError
from fairseq_rome.report import (
    Report,
    check_folder,
    markdown,
    render_card,
    render_html,
    report_record,
    write_card,
    write_report,
)
from fairseq_rome.report import (
    number_format as figures,
)
from fairseq_rome.report import (
    report_files as writing,
)

FILES = ["report.html", "report.json", "edit_card.md"]


@pytest.mark.parametrize("one", [full(), full(holds=False), EMPTY])
def test_page_and_card_are_functions_of_the_json_alone(one: Report, tmp_path: Path) -> None:
    folder = tmp_path / "new" / "out"
    check_folder(str(folder))
    assert not folder.parent.exists()
    assert write_report(str(folder), one) == [str(folder / name) for name in FILES]
    assert sorted(path.name for path in folder.iterdir()) == sorted(FILES)
    read = json.loads((folder / "report.json").read_text(encoding="utf-8"))
    assert read == report_record(one)
    assert (folder / "report.html").read_text(encoding="utf-8") == render_html(read)
    assert (folder / "edit_card.md").read_text(encoding="utf-8") == render_card(read)


def test_what_json_lacks(tmp_path: Path) -> None:
    sets = (replace(TEST_SET, loss=(2.0, float("nan")), length_ratio=(1.0, float("inf"))),)
    made = replace(report(sets=sets), provenance={"path": tmp_path, "pair": (1, 2), "name": "m\udce4.pt"})
    write_report(str(tmp_path), made)
    read = json.loads((tmp_path / "report.json").read_text(encoding="utf-8"))
    assert read == report_record(made)
    assert read["provenance"] == {"path": str(tmp_path), "pair": [1, 2], "name": "m\udce4.pt"}
    assert read["sets"][0]["loss"] == [2.0, None]
    assert "not measured" in (tmp_path / "report.html").read_text(encoding="utf-8")


@pytest.mark.parametrize("name", FILES)
def test_refuses_to_overwrite(name: str, tmp_path: Path) -> None:
    (tmp_path / name).write_text("old")
    for call in (lambda: check_folder(str(tmp_path)), lambda: write_report(str(tmp_path), full())):
        with pytest.raises(
            EditError, match=re.escape(f"{tmp_path / name}: exists already; --force overwrites it")
        ):
            call()
    assert [path.name for path in tmp_path.iterdir()] == [name]
    write_report(str(tmp_path), full(), force=True)
    assert (tmp_path / name).read_text(encoding="utf-8") != "old"
    assert len(list(tmp_path.iterdir())) == 3


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("file", "file: is no folder, expected one for the report"),
        ("file/out", "file is no folder, expected one to make it in"),
        ("nowhere/../file/out", "file is no folder, expected one to make it in"),
        ("link", "link: is no folder"),
        ("taken", "is a directory, expected a file to write"),
        ("", "'': is no folder"),
    ],
)
def test_refuses_what_is_no_folder(name: str, expected: str, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    (tmp_path / "link").symlink_to(tmp_path / "missing")
    (tmp_path / "taken" / "report.html").mkdir(parents=True)
    folder = str(tmp_path / name) if name else ""
    for call in (lambda: check_folder(folder, force=True), lambda: write_report(folder, full(), force=True)):
        with pytest.raises(EditError) as caught:
            call()
        assert expected in str(caught.value) and "\n" not in str(caught.value)


def test_refuses_a_folder_that_cannot_be_written_to(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.access", lambda path, mode: False)  # root may write anywhere
    for folder in (tmp_path, tmp_path / "new"):
        with pytest.raises(EditError, match="read-only"):
            check_folder(str(folder))


@pytest.mark.parametrize("broken", ["render_card", "render_html", "_json"])
def test_nothing_is_written_if_rendering_fails(
    broken: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(record: Any) -> str:
        raise RuntimeError("no")

    monkeypatch.setattr(writing, broken, fail)
    with pytest.raises(RuntimeError):
        write_report(str(tmp_path / "out"), full())
    assert not list(tmp_path.iterdir())


def test_a_file_is_whole_or_not_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    (tmp_path / "edit_card.md").write_text("old")
    monkeypatch.setattr("os.fsync", fail)
    with pytest.raises(EditError, match=r"edit_card\.md: cannot be written: No space left on device"):
        write_card(str(tmp_path / "edit_card.md"), full(), force=True)
    assert (tmp_path / "edit_card.md").read_text() == "old"
    assert len(list(tmp_path.iterdir())) == 1


def names(folder: Path) -> Dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_a_report_takes_the_place_of_an_earlier_one(tmp_path: Path) -> None:
    odd = replace(full(), provenance={"name": "m\udce4.pt"})
    write_report(str(tmp_path / "again"), odd)
    for one in (EMPTY, full(), odd):
        check_folder(str(tmp_path / "again"))
        write_report(str(tmp_path / "again"), one)
        write_report(str(tmp_path / f"new {id(one)}"), one)
        assert names(tmp_path / "again") == names(tmp_path / f"new {id(one)}")


CHANGES = {
    "added to": lambda data: data + b"mine\n",
    "put before": lambda data: b"mine\n" + data,
    "changed": lambda data: data.replace(b"wall", b"WALL"),
    "cut": lambda data: data[:-20],
    "emptied": lambda data: b"",
    "another's": lambda data: b'{"format": 1}\n',
    "no text": lambda data: b"\xff" + data,
}


# What JSON holds is not sealed: a figure that was changed in it is not seen.
SEALED = [(name, change) for name in FILES for change in CHANGES if (name, change) != ("report.json", "changed")]


@pytest.mark.parametrize(("name", "change"), SEALED)
def test_what_somebody_changed_stays(name: str, change: str, tmp_path: Path) -> None:
    write_report(str(tmp_path), full())
    (tmp_path / name).write_bytes(CHANGES[change]((tmp_path / name).read_bytes()))
    before = names(tmp_path)
    for call in (lambda: check_folder(str(tmp_path)), lambda: write_report(str(tmp_path), EMPTY)):
        with pytest.raises(EditError, match=re.escape(f"{name}: exists already; --force overwrites it")):
            call()
    assert names(tmp_path) == before


def test_card(tmp_path: Path) -> None:
    path = tmp_path / "edit_card.md"
    write_card(str(path), full(holds=False))
    write_card(str(path), full())
    text = path.read_text(encoding="utf-8")
    for line in (
        "| wall-1 | Wand | Mauer | wall | decoder.3 | holds |",
        f"- BLEU: 38.71 before, 38.69 after (−0.03, p = 0.2218), `{SIGNATURE}`",
        f"- BLEU: 31.20 before, 31.20 after (0, identical outputs), `{SIGNATURE}`",
        "Scores on test\\_2017, 0 of 500 outputs changed:",
        "- condition locality&gt;=0.98: met, locality is 0.998315",
        "    fairseq-edit 'data bin'",
        "  - fingerprint: `9b0f`",
        "- Seed: `7`",
        "  - beam: `4`",
    ):
        assert line in text.splitlines()
    assert text.startswith("# Edit card\n\n**PASSED**: 1 of 1 requests hold")
    assert "1 of 2 near misses" in text
    assert "**FAILED**" in render_card(report_record(full(holds=False)))


def test_card_says_where_there_was_no_test() -> None:
    text = render_card(report_record(report(sets=(FEW,))))
    assert f"- BLEU: 31.20 before, 29.80 after (−1.40, too few sentences for a test), `{SIGNATURE}`\n" in text
    assert "identical outputs" not in text


def test_card_keeps_long_lists_short() -> None:
    text = render_card(report_record(report(*map(request, range(60)))))
    assert "35 more requests are in report.json." in text
    assert text.count("| wall-") == 25


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a|b `c` *d* _e_", r"a\|b \`c\` \*d\* \_e\_"),
        ("<b>&amp;", "&lt;b&gt;&amp;amp;"),
        ("![x](y) # $z$", r"\!\[x\](y) \# \$z\$"),
        ("one\n\ntwo\u2028three\r", "one two three "),
        ("back\\slash", "back\\\\slash"),
        (markdown.Markdown("*"), "*"),
    ],
)
def test_markdown(text: str, expected: str) -> None:
    assert markdown.escape(text) == expected


def test_code_in_markdown() -> None:
    assert markdown.code("a ` b `` c\nd") == "```a ` b `` c d```"
    assert markdown.code("`a") == "`` `a ``"
    assert markdown.code(["a", 1]) == "`a, 1`"
    assert markdown.block("a\nb") == "    a\n    b"


@pytest.mark.parametrize(
    ("found", "expected"),
    [
        (figures.percent(None), "not measured"),
        (figures.percent(1), "100%"),
        (figures.percent(0), "0%"),
        (figures.percent(0.99996), "99.996%"),
        (figures.percent(0.0004), "0.04%"),
        (figures.percent(0.5), "50.0%"),
        (figures.signed(None), "not measured"),
        (figures.signed(0), "0"),
        (figures.signed(-0.301), "−0.30"),
        (figures.signed(0.0004), "+0.0004"),
        (figures.number(None), "not measured"),
        (figures.number(12345), "12,345"),
        (figures.number(-0.027), "−0.027"),
        (figures.number(0.999996), "0.999996"),
        (figures.number(1.0), "1"),
        (figures.number(12345.6), "12,346"),
        (figures.fixed(38.685), "38.69"),
        (figures.fixed(None), "not measured"),
        (figures.duration(0.123), "0.12 s"),
        (figures.duration(59.94), "59.9 s"),
        (figures.duration(61), "1 min 01 s"),
        (figures.duration(3725), "1 h 02 min"),
        (figures.size(999), "999 bytes"),
        (figures.size(98304), "98.3 kB"),
        (figures.size(1.31e9), "1.3 GB"),
        (figures.quantity(90, "edit_seconds"), "1 min 30 s"),
        (figures.quantity(1500, "peak_bytes"), "1.5 kB"),
        (figures.quantity(3, "edits"), "3"),
        (figures.quantity(None, "edit_seconds"), "not measured"),
        (figures.label("peak_memory"), "Peak memory"),
    ],
)
def test_figures(found: str, expected: str) -> None:
    assert found == expected


def test_templates_are_installed_with_the_package() -> None:
    root = Path(__file__).resolve().parents[2]
    data = re.search(r"PACKAGE_DATA = (\[.*\])", (root / "setup.py").read_text(encoding="utf-8"))
    assert data
    package = root / "fairseq_rome"
    installed = [
        path for glob in ast.literal_eval(data.group(1)) for path in package.glob(glob)
    ]
    assert set((package / "report" / "templates").iterdir()) <= set(installed)
