"""The queue of fixes: one SQLite file, in which every change is on the disk before anybody is told of it."""

from __future__ import annotations

import json
import os
import sqlite3
import threading
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import Any, Dict, Iterator, List, Mapping, Optional, Sequence, Tuple

from fairseq_rome.errors import EditError
from fairseq_rome.server.fix import FAILED, IN_WEIGHTS, LIVE, STATES, SUBMITTED, UNDONE, Choices, Fix, NoFix
from fairseq_rome.server.queue_opening import held, opened

_COLUMNS = (
    "id, source, before, target, now, who, created, state, reason, choices, requests, hunks, live, proven, place"
)
_SETTABLE = ("now", "state", "reason", "requests", "hunks", "live", "proven", "place", "evidence")
QUICK, PROOF = "quick", "proof"
"""Kinds of edits of a fix: for its sentence alone, and the one that was proven."""


Part = Tuple[int, int]
"""A fix, and which of its requests."""


@dataclass(frozen=True)
class KeptEdit:
    """A result as the queue keeps it: texts, and the tensors of its patch as safetensors bytes.

    Args:
        fix: the fix.
        part: which of its requests, from 0.
        key: what the result depends on, as a `MemoryJournal` knows it; empty for a quick edit.
        texts: from `packed_result`.
        tensors: bytes of safetensors.
    """

    fix: int
    part: int
    key: str
    texts: Mapping[str, str]
    tensors: bytes


class FixQueue:
    """The queue in its file; safe to use from several threads.

    Args:
        path: the file; made if it is not there and may be written.
        write: hold the file for writing, which one process may at a time; others read on.

    Raises:
        EditError: if the file can't be opened, is no queue, or another process holds it.
    """

    def __init__(self, path: str, write: bool = True) -> None:
        self.path = path
        self._lock = threading.RLock()
        self._held = held(path) if write else None
        if not write and not os.path.isfile(path):
            raise EditError(f"{path}: no such file, expected a queue of fairseq-edit-serve")
        try:
            self._base = opened(path, write)
        except sqlite3.Error as error:
            self._release()
            raise EditError(f"{path}: cannot be used ({error}), expected a queue of fairseq-edit-serve") from error
        except EditError:
            self._release()
            raise

    def close(self) -> None:
        """Close the file, and let other processes write it."""
        with self._lock:
            self._base.close()
        self._release()

    def _release(self) -> None:
        if self._held is not None:
            os.close(self._held)
            self._held = None

    @property
    def about(self) -> Dict[str, str]:
        """What the queue tells of the model and the settings that its fixes are for."""
        with self._lock:
            return dict(self._base.execute("SELECT name, value FROM about WHERE name != 'format'"))

    def tell_about(self, **values: str) -> None:
        """Write what the queue tells of the model and the settings."""
        with self._writing() as base:
            base.executemany("INSERT OR REPLACE INTO about VALUES (?, ?)", list(values.items()))

    def add(
        self, source: str, before: str, target: str, who: str = "", choices: Choices = (),
        changes: Optional[Mapping[int, Mapping[str, Any]]] = None,
    ) -> Fix:  # fmt: skip
        """A new fix, and with it changes of columns of others, all at once or not at all."""
        created = datetime.now(timezone.utc).isoformat(timespec="milliseconds")
        with self._writing() as base:
            row = base.execute(
                "INSERT INTO fixes (source, before, target, who, created, state, choices) VALUES (?, ?, ?, ?, ?, ?, ?)",
                (source, before, target, who, created, SUBMITTED, json.dumps(choices)),
            )
            for number, values in (changes or {}).items():
                self._set(base, number, values)
            return self.fix(int(row.lastrowid or 0))

    def change(self, number: int, **values: Any) -> Fix:
        """Change columns of a fix; the fix as it is then."""
        return self.change_all({number: values})[0]

    def change_all(
        self, values: Mapping[int, Mapping[str, Any]], kind: str = QUICK, edits: Sequence[KeptEdit] = ()
    ) -> List[Fix]:
        """Change columns of several fixes and keep several edits, all at once or not at all.

        Args:
            values: columns to change, by fix.
            kind: of the edits.
            edits: take the place of all of this kind that their fixes have.
        """
        with self._writing() as base:
            for number, own in values.items():
                self._set(base, number, own)
            for fix in {one.fix for one in edits}:
                base.execute("DELETE FROM edits WHERE fix = ? AND kind = ?", (fix, kind))
            for one in edits:
                told = (one.fix, one.part, kind, one.key, json.dumps(dict(one.texts)), one.tensors)
                base.execute("INSERT INTO edits VALUES (?, ?, ?, ?, ?, ?)", told)
            return [self.fix(number) for number in values]

    def fix(self, number: int) -> Fix:
        """A fix by its number.

        Raises:
            NoFix: if there is none.
        """
        # A number that SQLite can't hold is that of no fix.
        found = self._select("WHERE id = ?", (number,)) if abs(number) < 2**63 else []
        if not found:
            raise NoFix(f"no fix {number}, expected the number of one")
        return found[0]

    def evidence(self, number: int) -> Optional[Dict[str, Any]]:
        """What the proof of a fix showed, in plain values; None before it."""
        with self._lock:
            row = self._base.execute("SELECT evidence FROM fixes WHERE id = ?", (number,)).fetchone()
        return json.loads(row[0]) if row and row[0] else None

    def of_source(self, source: str) -> List[Fix]:
        """The fixes of a source that are not undone and have not failed."""
        return self._select("WHERE source = ? AND state NOT IN (?, ?) ORDER BY id", (source, UNDONE, FAILED))

    def in_state(self, *states: str) -> List[Fix]:
        """The fixes in some states, the oldest first."""
        return self._select(f"WHERE state IN ({', '.join('?' * len(states))}) ORDER BY id", states)

    def in_weights(self) -> List[Fix]:
        """The fixes that are proven, in the order of their proofs."""
        return sorted(self.in_state(*IN_WEIGHTS), key=lambda one: (one.place or 0, one.id))

    def found(self, state: str, who: str, text: str, limit: int, before: Optional[int]) -> List[Fix]:
        """Fixes for a list, the newest first.

        Args:
            state: the state; empty for any.
            who: the name that was given; empty for any.
            text: stands in the source, the output or the target; empty for any.
            limit: at most.
            before: only fixes with a smaller number.
        """
        parts, values = ["1"], []
        for name, value in (("state", state), ("who", who)):
            if value:
                parts.append(f"{name} = ?")
                values.append(value)
        if text:
            parts.append("instr(lower(source || char(10) || before || char(10) || target), lower(?)) > 0")
            values.append(text)
        if before is not None:
            parts.append("id < ?")
            values.append(str(before))
        return self._select(f"WHERE {' AND '.join(parts)} ORDER BY id DESC LIMIT ?", (*values, limit))

    def counts(self) -> Dict[str, int]:
        """How many fixes are in each state."""
        with self._lock:
            found = dict(self._base.execute("SELECT state, count(*) FROM fixes GROUP BY state"))
        return {state: int(found.get(state, 0)) for state in STATES}

    def edits(self, kind: str, parts: Sequence[Part]) -> Dict[Part, KeptEdit]:
        """The edits of one kind of some requests of fixes, as far as there are such."""
        found: Dict[Part, KeptEdit] = {}
        with self._lock:
            for fix, part in parts:
                row = self._base.execute(
                    "SELECT key, texts, tensors FROM edits WHERE fix = ? AND kind = ? AND part = ?", (fix, kind, part)
                ).fetchone()
                if row is not None:
                    found[fix, part] = KeptEdit(fix, part, row[0], json.loads(row[1]), bytes(row[2]))
        return found

    def edit_keys(self, kind: str, numbers: Sequence[int]) -> Dict[Part, str]:
        """The keys of the edits of one kind of some fixes, in the order of these and then of their requests."""
        with self._lock:
            rows = self._base.execute("SELECT fix, part, key FROM edits WHERE kind = ? ORDER BY part", (kind,))
            by_fix: Dict[int, List[Tuple[Part, str]]] = {}
            for fix, part, key in rows:
                by_fix.setdefault(fix, []).append(((fix, part), key))
        return {part: key for number in numbers for part, key in by_fix.get(number, ())}

    def to_go_on_with(self) -> List[Fix]:
        """The fixes that wait for a gate or for a proof, the oldest first."""
        return self.in_state(SUBMITTED, LIVE)

    def _select(self, where: str, values: Sequence[Any]) -> List[Fix]:
        with self._lock:
            rows = self._base.execute(f"SELECT {_COLUMNS} FROM fixes {where}", values).fetchall()
        return [_fix(row) for row in rows]

    def _set(self, base: sqlite3.Connection, number: int, values: Mapping[str, Any]) -> None:
        unknown = set(values) - set(_SETTABLE)
        if unknown:
            raise TypeError(f"no columns to set: {', '.join(sorted(unknown))}")
        for name, value in values.items():
            stored = json.dumps(value) if name in ("requests", "hunks", "evidence") and value is not None else value
            base.execute(f"UPDATE fixes SET {name} = ? WHERE id = ?", (stored, number))

    @contextmanager
    def _writing(self) -> Iterator[sqlite3.Connection]:
        """A transaction that is on the disk once the context ends well."""
        with self._lock:
            self._base.execute("BEGIN IMMEDIATE")
            try:
                yield self._base
            except BaseException:
                self._base.execute("ROLLBACK")
                raise
            self._base.execute("COMMIT")


def _fix(row: Sequence[Any]) -> Fix:
    values = dict(zip(_COLUMNS.split(", "), row))
    values["choices"] = tuple((int(number), bool(carried)) for number, carried in json.loads(values["choices"]))
    values.update({name: tuple(json.loads(values[name])) for name in ("requests", "hunks")})
    return Fix(**values)
