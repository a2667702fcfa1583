"""Requests that a server must refuse: status and message of each, and markup that is text to it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Dict, Iterator, NamedTuple

import pytest
from server_runs import Server, serving

pytest.importorskip("fastapi", reason="the server needs the extra serve")
pytest.importorskip("uvicorn", reason="the server needs the extra serve")

TOKEN = "correct-horse-battery"
OK = {"authorization": f"Bearer {TOKEN}"}
FORM = {"content-type": "application/x-www-form-urlencoded"}
SAID = {"source": "en", "target": "de"}


class Bad(NamedTuple):
    """A request, and what must come of it."""

    name: str
    status: int
    part: str
    method: str = "POST"
    path: str = "/translate"
    body: Any = None
    headers: Dict[str, str] = {}
    raw: bytes = b""


BAD = [
    Bad("no body", 400, "can't be read", raw=b""),
    Bad("no JSON", 400, "can't be read", raw=b"{q:"),
    Bad("no object", 400, "no object", body=[1, 2]),
    Bad("not UTF-8", 400, "can't be read", raw=b'{"q": "\xff"}'),
    Bad("nested", 400, "nested too deep", raw=b"[" * 100_000),
    Bad("no text", 400, "q: field required", body=SAID),
    Bad("text that is a number", 400, "q", body={**SAID, "q": 7}),
    Bad("empty text of a fix", 400, "empty", path="/fixes", body={"source": " ", "target": "x"}, headers=OK),
    Bad("control character", 400, "U+0000", body={**SAID, "q": "a\0b"}),
    Bad("surrogate", 400, "", raw=b'{"q": "\\ud800", "source": "en", "target": "de"}'),
    Bad("several lines of a fix", 400, "U+000A", path="/fixes", body={"source": "a\nb", "target": "x"}, headers=OK),
    Bad("other language", 400, "expected en", body={"q": "a", "source": "fr", "target": "de"}),
    Bad("other format", 400, "expected text", body={**SAID, "q": "a", "format": "html"}),
    Bad("long text", 413, "at most 3000", body={**SAID, "q": "a" * 3001}),
    Bad("too many subwords", 413, "which the model takes", body={**SAID, "q": "q " * 1200}),
    Bad("many texts", 413, "at most 5", body={**SAID, "q": ["a"] * 6}),
    Bad("large body", 413, "bytes", body={**SAID, "q": ["a" * 250_000] * 5}),
    Bad("other content", 415, "expected application/json", raw=b"<q/>", headers={"content-type": "text/xml"}),
    Bad("form for a fix", 415, "expected application/json", path="/fixes", raw=b"source=a", headers={**OK, **FORM}),
    Bad("no such route", 404, "not found", path="/etc/passwd"),
    Bad("no such method", 405, "not allowed", method="DELETE", path="/fixes/1"),
    Bad("out of the page", 404, "not found", method="GET", path="/static/..%2f..%2fservice.py"),
    Bad("no such fix", 404, "no fix 99", method="GET", path="/fixes/99"),
    Bad("number that is none", 400, "number", method="GET", path="/fixes/one"),
    Bad("huge number", 404, "no fix", method="GET", path=f"/fixes/{10**30}"),
    Bad("no such state", 400, "expected one of", method="GET", path="/fixes?state=done"),
    Bad("limit", 400, "1 to 200", method="GET", path="/fixes?limit=100000"),
    Bad("no token", 401, "token", path="/fixes", body={"source": "a", "target": "b"}),
    Bad("wrong token", 401, "token", path="/fixes/1/undo", headers={"authorization": "Bearer nonsense"}),
    Bad("wrong key", 401, "token", path="/suggest", body={**SAID, "q": "a", "s": "b", "api_key": "nonsense"}),
    Bad("other origin", 403, "another site", path="/fixes", headers={**OK, "origin": "http://evil.example"}, body={}),
    Bad("null origin", 403, "another site", path="/fixes", headers={**OK, "origin": "null"}, body={}),
    Bad("other site", 403, "another site", path="/fixes", headers={**OK, "sec-fetch-site": "cross-site"}, body={}),
    Bad("rebound host", 403, "is not this server", method="GET", path="/fixes", headers={"host": "evil.example"}),
    Bad("host that is none", 403, "is not this server", method="GET", path="/fixes", headers={"host": "[::1"}),
    Bad("unknown name", 400, "save_to", path="/fixes", headers=OK,
        body={"source": "a", "target": "b", "save_to": "/x"}),
    Bad("a path to bake to", 400, "file", path="/fixes/bake", headers=OK, body={"file": "/etc/passwd"}),
    Bad("nowhere to bake to", 409, "--bake-to", path="/fixes/bake", headers=OK, body={}),
    Bad("hunk without number", 400, "number", path="/fixes", headers=OK,
        body={"source": "a", "target": "b", "hunks": [{"carried": True}]}),
    Bad("two hunks carried", 422, "expected one at most", path="/fixes", headers=OK,
        body={"source": "The singer sings.", "target": "Der Sänger singt.",
              "hunks": [{"number": 0, "carried": True}, {"number": 1, "carried": True}]}),
    Bad("letters that the model lacks", 422, "dictionary", path="/fixes", headers=OK,
        body={"source": "The singer is famous.", "target": "Der Sänger ist 有名です。"}),
]  # fmt: skip


@pytest.fixture(scope="module")
def server(edit_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("refusing")
    token = folder / "token.txt"
    token.write_text(f"{TOKEN}\n", encoding="utf-8")
    limits = ["--most-characters", "3000", "--most-sentences", "5", "--rate", "2000"]
    with serving(edit_data, folder, "--token-file", token, *limits) as one:
        yield one


@pytest.mark.parametrize("bad", BAD, ids=[one.name for one in BAD])
def test_it_is_refused(server: Server, bad: Bad) -> None:
    answer = server.ask(bad.method, bad.path, bad.body, dict(bad.headers), bad.raw)
    assert answer.status == bad.status, answer.text
    assert list(answer.json) == ["error"] and bad.part in answer.json["error"], answer.text
    assert len(answer.json["error"]) < 400 and "\n" not in answer.json["error"]
    assert "default-src 'none'" in answer.headers["content-security-policy"]
    assert "access-control-allow-origin" not in answer.headers
    assert not any("Traceback" in line or "failed:" in line for line in server.log)


def test_a_browser_is_not_told_that_other_sites_may_ask(server: Server) -> None:
    asks = {"origin": "http://evil.example", "access-control-request-method": "POST"}
    answer = server.ask("OPTIONS", "/fixes", None, asks)
    assert answer.status == 403 and "access-control-allow-origin" not in answer.headers


def test_the_page_of_the_server_itself_may_ask(server: Server) -> None:
    same = {"origin": server.url, "sec-fetch-site": "same-origin"}
    body = {"q": "The singer is famous.", "source": "en", "target": "de"}
    assert server.ask("POST", "/translate", body, same).status == 200


def test_markup_is_text_in_every_field(server: Server) -> None:
    said = server.translate("The singer is famous.")
    markup = '<img src=x onerror="alert(1)">'
    body = {"source": "The singer is famous.", "target": said.replace("Sänger", "Dichter"), "who": markup}
    number = server.ask("POST", "/fixes", body, OK).json["fix"]["id"]
    for path in (f"/fixes/{number}", "/fixes"):
        answer = server.ask("GET", path)
        assert answer.headers["content-type"] == "application/json"
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert json.dumps(markup) in answer.text
    assert server.translate(markup) != ""
