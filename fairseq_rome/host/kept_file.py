"""Rows of bytes kept between runs, in a file of bounded size that several processes may use at once."""

from __future__ import annotations

import os
import sqlite3
import zlib
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Dict, Iterator, List, Mapping, Optional, Sequence

# Seconds that one process waits for another. A write of a batch takes milliseconds.
_PATIENCE = 5.0
# Bytes that a row takes in the file besides its content, the two indices included.
_OVERHEAD = 130
# Share of the rows that go at a time when the file is full. More makes it full less often.
_GOING = 20
# Keys of one query; SQLite takes 999 at most in old versions.
_AT_A_TIME = 500

_SCHEMA = f"""
    CREATE TABLE IF NOT EXISTS model (id INTEGER PRIMARY KEY, key TEXT UNIQUE NOT NULL, told TEXT NOT NULL);
    CREATE TABLE IF NOT EXISTS kept (
        key BLOB UNIQUE NOT NULL, model INTEGER NOT NULL, content BLOB NOT NULL, crc INTEGER NOT NULL,
        used INTEGER NOT NULL
    );
    CREATE INDEX IF NOT EXISTS by_use ON kept (used);
    CREATE TABLE IF NOT EXISTS total (bytes INTEGER NOT NULL);
    INSERT INTO total SELECT 0 WHERE NOT EXISTS (SELECT 1 FROM total);
    CREATE TRIGGER IF NOT EXISTS came AFTER INSERT ON kept
        BEGIN UPDATE total SET bytes = bytes + {_OVERHEAD} + length(NEW.content); END;
    CREATE TRIGGER IF NOT EXISTS went AFTER DELETE ON kept
        BEGIN UPDATE total SET bytes = bytes - {_OVERHEAD} - length(OLD.content); END;
"""


@dataclass(frozen=True)
class Kept:
    """What a file holds of one model with its settings.

    Args:
        told: the model and its settings, for a person.
        sentences: how many rows.
    """

    told: str
    sentences: int


@dataclass(frozen=True)
class KeptFile:
    """Rows by key. A file that can't be read or written, or that others hold too long, is as if empty.

    Args:
        path: the file.
        most: bytes at most; those used least recently go.
    """

    path: Path
    most: int

    def find(self, keys: Sequence[bytes]) -> Dict[bytes, bytes]:
        """The content of those of some keys that are there, which count as used now."""
        found: Dict[bytes, bytes] = {}
        if not os.path.exists(self.path):
            return found
        with suppress(sqlite3.Error, OSError), self._open() as file:
            for part in _parts(keys):
                marks = ",".join("?" * len(part))
                rows = file.execute(f"SELECT key, content, crc FROM kept WHERE key IN ({marks})", part)
                found.update((key, content) for key, content, crc in rows if crc == zlib.crc32(content))
            with _written(file):
                now = _now(file)
                file.executemany("UPDATE kept SET used = ? WHERE key = ?", [(now, key) for key in found])
        return found

    def keep(self, model: str, told: str, rows: Mapping[bytes, bytes]) -> None:
        """Keep some rows.

        Args:
            model: what they depend on besides the source.
            told: the model and its settings, for a person.
            rows: by key.
        """
        with suppress(sqlite3.Error, OSError):
            self.path.parent.mkdir(parents=True, exist_ok=True)
            with self._open() as file, _written(file):
                file.execute("INSERT OR IGNORE INTO model (key, told) VALUES (?, ?)", (model, told))
                (number,) = file.execute("SELECT id FROM model WHERE key = ?", (model,)).fetchone()
                now = _now(file)
                # Not by REPLACE, which no trigger hears of.
                file.executemany("DELETE FROM kept WHERE key = ?", [(key,) for key in rows])
                file.executemany(
                    "INSERT INTO kept VALUES (?, ?, ?, ?, ?)",
                    [(key, number, one, zlib.crc32(one), now) for key, one in rows.items()],
                )
                _make_room(file, self.most)

    def held(self) -> Optional[List[Kept]]:
        """What is there of each model, the most first; None for a file that can't be read."""
        if not os.path.exists(self.path):
            return []
        try:
            with self._open() as file:
                counted = "SELECT model, count(*) AS many FROM kept GROUP BY model"
                rows = file.execute(
                    f"SELECT told, many FROM ({counted}) JOIN model ON model.id = model ORDER BY many DESC"
                )
                return [Kept(*row) for row in rows]
        except (sqlite3.Error, OSError):
            return None

    @contextmanager
    def _open(self) -> Iterator[sqlite3.Connection]:
        with closing(sqlite3.connect(str(self.path), timeout=_PATIENCE, isolation_level=None)) as file:
            file.execute("PRAGMA journal_mode = WAL")
            file.execute("PRAGMA synchronous = NORMAL")
            if not file.execute("SELECT 1 FROM sqlite_master WHERE name = 'went'").fetchone():
                file.executescript(f"BEGIN IMMEDIATE; {_SCHEMA} COMMIT;")
            yield file


@contextmanager
def _written(file: sqlite3.Connection) -> Iterator[None]:
    """All that is written inside the context, or nothing."""
    file.execute("BEGIN IMMEDIATE")
    try:
        yield
    except BaseException:
        file.execute("ROLLBACK")
        raise
    file.execute("COMMIT")


def _make_room(file: sqlite3.Connection, most: int) -> None:
    """Drop what was used least recently until at most so many bytes are there."""
    while file.execute("SELECT bytes FROM total").fetchone()[0] > most:
        (count,) = file.execute("SELECT count(*) FROM kept").fetchone()
        going = "SELECT rowid FROM kept ORDER BY used, rowid LIMIT ?"
        file.execute(f"DELETE FROM kept WHERE rowid IN ({going})", (max(1, count // _GOING),))
        file.execute("DELETE FROM model WHERE id NOT IN (SELECT DISTINCT model FROM kept)")
        if not count:
            return


def _now(file: sqlite3.Connection) -> int:
    """A number above those of all earlier uses."""
    return int(file.execute("SELECT coalesce(max(used), 0) + 1 FROM kept").fetchone()[0])


def _parts(keys: Sequence[bytes]) -> Iterator[Sequence[bytes]]:
    for start in range(0, len(keys), _AT_A_TIME):
        yield keys[start : start + _AT_A_TIME]
