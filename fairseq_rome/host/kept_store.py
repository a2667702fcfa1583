"""Rows of bytes that a run remembers: the last that were used in memory, and all in a file if there is a folder."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass, field
from pathlib import Path
from typing import Dict, Mapping, Optional, Sequence

from fairseq_rome.host.kept_file import KeptFile

# Bytes that a row takes in memory besides its content.
_OVERHEAD = 200


@dataclass
class KeptStore:
    """Rows by key, in memory and in a file.

    Args:
        folder: of the file; None for memory alone.
        name: of the file in it.
        most: bytes at most, of each of both; the rows that were used least recently go.
    """

    folder: Optional[str]
    name: str
    most: int
    _recent: OrderedDict[bytes, bytes] = field(default_factory=OrderedDict, repr=False)
    _bytes: int = 0

    @property
    def _file(self) -> Optional[KeptFile]:
        return None if self.folder is None else KeptFile(Path(self.folder) / self.name, self.most)

    def find(self, keys: Sequence[bytes]) -> Dict[bytes, bytes]:
        """Those of some keys that are remembered."""
        found = {key: self._recent[key] for key in keys if key in self._recent}
        missing = [key for key in keys if key not in found]
        if missing and self._file:
            found.update(self._file.find(missing))
        self._note(found)
        return found

    def keep(self, model: str, told: str, rows: Mapping[bytes, bytes]) -> None:
        """Remember some rows; arguments as for `KeptFile.keep`."""
        self._note(rows)
        if self._file:
            self._file.keep(model, told, rows)

    def _note(self, rows: Mapping[bytes, bytes]) -> None:
        for key, one in rows.items():
            if key in self._recent:
                self._bytes -= _OVERHEAD + len(self._recent[key])
            self._bytes += _OVERHEAD + len(one)
            self._recent[key] = one
            self._recent.move_to_end(key)
        while self._bytes > self.most:
            self._bytes -= _OVERHEAD + len(self._recent.popitem(last=False)[1])
