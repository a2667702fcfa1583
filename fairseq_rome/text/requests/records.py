"""One request from a mapping of field names to values: which fields there are, and what each may hold.

The names are those of `EditRequest` (without `origin`), and two more: ``before``, another name of ``negative``;
and ``keep``, sources whose translation must stay as it is. ``probes`` and ``near`` hold sources, or mappings with
``source`` and, if wanted, ``target``; a ``before`` in these is ignored, since decoding finds it out. ``hunks`` holds
mappings with the fields of `NamedHunk`. Any other name is an error, so that a misspelt field is not lost in silence.
"""

from __future__ import annotations

from typing import Any, Callable, Dict, List, Mapping, Optional, Sequence, Tuple, TypeVar

from fairseq_rome.errors import EditError
from fairseq_rome.text.requests.lines import Faults, LineError, Place, check_text
from fairseq_rome.text.requests.named_hunks import NamedHunk
from fairseq_rome.text.requests.placed import Record
from fairseq_rome.text.requests.request import SEGMENTS, EditRequest, Probe

ALIASES = {"before": "negative"}
REQUIRED = ("source", "target")
TEXT_FIELDS = (*REQUIRED, "negative", *SEGMENTS, "task")
ID = "id"
LIST_FIELDS = ("contexts", "keep")
PROBE_FIELDS = ("probes", "near")
_OF_A_PROBE = ("source", "target", "before")
SETTINGS = "settings"
HUNKS = "hunks"
_CARRY = "carry"

Item = TypeVar("Item")


def check_names(names: Sequence[str], allowed: Sequence[str], place: Place, faults: Faults) -> None:
    """Check the field names of a record or of a table's header.

    A fault is a name that is neither among `allowed` nor another name of one of them, and a required name that is
    missing.
    """
    known = (*allowed, *ALIASES)
    for name in names:
        if name not in known:
            faults.add(LineError(place, f"unknown field {str(name)!r}; known fields: {', '.join(known)}"))
    for name in REQUIRED:
        if name not in names:
            faults.add(LineError(place, f"no field {name!r}; expected at least {' and '.join(REQUIRED)}"))


def parse_record(fields: Any, number: int, place: Place, faults: Faults) -> Optional[Record]:
    """Check one record and make a request of it.

    Args:
        fields: what the file holds at this place. A value of None stands for a field that is not there.
        number: the number of the request in its file, its id by default.
        place: where the record stands.
        faults: takes fields that are unknown, missing, given twice, blank, or of another type than expected.

    Returns:
        The request; None if it has a fault.
    """
    faults_before = len(faults.found)
    if not isinstance(fields, Mapping):
        faults.add(LineError(place, f"{_kind(fields)}; expected a mapping of field names to values"))
        return None
    present = {name: value for name, value in fields.items() if value is not None}
    check_names(list(present), tuple(_PARSERS), place, faults)
    named = {ID: number, **_by_own_name(present, place, faults)}
    values: Dict[str, Any] = {}
    for name, parse in _PARSERS.items():
        if name in named:
            with faults.kept():
                values[name] = parse(named[name], name, place, faults)
    if len(faults.found) > faults_before:
        return None
    keep = values.pop("keep", ())
    near = tuple(probe.source for probe in values.pop("near", ()))
    try:
        return Record(EditRequest(**values, near=near, origin=str(place)), place, keep)
    except EditError as error:  # of hunks, which are right one by one
        faults.add(LineError(place, str(error)))
        return None


def to_fields(request: EditRequest) -> Dict[str, Any]:
    """The fields of a request as a record of JSONL or YAML holds them; what is not set is left out."""
    probes = [
        {"source": probe.source, **({} if probe.target is None else {"target": probe.target})}
        for probe in request.probes
    ]
    hunks = [
        {**{name: getattr(one, name) for name in SEGMENTS if getattr(one, name)}, _CARRY: one.carry}
        for one in request.hunks
    ]
    lists = {"contexts": list(request.contexts), "probes": probes, "near": list(request.near), HUNKS: hunks}
    fields = {name: getattr(request, name) for name in (ID, "task", *REQUIRED, "negative", *SEGMENTS)}
    fields.update(lists, settings=dict(request.settings))
    return {name: value for name, value in fields.items() if value}


def _by_own_name(fields: Mapping[str, Any], place: Place, faults: Faults) -> Dict[str, Any]:
    named: Dict[str, Any] = {}
    for given, value in fields.items():
        name = ALIASES.get(given, given)
        if name in named:
            problem = f"field {name!r} is given twice, once as {given!r}; expected one of them"
            faults.add(LineError(place, problem))
        named[name] = value
    return named


def parse_text(value: Any, name: str, place: Place) -> str:
    """Give `value` back if it is a text that is neither blank nor holds control characters.

    Raises:
        LineError: it is not.
    """
    if not isinstance(value, str):
        raise LineError(place, f"field {name!r} is {_kind(value)}; expected text (put it in quotes in YAML)")
    return check_text(value, place, name)


def _text(value: Any, name: str, place: Place, _: Faults) -> str:
    return parse_text(value, name, place)


def _several(
    values: Any, name: str, place: Place, faults: Faults, parse: Callable[[Any, str, Place], Item], expected: str
) -> Tuple[Item, ...]:
    """What `parse` makes of each item of a list; items with a fault are left out.

    Raises:
        LineError: there is no list; or the first fault, if `faults` stops there.
    """
    if not isinstance(values, list):
        raise LineError(place, f"field {name!r} is {_kind(values)}; {expected}")
    found: List[Item] = []
    for index, value in enumerate(values):
        with faults.kept():
            found.append(parse(value, f"{name}[{index}]", place))
    return tuple(found)


def _texts(values: Any, name: str, place: Place, faults: Faults) -> Tuple[str, ...]:
    return _several(values, name, place, faults, parse_text, "expected a list of texts")


def _probes(values: Any, name: str, place: Place, faults: Faults) -> Tuple[Probe, ...]:
    return _several(values, name, place, faults, _probe, "expected a list of sources, or of mappings with 'source'")


def _probe(value: Any, name: str, place: Place) -> Probe:
    if not isinstance(value, Mapping):
        return Probe(parse_text(value, name, place))
    unknown = [str(key) for key in value if key not in _OF_A_PROBE]
    if unknown or "source" not in value:
        problem = f"has the unknown name {unknown[0]!r}" if unknown else "has no 'source'"
        raise LineError(place, f"field {name!r} {problem}; expected {', '.join(_OF_A_PROBE)}")
    target = value.get("target")
    return Probe(
        parse_text(value["source"], f"{name}.source", place),
        None if target is None else parse_text(target, f"{name}.target", place),
    )


def _hunks(values: Any, name: str, place: Place, faults: Faults) -> Tuple[NamedHunk, ...]:
    expected = f"expected a list of mappings with 'unwanted', 'wanted', 'trigger' and {_CARRY!r}"
    return _several(values, name, place, faults, _hunk, expected)


def _hunk(value: Any, name: str, place: Place) -> NamedHunk:
    names = (*SEGMENTS, _CARRY)
    if not isinstance(value, Mapping):
        raise LineError(place, f"field {name!r} is {_kind(value)}; expected a mapping with some of {', '.join(names)}")
    unknown = [str(key) for key in value if key not in names]
    if unknown:
        raise LineError(place, f"field {name!r} has the unknown name {unknown[0]!r}; expected {', '.join(names)}")
    carry = value.get(_CARRY, True)
    if not isinstance(carry, bool):
        raise LineError(place, f"field '{name}.{_CARRY}' is {_kind(carry)}; expected true or false")
    given = {one: value[one] for one in SEGMENTS if value.get(one) is not None}
    segments = {one: parse_text(text, f"{name}.{one}", place) for one, text in given.items()}
    return NamedHunk(**segments, carry=carry, name=f"field {name!r}")


def _identifier(value: Any, name: str, place: Place, _: Faults) -> str:
    whole_number = isinstance(value, int) and not isinstance(value, bool)
    return str(value) if whole_number else parse_text(value, name, place)


def _settings(values: Any, name: str, place: Place, _: Faults) -> Dict[str, Any]:
    if not isinstance(values, Mapping):
        raise LineError(place, f"field {name!r} is {_kind(values)}; expected a mapping of names to values")
    for key in values:
        if not isinstance(key, str) or not key.strip() or not key.isprintable():
            raise LineError(place, f"field {name!r} has the name {key!r}; expected names that are text")
    return dict(values)


def _kind(value: Any) -> str:
    kinds = ((str, "text"), (bool, "true or false"), ((int, float), "a number"), (list, "a list"))
    named = next((name for kind, name in kinds if isinstance(value, kind)), None)
    return named or f"of type {type(value).__name__}"


_PARSERS: Dict[str, Callable[[Any, str, Place, Faults], Any]] = {
    **dict.fromkeys(TEXT_FIELDS, _text),
    ID: _identifier,
    **dict.fromkeys(LIST_FIELDS, _texts),
    **dict.fromkeys(PROBE_FIELDS, _probes),
    HUNKS: _hunks,
    SETTINGS: _settings,
}
"""What checks and converts the value of each field."""
