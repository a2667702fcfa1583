"""The application that a web server runs: the routes, the page, and how failures are told."""

from __future__ import annotations

import asyncio
import concurrent.futures
from pathlib import Path
from typing import Any, Callable, Dict, Tuple, Type

from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import FileResponse, JSONResponse, Response
from starlette.staticfiles import StaticFiles

from fairseq_rome.errors import EditError
from fairseq_rome.server.bodies import BadRequest, first_fault
from fairseq_rome.server.fix import NoFix, Refused
from fairseq_rome.server.fix_routes import add_fixes
from fairseq_rome.server.guard import FAILED, App, Guard
from fairseq_rome.server.service import FixService
from fairseq_rome.server.translating_routes import add_translating
from fairseq_rome.server.translation_loop import Busy
from fairseq_rome.server.worker_process import WorkFailed
from fairseq_rome.version import __version__

PAGE = Path(__file__).parent / "page"
"""The files of the page: `index.html`, and what it loads from `/static/`."""


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
    add_translating(app, service)
    add_fixes(app, service)
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
    503: (Busy, WorkFailed, asyncio.TimeoutError, concurrent.futures.TimeoutError, concurrent.futures.CancelledError),
}
_LATER = "too much waits to be done, expected the same later"


def _add_page(app: FastAPI) -> None:
    """The page, which is files alone."""
    app.mount("/static", StaticFiles(directory=PAGE, check_dir=False), name="static")

    @app.get("/", include_in_schema=False)
    async def page() -> Response:
        if not (PAGE / "index.html").is_file():
            raise HTTPException(404)
        return FileResponse(PAGE / "index.html", media_type="text/html; charset=utf-8")


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
