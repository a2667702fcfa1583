"""What is kept between runs in a cache folder: statistics of sites, and what unedited models say and visit."""

from __future__ import annotations

import os
import re
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import List, Tuple

from fairseq_rome.errors import EditError
from fairseq_rome.host.kept_file import Kept, KeptFile
from fairseq_rome.host.remembered import DECODINGS, STATES

# Runs with --model-overrides have a folder of their own in the folder.
_OF_OVERRIDES = re.compile(r"[0-9a-f]{16}")
_STATISTICS = re.compile(r".+-\d+-[0-9a-f]{16}\.safetensors")
# The endings of what SQLite has beside its file while it is open, and of the file itself, which goes last: what it has
# beside a new file must not be deleted.
_ENDS = ("-wal", "-shm", "-journal", "")


@dataclass(frozen=True)
class KeptFiles:
    """What a cache folder holds.

    Args:
        folder: the folder.
        statistics: files of statistics.
        decodings: files of decodings; those that SQLite has beside them are not named.
        states: files of the states that beam search visits; likewise.
        models: what the files of decodings hold of each model with its settings.
        sites: what the files of states hold of each model with its settings and of each site.
        unreadable: those files of decodings and of states that can't be read.
        size: bytes of all.
    """

    folder: str
    statistics: Tuple[str, ...]
    decodings: Tuple[str, ...]
    states: Tuple[str, ...]
    models: Tuple[Kept, ...]
    sites: Tuple[Kept, ...]
    unreadable: Tuple[str, ...]
    size: int

    @property
    def sentences(self) -> int:
        """How many decodings there are."""
        return sum(one.sentences for one in self.models)


def kept_files(folder: str) -> KeptFiles:
    """What a cache folder holds; a folder that there is not holds nothing.

    Raises:
        EditError: if it can't be read.
    """
    statistics: List[Path] = []
    decodings: List[Path] = []
    states: List[Path] = []
    for place in _places(folder):
        files = _listed(place)
        statistics += [path for path in files if _STATISTICS.fullmatch(path.name)]
        decodings += [path for path in files if path.name == DECODINGS]
        states += [path for path in files if path.name == STATES]
    held = {path: KeptFile(path, 0).held() for path in (*decodings, *states)}
    return KeptFiles(
        folder,
        tuple(map(str, statistics)),
        tuple(map(str, decodings)),
        tuple(map(str, states)),
        tuple(one for path in decodings for one in held[path] or ()),
        tuple(one for path in states for one in held[path] or ()),
        tuple(str(path) for path, found in held.items() if found is None),
        sum(_size(path) for path in (*statistics, *(one for path in held for one in _files(path)))),
    )


def clear_kept(found: KeptFiles) -> None:
    """Delete what a cache folder holds, and nothing else of it. A run that goes on meanwhile keeps its own.

    Raises:
        EditError: if a file can't be deleted.
    """
    files = (str(one) for path in (*found.decodings, *found.states) for one in _files(Path(path)))
    for name in (*found.statistics, *files):
        try:
            os.remove(name)
        except FileNotFoundError:
            continue
        except OSError as error:
            raise EditError(f"{name}: can't be deleted: {error.strerror}") from error


def _places(folder: str) -> List[Path]:
    """The folder, and those in it that runs with other settings of a model have; none where there is none."""
    place = Path(folder)
    if not os.path.exists(place):
        return []
    return [place, *(one for one in _listed(place) if _OF_OVERRIDES.fullmatch(one.name) and one.is_dir())]


def _listed(folder: Path) -> List[Path]:
    try:
        return sorted(folder.iterdir())
    except OSError as error:
        raise EditError(f"{folder}: can't be read: {error.strerror}, expected a cache folder") from error


def _files(path: Path) -> List[Path]:
    return [path.with_name(path.name + end) for end in _ENDS]


def _size(path: Path) -> int:
    with suppress(OSError):
        return path.stat().st_size
    return 0
