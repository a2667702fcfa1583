"""Bodies of requests: JSON, or a form as LibreTranslate's clients send it."""

from __future__ import annotations

import json
from typing import Any, Dict, List, Optional, Sequence, Type, TypeVar
from urllib.parse import parse_qs

from pydantic import BaseModel, ValidationError
from starlette.requests import Request

from fairseq_rome.server.guard import TooLarge, may_change
from fairseq_rome.server.server_spec import Limits
from fairseq_rome.text.requests.lines import LineError, Place, check_text

B = TypeVar("B", bound=BaseModel)

_JSON, _FORM = "application/json", "application/x-www-form-urlencoded"


class BadRequest(Exception):
    """A request that can't be answered.

    Args:
        status: of HTTP.
        text: what is wrong, and what was expected.
    """

    def __init__(self, status: int, text: str) -> None:
        super().__init__(text)
        self.status, self.text = status, text


async def body_of(request: Request, kind: Type[B], form: bool = False) -> B:
    """The checked body of a request.

    Args:
        request: the request.
        kind: what it is to be.
        form: whether a form is taken too.

    Raises:
        BadRequest: for a body that it can't be.
        TooLarge: for one of too many bytes.
    """
    sent = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if sent != _JSON and not (form and sent == _FORM):
        expected = f"{_JSON} or {_FORM}" if form else _JSON
        raise BadRequest(415, f"content-type is {sent[:50] or 'missing'!r}, expected {expected}")
    try:
        text = (await request.body()).decode("utf-8")
        values = json.loads(text) if sent == _JSON else _of_form(text)
    except TooLarge:
        raise
    except RecursionError:
        raise BadRequest(400, "the body is nested too deep, expected an object of JSON") from None
    except ValueError as error:
        raise BadRequest(400, f"the body can't be read, expected {sent} in UTF-8") from error
    if not isinstance(values, dict):
        raise BadRequest(400, "the body is no object of JSON, expected one")
    try:
        return kind.model_validate(values)
    except ValidationError as error:
        raise BadRequest(400, first_fault(error.errors())) from None


def checked_text(text: str, name: str, limits: Limits) -> str:
    """A sentence that may be translated or wanted, without blanks around.

    Raises:
        BadRequest: if it is empty, too long, of several lines, or holds control characters.
    """
    if len(text) > limits.characters:
        raise BadRequest(413, f"{name!r} has {len(text)} characters, expected at most {limits.characters}")
    try:
        return check_text(text.strip(), Place("request", 1), name)
    except LineError as error:
        raise BadRequest(400, error.problem) from None


def authorise(request: Request, token: Optional[str], key: str = "") -> None:
    """Refuse what changes something where a token is wanted and not shown.

    Args:
        request: the request.
        token: that is wanted; None for none.
        key: what the client shows where it sends no header, as LibreTranslate's do.

    Raises:
        BadRequest: if it is missing or wrong.
    """
    scheme, _, shown = request.headers.get("authorization", "").partition(" ")
    given = shown.strip() if scheme.lower() == "bearer" else key
    if not may_change(token, given):
        raise BadRequest(401, "the token is missing or wrong, expected the header Authorization: Bearer TOKEN")


def taken(kind: Type[BaseModel], form: bool = False) -> Dict[str, Any]:
    """How OpenAPI describes a body that a route reads itself; arguments as for `body_of`."""
    schema = {"schema": kind.model_json_schema()}
    kinds = {_JSON: schema, **({_FORM: schema} if form else {})}
    return {"requestBody": {"required": True, "content": kinds}}


def _of_form(text: str) -> Dict[str, Any]:
    """The fields of a form; one that is given several times is a list."""
    fields: Dict[str, List[str]] = parse_qs(text, keep_blank_values=True, max_num_fields=1000, errors="strict")
    return {name: values[0] if len(values) == 1 else values for name, values in fields.items()}


def first_fault(faults: Sequence[Any]) -> str:
    """The first of pydantic's faults, with the name of its field, without what was sent."""
    fault = faults[0]
    return f"{'.'.join(map(str, fault['loc'])) or 'body'}: {str(fault['msg']).lower()}"
