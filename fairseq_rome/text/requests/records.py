"""One request from a mapping of field names to values: which fields there are, and what each may hold.

The names are those of `EditRequest` (without `origin`), and two more: ``before``, another name of ``negative``;
and ``keep``, sources whose translation must stay as it is. ``probes`` and ``near`` hold sources, or mappings with
``source`` and if wanted ``target``; a ``before`` in these is passed over, since decoding tells it. Any other name is
an error, so that a slip of the pen is not lost in silence.
"""

from __future__ import annotations

from typing import Any, Dict, List, Mapping, NamedTuple, Sequence, Tuple

from fairseq_rome.errors import EditError
from fairseq_rome.text.requests.lines import check_text
from fairseq_rome.text.requests.request import EditRequest, Probe

ALIASES = {"before": "negative"}
REQUIRED = ("source", "target")
TEXT_FIELDS = (*REQUIRED, "negative", "trigger", "wanted", "unwanted", "task")
ID = "id"
LIST_FIELDS = ("contexts", "keep")
PROBE_FIELDS = ("probes", "near")
_OF_A_PROBE = ("source", "target", "before")
SETTINGS = "settings"


class Record(NamedTuple):
    """A request, and the sources that its record wants kept."""

    request: EditRequest
    keep: Tuple[str, ...]


def check_names(names: Sequence[str], allowed: Sequence[str], place: str) -> None:
    """Check the field names of a record or a table's header.

    Raises:
        EditError: A required name is missing, or one is neither among `allowed` nor one of the extra names.
    """
    known = (*allowed, *ALIASES)
    unknown = [str(name) for name in names if name not in known]
    if unknown:
        raise EditError(f"{place}: unknown field {unknown[0]!r}; known fields: {', '.join(known)}")
    missing = [name for name in REQUIRED if name not in names]
    if missing:
        raise EditError(f"{place}: no field {missing[0]!r}; expected at least {' and '.join(REQUIRED)}")


def parse_record(fields: Any, number: int, origin: str) -> Record:
    """Check one record and make a request of it.

    Args:
        fields: What the file holds at this place. A value of None stands for a field that is not there.
        number: The number of the request in its file, its id by default.
        origin: The place that messages name.

    Raises:
        EditError: A field is unknown, missing, given twice, of another type than expected, or blank.
    """
    if not isinstance(fields, Mapping):
        raise EditError(f"{origin}: {_kind(fields)}; expected a mapping of field names to values")
    present = {name: value for name, value in fields.items() if value is not None}
    check_names(list(present), (*TEXT_FIELDS, ID, *LIST_FIELDS, *PROBE_FIELDS, SETTINGS), origin)
    named = _by_own_name(present, origin)
    texts = {name: parse_text(named[name], name, origin) for name in TEXT_FIELDS if name in named}
    lists = {name: _texts(named.get(name, []), name, origin) for name in LIST_FIELDS}
    probes = {name: _probes(named.get(name, []), name, origin) for name in PROBE_FIELDS}
    request = EditRequest(
        **texts,
        contexts=lists["contexts"],
        probes=tuple(probes["probes"]),
        near=tuple(probe.source for probe in probes["near"]),
        id=_identifier(named.get(ID, number), origin),
        settings=_settings(named.get(SETTINGS, {}), origin),
        origin=origin,
    )
    return Record(request, lists["keep"])


def _by_own_name(fields: Mapping[str, Any], origin: str) -> Dict[str, Any]:
    named: Dict[str, Any] = {}
    for given, value in fields.items():
        name = ALIASES.get(given, given)
        if name in named:
            raise EditError(
                f"{origin}: field {name!r} is given twice, once as {given!r}; expected one of them"
            )
        named[name] = value
    return named


def parse_text(value: Any, name: str, origin: str) -> str:
    """Give `value` back if it is a text that is neither blank nor holds control characters.

    Raises:
        EditError: It is not.
    """
    if not isinstance(value, str):
        raise EditError(f"{origin}: field {name!r} is {_kind(value)}; expected text (YAML wants quotes)")
    return check_text(value, f"{origin}: field {name!r}")


def _texts(values: Any, name: str, origin: str) -> Tuple[str, ...]:
    if not isinstance(values, list):
        raise EditError(f"{origin}: field {name!r} is {_kind(values)}; expected a list of texts")
    return tuple(parse_text(value, f"{name}[{index}]", origin) for index, value in enumerate(values))


def _probes(values: Any, name: str, origin: str) -> List[Probe]:
    if not isinstance(values, list):
        raise EditError(
            f"{origin}: field {name!r} is {_kind(values)}; expected a list of sources, or of mappings with 'source'"
        )
    return [_probe(value, f"{name}[{index}]", origin) for index, value in enumerate(values)]


def _probe(value: Any, name: str, origin: str) -> Probe:
    if not isinstance(value, Mapping):
        return Probe(parse_text(value, name, origin))
    unknown = [str(key) for key in value if key not in _OF_A_PROBE]
    if unknown or "source" not in value:
        raise EditError(
            f"{origin}: field {name!r} has {unknown[0] if unknown else 'no source'!r}; "
            f"expected {', '.join(_OF_A_PROBE)}"
        )
    target = value.get("target")
    return Probe(
        parse_text(value["source"], f"{name}.source", origin),
        None if target is None else parse_text(target, f"{name}.target", origin),
    )


def _identifier(value: Any, origin: str) -> str:
    whole_number = isinstance(value, int) and not isinstance(value, bool)
    return str(value) if whole_number else parse_text(value, ID, origin)


def _settings(values: Any, origin: str) -> Dict[str, Any]:
    if not isinstance(values, Mapping):
        raise EditError(
            f"{origin}: field {SETTINGS!r} is {_kind(values)}; expected a mapping of names to values"
        )
    for name in values:
        parse_text(name, f"a name in {SETTINGS}", origin)
    return dict(values)


def _kind(value: Any) -> str:
    kinds = ((str, "text"), (bool, "true or false"), ((int, float), "a number"), (list, "a list"))
    named = next((name for kind, name in kinds if isinstance(value, kind)), None)
    return named or f"of type {type(value).__name__}"
