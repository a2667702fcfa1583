"""The traces of an edit file, whole: read, open, trace each request, write."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import Callable, Dict, Iterator, List, Tuple, Union

from fairseq_rome.errors import EditError
from fairseq_rome.host.decoding import Progress, silent
from fairseq_rome.text.requests import EditFile, EditRequest, read_edit_file
from fairseq_rome.text.requests.markup import AUTO
from fairseq_rome.tracing import CausalTrace, LocateSettings, RankedSite, ranked_sites
from fairseq_rome.tracing.trace_folder import TraceFolder
from fairseq_rome.workbench.notes import notes_on
from fairseq_rome.workbench.opening import open_model
from fairseq_rome.workbench.specs import ModelSpec
from fairseq_rome.workbench.workbench import Workbench


@dataclass(frozen=True)
class LocateSpec:
    """What one run of tracing is asked for.

    Args:
        model: what to trace.
        edit_pref: the edit file.
        settings: of the trace.
        folder: where arrays and heat maps go.
        arrays: format of the arrays.
        images: format of the heat maps.
        force: whether files of an earlier run are replaced.
        markup: how the edit file is read, as for `read_edit_file`.
    """

    model: ModelSpec
    edit_pref: str
    settings: LocateSettings
    folder: str
    arrays: str
    images: str
    force: bool
    markup: str = AUTO


@dataclass(frozen=True)
class Traced:
    """One request that was traced.

    Args:
        trace: what was found.
        said: what the model says.
        ranked: the sites, the largest effect first.
        files: names of the files that were written.
        seconds: wall time.
    """

    trace: CausalTrace
    said: str
    ranked: Tuple[RankedSite, ...]
    files: Tuple[str, ...]
    seconds: float


@dataclass(frozen=True)
class NotTraced:
    """One request that could not be traced, and why."""

    id: str
    reason: str


@dataclass
class LocateJob:
    """Traces requests one by one, and keeps the ranked sites of those that could be traced.

    Args:
        spec: what is asked for.
        progress: wraps long loops.
        note: is told what is to be known of the edit file, a sentence each.
        ranked: by request id, filled on the way.
        requests: how many requests there are, known once the first is done.
    """

    spec: LocateSpec
    progress: Progress = silent
    note: Callable[[str], None] = lambda text: None
    ranked: Dict[str, List[RankedSite]] = field(default_factory=dict)
    requests: int = 0

    def run(self) -> Iterator[Union[Traced, NotTraced]]:
        """Give a `Traced` or a `NotTraced` for each request, its files written; the ranked sites are written last.

        Raises:
            EditError: for whatever a user can put right.
        """
        spec = self.spec
        values = spec.model.options.values
        languages = [code for code in (values["source_lang"], values["target_lang"]) if code]
        # A slip in the edit file is told before the checkpoint is opened, unless the languages are still to be found.
        edit_file = self._read(*languages) if len(languages) == 2 else None
        bench = Workbench(open_model(spec.model, self.progress))
        edit_file = bench.check_requests(edit_file or self._read(*bench.languages))
        for text in notes_on(edit_file, bench.model.translator.codec):
            self.note(text)
        names = [request.id for request in edit_file.requests]
        folder = TraceFolder.made(spec.folder, names, spec.arrays, spec.images, spec.force)
        self.requests = len(names)
        for request in edit_file.requests:
            yield self._traced(bench, request, folder)
        if self.ranked:
            folder.write_sites(self.ranked)

    def _read(self, source_lang: str, target_lang: str) -> EditFile:
        return read_edit_file(self.spec.edit_pref, source_lang, target_lang, self.spec.markup)

    def _traced(self, bench: Workbench, request: EditRequest, folder: TraceFolder) -> Union[Traced, NotTraced]:
        started = time.perf_counter()
        try:
            trace, said = bench.traced(request, self.spec.settings)
        except EditError as error:
            return NotTraced(request.id, str(error))
        files = folder.write(trace)
        ranked = self.ranked[request.id] = ranked_sites(trace)
        return Traced(trace, said, tuple(ranked), tuple(files), time.perf_counter() - started)
