"""A small HTTP server with the routes that the page uses and scripted answers: the page is tested without a model."""

from __future__ import annotations

import json
import queue
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Callable, Dict, List, Optional, Tuple
from urllib.parse import parse_qs, urlparse

import fairseq_rome

PAGE = Path(fairseq_rome.__file__).parent / "server" / "page"
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' data:; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
TYPES = {".js": "text/javascript", ".css": "text/css", ".json": "application/json", ".html": "text/html; charset=utf-8"}
STATES = ("submitted", "live", "proven", "failed", "baked", "undone")

Answer = Tuple[int, Any]


def hunk(number: int, unwanted: str, wanted: str, start: int, **more: Any) -> Dict[str, Any]:
    """A hunk as /api/understand tells it; it hangs on nothing and is not carried unless `more` says so."""
    told = {"trigger": "", "kind": "word", "carried": False, "confidence": None, "why": ""}
    place = {"start": start, "end": start + len(wanted)}
    return {"number": number, "unwanted": unwanted, "wanted": wanted, **told, **place, **more}


class ContractServer:
    """The scripted server; its attributes are what it answers with."""

    def __init__(self) -> None:
        self.information: Dict[str, Any] = {
            "source": "en", "target": "de", "source_name": "English", "target_name": "German",
            "dir": {"source": "ltr", "target": "ltr"}, "spaced": {"source": True, "target": True},
            "model": "model.pt", "version": "1.0", "needs_token": False, "bakes": True, "samples": 8,
            "limits": {"characters": 500, "sentences": 16},
        }  # fmt: skip
        self.translations: Dict[str, str] = {}
        self.understanding: Dict[str, Any] = {"hunks": [], "would_change": [], "notes": []}
        self.fixes: List[Dict[str, Any]] = []
        self.report: Optional[Dict[str, Any]] = None
        self.token = ""
        self.bake: Answer = (202, {"bake": {"id": 1, "state": "running", "file": "edited.pt"}})
        self.refusals: Dict[str, Answer] = {}  # a path to what is answered instead
        self.pauses: Dict[str, float] = {}  # a path to the seconds that its answer takes
        self.asked: List[Tuple[str, str, Any]] = []
        self._listeners: List[queue.Queue[Optional[str]]] = []
        self._http = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self))
        self._http.daemon_threads = True
        self._thread = threading.Thread(target=self._http.serve_forever, args=(0.02,), daemon=True)
        self._thread.start()

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self._http.server_address[1]}/"

    def close(self) -> None:
        for listener in self._listeners:
            listener.put(None)
        self._http.shutdown()
        self._http.server_close()

    def send(self, event: str, data: Any) -> None:
        for listener in self._listeners:
            listener.put(f"event: {event}\ndata: {json.dumps(data)}\n\n")

    def listen(self) -> queue.Queue[Optional[str]]:
        self._listeners.append(queue.Queue())
        return self._listeners[-1]

    def add(self, source: str, target: str, state: str = "submitted", **more: Any) -> Dict[str, Any]:
        fix = {
            "id": len(self.fixes) + 1, "source": source, "before": self.translations.get(source, ""), "target": target,
            "now": "", "who": "", "created": "2026-03-01T10:00:00.000+00:00", "state": state, "reason": "",
            "seconds": {"live": None, "proven": None}, "hunks": [], "stage": None, "progress": None, **more,
        }  # fmt: skip
        self.fixes.append(fix)
        return fix

    def change(self, number: int, **values: Any) -> None:
        fix = self.fixes[number - 1]
        fix.update(values)
        self.send("fix", fix)

    def answer(self, method: str, path: str, query: Dict[str, str], body: Any, token: str) -> Answer:
        self.asked.append((method, path, body))
        time.sleep(self.pauses.get(path, 0))
        if path in self.refusals:
            return self.refusals[path]
        if method == "POST" and path.startswith("/fixes") and token != self.token:
            return 401, {"error": "a token is needed"}
        routes: Dict[Tuple[str, str], Callable[[], Answer]] = {
            ("GET", "/api/info"): lambda: (200, self.information),
            ("POST", "/translate"): lambda: (200, {"translatedText": self.translations.get(body["q"], body["q"])}),
            ("POST", "/api/understand"): lambda: (200, self._understood(body)),
            ("GET", "/fixes"): lambda: (200, self._listed(query)),
            ("POST", "/fixes"): lambda: (201, {"fix": self._submitted(body)}),
            ("POST", "/fixes/bake"): lambda: self.bake,
        }
        if (method, path) in routes:
            return routes[method, path]()
        parts = path.split("/")
        if parts[1] != "fixes" or not parts[2].isdigit() or int(parts[2]) > len(self.fixes):
            return 404, {"error": "there is no such thing"}
        fix = self.fixes[int(parts[2]) - 1]
        if parts[3:] == ["undo"]:
            self.change(fix["id"], state="undone", stage=None)
            return 200, {"fix": fix}
        return 200, {"fix": fix, "evidence": {"site": "decoder.2"}, "report": self.report}

    def _understood(self, body: Dict[str, Any]) -> Dict[str, Any]:
        chosen = {one["number"]: one["carried"] for one in body.get("hunks") or ()}
        hunks = [{**one, "carried": chosen.get(one["number"], one["carried"])} for one in self.understanding["hunks"]]
        carried = any(one["carried"] for one in hunks)
        others = self.understanding["would_change"] if carried else []
        return {**self.understanding, "hunks": hunks, "would_change": others}

    def _submitted(self, body: Dict[str, Any]) -> Dict[str, Any]:
        hunks = self._understood(body)["hunks"]
        return self.add(body["source"], body["target"], who=body.get("who") or "", hunks=hunks)

    def _listed(self, query: Dict[str, str]) -> Dict[str, Any]:
        found = [
            one
            for one in reversed(self.fixes)
            if query.get("state", one["state"]) == one["state"]
            and query.get("who", one["who"]) == one["who"]
            and query.get("q", "") in one["source"] + one["target"]
            and one["id"] < int(query.get("before", 10**9))
        ]
        counts = {state: sum(one["state"] == state for one in self.fixes) for state in STATES}
        return {"fixes": found[: int(query.get("limit", 50))], "counts": counts}


def _handler(server: ContractServer) -> type:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, *_: Any) -> None:
            """Say nothing."""

        def do_GET(self) -> None:
            self._respond("GET")

        def do_POST(self) -> None:
            self._respond("POST")

        def _respond(self, method: str) -> None:
            url = urlparse(self.path)
            if url.path == "/events":
                self._events()
                return
            if url.path == "/" or url.path.startswith("/static/"):
                file = PAGE / (url.path[len("/static/") :] if url.path != "/" else "index.html")
                self._write(200, file.read_bytes(), TYPES[file.suffix])
                return
            length = int(self.headers.get("Content-Length") or 0)
            body = json.loads(self.rfile.read(length) or b"null")
            query = {name: values[0] for name, values in parse_qs(url.query).items()}
            token = (self.headers.get("Authorization") or "").replace("Bearer ", "")
            status, answer = server.answer(method, url.path, query, body, token)
            self._write(status, json.dumps(answer).encode(), "application/json", status == 429)

        def _write(self, status: int, body: bytes, kind: str, busy: bool = False) -> None:
            self.send_response(status)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(body)))
            self.send_header("Content-Security-Policy", POLICY)
            if busy:
                self.send_header("Retry-After", "7")
            self.end_headers()
            self.wfile.write(body)

        def _events(self) -> None:
            listener = server.listen()
            self.send_response(200)
            self.send_header("Content-Type", "text/event-stream")
            self.send_header("Connection", "close")
            self.close_connection = True
            self.end_headers()
            self.wfile.write(b": hello\n\n")
            try:
                while (event := listener.get()) is not None:
                    self.wfile.write(event.encode())
            except OSError:  # The browser has gone.
                pass

    return Handler
