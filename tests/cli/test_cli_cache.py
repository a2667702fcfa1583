from __future__ import annotations

import json
from contextlib import redirect_stderr, redirect_stdout
from io import StringIO
from pathlib import Path
from typing import Any, List

import pytest
from edit_runs import Run

from fairseq_rome.cli.cache import main
from fairseq_rome.host.kept_file import KeptFile
from fairseq_rome.host.remembered import DECODINGS, STATES

STATISTICS = "decoder.3-50000-0123456789abcdef.safetensors"
OF_OVERRIDES = "fedcba9876543210"


def run(*words: Any) -> Run:
    out, err = StringIO(), StringIO()
    with redirect_stdout(out), redirect_stderr(err):
        status = main([str(word) for word in words])
    return Run(status, out.getvalue(), err.getvalue())


@pytest.fixture
def cache(tmp_path: Path) -> Path:
    """A cache folder, with files beside the cache's own."""
    for folder in (tmp_path, tmp_path / OF_OVERRIDES):
        folder.mkdir(exist_ok=True)
        (folder / STATISTICS).write_bytes(b"0" * 2**20)
    rows = {bytes([number]) * 16: b"content" for number in range(4)}
    KeptFile(tmp_path / DECODINGS, 10**6).keep("one", "model.pt, en-de, beam 4", rows)
    KeptFile(tmp_path / STATES, 10**6).keep("one decoder.1", "model.pt, en-de, beam 4, states at decoder.1", rows)
    one = dict(list(rows.items())[:1])
    KeptFile(tmp_path / OF_OVERRIDES / DECODINGS, 10**6).keep("two", "model.pt, en-de, beam 5", one)
    (tmp_path / "notes.txt").write_text("mine")
    (tmp_path / "other.safetensors").write_text("mine")
    (tmp_path / "inner").mkdir()
    (tmp_path / "inner" / STATISTICS).write_text("mine")
    return tmp_path


MINE = ["inner", f"inner/{STATISTICS}", "notes.txt", "other.safetensors"]


def names(folder: Path) -> List[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*"))


def test_what_is_kept_is_shown(cache: Path) -> None:
    before = names(cache)
    done = run("show", "--edit-cache", cache)
    assert (done.status, done.err) == (0, "")
    head, *models = done.out.splitlines()
    assert head.startswith(f"{cache}: 2 files of statistics, 5 decodings, 2.")
    assert models == [
        "          4  model.pt, en-de, beam 4",
        "          1  model.pt, en-de, beam 5",
        "          4  model.pt, en-de, beam 4, states at decoder.1",
    ]
    record = json.loads(run("show", "--edit-cache", cache, "--json").out)
    assert record["models"][0] == {"told": "model.pt, en-de, beam 4", "sentences": 4}
    assert record["size"] > 2 * 2**20 and len(record["statistics"]) == len(record["decodings"]) == 2
    assert names(cache) == before


def test_what_is_kept_is_cleared_and_nothing_else(cache: Path) -> None:
    done = run("clear", "--edit-cache", cache)
    assert (done.status, done.err) == (0, "")
    assert done.out.startswith(f"cleared {cache}: 2 files of statistics, 5 decodings, 2.")
    assert names(cache) == sorted([*MINE, OF_OVERRIDES])
    assert run("show", "--edit-cache", cache).out == f"{cache}: 0 files of statistics, 0 decodings, 0.0 MB\n"


def test_a_corrupt_file_is_told_and_cleared(cache: Path) -> None:
    (cache / DECODINGS).write_text("no database, and longer than any header of one is")
    done = run("show", "--edit-cache", cache)
    assert done.status == 1 and f"{cache / DECODINGS}: can't be read" in done.out
    assert run("clear", "--edit-cache", cache).status == 0
    assert names(cache) == sorted([*MINE, OF_OVERRIDES])


def test_without_the_option_it_is_the_users_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert run("show").out == f"{tmp_path / 'fairseq_rome'}: 0 files of statistics, 0 decodings, 0.0 MB\n"


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ([], "required: COMMAND"),
        (["empty"], "invalid choice: 'empty'"),
        (["show", "--edit-cache", "none"], "keeps nothing, expected a folder"),
        (["clear", "--edit-cache", "FILE"], "can't be read: Not a directory, expected a cache folder"),
    ],
)
def test_what_is_refused_in_one_line(words: List[str], told: str, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("no folder")
    done = run(*(word.replace("FILE", str(tmp_path / "file")) for word in words))
    assert done.status == 2 and not done.out
    assert done.err.startswith("fairseq-edit-cache: ") and told in done.err and len(done.err.splitlines()) == 1


@pytest.mark.parametrize("words", [["--help"], ["show", "--help"], ["clear", "--help"]])
def test_help_is_printed(words: List[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as left:
        main(words)
    assert left.value.code == 0
    assert "usage: fairseq-edit-cache" in capsys.readouterr().out
