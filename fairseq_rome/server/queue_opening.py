"""Opening the file of a queue: who may write it, and whether it is one."""

from __future__ import annotations

import fcntl
import os
import sqlite3
from contextlib import suppress

from fairseq_rome.errors import EditError

_FORMAT = "fairseq_rome queue 1"
_TABLES = """
    CREATE TABLE IF NOT EXISTS about (name TEXT PRIMARY KEY, value TEXT NOT NULL);
    CREATE TABLE IF NOT EXISTS fixes (
        id INTEGER PRIMARY KEY AUTOINCREMENT, source TEXT NOT NULL, before TEXT NOT NULL, target TEXT NOT NULL,
        now TEXT NOT NULL DEFAULT '', who TEXT NOT NULL, created TEXT NOT NULL, state TEXT NOT NULL,
        reason TEXT NOT NULL DEFAULT '', choices TEXT NOT NULL DEFAULT '[]', requests TEXT NOT NULL DEFAULT '[]',
        hunks TEXT NOT NULL DEFAULT '[]', live REAL, proven REAL, place INTEGER, evidence TEXT
    );
    CREATE INDEX IF NOT EXISTS fixes_by_state ON fixes (state);
    CREATE TABLE IF NOT EXISTS edits (
        fix INTEGER NOT NULL REFERENCES fixes (id), part INTEGER NOT NULL, kind TEXT NOT NULL, key TEXT NOT NULL,
        texts TEXT NOT NULL, tensors BLOB NOT NULL, PRIMARY KEY (fix, kind, part)
    );
"""
# Milliseconds that a reader waits for a writer, and the other way round; a write takes a few.
_PATIENCE = 10_000


def held(path: str) -> int:
    """An open file beside the queue that no other process can hold.

    Raises:
        EditError: if one does.
    """
    beside = f"{os.path.realpath(path)}.lock"
    try:
        held = os.open(beside, os.O_RDWR | os.O_CREAT, 0o600)
    except OSError as error:
        raise EditError(f"{beside}: cannot be made: {error.strerror or error}") from error
    try:
        fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        os.close(held)
        raise EditError(
            f"{path}: another server has this queue open, expected one server for a queue; stop the other one, or give "
            "this one another --queue"
        ) from error
    return held


def opened(path: str, write: bool) -> sqlite3.Connection:
    """The file, ready.

    Raises:
        EditError: if it is another program's.
        sqlite3.Error: if it is no SQLite file, or can't be opened.
    """
    mode = "rwc" if write else "ro"
    escaped = os.path.abspath(path).replace("%", "%25").replace("?", "%3f").replace("#", "%23")
    base = sqlite3.connect(
        f"file:{escaped}?mode={mode}", uri=True, isolation_level=None, check_same_thread=False
    )
    base.execute(f"PRAGMA busy_timeout = {_PATIENCE}")
    tables = {name for (name,) in base.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
    if tables and "about" not in tables:
        base.close()
        raise EditError(f"{path}: is a file of another program, expected a queue of fairseq-edit-serve")
    if write:
        base.execute("PRAGMA journal_mode = WAL")
        base.execute("PRAGMA synchronous = FULL")
        base.executescript(_TABLES)
        base.execute("INSERT OR IGNORE INTO about VALUES ('format', ?)", (_FORMAT,))
        with suppress(OSError):
            os.chmod(path, 0o600)  # texts of people are in it
    found = base.execute("SELECT value FROM about WHERE name = 'format'").fetchone()
    if found is None or found[0] != _FORMAT:
        base.close()
        told = "nothing" if found is None else found[0]
        raise EditError(f"{path}: its format is {told!r}, expected {_FORMAT!r}")
    return base
