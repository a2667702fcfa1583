"""A server from its start to its end: model and queue opened, the web server run, everything closed."""

from __future__ import annotations

import asyncio
import hashlib
import json
import signal
import socket
import threading
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, Callable, Iterator, List, Optional

import uvicorn

from fairseq_rome.errors import EditError
from fairseq_rome.host.checkpoint import check_output
from fairseq_rome.host.decoding import Progress, silent
from fairseq_rome.server.app import web_app
from fairseq_rome.server.fix import IN_WEIGHTS, LIVE
from fairseq_rome.server.queue_file import FixQueue
from fairseq_rome.server.server_spec import ServerSpec
from fairseq_rome.server.service import FixService
from fairseq_rome.server.worker_process import told_without_texts
from fairseq_rome.workbench.inputs import input_files
from fairseq_rome.workbench.journals import described_run
from fairseq_rome.workbench.opening import OpenModel, open_model

# Seconds that requests that go on may take once the server is to end.
_GRACE = 3


def open_service(
    spec: ServerSpec, log: Callable[[str], None], force: bool = False, progress: Progress = silent
) -> FixService:
    """The service, not started yet.

    Args:
        spec: what the server is asked for.
        log: is told what happens, in lines without any text of a client.
        force: whether a bake may replace a file that was there before the server.
        progress: wraps long loops.

    Raises:
        EditError: for whatever a user can put right.
    """
    queue = FixQueue(spec.queue)
    try:
        model = open_model(spec.model, progress)
        if spec.bake_to is not None:
            inputs = [*input_files(spec.model, (), model.languages), spec.queue]
            check_output(spec.bake_to, force, inputs)
        _claim(queue, model, spec)
    except BaseException:
        queue.close()
        raise
    # What clients send is not remembered: their texts would be kept in the cache folder.
    return FixService(spec, replace(model.translator, remembered=None), queue, log)


def _claim(queue: FixQueue, model: OpenModel, spec: ServerSpec) -> None:
    """Let a new queue be of this model, and refuse that of another one; under other settings all is proven again.

    Raises:
        EditError: if the queue is of another model or direction.
    """
    about = queue.about
    direction = "-".join(model.languages)
    for name, own in (("base", model.fingerprint), ("direction", direction)):
        if about.get(name, own) != own:
            raise EditError(
                f"{queue.path}: its fixes are for another {'model' if name == 'base' else name} "
                f"({about.get('model', '?') if name == 'base' else about[name]}), expected a queue of {model.path}, "
                f"{direction}; give another --queue"
            )
    run = hashlib.sha256(json.dumps(described_run(model, spec.settings), default=str).encode()).hexdigest()
    if about.get("run", run) != run:
        again = {"state": LIVE, "place": None, "reason": "the settings have changed: it is proven again"}
        queue.change_all({one.id: again for one in queue.in_state(*IN_WEIGHTS)})
    told = {"base": model.fingerprint, "direction": direction, "model": Path(model.path).name, "run": run}
    settings, languages = json.dumps(spec.settings.as_plain()), json.dumps(model.languages)
    queue.tell_about(**told, settings=settings, languages=languages)


def listening(host: str, port: int) -> socket.socket:
    """A socket that listens.

    Args:
        host: a name or an address.
        port: 0 for any that is free.

    Raises:
        EditError: if the system refuses.
    """
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        found = socket.socket(family, kind, protocol)
        try:
            found.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            found.bind(address)
        except BaseException:
            found.close()
            raise
    except (OSError, OverflowError) as error:
        raise EditError(f"--host {host} --port {port}: {error}, expected an address that is free") from error
    return found


def address_of(listener: socket.socket) -> str:
    """The address of a socket, as a browser takes it."""
    host, port = listener.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


class WebServer(uvicorn.Server):
    """Runs a service on a socket until it is told to end.

    Args:
        service: not started yet.
        listener: the socket.
        host: as it was asked for.
        answers: called once the server answers.
        log: is told of failures, without any text of a client.
    """

    def __init__(
        self, service: FixService, listener: socket.socket, host: str, answers: Callable[[], None],
        log: Callable[[str], None],
    ) -> None:  # fmt: skip
        app: Any = web_app(service, host, lambda error: log(f"failed: {told_without_texts(error)}"))
        super().__init__(
            uvicorn.Config(
                app, log_config=None, access_log=False, lifespan="off", timeout_graceful_shutdown=_GRACE,
                server_header=False, ws="none",
            )  # fmt: skip
        )
        self._service, self._listener, self._answers = service, listener, answers

    def serve_until_told(self) -> None:
        """Serve, and close the service at the end."""
        with _handled(self.handle_exit):
            try:
                self._service.start()
                self.run(sockets=[self._listener])
            finally:
                self._service.close()
                self._listener.close()

    async def startup(self, sockets: Optional[List[socket.socket]] = None) -> None:
        """As uvicorn's."""
        self._service.events.open(asyncio.get_running_loop())
        await super().startup(sockets)
        if self.started:
            self._answers()

    async def shutdown(self, sockets: Optional[List[socket.socket]] = None) -> None:
        """As uvicorn's, after the end of the streams of events, which would never end themselves."""
        self._service.events.close()
        await super().shutdown(sockets)


@contextmanager
def _handled(handler: Callable[[int, Any], None]) -> Iterator[None]:
    """Let signals that end a process do no more than a handler does, also before and after the web server's own time.

    While it runs it has handlers of its own, and raises what they took again once it has ended.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.signal(number, handler) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, old in before.items():
            signal.signal(number, old)
