"""Parallel text: ``PREF.SRC`` and ``PREF.TGT``, a request a line, with companions beside them.

Companions are ``PREF.neg.TGT`` (the unwanted outputs, a line a request), ``PREF.ctx.SRC`` (contexts for every
request), ``PREF.keep.SRC`` (sources whose translation must stay) and ``PREF.probe.SRC`` (held-out sources that judge).
`markup` says how words are marked in the lines of a request.
"""

from __future__ import annotations

import os
from typing import Dict, List, Mapping, NamedTuple, NoReturn, Sequence, Tuple

from fairseq_rome.text.requests.lines import Faults, LineError, Lines, Place, read_sentences
from fairseq_rome.text.requests.markup import AUTO, NONE, Line, unmarked
from fairseq_rome.text.requests.named_hunks import NamedHunk
from fairseq_rome.text.requests.placed import PlacedFile, Record, Sentence
from fairseq_rome.text.requests.request import EditRequest

COMPANIONS = ("neg.", "ctx.", "keep.", "probe.")
"""What may stand between prefix and language in the names of parallel text."""

RECORD_ENDINGS = (".tsv", ".jsonl", ".yaml", ".yml")
"""Endings of the names of edit files that are no parallel text."""

_NOTHING = Lines({}, 0)
_BY_MARK = "[[ ]] (which --edit-markup none takes as text)"
_MARKED = (
    "{path}: {count} words marked with [[ ]], and the brackets were taken off; --edit-markup none takes brackets as "
    "text"
)


class _Column(NamedTuple):
    """One side of the requests.

    Attributes:
        texts: by line number, as in `Lines`.
        total: how many lines the file has.
        marked: the words that are marked, by line number.
    """

    texts: Mapping[int, str]
    total: int
    marked: Mapping[int, str]


def read_parallel(
    prefix: str, source_lang: str, target_lang: str, faults: Faults, markup: str = AUTO
) -> PlacedFile:
    """Read parallel text with its companions.

    Args:
        prefix: of the names of its files.
        source_lang: language code of the sources.
        target_lang: language code of the targets.
        faults: takes each fault.
        markup: one of `MARKUP`.

    Raises:
        LineError: one of the two sides is missing; or the first fault, if `faults` stops there.
    """
    paths = {"source": f"{prefix}.{source_lang}", "target": f"{prefix}.{target_lang}"}
    for path in paths.values():
        if not os.path.exists(path):
            raise_missing(path, prefix, source_lang, target_lang)
    negative_path = f"{prefix}.neg.{target_lang}"
    if os.path.exists(negative_path):
        paths["negative"] = negative_path
    columns: Dict[str, _Column] = {"negative": _Column({}, 0, {})}
    for name, path in paths.items():
        columns[name] = _column(path, faults, markup)
        _check_counts(paths["source"], columns["source"].total, path, columns[name].total, faults)
    contexts, keep, probes = (
        _companion(f"{prefix}.{name}.{source_lang}", faults) for name in ("ctx", "keep", "probe")
    )
    marked = {number for column in columns.values() for number in column.marked}
    count = "1 request has" if len(marked) == 1 else f"{len(marked)} requests have"
    notes = (_MARKED.format(path=prefix, count=count),) if marked else ()
    return PlacedFile(_records(paths["source"], columns, contexts), contexts, keep, probes, notes)


def _records(path: str, columns: Mapping[str, _Column], contexts: Sequence[Sentence]) -> Tuple[Record, ...]:
    """A request for each line that has no fault on any side."""
    pool = tuple(sentence.text for sentence in contexts)
    source, target, negative = (columns[name].texts for name in ("source", "target", "negative"))
    segments = {"trigger": "source", "wanted": "target", "unwanted": "negative"}
    records: List[Record] = []
    for number in source:
        if number not in target or (negative and number not in negative):
            continue
        place = Place(path, number)
        named = {name: columns[side].marked.get(number) for name, side in segments.items()}
        hunk = NamedHunk(named["unwanted"] or "", named["wanted"] or "", named["trigger"], name=_BY_MARK)
        request = EditRequest(
            source[number], target[number], negative.get(number), named["trigger"],
            contexts=pool, id=str(number), origin=str(place), hunks=(hunk,) if hunk.unwanted or hunk.wanted else (),
        )  # fmt: skip
        records.append(Record(request, place))
    return tuple(records)


def _column(path: str, faults: Faults, markup: str) -> _Column:
    """The lines of one side of the requests, without their marks."""
    lines = _read(path, faults)
    read: Dict[int, Line] = {}
    for number, text in lines.texts.items():
        with faults.kept():
            read[number] = Line(text) if markup == NONE else unmarked(text, Place(path, number))
    texts = {number: line.text for number, line in read.items()}
    return _Column(texts, lines.total, {number: line.marked for number, line in read.items() if line.marked})


def _read(path: str, faults: Faults) -> Lines:
    """The sentences of a file; no line where the whole file is at fault."""
    with faults.kept():
        return read_sentences(path, faults)
    return _NOTHING


def _companion(path: str, faults: Faults) -> Tuple[Sentence, ...]:
    lines = _read(path, faults) if os.path.exists(path) else _NOTHING
    return tuple(Sentence(text, Place(path, number)) for number, text in lines.texts.items())


def _check_counts(first: str, first_count: int, second: str, second_count: int, faults: Faults) -> None:
    # A file without lines is a fault of its own.
    if first_count == second_count or not first_count or not second_count:
        return
    place = Place(first if first_count < second_count else second, min(first_count, second_count) + 1)
    faults.add(
        LineError(
            place,
            f"line missing: {first} has {first_count} lines, {second} has {second_count}; "
            "expected as many in both, a line for each request",
        )
    )


def raise_missing(path: str, prefix: str, source_lang: str, target_lang: str) -> NoReturn:
    """Refuse an edit file that is not there, and name what is there.

    Raises:
        LineError: in any case.
    """
    folder, name = os.path.split(prefix)
    if name.endswith((f".{source_lang}", f".{target_lang}")) and os.path.exists(prefix):
        raise LineError(Place(prefix), "is one side of parallel text, expected the name without its language")
    present = [entry for entry in sorted(_list_folder(folder or os.curdir)) if entry.startswith(f"{name}.")]
    raise LineError(
        Place(path),
        f"no such file; expected, for {source_lang}-{target_lang}, parallel text "
        f"{prefix}.{source_lang} and {prefix}.{target_lang}, or the full name of a file in "
        f"{', '.join(RECORD_ENDINGS)}; there: {', '.join(present) or f'nothing named {prefix}.*'}",
    )


def _list_folder(folder: str) -> List[str]:
    try:
        return os.listdir(folder)
    except OSError:
        return []  # the message about the missing file says enough
