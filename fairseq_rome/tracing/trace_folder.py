"""The folder that `fairseq-edit-locate` writes: arrays, heat maps and ranked sites, by request."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import List, Mapping, Sequence

import yaml

from fairseq_rome.errors import EditError
from fairseq_rome.tracing.causal_trace import CausalTrace
from fairseq_rome.tracing.ranking import RankedSite, site_list
from fairseq_rome.tracing.trace_files import save_trace, write_whole

SITES = "sites.yaml"
_LONGEST = 60


@dataclass(frozen=True)
class TraceFolder:
    """Where traces go.

    Args:
        path: the folder.
        stems: beginnings of the file names, by request id.
        arrays: format of the arrays (`locate.FORMATS`).
        images: format of the heat maps (`locate.figures.IMAGES`).
    """

    path: str
    stems: Mapping[str, str]
    arrays: str
    images: str

    @classmethod
    def made(cls, path: str, ids: Sequence[str], arrays: str, images: str, force: bool) -> TraceFolder:
        """Make the folder, unless it is there.

        Args:
            path: the folder.
            ids: of the requests, in their order.
            arrays: format of the arrays.
            images: format of the heat maps.
            force: allow files of these names to be there.

        Raises:
            EditError: if it can't be made or written to, or holds such files already.
        """
        stems = {name: stem(number, name, len(ids)) for number, name in enumerate(ids, start=1)}
        try:
            os.makedirs(path, exist_ok=True)
            there = sorted(os.listdir(path))
        except OSError as error:
            raise EditError(
                f"{path}: can't be used: {error.strerror or error}, expected a folder to write to"
            ) from error
        if not os.access(path, os.W_OK):
            raise EditError(f"{path}: is read-only, expected a folder to write to")
        for name in there:
            ours = any(name.startswith((f"{own}.", f"{own}-")) for own in stems.values())
            if (ours or name == SITES) and not force:
                raise EditError(f"{os.path.join(path, name)}: exists already; --force overwrites it")
        return cls(path, stems, arrays, images)

    def write(self, trace: CausalTrace) -> List[str]:
        """Write one trace, each file whole or not at all.

        Returns:
            The names of the files.

        Raises:
            EditError: if one can't be written.
        """
        from fairseq_rome.tracing.heat_maps import heat_map, image

        own = self.stems[trace.id]
        names = [f"{own}.{self.arrays}"]
        save_trace(trace, Path(self.path, names[0]))
        for effects in trace.stacks:
            names.append(f"{own}-{safe(effects.stack)}.{self.images}")
            write_whole(Path(self.path, names[-1]), image(heat_map(trace, effects.stack), self.images))
        return names

    def write_sites(self, ranked: Mapping[str, Sequence[RankedSite]]) -> None:
        """Write the ranked sites of all requests, as `fairseq-edit --site` takes them.

        Raises:
            EditError: if the file can't be written.
        """
        lists = {name: site_list(sites) for name, sites in ranked.items()}
        text = yaml.safe_dump(lists, allow_unicode=True, sort_keys=False, width=1000)
        write_whole(Path(self.path, SITES), text.encode())


def stem(number: int, name: str, total: int) -> str:
    """The beginning of a request's file names: its number keeps apart what is alike when it is made safe."""
    return f"{number:0{len(str(total))}d}-{safe(name)[:_LONGEST]}"


def safe(name: str) -> str:
    """A name with nothing in it that a file system could take for more than a letter."""
    return re.sub(r"[^A-Za-z0-9._-]+", "_", name)
