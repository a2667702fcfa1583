"""Edit files: parallel text by prefix, or TSV, JSONL and YAML by full file name.

Parallel text is ``PREF.SRC`` and ``PREF.TGT``, a request a line, and where they exist ``PREF.neg.TGT`` (the
unwanted outputs, a line a request), ``PREF.ctx.SRC`` (contexts for every request), ``PREF.keep.SRC`` (sources whose
translation must stay) and ``PREF.probe.SRC`` (held-out sources that judge). The other forms carry the fields of
`fairseq_rome.text.requests.records` by name: TSV under a header line, without quoting, an empty cell being no value;
JSONL an object a line; YAML a list of mappings, or a mapping with ``requests`` and, if wanted, ``keep``. Text in YAML
is taken as it stands: OmegaConf reads it but fills in nothing.
"""

from __future__ import annotations

import io
import json
import os
from typing import Any, Callable, Dict, Iterable, List, NoReturn, Sequence, Tuple

from fairseq_rome.errors import EditError
from fairseq_rome.text.requests.lines import at, check_text, read_text_lines
from fairseq_rome.text.requests.records import ID, TEXT_FIELDS, Record, check_names, parse_record, parse_text
from fairseq_rome.text.requests.request import EditFile, EditRequest

COMPANIONS = ("neg.", "ctx.", "keep.", "probe.")
"""What may stand between prefix and language in the names of parallel text."""

_YAML_FORM = "expected a list of requests, or 'requests' and if wanted 'keep'"


def read_edit_file(path: str, source_lang: str, target_lang: str) -> EditFile:
    """Read the requests of an edit file.

    Args:
        path: The prefix of parallel text, or the full name of a file whose name ends in ``.tsv``, ``.jsonl``,
            ``.yaml`` or ``.yml``.
        source_lang: Language code of the sources, the last part of parallel text's file names.
        target_lang: Language code of the targets.

    Raises:
        EditError: A file is missing or malformed, or requests contradict each other. The message names file
            and line and says what was expected.
    """
    reader = _READERS.get(os.path.splitext(path)[1].lower())
    if reader is None:
        edit_file = _read_parallel(path, source_lang, target_lang)
    elif os.path.exists(path):
        edit_file = reader(path)
    else:
        _raise_missing(path, os.path.splitext(path)[0], source_lang, target_lang)
    if not edit_file.requests:
        raise EditError(f"{at(path, 1)}: holds no request; expected at least one")
    _check_ids(edit_file.requests)
    _check_targets(edit_file.requests)
    return edit_file


def _read_parallel(prefix: str, source_lang: str, target_lang: str) -> EditFile:
    source_path, target_path = f"{prefix}.{source_lang}", f"{prefix}.{target_lang}"
    for path in (source_path, target_path):
        if not os.path.exists(path):
            _raise_missing(path, prefix, source_lang, target_lang)
    sources = _read_sentences(source_path)
    columns: Dict[str, List[str]] = {"source": sources, "target": _read_sentences(target_path)}
    _check_counts(source_path, sources, target_path, columns["target"])
    negative_path = f"{prefix}.neg.{target_lang}"
    if os.path.exists(negative_path):
        columns["negative"] = _read_sentences(negative_path)
        _check_counts(source_path, sources, negative_path, columns["negative"])
    contexts = tuple(_read_companion(f"{prefix}.ctx.{source_lang}"))
    requests = []
    for number, texts in enumerate(zip(*columns.values()), start=1):
        fields = dict(zip(columns, texts))
        origin = at(source_path, number)
        requests.append(EditRequest(**fields, contexts=contexts, id=str(number), origin=origin))
    keep, probes = (tuple(_read_companion(f"{prefix}.{name}.{source_lang}")) for name in ("keep", "probe"))
    return EditFile(tuple(requests), keep, probes)


def _read_sentences(path: str) -> List[str]:
    lines = read_text_lines(path)
    return [check_text(line, at(path, number)) for number, line in enumerate(lines, start=1)]


def _read_companion(path: str) -> List[str]:
    return _read_sentences(path) if os.path.exists(path) else []


def _check_counts(first: str, first_lines: Sequence[str], second: str, second_lines: Sequence[str]) -> None:
    if len(first_lines) == len(second_lines):
        return
    shorter = first if len(first_lines) < len(second_lines) else second
    place = at(shorter, min(len(first_lines), len(second_lines)) + 1)
    raise EditError(
        f"{place}: line missing: {first} has {len(first_lines)} lines, {second} has {len(second_lines)}; "
        "expected as many, a request a line"
    )


def _raise_missing(path: str, prefix: str, source_lang: str, target_lang: str) -> NoReturn:
    folder, name = os.path.split(prefix)
    if name.endswith((f".{source_lang}", f".{target_lang}")) and os.path.exists(prefix):
        raise EditError(f"{prefix}: is one side of parallel text, expected the name without its language")
    present = [entry for entry in sorted(_list_folder(folder or os.curdir)) if entry.startswith(f"{name}.")]
    raise EditError(
        f"{path}: no such file; expected, for {source_lang}-{target_lang}, parallel text "
        f"{prefix}.{source_lang} and {prefix}.{target_lang}, or the full name of a file in "
        f"{', '.join(_READERS)}; there: {', '.join(present) or f'nothing named {prefix}.*'}"
    )


def _list_folder(folder: str) -> List[str]:
    try:
        return os.listdir(folder)
    except OSError:
        return []  # the message about the missing file says enough


def _read_tsv(path: str) -> EditFile:
    header, *rows = read_text_lines(path)
    names = header.split("\t")
    check_names(names, (*TEXT_FIELDS, ID), at(path, 1))
    if len(set(names)) < len(names):
        raise EditError(f"{at(path, 1)}: a field is given twice; expected each once: {', '.join(names)}")
    records = []
    for number, row in enumerate(rows, start=1):
        place = at(path, number + 1)
        cells = check_text(row, place).split("\t")
        if len(cells) != len(names):
            raise EditError(f"{place}: {len(cells)} cells; expected {len(names)}, as in the header line")
        fields = {name: cell or None for name, cell in zip(names, cells)}
        records.append(parse_record(fields, number, place))
    return _join(records)


def _read_jsonl(path: str) -> EditFile:
    records = []
    for number, line in enumerate(read_text_lines(path), start=1):
        place = at(path, number)
        check_text(line, place)
        try:
            fields = json.loads(line, object_pairs_hook=_unique_fields)
        except json.JSONDecodeError as error:
            raise EditError(
                f"{at(place, error.colno)}: {error.msg}; expected one JSON object a line"
            ) from error
        except ValueError as error:
            raise EditError(f"{place}: {error}; expected one JSON object a line") from error
        records.append(parse_record(fields, number, place))
    return _join(records)


def _unique_fields(pairs: Iterable[Tuple[str, Any]]) -> Dict[str, Any]:
    fields: Dict[str, Any] = {}
    for name, value in pairs:
        if name in fields:
            raise ValueError(f"field {name!r} is given twice")
        fields[name] = value
    return fields


def _read_yaml(path: str) -> EditFile:
    text = "\n".join(read_text_lines(path))
    content, root = _parse_yaml(path, text)
    if isinstance(content, list):
        content, nodes = {"requests": content}, {"requests": root}
    else:
        nodes = {key.value: node for key, node in root.value}
    unknown = [name for name in nodes if name not in ("requests", "keep")]
    if unknown or "requests" not in nodes:
        found = f"unknown name {unknown[0]!r}" if unknown else "no 'requests'"
        raise EditError(f"{at(path, 1)}: {found}; {_YAML_FORM}")
    items = {name: _placed_items(content[name], name, nodes[name], path, text) for name in nodes}
    records = [
        parse_record(fields, number, place)
        for number, (fields, place) in enumerate(items["requests"], start=1)
    ]
    keep = [parse_text(value, "keep", place) for value, place in items.get("keep", [])]
    return _join(records, keep)


def _parse_yaml(path: str, text: str) -> Tuple[Any, Any]:
    """What OmegaConf reads in `text`, and PyYAML's node of it, which knows where things stand."""
    import yaml
    from omegaconf import OmegaConf
    from omegaconf.errors import OmegaConfBaseException

    try:
        root = yaml.compose(text, Loader=yaml.SafeLoader)
        if not isinstance(root, yaml.CollectionNode):
            raise EditError(f"{at(path, 1)}: no list; {_YAML_FORM}")
        return OmegaConf.to_container(OmegaConf.load(io.StringIO(text)), resolve=False), root
    except yaml.MarkedYAMLError as error:
        line = _line_of(error.problem_mark.index, text)
        raise EditError(f"{at(path, line)}: {error.problem}; expected YAML") from error
    except yaml.reader.ReaderError as error:
        line = _line_of(error.position, text)
        raise EditError(f"{at(path, line)}: {error.reason}; expected YAML") from error
    except OmegaConfBaseException as error:
        reason = str(error).splitlines()[0]
        raise EditError(f"{at(path, 1)}: {error.full_key}: {reason}; expected YAML for OmegaConf") from error


def _placed_items(values: Any, name: str, node: Any, path: str, text: str) -> List[Tuple[Any, str]]:
    if not isinstance(values, list):
        line = _line_of(node.start_mark.index, text)
        raise EditError(f"{at(path, line)}: {name!r} is no list; expected a list")
    return [
        (value, at(path, _line_of(item.start_mark.index, text))) for value, item in zip(values, node.value)
    ]


def _line_of(index: int, text: str) -> int:
    return text.count("\n", 0, index) + 1  # PyYAML's own count takes U+2028 and U+2029 for line ends


def _join(records: Sequence[Record], keep: Sequence[str] = ()) -> EditFile:
    requested = (text for record in records for text in record.keep)
    return EditFile(tuple(record.request for record in records), tuple(dict.fromkeys((*keep, *requested))))


def _check_ids(requests: Sequence[EditRequest]) -> None:
    first: Dict[str, EditRequest] = {}
    for request in requests:
        known = first.setdefault(request.id, request)
        if known is not request:
            raise EditError(
                f"{request.origin}: id {request.id!r} is that of {known.origin}; expected an id of its own"
            )


def _check_targets(requests: Sequence[EditRequest]) -> None:
    """One source may have two targets only where each request names another segment as the unwanted one."""
    by_source: Dict[str, List[EditRequest]] = {}
    for request in requests:
        others = by_source.setdefault(request.source, [])
        for other in others:
            apart = request.unwanted and other.unwanted and request.unwanted != other.unwanted
            if request.target != other.target and not apart:
                raise EditError(
                    f"{request.origin}: the source of {other.origin} again with another target; expected one "
                    "target, or different 'unwanted' segments"
                )
        others.append(request)


_READERS: Dict[str, Callable[[str], EditFile]] = {
    ".tsv": _read_tsv,
    ".jsonl": _read_jsonl,
    ".yaml": _read_yaml,
    ".yml": _read_yaml,
}
