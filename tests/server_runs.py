"""Runs `fairseq-edit-serve` on the demo model in a process of its own, small enough for a test, and asks it."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.client import HTTPConnection, HTTPResponse
from pathlib import Path
from typing import Any, Dict, Iterator, List, Mapping, Optional, Tuple

from edit_runs import DEMO, LANGUAGES, ROOT, SEARCH, SUBWORDS

# As QUICK of `edit_runs`, in a file: a server takes the settings of its edits from there.
SETTINGS = "edit_stats_tokens: 6000\nedit_contexts: 8\nedit_references: 12\nedit_sample: 8\n"
PATIENCE = 120.0


@dataclass
class Answer:
    """What a server answered."""

    status: int
    headers: Mapping[str, str]
    text: str

    @property
    def json(self) -> Any:
        return json.loads(self.text)


@dataclass
class Server:
    """A server that answers, and the folder that its files are in."""

    process: subprocess.Popen[str]
    port: int
    folder: Path
    log: List[str] = field(default_factory=list)
    reading: threading.Thread = field(default_factory=threading.Thread)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def queue(self) -> Path:
        return self.folder / "fixes.db"

    def ask(
        self, method: str, path: str, body: Any = None, headers: Optional[Dict[str, str]] = None, raw: bytes = b""
    ) -> Answer:
        """One request; `body` as JSON, or `raw` as it is."""
        connection = HTTPConnection("127.0.0.1", self.port, timeout=PATIENCE)
        try:
            sent = raw if body is None else json.dumps(body).encode()
            given = {"content-type": "application/json"} if method == "POST" else {}
            connection.request(method, path, sent or None, {**given, **(headers or {})})
            found: HTTPResponse = connection.getresponse()
            return Answer(found.status, {k.lower(): v for k, v in found.getheaders()}, found.read().decode())
        finally:
            connection.close()

    def translate(self, text: Any) -> Any:
        answer = self.ask("POST", "/translate", {"q": text, "source": "en", "target": "de"})
        assert answer.status == 200, answer.text
        return answer.json["translatedText"]

    def submit(self, source: str, target: str, **more: Any) -> Dict[str, Any]:
        answer = self.ask("POST", "/fixes", {"source": source, "target": target, **more})
        assert answer.status in (200, 201), answer.text
        fix: Dict[str, Any] = answer.json["fix"]
        return fix

    def fix(self, number: int) -> Dict[str, Any]:
        found: Dict[str, Any] = self.ask("GET", f"/fixes/{number}").json["fix"]
        return found

    def wait_for(self, number: int, *states: str) -> Dict[str, Any]:
        """The fix once it is in one of some states."""
        end = time.monotonic() + PATIENCE
        while time.monotonic() < end:
            fix = self.fix(number)
            if fix["state"] in states:
                return fix
            time.sleep(0.2)  # less often than a client may ask
        raise AssertionError(f"fix {number} is {fix} after {PATIENCE} s; {self.ask('GET', '/health').text}")

    def stop(self, how: int = signal.SIGTERM) -> int:
        self.process.send_signal(how)
        return self.process.wait(PATIENCE)


def command(data: Path, folder: Path, *more: Any) -> List[str]:
    """The words of a command line; `more` goes last and so before what stands here."""
    settings = folder / "settings.yaml"
    settings.write_text(SETTINGS, encoding="utf-8")
    own = ["--queue", folder / "fixes.db", "--edit-config", settings, "--edit-cache", data.parent / "cache"]
    words = [data, "--path", DEMO / "model.pt", *LANGUAGES, *SUBWORDS, *SEARCH, "--port", "0", *own, *more]
    return [str(word) for word in words]


def started(data: Path, folder: Path, *more: Any) -> Server:
    """A server once it answers."""
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)}
    process = subprocess.Popen(
        [sys.executable, "-m", "fairseq_rome.cli.serve", *command(data, folder, *more)],
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=environment,
    )  # fmt: skip
    assert process.stdout is not None
    told: List[str] = []
    for line in process.stdout:
        told.append(line)
        found = re.search(r"http://[0-9.]+:(\d+) answers", line)
        if found:
            return _reading_on(Server(process, int(found.group(1)), folder, told))
    raise AssertionError(f"the server ended with {process.wait()}: {''.join(told)}")


def _reading_on(server: Server) -> Server:
    """Read on what the server prints, since it would wait for a reader; its log is kept."""

    def read() -> None:
        assert server.process.stdout is not None
        with server.process.stdout as lines:
            for line in lines:
                server.log.append(line)

    server.reading = threading.Thread(target=read, daemon=True)
    server.reading.start()
    return server


@contextmanager
def serving(data: Path, folder: Path, *more: Any) -> Iterator[Server]:
    """A server that is ended on leaving."""
    server = started(data, folder, *more)
    try:
        yield server
    finally:
        server.process.kill()
        server.process.wait()
        server.reading.join()


def stream_of_events(server: Server, after: Optional[int] = None) -> Iterator[Tuple[int, str, Any]]:
    """Number, kind and data of each event from now on, as it comes."""
    connection = HTTPConnection("127.0.0.1", server.port, timeout=PATIENCE)
    connection.request("GET", "/events", headers={} if after is None else {"last-event-id": str(after)})
    answer = connection.getresponse()
    assert answer.getheader("content-type", "").startswith("text/event-stream")
    assert answer.readline().startswith(b"retry: ")  # from here on nothing is missed
    return _events(connection, answer)


def _events(connection: HTTPConnection, answer: HTTPResponse) -> Iterator[Tuple[int, str, Any]]:
    fields: Dict[str, str] = {}
    try:
        while True:
            line = answer.readline().decode().rstrip("\n")
            if line:
                name, _, value = line.partition(": ")
                fields[name] = value
            elif "data" in fields:
                yield int(fields["id"]), fields["event"], json.loads(fields["data"])
                fields = {}
    finally:
        connection.close()
