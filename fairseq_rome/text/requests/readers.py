"""Edit files: parallel text by its prefix, or TSV, JSONL and YAML by the full name of the file.

The modules `parallel_text`, `record_files` and `yaml_files` read one form each; `records` knows the fields that TSV,
JSONL and YAML share.
"""

from __future__ import annotations

import os
from typing import Callable, Dict, Sequence, Tuple

from fairseq_rome.errors import EditError
from fairseq_rome.text.requests.lines import Faults, LineError, Place
from fairseq_rome.text.requests.markup import AUTO
from fairseq_rome.text.requests.named_hunks import check_named
from fairseq_rome.text.requests.parallel_text import raise_missing, read_parallel
from fairseq_rome.text.requests.placed import PlacedFile, Record
from fairseq_rome.text.requests.record_files import read_jsonl, read_tsv
from fairseq_rome.text.requests.request import EditFile
from fairseq_rome.text.requests.same_source import with_two_targets
from fairseq_rome.text.requests.yaml_files import read_yaml


def read_edit_file(path: str, source_lang: str, target_lang: str, markup: str = AUTO) -> EditFile:
    """Read the requests of an edit file.

    Args:
        path: the prefix of parallel text, or the full name of a file whose name ends in ``.tsv``, ``.jsonl``,
            ``.yaml`` or ``.yml``.
        source_lang: language code of the sources, the last part of parallel text's file names.
        target_lang: language code of the targets.
        markup: whether `[[words]]` are marks in parallel text: ``auto``; or ``none``, where brackets are text.

    Raises:
        EditError: a file is missing or malformed, or requests contradict each other. The message names file
            and line of the first fault and says what was expected.
    """
    return read_placed(path, source_lang, target_lang, Faults(), markup).edit_file()


def read_placed(
    path: str, source_lang: str, target_lang: str, faults: Faults, markup: str = AUTO
) -> PlacedFile:
    """Read an edit file and the places of its parts.

    Args:
        path: as for `read_edit_file`.
        source_lang: language code of the sources.
        target_lang: language code of the targets.
        faults: takes each fault. Where it keeps them, what is at fault is left out of the result.
        markup: as for `read_edit_file`.

    Raises:
        LineError: the file cannot be read at all; or the first fault, if `faults` stops there.
    """
    base, ending = os.path.splitext(path)
    read = _READERS.get(ending.lower())
    if read is None:
        placed = read_parallel(path, source_lang, target_lang, faults, markup)
    elif os.path.exists(path):
        placed = read(path, (source_lang, target_lang), faults)
    else:
        raise_missing(path, base, source_lang, target_lang)
    if not placed.records and not faults.found:
        why = "".join(f" ({note[len(path) + 2 :]})" for note in placed.notes)
        raise LineError(Place(path, 1), f"holds no request; expected at least one{why}")
    _check_ids(placed.records, faults)
    _check_hunks(placed.records, faults)
    _check_targets(placed.records, faults)
    return placed


def _check_ids(records: Sequence[Record], faults: Faults) -> None:
    first: Dict[str, Record] = {}
    for record in records:
        known = first.setdefault(record.request.id, record)
        if known is not record:
            problem = f"id {record.request.id!r} is that of {known.place}; expected an id of its own"
            faults.add(LineError(record.place, problem))


def _check_hunks(records: Sequence[Record], faults: Faults) -> None:
    """Hunks of a request that names its unwanted output; of another one the model has to be asked."""
    for request, place, _ in records:
        if request.negative is not None:
            try:
                check_named(request.hunks, request.negative, request.target)
            except EditError as error:
                faults.add(LineError(place, str(error)))


def _check_targets(records: Sequence[Record], faults: Faults) -> None:
    for index, problem in with_two_targets([record.request for record in records]):
        faults.add(LineError(records[index].place, problem))


_READERS: Dict[str, Callable[[str, Tuple[str, str], Faults], PlacedFile]] = {
    ".tsv": read_tsv,
    ".jsonl": read_jsonl,
    ".yaml": read_yaml,
    ".yml": read_yaml,
}
