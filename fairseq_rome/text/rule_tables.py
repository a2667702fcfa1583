"""Tables of rules in files: tab-separated text with a header line, or YAML."""

from __future__ import annotations

from typing import Any, Iterator, Mapping, Sequence, Tuple

from fairseq_rome.errors import EditError
from fairseq_rome.text.output_rules import Rule
from fairseq_rome.text.requests.lines import Faults, LineError, Place, read_lines

ENDINGS = (".tsv", ".yaml", ".yml")
"""What the names of such files end in."""
_NEEDED, _COLUMNS = ("find", "replace"), ("find", "replace", "source", "id")
_FORM = f"expected a table of rules with {', '.join(_NEEDED)} and, if wanted, {', '.join(_COLUMNS[2:])}"


def is_rule_table(path: str) -> bool:
    """Whether a file is a table of rules by its name."""
    return path.endswith(ENDINGS)


def read_rules(path: str) -> Tuple[Rule, ...]:
    """The rules of a table, in their order.

    A line of tab-separated text that is empty or begins with `#` is left out.

    Raises:
        EditError: naming file and line, if it can't be read or a rule can't be.
    """
    rows = _tsv_rows(path) if path.endswith(".tsv") else _yaml_rows(path)
    rules = [_rule(fields, place) for fields, place in rows]
    if not rules:
        raise EditError(f"{path}: holds no rules, {_FORM}")
    return tuple(rules)


def rule_table(path: str, rules: Sequence[Rule]) -> str:
    """The text of a table of rules, by the name of its file."""
    rows = [{name: getattr(rule, name) for name in _COLUMNS} for rule in rules]
    if path.endswith(".tsv"):
        return "".join(_tsv_line(cells) for cells in (_COLUMNS, *(tuple(row.values()) for row in rows)))
    import yaml

    return str(yaml.safe_dump(rows, allow_unicode=True, sort_keys=False, width=10_000))


def _tsv_line(cells: Sequence[str]) -> str:
    for cell in cells:
        if "\t" in cell or "\n" in cell:
            raise EditError(f"{cell!r} holds a tab or the end of a line, which only a table in YAML can")
    return "\t".join(cells) + "\n"


def _rule(fields: Any, place: Place) -> Rule:
    if not isinstance(fields, dict) or not all(isinstance(value, str) for value in fields.values()):
        raise LineError(place, f"is no mapping of texts, {_FORM}")
    unknown = [name for name in fields if name not in _COLUMNS]
    missing = [name for name in _NEEDED if name not in fields]
    if unknown or missing:
        told = f"unknown name {unknown[0]!r}" if unknown else f"no {missing[0]!r}"
        raise LineError(place, f"{told}, {_FORM}")
    try:
        return Rule(**fields)
    except EditError as error:
        raise LineError(place, str(error)) from error


def _tsv_rows(path: str) -> Iterator[Tuple[Mapping[str, str], Place]]:
    lines = {number: text for number, text in read_lines(path, Faults()).texts.items() if text[:1] not in ("", "#")}
    if not lines:
        raise EditError(f"{path}: holds no rules, {_FORM}")
    (first, header), *rest = lines.items()
    names = header.split("\t")
    if not set(_NEEDED) <= set(names) <= set(_COLUMNS):
        raise LineError(Place(path, first), f"header {header!r}, {_FORM}")
    for number, text in rest:
        cells = text.split("\t")
        if len(cells) > len(names):
            raise LineError(Place(path, number), f"{len(cells)} cells, expected at most {len(names)}")
        yield dict(zip(names, cells)), Place(path, number)


def _yaml_rows(path: str) -> Iterator[Tuple[Any, Place]]:
    import yaml

    text = "\n".join(read_lines(path, Faults()).texts.values())
    try:
        root, content = yaml.compose(text, Loader=yaml.SafeLoader), yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise EditError(f"{path}: {' '.join(str(error).split())}, expected YAML") from error
    if not isinstance(content, list):
        raise EditError(f"{path}: is no list, {_FORM}")
    for node, fields in zip(root.value, content):
        yield fields, Place(path, node.start_mark.line + 1)
