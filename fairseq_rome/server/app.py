"""The routes: those that LibreTranslate's clients know, and those of fixes beside them."""

from __future__ import annotations

import asyncio
import concurrent.futures
from pathlib import Path
from typing import Any, Callable, Dict, List, Optional, Tuple, Type

from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import FileResponse, JSONResponse, Response, StreamingResponse
from starlette.staticfiles import StaticFiles

from fairseq_rome.errors import EditError
from fairseq_rome.server.bodies import BadRequest, body_of, checked_text, first_fault
from fairseq_rome.server.fix import STATES, Choices, NoFix
from fairseq_rome.server.guard import FAILED, App, Guard, may_change
from fairseq_rome.server.languages_told import LanguagesTold
from fairseq_rome.server.messages import (
    DetectBody,
    FixBody,
    HunkChoice,
    NoBody,
    SuggestBody,
    TranslateBody,
    UnderstandBody,
)
from fairseq_rome.server.service import FixService, Refused
from fairseq_rome.server.translation_loop import Busy, check_lengths
from fairseq_rome.server.worker_process import WorkerDied
from fairseq_rome.version import __version__

PAGE = Path(__file__).parent / "page"
"""The files of the page: `index.html`, and what it loads from `/static/`."""

_MOST_LISTED = 200
# Seconds after which whoever asks for a translation or for an understanding is told to ask again.
_PATIENCE = 60.0


def web_app(service: FixService, host: str, failed: Callable[[BaseException], None]) -> App:
    """The application that a web server runs.

    Args:
        service: started and closed by whoever runs the application.
        host: the name or address that it listens on.
        failed: is told of exceptions that no route expects.
    """
    app = FastAPI(
        title="fairseq-edit-serve", version=__version__, docs_url=None, redoc_url=None,
        description="Translations, and corrections of them that go live at once and are proven afterwards.",
    )  # fmt: skip
    routes = _Routes(service)
    _add_translating(app, routes)
    _add_fixes(app, routes)
    _add_page(app)
    for status, kinds in _STATUSES.items():
        for kind in kinds:
            app.add_exception_handler(kind, _handler(status))
    app.add_exception_handler(BadRequest, _bad_request)
    app.add_exception_handler(RequestValidationError, _invalid)
    app.add_exception_handler(HTTPException, _http_exception)
    app.add_exception_handler(Exception, _failure)
    return Guard(app, host, service.spec.limits, failed)


_STATUSES: Dict[int, Tuple[Type[Exception], ...]] = {
    404: (NoFix,),
    409: (Refused,),
    422: (EditError,),
    503: (Busy, WorkerDied, asyncio.TimeoutError, concurrent.futures.TimeoutError, concurrent.futures.CancelledError),
}
_LATER = "too much waits to be done, expected the same later"


class _Routes:
    """What the routes do.

    Args:
        service: all that goes on with fixes.
    """

    def __init__(self, service: FixService) -> None:
        self.service = service
        self.limits = service.spec.limits
        self.languages = LanguagesTold(service.translator.adapter.languages)

    async def translate(self, request: Request) -> Dict[str, Any]:
        """The best translation of a text, or of several."""
        body = await body_of(request, TranslateBody, form=True)
        self.languages.check(body.source, body.target)
        if body.format != "text":
            raise BadRequest(400, f"format is {body.format[:20]!r}, expected text")
        texts = [body.q] if isinstance(body.q, str) else body.q
        translated = await self._translated(texts)
        told: Dict[str, Any] = {"translatedText": translated[0] if isinstance(body.q, str) else translated}
        if body.alternatives:
            told["alternatives"] = [] if isinstance(body.q, str) else [[] for _ in texts]
        if body.source == "auto":
            detected = self.languages.detected()[0]
            told["detectedLanguage"] = detected if isinstance(body.q, str) else [detected] * len(texts)
        return told

    async def _translated(self, texts: List[str]) -> List[str]:
        """Texts line by line; blanks around a line stay, and an empty line stays empty."""
        lines = [text.split("\n") for text in texts]
        flat = [line for several in lines for line in several]
        sentences = [checked_text(line, "q", self.limits) for line in flat if line.strip()]
        if len(sentences) > self.limits.sentences:
            raise BadRequest(413, f"{len(sentences)} sentences, expected at most {self.limits.sentences}")
        try:
            await run_in_threadpool(check_lengths, self.service.translator, sentences)
        except EditError as error:
            raise BadRequest(413, str(error)) from None
        future = asyncio.wrap_future(self.service.loop.translate(sentences))
        said = iter(await asyncio.wait_for(future, _PATIENCE))
        return ["\n".join(next(said) if line.strip() else line for line in several) for several in lines]

    async def suggest(self, request: Request) -> Dict[str, Any]:
        """A better translation, as LibreTranslate's clients hand it in: a fix."""
        body = await body_of(request, SuggestBody, form=True)
        self._authorise(request, body.api_key or "")
        self.languages.check(body.source, body.target)
        source, target = (checked_text(text, name, self.limits) for name, text in (("q", body.q), ("s", body.s)))
        await run_in_threadpool(self.service.submit, source, target)
        return {"success": True}

    async def detect(self, request: Request) -> List[Dict[str, Any]]:
        """The one source language."""
        await body_of(request, DetectBody, form=True)
        return self.languages.detected()

    async def understand(self, request: Request) -> Dict[str, Any]:
        """How a correction is understood, and what it would change elsewhere, before it is handed in."""
        body = await body_of(request, UnderstandBody)
        texts = [checked_text(getattr(body, name), name, self.limits) for name in ("source", "output", "target")]
        work = await run_in_threadpool(self.service.understand, texts[0], texts[1], texts[2], _choices(body.hunks))
        return await asyncio.wait_for(asyncio.wrap_future(work), _PATIENCE)

    async def submit(self, request: Request) -> JSONResponse:
        """A correction comes in; 201, or 200 if it is in the queue already."""
        self._authorise(request)
        body = await body_of(request, FixBody)
        source, target = (checked_text(getattr(body, name), name, self.limits) for name in ("source", "target"))
        who = checked_text(body.who, "who", self.limits) if body.who.strip() else ""
        fix, new = await run_in_threadpool(self.service.submit, source, target, who, _choices(body.hunks))
        return JSONResponse({"fix": self.service.told(fix)}, 201 if new else 200)

    async def fixes(
        self, state: str = "", who: str = "", q: str = "", limit: int = 50, before: Optional[int] = None
    ) -> Dict[str, Any]:
        """The newest fixes, and how many there are in each state."""
        if state and state not in STATES:
            raise BadRequest(400, f"state is {state[:20]!r}, expected one of {', '.join(STATES)}")
        if not 1 <= limit <= _MOST_LISTED:
            raise BadRequest(400, f"limit is {limit}, expected 1 to {_MOST_LISTED}")
        queue = self.service.queue
        found = await run_in_threadpool(queue.found, state, who, q, limit, before)
        return {"fixes": [self.service.told(one) for one in found], "counts": queue.counts()}

    async def fix(self, number: int) -> Dict[str, Any]:
        """A fix with the evidence of its proof."""
        fix = self.service.queue.fix(number)
        found = self.service.queue.evidence(number) or {"evidence": None, "report": None}
        return {"fix": self.service.told(fix), **found}

    async def undo(self, number: int, request: Request) -> Dict[str, Any]:
        """Take a fix out."""
        self._authorise(request)
        return {"fix": self.service.told(await run_in_threadpool(self.service.undo, number))}

    async def bake(self, request: Request) -> JSONResponse:
        """Write a checkpoint with all that is proven, where whoever started the server named its file."""
        self._authorise(request)
        await body_of(request, NoBody)
        return JSONResponse({"bake": (await run_in_threadpool(self.service.bake)).as_plain()}, 202)

    async def events(self, request: Request) -> StreamingResponse:
        """What happens to fixes, as server-sent events."""
        stream = self.service.events
        if stream.listeners >= self.limits.streams:
            raise Busy
        last = request.headers.get("last-event-id", "")
        after = int(last) if last.isdigit() and len(last) < 20 else None
        return StreamingResponse(stream.stream(after), media_type="text/event-stream")

    async def info(self) -> Dict[str, Any]:
        """What the server translates with, and what it takes."""
        spec = self.service.spec
        limits = {"characters": spec.limits.characters, "sentences": spec.limits.sentences}
        return {
            **self.languages.as_plain(), "model": Path(spec.model.path).name, "version": __version__,
            "needs_token": spec.token is not None, "bakes": spec.bake_to is not None, "limits": limits,
            "samples": spec.settings.edit_sample,
        }  # fmt: skip

    def _authorise(self, request: Request, key: str = "") -> None:
        scheme, _, token = request.headers.get("authorization", "").partition(" ")
        given = token.strip() if scheme.lower() == "bearer" else key
        if not may_change(self.service.spec.token, given):
            raise BadRequest(401, "the token is missing or wrong, expected the header Authorization: Bearer TOKEN")


def _add_translating(app: FastAPI, routes: _Routes) -> None:
    """The routes of LibreTranslate."""
    app.post("/translate", openapi_extra=_takes(TranslateBody, form=True))(routes.translate)
    app.post("/suggest", openapi_extra=_takes(SuggestBody, form=True))(routes.suggest)
    app.post("/detect", openapi_extra=_takes(DetectBody, form=True))(routes.detect)

    @app.get("/languages")
    async def languages() -> List[Dict[str, Any]]:
        return routes.languages.listed()

    @app.get("/health")
    async def health() -> Dict[str, str]:
        return {"status": "ok"}

    @app.get("/frontend/settings")
    async def settings() -> Dict[str, Any]:
        return {
            "apiKeys": routes.service.spec.token is not None, "charLimit": routes.limits.characters,
            "frontendTimeout": 500, "keyRequired": False, "language": routes.languages.as_plain_pair(),
            "suggestions": True, "supportedFilesFormat": [],
        }  # fmt: skip


def _add_fixes(app: FastAPI, routes: _Routes) -> None:
    """Our own routes."""
    app.get("/api/info")(routes.info)
    app.post("/api/understand", openapi_extra=_takes(UnderstandBody))(routes.understand)
    app.post("/fixes", status_code=201, openapi_extra=_takes(FixBody))(routes.submit)
    app.get("/fixes")(routes.fixes)
    app.post("/fixes/bake", status_code=202, openapi_extra=_takes(NoBody))(routes.bake)
    app.get("/fixes/{number}")(routes.fix)
    app.post("/fixes/{number}/undo")(routes.undo)
    app.get("/events", response_class=StreamingResponse)(routes.events)


def _add_page(app: FastAPI) -> None:
    """The page, which is files alone."""
    app.mount("/static", StaticFiles(directory=PAGE, check_dir=False), name="static")

    @app.get("/", include_in_schema=False)
    async def page() -> Response:
        if not (PAGE / "index.html").is_file():
            raise HTTPException(404)
        return FileResponse(PAGE / "index.html", media_type="text/html; charset=utf-8")


def _takes(kind: Any, form: bool = False) -> Dict[str, Any]:
    """How OpenAPI describes a body that a route reads itself."""
    schema = {"schema": kind.model_json_schema()}
    kinds = {"application/json": schema, **({"application/x-www-form-urlencoded": schema} if form else {})}
    return {"requestBody": {"required": True, "content": kinds}}


def _choices(hunks: List[HunkChoice]) -> Choices:
    return tuple((one.number, one.carried) for one in hunks)


def _handler(status: int) -> Callable[[Request, Any], Any]:
    """Tells an exception as LibreTranslate does."""
    async def handle(_: Request, error: Any) -> JSONResponse:
        if status == 503:
            return JSONResponse({"error": _LATER}, status, {"retry-after": "5"})
        return JSONResponse({"error": str(error)}, status)

    return handle


async def _bad_request(_: Request, error: Any) -> JSONResponse:
    return JSONResponse({"error": error.text}, error.status)


async def _invalid(_: Request, error: Any) -> JSONResponse:
    return JSONResponse({"error": first_fault(error.errors())}, 400)


async def _failure(_: Request, __: Any) -> JSONResponse:
    return JSONResponse({"error": FAILED}, 500)


async def _http_exception(_: Request, error: Any) -> JSONResponse:
    return JSONResponse({"error": str(error.detail).lower()}, error.status_code, error.headers)
