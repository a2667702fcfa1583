from __future__ import annotations

import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path
from typing import Dict, Iterable

import pytest

from fairseq_rome.host.kept_file import Kept, KeptFile

FILE = "rows.sqlite"
MUCH = 10**9


def key(number: int) -> bytes:
    return number.to_bytes(16, "big")


def some(numbers: Iterable[int]) -> Dict[bytes, bytes]:
    return {key(number): number.to_bytes(12, "big") for number in numbers}


def test_what_is_kept_is_found(tmp_path: Path) -> None:
    file = KeptFile(tmp_path / "inner" / FILE, MUCH)
    assert file.find([key(1)]) == {} and file.held() == []
    file.keep("model", "a model", some(range(1200)))
    file.keep("other", "another", some([5000]))
    assert file.find([key(number) for number in (3, 1199, 1200)]) == some([3, 1199])
    assert file.find([key(number) for number in range(1300)]) == some(range(1200))
    assert file.held() == [Kept("a model", 1200), Kept("another", 1)]


def test_what_is_kept_again_counts_once(tmp_path: Path) -> None:
    file = KeptFile(tmp_path / FILE, MUCH)
    for _ in range(3):
        file.keep("model", "a model", some(range(10)))
    with closing(sqlite3.connect(tmp_path / FILE)) as inside:
        [counted] = inside.execute("SELECT bytes FROM total").fetchone()
    assert counted == 10 * (130 + 12)


def test_the_least_recently_used_go_when_it_is_full(tmp_path: Path) -> None:
    file = KeptFile(tmp_path / FILE, 100 * (130 + 12))
    file.keep("old", "old", some(range(50)))
    file.keep("new", "new", some(range(50, 100)))
    assert len(file.find([key(number) for number in range(10)])) == 10
    file.keep("new", "new", some(range(100, 130)))
    left = file.find([key(number) for number in range(130)])
    assert len(left) <= 100
    assert set(left) >= set(some(range(10))) | set(some(range(50, 130)))
    file.keep("new", "new", some(range(200, 300)))
    assert file.held() == [Kept("new", len(file.find([key(number) for number in range(200, 300)])))]


def test_the_file_itself_stays_about_as_small_as_asked(tmp_path: Path) -> None:
    most = 2**20
    file = KeptFile(tmp_path / FILE, most)
    for start in range(0, 20_000, 500):
        numbers = range(start, start + 500)
        file.keep("model", "a model", {key(n * 7919 % 2**40): n.to_bytes(120, "big") for n in numbers})
    assert 0.5 * most < (tmp_path / FILE).stat().st_size < 1.3 * most


def test_a_bound_of_nothing_keeps_nothing(tmp_path: Path) -> None:
    file = KeptFile(tmp_path / FILE, 0)
    file.keep("model", "a model", some(range(10)))
    assert file.find(list(some(range(10)))) == {} and file.held() == []


@pytest.mark.parametrize("content", [b"", b"no database", b"SQLite format 3\0" + b"\xff" * 5000])
def test_a_corrupt_file_is_as_if_empty(tmp_path: Path, content: bytes) -> None:
    (tmp_path / FILE).write_bytes(content)
    file = KeptFile(tmp_path / FILE, MUCH)
    assert file.find([key(1)]) == {}
    file.keep("model", "a model", some([1]))
    assert file.find([key(1)]) == ({} if content else some([1]))
    assert file.held() == (None if content else [Kept("a model", 1)])


def test_a_row_that_rotted_is_not_found(tmp_path: Path) -> None:
    file = KeptFile(tmp_path / FILE, MUCH)
    file.keep("model", "a model", some([1, 2]))
    with closing(sqlite3.connect(tmp_path / FILE)) as inside:
        inside.execute("UPDATE kept SET content = x'0900000007000000' WHERE key = ?", (key(1),))
        inside.commit()
    assert file.find([key(1), key(2)]) == some([2])
    file.keep("model", "a model", some([1]))
    assert file.find([key(1), key(2)]) == some([1, 2])


def test_a_file_that_another_holds_is_as_if_empty(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("fairseq_rome.host.kept_file._PATIENCE", 0.05)
    file = KeptFile(tmp_path / FILE, MUCH)
    file.keep("model", "a model", some([1]))
    with closing(sqlite3.connect(tmp_path / FILE, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        file.keep("model", "a model", some([2]))
        assert file.find([key(1), key(2)]) == some([1])  # readers need not wait for a writer
    with closing(sqlite3.connect(tmp_path / FILE, isolation_level=None)) as other:
        other.execute("PRAGMA locking_mode = EXCLUSIVE")
        other.execute("PRAGMA journal_mode = DELETE")
        other.execute("BEGIN EXCLUSIVE")
        assert file.find([key(1)]) == {} and file.held() is None
    assert file.find([key(1)]) == some([1])


def test_a_folder_that_cant_be_made_is_no_cache(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    file = KeptFile(tmp_path / "file" / FILE, MUCH)
    file.keep("model", "a model", some([1]))
    assert file.find([key(1)]) == {} and file.held() == []


WRITER = """
import sys
from pathlib import Path
from fairseq_rome.host.kept_file import KeptFile
file = KeptFile(Path(sys.argv[1]), 10**9)
first = int(sys.argv[2])
for start in range(first, first + 400, 10):
    rows = {n.to_bytes(16, "big"): n.to_bytes(12, "big") for n in range(start, start + 10)}
    file.keep(f"model {first}", f"of {first}", rows)
    assert file.find(list(rows)) == rows
"""


def test_two_processes_write_at_once(tmp_path: Path) -> None:
    path = str(tmp_path / FILE)
    writers = [subprocess.Popen([sys.executable, "-c", WRITER, path, str(first)]) for first in (0, 1000)]
    assert [one.wait(timeout=120) for one in writers] == [0, 0]
    file = KeptFile(tmp_path / FILE, MUCH)
    numbers = [*range(400), *range(1000, 1400)]
    assert file.find([key(number) for number in numbers]) == some(numbers)
    assert {one.told: one.sentences for one in file.held() or ()} == {"of 0": 400, "of 1000": 400}
