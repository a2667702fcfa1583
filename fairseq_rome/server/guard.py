"""What stands between clients and the routes: where requests may come from, how many and how large they may be.

It is written against ASGI itself, so that it holds for every route and every answer, those of failures too.
"""

from __future__ import annotations

import hmac
import json
import time
from collections import OrderedDict
from typing import Any, Awaitable, Callable, Dict, List, MutableMapping, Optional, Tuple
from urllib.parse import urlsplit

from fairseq_rome.server.server_spec import Limits

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' data:; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
# A report is one file with its styles and pictures in it, and runs nothing.
REPORT_POLICY = (
    "default-src 'none'; style-src 'unsafe-inline'; img-src data:; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'none'; sandbox"
)
_HEADERS = {
    "content-security-policy": POLICY,
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cross-origin-resource-policy": "same-origin",
    "cross-origin-opener-policy": "same-origin",
    "cache-control": "no-store",
}
FAILED = "the server has failed in this; its log says where"
_READS = ("GET", "HEAD")
_LOOPBACK = ("127.0.0.1", "localhost", "::1")
# Clients whose rate is known at once. More tell more of them apart, and take memory.
_CLIENTS = 10_000


class Rate:
    """How many requests each client may still make: a bucket that fills up again within a minute.

    Args:
        a_minute: requests at most.
        clock: gives seconds.
    """

    def __init__(self, a_minute: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._most, self._clock = float(a_minute), clock
        self._left: OrderedDict[str, Tuple[float, float]] = OrderedDict()

    def wait(self, client: str) -> float:
        """Count a request of a client; seconds that it should wait first, 0 where it need not."""
        now = self._clock()
        left, at = self._left.get(client, (self._most, now))
        left = min(self._most, left + (now - at) * self._most / 60)
        allowed = left >= 1
        self._left[client] = (left - 1 if allowed else left, now)
        self._left.move_to_end(client)
        while len(self._left) > _CLIENTS:
            self._left.popitem(last=False)
        return 0.0 if allowed else (1 - left) * 60 / self._most


class Guard:
    """Lets through to an application what may pass.

    Args:
        app: the application.
        host: the name or address that the server listens on.
        limits: of the clients.
        failed: is told the kind and the place of an exception that no route expected.
    """

    def __init__(self, app: App, host: str, limits: Limits, failed: Callable[[BaseException], None]) -> None:
        self._app, self._limits, self._failed = app, limits, failed
        self._hosts = (*_LOOPBACK, host) if host in _LOOPBACK else ()
        self._all, self._changes = Rate(limits.requests), Rate(limits.changes)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request, as ASGI has it."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers = {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in scope["headers"]}
        started: List[bool] = []

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                started.append(True)
                given = {name for name, _ in message["headers"]}
                own = [(name.encode(), value.encode()) for name, value in _HEADERS.items()]
                message["headers"] = [*message["headers"], *(one for one in own if one[0] not in given)]
            await send(message)

        refusal = self._refusal(scope, headers)
        if refusal is not None:
            await _answer(send_with_headers, *refusal)
            return
        try:
            await self._app(scope, _Limited(receive, self._limits.body), send_with_headers)
        except TooLarge:
            await _answer(send_with_headers, 413, f"more than {self._limits.body} bytes, expected less")
        except Exception as error:
            # Not raised further: the web server would log its message, which may hold what a client sent.
            self._failed(error)
            if not started:
                await _answer(send_with_headers, 500, FAILED)

    def _refusal(self, scope: Scope, headers: Dict[str, str]) -> Optional[Tuple[int, str, Dict[str, str]]]:
        """Status, message and headers for a request that may not pass; None for one that may."""
        if self._hosts and _name_of(headers.get("host", "")) not in self._hosts:
            return 403, f"host {headers.get('host', '')[:100]!r} is not this server, expected {self._hosts[0]}", {}
        reads = scope["method"] in _READS
        origin = headers.get("origin")
        crosses = origin is not None and origin.partition("://")[2] != headers.get("host")
        if not reads and (crosses or headers.get("sec-fetch-site", "none") not in ("none", "same-origin")):
            return 403, "comes from a page of another site, expected one of this server", {}
        client = scope["client"][0] if scope.get("client") else ""
        wait = self._all.wait(client)
        if not reads and _changes(scope["path"]):
            wait = max(wait, self._changes.wait(client))
        if wait:
            seconds = str(int(wait) + 1)
            return 429, f"too many requests, expected the next one in {seconds} s", {"retry-after": seconds}
        length = headers.get("content-length", "0")
        if not length.isdecimal() or int(length) > self._limits.body:
            return 413, f"{length[:20]} bytes, expected at most {self._limits.body}", {}
        return None


class TooLarge(Exception):
    """A body has more bytes than it may."""


class _Limited:
    """Gives a body that may not be larger than it may be, whatever its headers said."""

    def __init__(self, receive: Receive, most: int) -> None:
        self._receive, self._left = receive, most

    async def __call__(self) -> Message:
        message = await self._receive()
        self._left -= len(message.get("body", b""))
        if self._left < 0:
            raise TooLarge
        return message


def may_change(token: Optional[str], given: str) -> bool:
    """Whether what a client shows is the token, in a time that does not tell how much of it is right."""
    return token is None or hmac.compare_digest(token.encode(), given.encode())


def _name_of(host: str) -> str:
    """The name or address in a header that may hold anything; empty where it has none."""
    try:
        return urlsplit(f"//{host}").hostname or ""
    except ValueError:
        return ""


def _changes(path: str) -> bool:
    return path == "/suggest" or path.startswith("/fixes")


async def _answer(send: Send, status: int, text: str, headers: Optional[Dict[str, str]] = None) -> None:
    body = json.dumps({"error": text}, ensure_ascii=False).encode()
    told = {"content-type": "application/json", "content-length": str(len(body)), **(headers or {})}
    pairs = [(name.encode(), value.encode()) for name, value in told.items()]
    await send({"type": "http.response.start", "status": status, "headers": pairs})
    await send({"type": "http.response.body", "body": body})
